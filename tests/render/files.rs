//! The files as they lie there.

use std::fs;

use super::{Folder, KINDS, PASSPHRASE, fixture, mode};

#[test]
fn a_combined_file_has_the_order_that_was_asked_for() {
    let folder = Folder::new();
    for (order, first) in [("leaf-chain-key", "CERTIFICATE"), ("key-leaf-chain", "PRIVATE KEY")] {
        let file = folder.made("combined", KINDS[4], &format!(" --order {order}"), &format!("{order}.pem"));
        let text = fs::read_to_string(folder.path(&file)).unwrap();
        assert!(text.starts_with(&format!("-----BEGIN {first}-----")), "{order}");
    }
}

#[test]
fn a_file_with_a_key_is_the_owners_alone_and_a_public_one_is_as_the_umask_says() {
    let folder = Folder::new();
    for format in ["key", "pkcs12", "combined", "zip"] {
        let file = folder.made(format, KINDS[3], "", format);
        assert_eq!(mode(&folder.path(&file)), 0o600, "{format}");
    }
    fs::write(folder.path("plain"), "").unwrap();
    let file = folder.made("cert", KINDS[3], "", "cert");
    assert_eq!(mode(&folder.path(&file)), mode(&folder.path("plain")));
}

#[test]
fn a_file_never_holds_the_passphrase_that_it_is_under() {
    let folder = Folder::new();
    for (format, more) in [("pkcs12", ""), ("pkcs12", " --legacy"), ("zip", "")] {
        let file = folder.made(format, KINDS[3], more, &format!("{format}{}", more.trim()));
        let content = fs::read(folder.path(&file)).unwrap();
        assert!(!content.windows(PASSPHRASE.len()).any(|part| part == PASSPHRASE.as_bytes()), "{file}");
    }
}

#[test]
fn a_passphrase_that_is_typed_is_asked_for_twice_and_not_shown() {
    let folder = Folder::new();
    let (certificate, key) = (fixture("certificates/p256.pem"), fixture("keys/p256.sec1.pem"));
    let line = format!("render --format pkcs12 --cert {certificate} --key {key} --passphrase-file - -o typed.p12");
    let typing = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/render/typing.py");
    for (again, code, words) in
        [("another one", 1, "the two passphrases differ"), (PASSPHRASE, 0, "Repeat passphrase: ")]
    {
        let arguments = [typing, PASSPHRASE, again, "--", env!("CARGO_BIN_EXE_certcourier")];
        let output = folder.run("python3", &arguments.into_iter().chain(line.split(' ')).collect::<Vec<_>>());
        let screen = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{screen}{}", String::from_utf8_lossy(&output.stderr));
        assert!(screen.contains(words) && !screen.contains(PASSPHRASE), "{screen}");
        assert_eq!(folder.path("typed.p12").exists(), code == 0);
    }
    folder.check("openssl", &["pkcs12", "-in", "typed.p12", "-passin", "file:pass", "-noout"]);
}
