//! Arbitrary passphrases, names, iterations and randomness: an option is refused by its check or
//! written, the bytes are whole DER, the same again, and hold neither passphrase nor key in the clear.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use certcourier_bundle::{
    EnvironmentMaterial, Format, Material, Passphrase, Pkcs12Options, Pkcs12Profile, RenderError, RenderOptions, render,
};
use certcourier_fuzz::{Counter, parse};
use libfuzzer_sys::fuzz_target;

static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    let file = concat!(
        include_str!("../../crates/bundle/tests/fixtures/certificates/ed25519.pem"),
        include_str!("../../crates/bundle/tests/fixtures/keys/ed25519.pkcs8.pem")
    );
    parse(file.as_bytes(), Some(file.as_bytes()), None).unwrap_or_else(|error| panic!("{error}"))
});

#[derive(Arbitrary, Debug)]
struct Input {
    legacy: bool,
    passphrase: Vec<u8>,
    certificate: String,
    friendly_name: Option<String>,
    iterations: u32,
    random: u8,
    zip: bool,
}

fuzz_target!(|input: Input| {
    let passphrase = match Passphrase::from_file(&input.passphrase) {
        Ok(passphrase) => {
            assert!(passphrase.length() > 0 && input.passphrase.starts_with(passphrase.reveal().as_bytes()));
            assert!(passphrase.reveal().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            Some(passphrase)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    };
    let has_passphrase = passphrase.is_some();
    let options = RenderOptions {
        passphrase,
        pkcs12: Pkcs12Options {
            profile: if input.legacy { Pkcs12Profile::Legacy } else { Pkcs12Profile::Modern },
            friendly_name: input.friendly_name,
            // Mostly few, so that most of the time is not spent on hashing.
            iterations: if input.iterations % 8 == 0 { input.iterations } else { 1_000 + input.iterations % 32 },
        },
        ..RenderOptions::new(input.certificate)
    };
    let accepted = options.pkcs12.check(&options.certificate_name);
    if accepted.is_ok() && options.pkcs12.iterations > 2_000 {
        return;
    }
    let format = if input.zip { Format::Zip } else { Format::Pkcs12 };
    let one = [EnvironmentMaterial { environment: "production", material: &MATERIAL }];
    let write = || render(format, &one, &options, &mut Counter(input.random));
    match write() {
        Ok(artifact) => {
            assert!(has_passphrase && accepted.is_ok());
            if format == Format::Pkcs12 {
                whole_der(&artifact.bytes);
            }
            let again = write().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(*artifact.bytes, *again.bytes);
        }
        Err(RenderError::PassphraseMissing { .. }) => assert!(!has_passphrase),
        Err(RenderError::Pkcs12Options(error)) => assert_eq!(Err(error), accepted),
        Err(other) => panic!("{other}"),
    }
});

/// One SEQUENCE whose length is exactly what follows.
fn whole_der(bytes: &[u8]) {
    let [0x30, 0x82, high, low, content @ ..] = bytes else { panic!("no SEQUENCE of 256 to 65535 bytes") };
    assert_eq!(usize::from(u16::from_be_bytes([*high, *low])), content.len());
}
