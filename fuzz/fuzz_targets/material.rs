//! Arbitrary bytes as certificate file, key file and CA file: nothing panics, and what is accepted
//! comes out the same when it is read again.
//!
//! The input is three parts with zero bytes in between: PEM as it is, or, after a first byte of 1, DER
//! that is put into PEM here, with the byte in front of each part choosing the label.

#![no_main]

use certcourier_bundle::{Format, KeyMatch, Material, RenderOptions};
use certcourier_fuzz::{parse, pem, render_one};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let files = match input.split_first() {
        Some((1, parts)) => wrapped(parts),
        _ => {
            let mut parts = input.splitn(3, |byte| *byte == 0).map(<[u8]>::to_vec);
            [parts.next(), parts.next(), parts.next()]
        }
    };
    let [Some(certificate), key, ca] = files else { return };
    let material = match parse(&certificate, key.as_deref(), ca.as_deref()) {
        Ok(material) => material,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    check(&material);
});

/// Length-prefixed, because DER has zero bytes.
fn wrapped(mut parts: &[u8]) -> [Option<Vec<u8>>; 3] {
    const LABELS: [&str; 4] = ["CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    let mut next = || {
        let (header, rest) = parts.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_be_bytes([header[1], header[2]])).min(rest.len());
        let (der, after) = rest.split_at(length);
        parts = after;
        Some(pem(LABELS[usize::from(header[0]) % LABELS.len()], der).into_bytes())
    };
    [next(), next(), next()]
}

fn check(material: &Material) {
    let options = RenderOptions::new("api");
    let leaf = material.leaf();
    assert!(leaf.subject.chars().count() <= 1_024 && leaf.issuer.chars().count() <= 1_024);
    assert!(!leaf.subject.chars().any(char::is_control));
    for format in Format::ALL {
        let Ok(artifact) = render_one(format, material, &options) else { continue };
        assert!(!artifact.bytes.is_empty());
        assert!(!format.needs_passphrase(), "rendered without a passphrase");
        assert!(!format.holds_key() || material.key_match() == &KeyMatch::Matches);
        match format {
            Format::Cert | Format::Fullchain | Format::Combined => {
                let key = (format == Format::Combined).then_some(artifact.bytes.as_slice());
                let again = parse(&artifact.bytes, key, None).unwrap_or_else(|error| panic!("{format}: {error}"));
                assert_eq!(again.leaf(), leaf, "{format}");
                let twice = render_one(format, &again, &options).unwrap_or_else(|error| panic!("{format}: {error}"));
                assert_eq!(*twice.bytes, *artifact.bytes, "{format}");
            }
            _ => {}
        }
    }
}
