//! Arbitrary names of certificates and environments: every file name is safe, every header is one line
//! of ASCII that decodes to the name.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use certcourier_bundle::{
    EnvironmentMaterial, Format, Material, RenderError, RenderOptions, content_disposition, file_name, render,
};
use certcourier_fuzz::{Counter, parse};
use libfuzzer_sys::fuzz_target;

static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    parse(include_bytes!("../../crates/bundle/tests/fixtures/certificates/ed25519.pem"), None, None)
        .unwrap_or_else(|error| panic!("{error}"))
});

#[derive(Arbitrary, Debug)]
struct Names {
    certificate: String,
    environments: Vec<String>,
}

fuzz_target!(|names: Names| {
    for format in Format::ALL {
        check(&file_name(format, &names.certificate));
    }
    header(&names.certificate);
    let environments: Vec<EnvironmentMaterial<'_>> = names
        .environments
        .iter()
        .take(8)
        .map(|environment| EnvironmentMaterial { environment, material: &MATERIAL })
        .collect();
    match render(Format::DerZip, &environments, &RenderOptions::new(&*names.certificate), &mut Counter(0)) {
        Ok(artifact) => {
            assert!(!environments.is_empty());
            for name in entry_names(&artifact.bytes, environments.len()) {
                check(&name);
            }
        }
        Err(RenderError::NameClash { first, second, name }) => {
            assert!(names.environments.contains(&first) && names.environments.contains(&second));
            check(&name);
        }
        Err(RenderError::NoEnvironment) => assert!(environments.is_empty()),
        Err(other) => panic!("{other}"),
    }
});

fn check(name: &str) {
    assert!(!name.is_empty() && name.len() <= 255, "{name:?}");
    assert!(!name.starts_with(['.', '-', '~', ' ']) && !name.ends_with(['.', ' ']), "{name:?}");
    assert!(!name.chars().any(|c| c.is_control() || c.is_whitespace() || "/\\:*?\"<>|%".contains(c)), "{name:?}");
    header(name);
}

fn header(name: &str) {
    let header = content_disposition(name);
    assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header:?}");
    assert_eq!(header.matches('"').count(), 2, "{header:?}");
    let (_, encoded) = header.rsplit_once("filename*=UTF-8''").expect("an encoded name");
    let mut decoded = Vec::new();
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
                let text = std::str::from_utf8(&digits).expect("ASCII");
                u8::from_str_radix(text, 16).expect("hexadecimal")
            }
            byte => byte,
        });
    }
    assert_eq!(decoded, name.as_bytes());
}

/// The names in the local headers of a ZIP file of stored entries; no two alike, in order.
fn entry_names(zip: &[u8], count: usize) -> Vec<String> {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let mut names = Vec::new();
    let mut rest = zip;
    while rest.starts_with(b"PK\x03\x04") {
        let (size, name_length) = (number(&rest[18..22]), number(&rest[26..28]));
        names.push(String::from_utf8(rest[30..30 + name_length].to_vec()).expect("UTF-8"));
        rest = &rest[30 + name_length + size..];
    }
    assert_eq!(names.len(), count);
    assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    names
}
