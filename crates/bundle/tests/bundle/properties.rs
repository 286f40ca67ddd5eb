//! Properties over arbitrary input: no panic, and what goes in comes out.

use std::io::Read as _;
use std::sync::LazyLock;

use certcourier_bundle::{
    EnvironmentMaterial, Format, Limits, Material, Passphrase, Pkcs12Options, Pkcs12Profile, RawMaterial,
    RenderOptions, content_disposition, file_name, render,
};
use p12_keystore::Pkcs12Archive;
use proptest::prelude::*;

use crate::pki::{Counter, Hierarchy, accepted, fixture, parse, pem, render_with, rendered_text};

static HIERARCHY: LazyLock<Hierarchy> = LazyLock::new(Hierarchy::new);

fn parse_bytes(certificate: &[u8], private_key: &[u8], ca: &[u8]) -> Option<Material> {
    let raw = RawMaterial { certificate, private_key: Some(private_key), ca: Some(ca) };
    Material::parse(&raw, &Limits::default()).ok()
}

/// Real files with bytes changed, cut and repeated: arbitrary bytes alone never get past the labels.
fn mutated(text: String) -> impl Strategy<Value = Vec<u8>> {
    let length = text.len();
    (proptest::collection::vec((0..length, any::<u8>()), 0..4), 0..=length, any::<bool>()).prop_map(
        move |(changes, end, cut)| {
            let mut bytes = text.clone().into_bytes();
            for (position, byte) in changes {
                bytes[position] = byte;
            }
            if cut {
                bytes.truncate(end);
            }
            bytes
        },
    )
}

/// PEM around arbitrary or slightly wrong DER.
fn wrapped(label: &'static str, der: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = der.len();
    let changed = proptest::collection::vec((0..length, any::<u8>()), 1..4).prop_map(move |changes| {
        let mut der = der.clone();
        for (position, byte) in changes {
            der[position] = byte;
        }
        der
    });
    prop_oneof![changed, proptest::collection::vec(any::<u8>(), 0..200)].prop_map(move |der| {
        let base64: String = base64(&der);
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n").into_bytes()
    })
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word =
                chunk.iter().chain([0, 0].iter()).take(3).fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
            (0..4).map(move |position| {
                if position <= chunk.len() { char::from(ALPHABET[word >> (18 - 6 * position) & 63]) } else { '=' }
            })
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_input_makes_parsing_panic(
        certificate in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            mutated(HIERARCHY.chain_pem()),
            wrapped("CERTIFICATE", HIERARCHY.leaf.der()),
        ],
        key in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            mutated(HIERARCHY.leaf.key.serialize_pem()),
            wrapped("PRIVATE KEY", HIERARCHY.leaf.key.serialize_der()),
            wrapped("EC PRIVATE KEY", HIERARCHY.leaf.key.serialize_der()),
            wrapped("RSA PRIVATE KEY", HIERARCHY.leaf.key.serialize_der()),
        ],
    ) {
        let chain = HIERARCHY.chain_pem();
        let good_key = HIERARCHY.leaf.key.serialize_pem();
        for (certificate, key) in [
            (certificate.as_slice(), good_key.as_bytes()),
            (chain.as_bytes(), key.as_slice()),
            (certificate.as_slice(), key.as_slice()),
        ] {
            let Some(material) = parse_bytes(certificate, key, certificate) else { continue };
            // Whatever was accepted can be rendered or is refused, in every format.
            let one = EnvironmentMaterial { environment: "e", material: &material };
            let mut options = RenderOptions::new("api");
            options.pkcs12.iterations = 1_000;
            options.passphrase = Passphrase::new("secret".to_owned()).ok();
            for format in Format::ALL {
                let _ = render(format, &[one], &options, &mut Counter::default());
            }
        }
    }

    #[test]
    fn the_order_of_the_file_does_not_matter(
        order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle(),
        repeated in proptest::collection::vec(0_usize..5, 0..8),
    ) {
        let h = &*HIERARCHY;
        let pems = [&h.leaf, &h.lower, &h.middle, &h.upper, &h.root].map(|signer| signer.pem.as_str());
        let text: String = order.iter().chain(&repeated).map(|index| pems[*index]).collect();
        let material = accepted(parse(&text, None, None));
        prop_assert_eq!(rendered_text(Format::Fullchain, &material), h.chain_pem().replace("\r\n", "\n"));
    }

    #[test]
    fn names_are_safe_whatever_the_certificate_is_called(name in any::<String>()) {
        for format in Format::ALL {
            let file = file_name(format, &name);
            prop_assert!(!file.is_empty() && file.len() <= 255);
            prop_assert!(!file.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0', ' ']));
            prop_assert!(!file.chars().any(char::is_control));
            prop_assert!(!file.starts_with(['.', '-', '~']));
            let header = content_disposition(&file);
            prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", header);
            prop_assert_eq!(header.matches('"').count(), 2);
        }
    }

    #[test]
    fn a_header_is_one_line_of_ascii_whatever_the_name(name in any::<String>()) {
        let header = content_disposition(&name);
        prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", header);
        prop_assert_eq!(header.matches('"').count(), 2);
        let encoded = header.rsplit("UTF-8''").next().unwrap_or_default();
        let mut decoded = Vec::new();
        let mut bytes = encoded.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let digits = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
                let text = std::str::from_utf8(&digits).unwrap_or_default();
                decoded.push(u8::from_str_radix(text, 16).expect("two hexadecimal digits"));
            } else {
                decoded.push(byte);
            }
        }
        prop_assert_eq!(String::from_utf8(decoded).expect("UTF-8"), name);
    }
}

/// A key of each kind under three intermediates: `fixtures/issued`.
const KINDS: [&str; 7] = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "ed25519"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_into_a_pkcs12_file_comes_out(
        kind in proptest::sample::select(KINDS.as_slice()),
        zipped in any::<bool>(),
        passphrase in "[ -~]{1,100}",
        friendly_name in "[^\\p{Cc}\u{10000}-\u{10ffff}]{1,100}",
        legacy in any::<bool>(),
        iterations in 1_000_u32..1_200,
    ) {
        let options = RenderOptions {
            passphrase: Some(Passphrase::new(passphrase.clone()).expect("a passphrase")),
            pkcs12: Pkcs12Options {
                profile: if legacy { Pkcs12Profile::Legacy } else { Pkcs12Profile::Modern },
                friendly_name: Some(friendly_name.clone()),
                iterations,
            },
            ..RenderOptions::new("api")
        };
        let (chain, key) = (fixture(&format!("issued/{kind}.pem")), fixture(&format!("keys/{kind}.pkcs8.pem")));
        let material = accepted(parse(&chain, Some(&key), None));
        let format = if zipped { Format::Zip } else { Format::Pkcs12 };
        let made = render_with(format, &material, &options).expect("a file");
        let file = if zipped { entry(&made.bytes, "bundle.p12") } else { made.bytes.to_vec() };
        let archive = Pkcs12Archive::from_pkcs12(&file, &passphrase).expect("read");
        prop_assert_eq!(archive.keys.len(), 1);
        prop_assert_eq!(pem("PRIVATE KEY", archive.keys[0].key.as_der()), key);
        prop_assert_eq!(archive.keys[0].friendly_name.as_deref(), Some(friendly_name.as_str()));
        let certificates: String = archive.certs.iter().map(|bag| pem("CERTIFICATE", bag.cert.as_der())).collect();
        prop_assert_eq!(certificates, chain);
    }
}

/// An entry of a ZIP file, by a reader that is not ours.
fn entry(zip: &[u8], name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).expect("a ZIP file");
    let mut content = Vec::new();
    archive.by_name(name).expect("an entry").read_to_end(&mut content).expect("content");
    content
}
