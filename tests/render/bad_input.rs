//! What is refused says the next step, exits with 1, and leaves nothing behind.

use std::fs;

use super::{Folder, KINDS, PASSPHRASE, fixture};

#[test]
fn each_mistake_is_named_with_the_next_step_and_leaves_no_file() {
    let folder = Folder::new();
    fs::write(folder.path("short"), "pässphrase\n").unwrap();
    fs::write(folder.path("empty"), "\n").unwrap();
    let certificate = fixture("certificates/p256.pem");
    let key = fixture("keys/p256.sec1.pem");
    let other = fixture("keys/p384.sec1.pem");
    let encrypted = fixture("keys/refused.encrypted-pkcs8.pem");
    for (line, words) in [
        (format!("--format key --cert {certificate}"), "give it with --key FILE"),
        (format!("--format pkcs12 --cert {certificate} --key {key}"), "--passphrase-file FILE"),
        (format!("--format pkcs12 --cert {certificate} --key {key} --passphrase-file short"), "ASCII"),
        (
            format!("--format pkcs12 --cert {certificate} --key {key} --passphrase-file nowhere"),
            "`nowhere` cannot be read",
        ),
        (format!("--format key --cert {certificate} --key {other}"), "private key"),
        (format!("--format key --cert {certificate} --key {encrypted}"), "openssl pkey"),
        (format!("--format chain --cert {certificate}"), "intermediate"),
        (format!("--format ca --cert {certificate}"), "--ca FILE"),
        (format!("--format ca --cert {certificate} --ca short"), "`short`: no certificate found"),
        (format!("--format pkcs12 --cert {certificate} --key {key} --passphrase-file empty"), "openssl rand"),
        ("--format key --cert - --key -".to_owned(), "read once"),
        ("--format cert --cert short".to_owned(), "`short`: no certificate found"),
        (format!("--format key --cert {certificate} --key empty"), "`empty`: no private key found"),
        (
            format!("--format cert --cert {certificate} -o no/such/folder"),
            "`no/such/folder` cannot be written: there is no such folder; create it first\n",
        ),
        ("--format cert --cert nowhere".to_owned(), "`nowhere` cannot be read"),
        (format!("--format der-zip --environment a={certificate} --environment b=short"), "environment `b`"),
    ] {
        let output = folder.render(&if line.contains(" -o ") { line.clone() } else { format!("{line} -o made") });
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {error}");
        assert!(error.contains(words) && error.starts_with("certcourier: "), "{line}: {error}");
        assert!(!error.contains("pässphrase") && !error.contains(PASSPHRASE), "{error}");
        let mut left: Vec<_> = fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["empty", "pass", "short"], "{line}");
    }
}

#[test]
fn a_file_that_exists_stays_as_it_is_unless_forced() {
    let folder = Folder::new();
    fs::write(folder.path("key.pem"), "mine").unwrap();
    let line = format!(
        "--format key --cert {} --key {} -o key.pem",
        fixture("certificates/p256.pem"),
        fixture("keys/p256.sec1.pem")
    );
    let output = folder.render(&line);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--force"));
    assert_eq!(fs::read_to_string(folder.path("key.pem")).unwrap(), "mine");
    assert!(folder.render(&format!("{line} --force")).status.success());
    assert!(fs::read_to_string(folder.path("key.pem")).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
}

#[test]
fn an_unknown_format_is_a_mistake_of_usage() {
    let folder = Folder::new();
    let output = folder.render("--format tar --cert x -o y");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("pkcs12"));
}

#[test]
fn a_public_file_goes_to_standard_output_when_asked() {
    let folder = Folder::new();
    let output = folder.render(&format!("--format cert --cert {} -o -", fixture("certificates/ed25519.pem")));
    assert_eq!(output.stdout, fs::read(folder.path(&folder.made("cert", KINDS[6], "", "cert.pem"))).unwrap());
}
