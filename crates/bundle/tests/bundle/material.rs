//! Material as the world has it: what is read, what is refused, and what is said about the leaf.

use certcourier_bundle::{
    CertificateError, Format, LeafFacts, Limits, Material, MaterialError, Misfit, Part, PrivateKeyError, RawMaterial,
};
use rcgen::{IsCa, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd};

use crate::pki::{Hierarchy, Signer, accepted, fixture, leaf_params, openssl, parse, refused, rendered_text};

#[test]
fn text_around_and_inside_the_blocks_does_not_matter() {
    let h = Hierarchy::new();
    let (chain, key) = (h.chain_pem(), h.leaf.key.serialize_pem());
    let expected = rendered_text(Format::Combined, &h.material());
    for (what, change) in [
        ("Windows line ends", (|text| text.replace('\n', "\r\n")) as fn(&str) -> String),
        ("old Mac line ends", |text| text.replace('\n', "\r")),
        ("byte order mark", |text| format!("\u{feff}{text}")),
        ("no last line end", |text| text.trim_end().to_owned()),
        ("no line end between blocks", |text| text.replace("-----\n-----", "----------")),
        ("trailing garbage", |text| format!("{text}\0\u{1}garbage -----BEGIN")),
        ("comments", |text| format!("# mine\nsubject=CN = x\n{}", text.replace("-----BEGIN", "\n# next\n-----BEGIN"))),
        ("indentation", |text| text.replace('\n', "\n    ")),
        ("empty lines", |text| text.replace('\n', "\n\n")),
        ("one long line", |text| {
            text.replace('\n', "").replace("-----MI", "-----\nMI").replace("-----END", "\n-----END")
        }),
    ] {
        let material = accepted(parse(&change(&chain), Some(&change(&key)), None));
        assert_eq!(rendered_text(Format::Combined, &material), expected, "{what}");
    }
}

#[test]
fn what_is_no_certificate_is_refused_with_what_it_looks_like() {
    let utf16: Vec<u8> = "\u{feff}-----BEGIN CERTIFICATE-----".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let der = Signer::root("Root").der();
    let key = fixture("keys/p256.sec1.pem");
    let both = [key.as_str(), &fixture("certificates/p256.pem")].concat();
    let pfx = openssl(&["pkcs12", "-export", "-passout", "pass:secret"], both.as_bytes());
    let p7b = openssl(&["crl2pkcs7", "-nocrl", "-certfile", "/dev/stdin", "-outform", "DER"], both.as_bytes());
    let twice = openssl(&["base64"], both.as_bytes());
    for (certificate, found) in [
        (&b""[..], Misfit::Empty),
        (b" \r\n\t", Misfit::Empty),
        (b"hello", Misfit::Unknown),
        (b"\x00\xff", Misfit::Unknown),
        (&utf16, Misfit::Utf16),
        (&der, Misfit::Der),
        (&pfx, Misfit::Pkcs12),
        (&p7b, Misfit::Pkcs7),
        (&twice, Misfit::Base64OfPem),
        (key.as_bytes(), Misfit::OtherPem),
    ] {
        let raw = RawMaterial { certificate, private_key: None, ca: None };
        assert_eq!(
            refused(Material::parse(&raw, &Limits::default())),
            MaterialError::NoCertificate { part: Part::Certificate, found }
        );
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_named_by_its_place() {
    let good = fixture("certificates/p256.pem");
    let trailing = {
        let mut der = Signer::root("Root").der();
        der.push(0);
        crate::pki::pem("CERTIFICATE", &der)
    };
    let damaged = CertificateError::BeginDamaged;
    for (second, error) in [
        (good.replace("-----END CERTIFICATE-----", ""), CertificateError::CutOff),
        (good.replace("-----END CERTIFICATE-----", "----END CERTIFICATE-----"), CertificateError::CutOff),
        (good.replace("-----END CERTIFICATE-----", "-----END CERTIFICATE----"), CertificateError::CutOff),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned(), CertificateError::Empty),
        (good.replace("-----BEGIN", "----BEGIN"), damaged.clone()),
        (good.replace("-----BEGIN", "------BEGIN"), damaged.clone()),
        (good.replace("-----BEGIN", "\"-----BEGIN"), damaged.clone()),
        (good.replace("-----BEGIN", "tls.crt: -----BEGIN"), damaged.clone()),
        (good.replace("-----BEGIN", "\u{200b}-----BEGIN"), damaged.clone()),
        (good.replace("-----BEGIN", ",-----BEGIN"), damaged.clone()),
        (good.replace("BEGIN", "XXX").replace("END", "BEGIN").replace("XXX", "END"), damaged),
        (good.replace("MII", "M*I"), CertificateError::NotBase64),
        (good.replace("MII", "MIIIII"), CertificateError::NotBase64),
        (crate::pki::pem("CERTIFICATE", b"no certificate"), CertificateError::NotX509),
        (trailing, CertificateError::TrailingBytes),
    ] {
        assert_eq!(
            refused(parse(&[good.as_str(), &second].concat(), None, None)),
            MaterialError::BadCertificate { part: Part::Certificate, number: 2, error }
        );
    }
}

#[test]
fn a_damaged_certificate_is_named_wherever_it_stands_and_in_the_ca_file_too() {
    let h = Hierarchy::new();
    let (leaf, lower) = (&h.leaf.pem, &h.lower.pem);
    let cut = |pem: &str| pem[1..].to_owned();
    for (text, number) in [
        (format!("{}{lower}", cut(leaf)), 1),
        (format!("{leaf}{}", cut(lower)), 2),
        (format!("{},{lower}", leaf.trim_end()), 2),
        (format!("{leaf}{}", lower.replace("-----BEGIN CERTIFICATE-----", "")), 2),
        (format!("{}{}", h.leaf.key.serialize_pem(), cut(leaf)), 1),
        (format!("{}{leaf}", cut(&h.leaf.key.serialize_pem()).replace("PRIVATE KEY", "CERTIFICATE")), 1),
    ] {
        let error = |part| MaterialError::BadCertificate { part, number, error: CertificateError::BeginDamaged };
        assert_eq!(refused(parse(&text, None, None)), error(Part::Certificate), "{text}");
        let material = accepted(parse(leaf, None, Some(&text)));
        assert_eq!(material.ca_error(), Some(&error(Part::Ca)), "{text}");
    }
    // A key beside them is another file's business, whatever it looks like.
    let key = h.leaf.key.serialize_pem();
    for text in
        [format!("{key}{leaf}{lower}"), format!("{}{leaf}{lower}", cut(&key)), format!("{leaf}{lower}{}", cut(&key))]
    {
        assert_eq!(accepted(parse(&text, None, None)).chain_length(), 1, "{text}");
    }
}

#[test]
fn a_certificate_of_another_kind_of_block_is_read_or_named() {
    let h = Hierarchy::new();
    let (leaf, lower) = (h.leaf.pem.as_str(), h.lower.pem.as_str());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let trusted = text(openssl(&["x509", "-trustout"], lower.as_bytes()));
    let mail_only = text(openssl(&["x509", "-addtrust", "emailProtection", "-trustout"], lower.as_bytes()));
    let envelope = text(openssl(&["crl2pkcs7", "-nocrl", "-certfile", "/dev/stdin"], lower.as_bytes()));
    let expected = rendered_text(Format::Fullchain, &accepted(parse(&[leaf, lower].concat(), None, None)));
    let request = h.lower.pem.replace("CERTIFICATE", "CERTIFICATE REQUEST");
    for second in [&trusted, &mail_only, &lower.replace("CERTIFICATE", "X509 CERTIFICATE")] {
        assert!(!second.contains("BEGIN CERTIFICATE"));
        let material = accepted(parse(&[leaf, second, &request].concat(), None, None));
        assert_eq!(rendered_text(Format::Fullchain, &material), expected, "{second}");
    }
    let named = |error| MaterialError::BadCertificate { part: Part::Certificate, number: 2, error };
    let labelled = |label: &str| CertificateError::Label { label: label.to_owned() };
    let in_envelope = |label: &str| CertificateError::Envelope { label: label.to_owned() };
    for (second, error) in [
        (envelope.clone(), in_envelope("PKCS7")),
        (envelope.replace("PKCS7", "CMS"), in_envelope("CMS")),
        (envelope.replace("PKCS7", "PKCS #7 SIGNED DATA"), in_envelope("PKCS #7 SIGNED DATA")),
        (lower.replace("CERTIFICATE", " CERTIFICATE"), labelled(" CERTIFICATE")),
        (lower.replace("CERTIFICATE", "Certificate"), labelled("Certificate")),
        (lower.replace("CERTIFICATE", "ATTRIBUTE CERTIFICATE"), labelled("ATTRIBUTE CERTIFICATE")),
        (lower.replace("CERTIFICATE", "CERT"), labelled("CERT")),
    ] {
        let refusal = refused(parse(&[leaf, &second].concat(), None, None));
        assert_eq!(refusal, named(error), "{second}");
        assert!(refusal.to_string().contains("openssl "), "{refusal}");
    }
    // What an authority is trusted for must not get lost on the way.
    let material = accepted(parse(leaf, None, Some(&trusted)));
    assert_eq!((material.ca_error(), material.ca_length()), (None, 1));
    let material = accepted(parse(leaf, None, Some(&[h.root.pem.as_str(), &mail_only].concat())));
    let error = MaterialError::BadCertificate { part: Part::Ca, number: 2, error: CertificateError::TrustSettings };
    assert_eq!(material.ca_error(), Some(&error));
}

#[test]
fn the_last_and_the_first_moment_of_the_calendar_are_facts() {
    let mut params = leaf_params("for ever");
    params.not_before = date_time_ymd(0, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31) + std::time::Duration::from_secs(86_399);
    let leaf = Signer::root("Root").sign(params);
    let material = accepted(parse(&leaf.pem, None, None));
    assert_eq!(material.leaf().not_before_seconds, -62_167_219_200);
    assert_eq!(material.leaf().not_after_seconds, 253_402_300_799);
}

#[test]
fn sizes_and_numbers_are_limited() {
    let h = Hierarchy::new();
    let mebibyte = 1024 * 1024;
    let pad = |text: &str, bytes: usize| format!("{text}{}", " ".repeat(bytes - text.len()));
    assert!(parse(&pad(&h.leaf.pem, mebibyte), None, None).is_ok());
    assert_eq!(
        refused(parse(&pad(&h.leaf.pem, mebibyte + 1), None, None)),
        MaterialError::TooLarge { part: Part::Certificate, bytes: mebibyte + 1, limit_bytes: mebibyte }
    );
    let key = pad(&h.leaf.key.serialize_pem(), mebibyte + 1);
    assert_eq!(refused(parse(&h.leaf.pem, Some(&key), None)).reason(), "TooLarge");
    assert!(parse(&h.leaf.pem.repeat(16), None, None).is_ok());
    let many = mebibyte / h.leaf.pem.len();
    assert_eq!(
        refused(parse(&h.leaf.pem.repeat(many), None, None)),
        MaterialError::TooManyCertificates { part: Part::Certificate, count: many, limit: 16 }
    );
    let ca = h.root.pem.repeat(17);
    let material = accepted(parse(&h.leaf.pem, None, Some(&ca)));
    assert_eq!(material.ca_error().map(|error| error.reason().name()), Some("TooManyCertificates"));
}

#[test]
fn an_expired_leaf_can_still_be_handed_out() {
    let mut params = leaf_params("expired");
    params.not_before = date_time_ymd(1999, 1, 1);
    params.not_after = date_time_ymd(2000, 1, 1);
    let leaf = Signer::root("Root").sign(params);
    let key = leaf.key.serialize_pem();
    let material = accepted(parse(&leaf.pem, Some(&key), None));
    assert_eq!(material.leaf().not_before_seconds, 915_148_800);
    assert_eq!(material.leaf().not_after_seconds, 946_684_800);
    assert!(!rendered_text(Format::Combined, &material).is_empty());
}

#[test]
fn facts_are_those_that_openssl_prints() {
    for kind in [
        "rsa2048",
        "p384",
        "p521",
        "ed25519",
        "ed448",
        "secp256k1",
        "rsa-pss",
        "serial-negative",
        "serial-zero",
        "serial-20-bytes",
    ] {
        let pem = fixture(&format!("certificates/{kind}.pem"));
        let printed = openssl(
            &["x509", "-noout", "-serial", "-fingerprint", "-sha256", "-subject", "-nameopt", "sep_comma_plus_space"],
            pem.as_bytes(),
        );
        let printed = String::from_utf8(printed).expect("text");
        let field = |name: &str| {
            printed
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_else(|| panic!("{name} in {printed}"))
                .to_owned()
        };
        let material = accepted(parse(&pem, None, None));
        let leaf = material.leaf();
        assert_eq!(leaf.serial_number, field("serial="), "{kind}");
        assert_eq!(leaf.sha256_fingerprint, field("sha256 Fingerprint=").replace(':', "").to_lowercase(), "{kind}");
        assert_eq!(leaf.subject, field("subject="), "{kind}");
        assert_eq!(leaf.issuer, leaf.subject, "{kind}");
    }
}

#[test]
fn key_algorithms_have_names() {
    for (kind, name) in [
        ("rsa1024", "RSA 1024"),
        ("rsa2048", "RSA 2048"),
        ("rsa3072", "RSA 3072"),
        ("rsa4096", "RSA 4096"),
        ("p256", "ECDSA P-256"),
        ("p384", "ECDSA P-384"),
        ("p521", "ECDSA P-521"),
        ("ed25519", "Ed25519"),
        ("ed448", "Ed448"),
        ("secp256k1", "ECDSA secp256k1"),
        ("rsa-pss", "RSA-PSS"),
        ("compressed-point", "ECDSA P-256"),
    ] {
        let material = accepted(parse(&fixture(&format!("certificates/{kind}.pem")), None, None));
        assert_eq!(material.leaf().key_algorithm, name);
    }
}

#[test]
fn a_leaf_with_100_names_shows_them_all() {
    let names: Vec<String> = (0..100).map(|number| format!("n{number}.example.com")).collect();
    let mut params = leaf_params("many");
    params.subject_alt_names =
        names.iter().map(|name| SanType::DnsName(name.as_str().try_into().expect("a name"))).collect();
    params.subject_alt_names.insert(1, SanType::IpAddress("192.0.2.1".parse().expect("an address")));
    params.serial_number = Some(SerialNumber::from_slice(&[0xfe; 20]));
    let leaf = Signer::root("Root").sign(params);
    let material = accepted(parse(&leaf.pem, None, None));
    assert_eq!(material.leaf().dns_names, names);
    assert_eq!(material.leaf().serial_number, "FE".repeat(20));
    assert!(!material.leaf().is_ca);
}

#[test]
fn whatever_may_sign_certificates_is_an_authority() {
    let is_ca = |pem: &str| accepted(parse(pem, None, None)).leaf().is_ca;
    assert!(is_ca(&Signer::root("Root").pem));
    assert!(is_ca(&fixture("certificates/root-version-1.pem")));
    let root = Signer::root("Root");
    let signs = |is_ca: IsCa, usage: KeyUsagePurpose| {
        let mut params = leaf_params("signs");
        params.is_ca = is_ca;
        params.key_usages = vec![usage];
        root.sign(params).pem
    };
    assert!(is_ca(&signs(IsCa::NoCa, KeyUsagePurpose::KeyCertSign)));
    assert!(
        !is_ca(&signs(IsCa::ExplicitNoCa, KeyUsagePurpose::KeyCertSign)),
        "its basicConstraints say that it is none"
    );
    assert!(!is_ca(&signs(IsCa::NoCa, KeyUsagePurpose::DigitalSignature)));
}

#[test]
fn a_name_cannot_pretend_to_be_another() {
    let material = accepted(parse(&fixture("certificates/name-special.pem"), None, None));
    assert_eq!(
        material.leaf().subject,
        "C=DE, O=Bücher\\, \\\"Größe\\\" \\+ Söhne, OU=a+OU=b, CN=line\\u{000a}break\\u{202e}rtl"
    );
}

#[test]
fn a_long_name_is_cut_and_an_empty_one_is_empty() {
    let root = Signer::root("Root");
    let long = root.sign(leaf_params(&"x".repeat(5_000)));
    let subject = accepted(parse(&long.pem, None, None)).leaf().subject.clone();
    assert_eq!(subject.chars().count(), 1_024);
    assert!(subject.starts_with("CN=xxx") && subject.ends_with('…'));
    let mut params = leaf_params("");
    params.distinguished_name = rcgen::DistinguishedName::new();
    let nameless = root.sign(params);
    assert_eq!(accepted(parse(&nameless.pem, None, None)).leaf().subject, "");
}

#[test]
fn facts_do_not_depend_on_the_key_being_there() {
    let h = Hierarchy::new();
    let facts: Vec<LeafFacts> = [None, Some(h.leaf.key.serialize_pem()), Some(h.upper.key.serialize_pem())]
        .iter()
        .map(|key| accepted(parse(&h.chain_pem(), key.as_deref(), None)).leaf().clone())
        .collect();
    assert_eq!(facts[0], facts[1]);
    assert_eq!(facts[0], facts[2]);
}

#[test]
fn the_part_that_is_wrong_is_named() {
    let good = fixture("certificates/p256.pem");
    for (error, part) in [
        (refused(parse("x", None, None)), "(tls.crt)"),
        (refused(parse(&good, Some("x"), None)), "(tls.key)"),
        (
            accepted(parse(&good, None, Some("x"))).ca_error().cloned().unwrap_or(PrivateKeyError::Missing.into()),
            "(ca.crt)",
        ),
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
}
