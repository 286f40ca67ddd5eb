//! PKCS#12 files, read by p12-keystore and openssl.

use std::io::Write as _;

use certcourier_bundle::{
    Format, Material, Passphrase, Pkcs12Options, Pkcs12OptionsError, Pkcs12Profile, RenderError, RenderOptions,
};
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12Archive, Pkcs12ImportPolicy};

use crate::pki::{Counter, Hierarchy, PASSPHRASE, fixture_material, openssl, options, render_with, rendered_text};

const PROFILES: [Pkcs12Profile; 2] = [Pkcs12Profile::Modern, Pkcs12Profile::Legacy];

fn with(profile: Pkcs12Profile, friendly_name: Option<&str>) -> RenderOptions {
    RenderOptions {
        pkcs12: Pkcs12Options { profile, friendly_name: friendly_name.map(str::to_owned), ..Pkcs12Options::default() },
        ..options()
    }
}

fn pkcs12(material: &Material, options: &RenderOptions) -> Vec<u8> {
    render_with(Format::Pkcs12, material, options).unwrap_or_else(|error| panic!("{error}")).bytes.to_vec()
}

/// What `openssl pkcs12` prints about a file.
fn openssl_pkcs12(file: &[u8], arguments: &[&str]) -> String {
    let mut path = tempfile::NamedTempFile::new().expect("a file");
    path.write_all(file).expect("written");
    let name = path.path().to_str().expect("a path");
    let passin = format!("pass:{PASSPHRASE}");
    let all = [&["pkcs12", "-in", name, "-passin", &passin], arguments].concat();
    String::from_utf8(openssl(&all, b"")).expect("text")
}

#[test]
fn an_independent_reader_finds_the_same_key_and_certificates() {
    let h = Hierarchy::new();
    let expected: Vec<Vec<u8>> = [&h.leaf, &h.lower, &h.middle, &h.upper].map(crate::pki::Signer::der).to_vec();
    for profile in PROFILES {
        let file = pkcs12(&h.material(), &with(profile, Some("My API")));
        let store = KeyStore::from_pkcs12(&file, PASSPHRASE, Pkcs12ImportPolicy::Strict)
            .unwrap_or_else(|error| panic!("{profile}: {error}"));
        let (alias, chain) = store.private_key_chain().expect("a key");
        assert_eq!(alias, "My API");
        assert_eq!(chain.key().as_der(), h.leaf.key.serialized_der());
        let certificates: Vec<&[u8]> = chain.certs().iter().map(p12_keystore::Certificate::as_der).collect();
        assert_eq!(certificates, expected);
        assert!(store.entries().all(|(_, entry)| matches!(entry, KeyStoreEntry::PrivateKeyChain(_))));
    }
}

#[test]
fn name_and_identifier_are_on_key_and_leaf_only_and_the_leaf_comes_first() {
    let h = Hierarchy::new();
    for profile in PROFILES {
        let file = pkcs12(&h.material(), &with(profile, Some("Grüße 1")));
        let archive = Pkcs12Archive::from_pkcs12(&file, PASSPHRASE).expect("read");
        let local_key_id = openssl(&["dgst", "-sha1", "-binary"], &h.leaf.der());
        assert_eq!(archive.keys.len(), 1);
        let key = &archive.keys[0];
        assert_eq!(key.friendly_name.as_deref(), Some("Grüße 1"));
        assert_eq!(key.local_key_id.as_ref().map(|id| id.0.clone()), Some(local_key_id.clone()));
        assert_eq!(archive.certs.len(), 4);
        for (position, bag) in archive.certs.iter().enumerate() {
            let (name, id) = if position == 0 { (Some("Grüße 1"), Some(local_key_id.clone())) } else { (None, None) };
            assert_eq!(bag.friendly_name.as_deref(), name, "{position}");
            assert_eq!(bag.local_key_id.clone(), id, "{position}");
        }
    }
}

#[test]
fn every_kind_of_key_comes_back_from_openssl_with_and_without_its_legacy_provider() {
    for kind in ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "ed25519"] {
        let material = fixture_material(kind, &format!("{kind}.pkcs8"));
        for profile in PROFILES {
            let file = pkcs12(&material, &with(profile, None));
            for arguments in [&["-nodes", "-nocerts"][..], &["-nodes", "-nocerts", "-legacy"]] {
                let printed = openssl_pkcs12(&file, arguments);
                let key = &printed[printed.find("-----BEGIN").expect("a key")..];
                assert_eq!(key, rendered_text(Format::Key, &material), "{kind} {profile} {arguments:?}");
            }
        }
    }
}

#[test]
fn openssl_sees_the_algorithms_of_the_profile() {
    let material = fixture_material("p256", "p256.sec1");
    for (profile, arguments, expected) in [
        (
            Pkcs12Profile::Modern,
            &["-info", "-noout"][..],
            [
                "MAC: sha256, Iteration 10000",
                "MAC length: 32, salt length: 16",
                "PKCS7 Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256",
                "Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256",
            ],
        ),
        (
            Pkcs12Profile::Legacy,
            &["-info", "-noout", "-legacy"],
            [
                "MAC: sha1, Iteration 10000",
                "MAC length: 20, salt length: 8",
                "PKCS7 Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 10000",
                "Shrouded Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 10000",
            ],
        ),
    ] {
        let mut options = with(profile, None);
        options.pkcs12.iterations = Pkcs12Options::default().iterations;
        let file = pkcs12(&material, &options);
        let mut path = tempfile::NamedTempFile::new().expect("a file");
        path.write_all(&file).expect("written");
        let name = path.path().to_str().expect("a path");
        let passin = format!("pass:{PASSPHRASE}");
        let output = std::process::Command::new("openssl")
            .args(["pkcs12", "-in", name, "-passin", &passin])
            .args(arguments)
            .output()
            .expect("openssl runs");
        // `-info` goes to standard error.
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        for line in expected {
            assert!(printed.contains(line), "{profile}: `{line}` in {printed}");
        }
        assert!(!printed.contains("RC2"), "{printed}");
    }
}

#[test]
fn the_name_is_the_certificates_unless_another_is_given() {
    let material = fixture_material("p256", "p256.sec1");
    for (given, expected) in [(None, "api"), (Some("F5 import"), "F5 import")] {
        let file = pkcs12(&material, &with(Pkcs12Profile::Modern, given));
        let printed = openssl_pkcs12(&file, &["-nodes"]);
        let lines = printed.matches(&format!("friendlyName: {expected}\n")).count();
        assert_eq!(lines, 2, "{printed}");
    }
}

#[test]
fn the_same_input_and_randomness_give_the_same_bytes_and_other_randomness_others() {
    let material = fixture_material("p256", "p256.sec1");
    for profile in PROFILES {
        let options = with(profile, None);
        let one = pkcs12(&material, &options);
        assert_eq!(one, pkcs12(&material, &options));
        let mut later = Counter::default();
        certcourier_bundle::Randomness::fill(&mut later, &mut [0]).expect("a byte");
        let environment = certcourier_bundle::EnvironmentMaterial { environment: "production", material: &material };
        let other = certcourier_bundle::render(Format::Pkcs12, &[environment], &options, &mut later).expect("a file");
        assert_ne!(one, *other.bytes);
    }
}

#[test]
fn another_passphrase_does_not_open_the_file() {
    let material = fixture_material("p256", "p256.sec1");
    for profile in PROFILES {
        let file = pkcs12(&material, &with(profile, None));
        assert!(Pkcs12Archive::from_pkcs12(&file, "Correct horse-battery staple!").is_err());
    }
}

#[test]
fn long_passphrases_and_many_iterations_are_read_by_others() {
    let material = fixture_material("p256", "p256.sec1");
    // Beyond a block of the hash, where HMAC and the PKCS#12 derivation change their ways.
    for length in [1, 31, 32, 63, 64, 65, 200] {
        let passphrase = "aB3$".repeat(50)[..length].to_owned();
        for (profile, iterations) in [(Pkcs12Profile::Modern, 1_001), (Pkcs12Profile::Legacy, 1_002)] {
            let options = RenderOptions {
                passphrase: Some(Passphrase::new(passphrase.clone()).expect("a passphrase")),
                pkcs12: Pkcs12Options { profile, iterations, friendly_name: None },
                ..options()
            };
            let archive = Pkcs12Archive::from_pkcs12(&pkcs12(&material, &options), &passphrase)
                .unwrap_or_else(|error| panic!("{profile} {iterations} {length}: {error}"));
            assert_eq!(archive.keys.len(), 1);
        }
    }
}

#[test]
fn options_that_cannot_be_written_are_refused() {
    let material = fixture_material("p256", "p256.sec1");
    let iterations = |iterations| Pkcs12Options { iterations, ..Pkcs12Options::default() };
    let name = |name: &str| Pkcs12Options { friendly_name: Some(name.to_owned()), ..Pkcs12Options::default() };
    let outside = |given| Pkcs12OptionsError::Iterations { given, lowest: 1_000, highest: 5_000_000 };
    for (pkcs12, expected) in [
        (name(""), Pkcs12OptionsError::FriendlyNameEmpty),
        (name(&"x".repeat(254)), Pkcs12OptionsError::FriendlyNameTooLong),
        (name("🔑"), Pkcs12OptionsError::FriendlyNameOutsideBasicPlane),
        (name("a\nb"), Pkcs12OptionsError::FriendlyNameControlCharacter),
        (name("a\0"), Pkcs12OptionsError::FriendlyNameControlCharacter),
        (iterations(0), outside(0)),
        (iterations(999), outside(999)),
        (iterations(5_000_001), outside(5_000_001)),
    ] {
        for format in [Format::Pkcs12, Format::Zip] {
            let options = RenderOptions { pkcs12: pkcs12.clone(), ..options() };
            match render_with(format, &material, &options) {
                Err(RenderError::Pkcs12Options(error)) => assert_eq!(error, expected),
                other => panic!("{other:?}"),
            }
        }
        // Formats without a PKCS#12 part do not look at the options.
        let options = RenderOptions { pkcs12, ..options() };
        assert!(render_with(Format::Key, &material, &options).is_ok());
    }
}

#[test]
fn without_a_passphrase_there_is_no_file() {
    let material = fixture_material("p256", "p256.sec1");
    let options = RenderOptions::new("api");
    for format in Format::ALL.into_iter().filter(|format| format.needs_passphrase()) {
        assert!(matches!(
            render_with(format, &material, &options),
            Err(RenderError::PassphraseMissing { format: named }) if named == format
        ));
    }
    assert!(render_with(Format::Key, &material, &options).is_ok());
}
