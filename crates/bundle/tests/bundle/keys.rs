//! Private keys: every encoding in, PKCS#8 as openssl writes it out, and the match with the leaf.

use certcourier_bundle::{
    Format, KeyMatch, Limits, Material, MaterialError, Misfit, PrivateKeyError, RawMaterial, RenderError,
};

use crate::pki::{
    Signer, accepted, assert_matches, fixture, fixture_keys, fixture_material, openssl, options, parse, pem, refused,
    render_with, rendered_text,
};

const KINDS: [&str; 7] = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "ed25519"];

const KEY_FORMATS: [Format; 4] = [Format::Key, Format::Pkcs12, Format::Combined, Format::Zip];

fn key_of(certificate: &str, key_pem: &str) -> PrivateKeyError {
    match refused(parse(certificate, Some(key_pem), None)) {
        MaterialError::BadPrivateKey(error) => error,
        other => panic!("refused for another reason: {other}"),
    }
}

#[test]
fn every_encoding_becomes_the_pkcs8_that_openssl_writes() {
    let mut compared = 0;
    for kind in KINDS {
        for name in fixture_keys(&format!("{kind}.")) {
            let material = fixture_material(kind, &name);
            assert_matches(&material);
            let expected = openssl(&["pkcs8", "-topk8", "-nocrypt"], fixture(&format!("keys/{name}.pem")).as_bytes());
            assert_eq!(rendered_text(Format::Key, &material), String::from_utf8_lossy(&expected), "{name}");
            compared += 1;
        }
    }
    // RSA in two encodings, elliptic curves in six, Ed25519 in one.
    assert_eq!(compared, 3 * 2 + 3 * 6 + 1);
}

#[test]
fn a_key_of_version_2_loses_its_public_half_and_keeps_its_secret() {
    // OneAsymmetricKey of RFC 5958 as ring and Go's HSM tools write it; openssl 3.0 does not read it.
    let version_1 = openssl(&["pkey", "-outform", "DER"], fixture("keys/ed25519.pkcs8.pem").as_bytes());
    let public = openssl(&["pkey", "-pubout", "-outform", "DER"], fixture("keys/ed25519.pkcs8.pem").as_bytes());
    let mut version_2 = version_1.clone();
    version_2[1] += 35;
    version_2[4] = 1;
    version_2.extend([0x81, 33, 0]);
    version_2.extend(&public[public.len() - 32..]);
    let material = accepted(parse(&fixture("certificates/ed25519.pem"), Some(&pem("PRIVATE KEY", &version_2)), None));
    assert_matches(&material);
    assert_eq!(rendered_text(Format::Key, &material), fixture("keys/ed25519.pkcs8.pem"));
}

#[test]
fn a_scalar_without_its_leading_zeros_is_padded_as_openssl_does() {
    // 31 bytes, as old OpenSSL and some Java libraries wrote keys that begin with a zero.
    let scalar = [0x5a_u8; 31];
    let mut sec1 = vec![0x30, 0, 2, 1, 1, 4, 31];
    sec1.extend(scalar);
    sec1.extend([0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    sec1[1] = u8::try_from(sec1.len() - 2).expect("a short length");
    let key = pem("EC PRIVATE KEY", &sec1);
    let certificate = openssl(&["req", "-x509", "-new", "-key", "/dev/stdin", "-subj", "/CN=padded"], key.as_bytes());
    let material = accepted(parse(&String::from_utf8_lossy(&certificate), Some(&key), None));
    assert_matches(&material);
    assert_eq!(
        rendered_text(Format::Key, &material).into_bytes(),
        openssl(&["pkcs8", "-topk8", "-nocrypt"], key.as_bytes())
    );
}

#[test]
fn a_compressed_point_in_the_certificate_is_the_same_public_key() {
    for encoding in ["sec1", "sec1-compressed", "sec1-without-public-key"] {
        assert_matches(&fixture_material("compressed-point", &format!("p256.{encoding}")));
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_their_reason() {
    let certificate = fixture("certificates/p256.pem");
    let good = fixture("keys/p256.pkcs8.pem");
    for (what, key, error) in [
        ("PKCS#8, encrypted", fixture("keys/refused.encrypted-pkcs8.pem"), PrivateKeyError::Encrypted),
        ("PKCS#1, encrypted", fixture("keys/refused.encrypted-pkcs1.pem"), PrivateKeyError::Encrypted),
        ("SEC1, encrypted", fixture("keys/refused.encrypted-sec1.pem"), PrivateKeyError::Encrypted),
        ("OpenSSH", fixture("keys/refused.openssh.pem"), PrivateKeyError::OpenSsh),
        ("explicit curve, SEC1", fixture("keys/refused.explicit-curve-sec1.pem"), PrivateKeyError::UnnamedCurve),
        ("explicit curve, PKCS#8", fixture("keys/refused.explicit-curve-pkcs8.pem"), PrivateKeyError::UnnamedCurve),
        ("DSA", good.replace("PRIVATE KEY", "DSA PRIVATE KEY"), PrivateKeyError::Dsa),
        ("unknown", good.replace("PRIVATE KEY", "TSS2 PRIVATE KEY"), PrivateKeyError::UnsupportedFormat),
        ("a damaged BEGIN line", good.replace("-----BEGIN", "----BEGIN"), PrivateKeyError::BeginDamaged),
        ("text before BEGIN", format!("tls.key: {good}"), PrivateKeyError::BeginDamaged),
        (
            "a damaged key beside one",
            [good.as_str(), &format!("\u{200b}{good}")].concat(),
            PrivateKeyError::BeginDamaged,
        ),
        ("two", [good.clone(), fixture("keys/p384.sec1.pem")].concat(), PrivateKeyError::Several),
        ("the same twice", [good.clone(), good.clone()].concat(), PrivateKeyError::Several),
        ("nothing", String::new(), PrivateKeyError::Missing),
        ("a certificate", certificate.clone(), PrivateKeyError::Missing),
        ("a public key", good.replace("PRIVATE KEY", "PUBLIC KEY"), PrivateKeyError::Missing),
        ("cut off", good.replace("-----END", ""), PrivateKeyError::CutOff),
        ("not base64", good.replace("MIGH", "MI*H"), PrivateKeyError::NotBase64),
        ("not a key", pem("PRIVATE KEY", b"not a key"), PrivateKeyError::Malformed),
        ("another label", good.replace("PRIVATE KEY", "EC PRIVATE KEY"), PrivateKeyError::Malformed),
        ("another label", good.replace("PRIVATE KEY", "RSA PRIVATE KEY"), PrivateKeyError::Malformed),
    ] {
        assert_eq!(key_of(&certificate, &key), error, "{what}");
    }
}

#[test]
fn a_scalar_that_is_zero_or_too_long_is_refused() {
    let certificate = fixture("certificates/p256.pem");
    for scalar in [vec![0_u8; 32], vec![1; 33], vec![0xff; 32]] {
        let length = u8::try_from(scalar.len()).expect("a short length");
        let mut sec1 = vec![0x30, 17 + length, 2, 1, 1, 4, length];
        sec1.extend(&scalar);
        sec1.extend([0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
        let key = pem("EC PRIVATE KEY", &sec1);
        assert_eq!(key_of(&certificate, &key), PrivateKeyError::Malformed, "{scalar:02x?}");
    }
}

#[test]
fn a_key_that_claims_another_public_key_than_its_own_is_refused() {
    let sec1 = openssl(&["ec", "-outform", "DER"], fixture("keys/p256.sec1.pem").as_bytes());
    let mut altered = sec1.clone();
    // The last byte of the embedded public key.
    if let Some(last) = altered.last_mut() {
        *last ^= 1;
    }
    assert_eq!(key_of(&fixture("certificates/p256.pem"), &pem("EC PRIVATE KEY", &altered)), PrivateKeyError::Malformed);
}

#[test]
fn a_key_that_names_two_curves_is_refused() {
    let sec1 = openssl(&["ec", "-outform", "DER"], fixture("keys/p256.sec1.pem").as_bytes());
    let length = |bytes: usize| u8::try_from(bytes).expect("a short length");
    // PKCS#8 that says P-384 around a key that says P-256.
    let mut pkcs8 =
        vec![0x30, 0, 2, 1, 0, 0x30, 16, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 34];
    pkcs8.extend([4, length(sec1.len())]);
    pkcs8.extend(&sec1);
    let body = length(pkcs8.len() - 2);
    pkcs8.splice(1..2, [0x81, body]);
    assert_eq!(key_of(&fixture("certificates/p384.pem"), &pem("PRIVATE KEY", &pkcs8)), PrivateKeyError::Malformed);
    // The same with P-256 outside is what some writers make, and is read.
    let mut same = pkcs8.clone();
    let p256 = [0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    same.splice(6..24, p256);
    same[2] += 3;
    let material = accepted(parse(&fixture("certificates/p256.pem"), Some(&pem("PRIVATE KEY", &same)), None));
    assert_matches(&material);
    assert_eq!(rendered_text(Format::Key, &material), fixture("keys/p256.pkcs8.pem"));
}

#[test]
fn a_key_of_another_certificate_stops_files_with_a_key_and_no_others() {
    let other = Signer::root("Other");
    for (kind, key) in [
        ("rsa2048", fixture("keys/rsa3072.pkcs1.pem")),
        ("rsa2048", fixture("keys/p256.sec1.pem")),
        ("p256", other.key.serialize_pem()),
        ("p256", fixture("keys/p384.sec1.pem")),
        ("p521", fixture("keys/ed25519.pkcs8.pem")),
        ("ed25519", fixture("keys/rsa2048.pkcs8.pem")),
        ("rsa1024", fixture("keys/unchecked.rsa1024-other.pem")),
        ("rsa1024", fixture("keys/rsa2048.pkcs8.pem")),
    ] {
        let material = accepted(parse(&fixture(&format!("certificates/{kind}.pem")), Some(&key), Some(&other.pem)));
        assert_eq!(material.key_match(), &KeyMatch::Mismatch, "{kind}");
        for format in KEY_FORMATS {
            match render_with(format, &material, &options()) {
                Err(RenderError::KeyMismatch { subject }) => {
                    assert_eq!(subject, format!("O=Fixtures, CN={kind}"));
                }
                other => panic!("{kind} {format}: {other:?}"),
            }
        }
        for format in [Format::Cert, Format::Fullchain, Format::Ca, Format::Der, Format::DerZip] {
            assert!(render_with(format, &material, &options()).is_ok(), "{kind} {format}");
        }
    }
}

#[test]
fn a_key_that_cannot_be_checked_is_refused_but_not_called_wrong() {
    for kind in ["rsa1024", "ed448", "secp256k1", "rsa-pss"] {
        let material = fixture_material(kind, &format!("unchecked.{kind}"));
        assert!(matches!(material.key_match(), KeyMatch::Unverifiable { .. }), "{kind}: {:?}", material.key_match());
        for format in KEY_FORMATS {
            assert!(
                matches!(render_with(format, &material, &options()), Err(RenderError::KeyUnverifiable { .. })),
                "{kind} {format}"
            );
        }
        assert!(render_with(Format::Fullchain, &material, &options()).is_ok());
    }
}

#[test]
fn an_rsa_key_whose_numbers_do_not_fit_together_is_not_called_a_match() {
    let pkcs1 = openssl(&["rsa", "-traditional", "-outform", "DER"], fixture("keys/rsa2048.pkcs1.pem").as_bytes());
    // The private exponent follows the modulus (4 + 3 + 4 + 257) and the public exponent (5).
    let mut altered = pkcs1.clone();
    altered[400] ^= 1;
    let material = accepted(parse(&fixture("certificates/rsa2048.pem"), Some(&pem("RSA PRIVATE KEY", &altered)), None));
    assert!(matches!(material.key_match(), KeyMatch::Unverifiable { .. }));
}

/// The numbers of a PKCS#1 key, and the key that others make.
fn numbers_changed(pkcs1: &[u8], change: impl Fn(usize, &[u8]) -> Vec<u8>) -> String {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (start, length) = match der[1] {
            0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
            0x81 => (3, usize::from(der[2])),
            short => (2, usize::from(short)),
        };
        (&der[start..start + length], &der[start + length..])
    }
    fn encoded(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("a short number").to_be_bytes();
        [&[tag, 0x82, length[0], length[1]][..], content].concat()
    }
    let shortest = |content: &[u8]| match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => [&[2, length][..], content].concat(),
        Ok(length) => [&[2, 0x81, length][..], content].concat(),
        Err(_) => encoded(2, content),
    };
    let (mut rest, _) = element(pkcs1);
    let mut body = Vec::new();
    for index in 0.. {
        if rest.is_empty() {
            break;
        }
        let (number, after) = element(rest);
        body.extend(shortest(&change(index, number)));
        rest = after;
    }
    pem("RSA PRIVATE KEY", &encoded(0x30, &body))
}

#[test]
fn what_is_odd_about_an_rsa_key_is_said_with_what_to_do() {
    let pkcs1 = openssl(&["rsa", "-traditional", "-outform", "DER"], fixture("keys/rsa2048.pkcs1.pem").as_bytes());
    let certificate = fixture("certificates/rsa2048.pem");
    let why = |key: &str| match accepted(parse(&certificate, Some(key), None)).key_match() {
        KeyMatch::Unverifiable { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    // Version, modulus, public and private exponent, two primes, what is computed from them.
    for number in [3, 4, 5, 7] {
        let key = numbers_changed(&pkcs1, |index, content| {
            let mut content = content.to_vec();
            if index == number {
                content[40] ^= 1;
            }
            content
        });
        let why = why(&key);
        assert!(why.contains("are inconsistent") && why.contains("openssl pkey -check"), "{number}: {why}");
    }
    for from in [4, 6] {
        let zeros = |index, content: &[u8]| if index >= from { vec![0] } else { content.to_vec() };
        let why = why(&numbers_changed(&pkcs1, zeros));
        assert!(why.contains("lacks its primes or the values computed from them"), "{from}: {why}");
    }
    let exponent =
        |index, content: &[u8]| if index == 2 { [&[1][..], &[0; 31], &[1]].concat() } else { content.to_vec() };
    let key = numbers_changed(&pkcs1, exponent);
    let public = openssl(&["req", "-x509", "-new", "-key", "/dev/stdin", "-subj", "/CN=e"], key.as_bytes());
    let material = accepted(parse(&String::from_utf8_lossy(&public), Some(&key), None));
    let KeyMatch::Unverifiable { why } = material.key_match() else { panic!("{:?}", material.key_match()) };
    assert!(why.contains("public exponent of 257 bits") && why.contains("65537"), "{why}");
    // Of a kind that is never checked, the kind is the reason.
    let material = fixture_material("rsa1024", "unchecked.rsa1024");
    let KeyMatch::Unverifiable { why } = material.key_match() else { panic!("{:?}", material.key_match()) };
    assert!(why.contains("kind RSA 1024"), "{why}");
}

#[test]
fn an_rsa_key_of_three_primes_is_named_in_both_encodings() {
    let generate = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt"];
    let pkcs8 = openssl(&[&generate[..], &["rsa_keygen_primes:3"]].concat(), b"");
    let pkcs1 = openssl(&["rsa", "-traditional"], &pkcs8);
    for key in [pkcs8, pkcs1] {
        let error = key_of(&fixture("certificates/rsa2048.pem"), &String::from_utf8_lossy(&key));
        assert_eq!(error, PrivateKeyError::SeveralPrimes);
        assert_eq!(error.reason(), "UnsupportedPrivateKey");
    }
}

#[test]
fn a_key_file_that_is_no_pem_is_refused_with_what_it_looks_like() {
    let certificate = fixture("certificates/p256.pem");
    let key = fixture("keys/p256.pkcs8.pem");
    let utf16 = |bytes: fn(u16) -> [u8; 2]| key.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    for (file, misfit) in [
        (utf16(u16::to_le_bytes), Misfit::Utf16),
        (utf16(u16::to_be_bytes), Misfit::Utf16),
        (openssl(&["pkey", "-outform", "DER"], key.as_bytes()), Misfit::Der),
        (openssl(&["base64", "-A"], key.as_bytes()), Misfit::Base64OfPem),
    ] {
        let raw = RawMaterial { certificate: certificate.as_bytes(), private_key: Some(&file), ca: None };
        let error = refused(Material::parse(&raw, &Limits::default()));
        assert_eq!(error, MaterialError::BadPrivateKey(PrivateKeyError::NotPem(misfit)));
        assert_eq!(error.reason(), "NoPrivateKey");
    }
}

#[test]
fn without_a_key_only_files_that_hold_one_are_refused() {
    let material = accepted(parse(&fixture("certificates/p256.pem"), None, None));
    assert_eq!(material.key_match(), &KeyMatch::NoKey);
    for format in KEY_FORMATS {
        assert!(matches!(
            render_with(format, &material, &options()),
            Err(RenderError::NoPrivateKey { format: named }) if named == format
        ));
    }
    assert!(render_with(Format::Cert, &material, &options()).is_ok());
}
