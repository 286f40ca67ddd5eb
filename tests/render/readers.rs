//! Others' readers find the same key and the same certificate.

use std::{fmt::Write as _, fs, process::Command};

use sha2::{Digest as _, Sha256};

use super::{Folder, KINDS, PASSPHRASE, fixture, mode};

const PROFILES: [(&str, &str); 2] = [("modern", ""), ("legacy", " --legacy")];

#[test]
fn openssl_and_keytool_find_the_same_key_in_both_profiles_for_every_kind() {
    let folder = Folder::new();
    for kind in KINDS {
        let wanted = folder.check(
            "openssl",
            &["pkcs8", "-topk8", "-nocrypt", "-in", &fixture(&format!("keys/{}.{}.pem", kind.0, kind.1))],
        );
        let certificate = fixture(&format!("certificates/{}.pem", kind.0));
        let fingerprint = folder.check("openssl", &["x509", "-in", &certificate, "-noout", "-fingerprint", "-sha256"]);
        let fingerprint = fingerprint.trim().split('=').nth(1).unwrap();
        for (profile, flag) in PROFILES {
            let file = folder.made("pkcs12", kind, &format!("{flag} --name api"), &format!("{}-{profile}.p12", kind.0));
            let opened = |file: &str| {
                let arguments = ["pkcs12", "-in", file, "-passin", "file:pass", "-nodes", "-nocerts"];
                let text = folder.check("openssl", &arguments);
                text[text.find("-----BEGIN").unwrap()..].to_owned()
            };
            assert_eq!(opened(&file), wanted, "{file}");

            let store = ["-storetype", "PKCS12", "-storepass:file", "pass"];
            let listed = folder.check("keytool", &[&["-list", "-v", "-keystore", &file], &store[..]].concat());
            assert!(listed.contains("Alias name: api") && listed.contains("PrivateKeyEntry"), "{file}: {listed}");
            assert!(listed.contains(fingerprint), "{file}: {listed}");

            let again = format!("again-{file}");
            let arguments = [
                "-importkeystore",
                "-noprompt",
                "-srckeystore",
                &file,
                "-srcstoretype",
                "PKCS12",
                "-srcstorepass:file",
                "pass",
                "-destkeystore",
                &again,
                "-deststoretype",
                "PKCS12",
                "-deststorepass:file",
                "pass",
            ];
            folder.check("keytool", &arguments);
            assert_eq!(opened(&again), wanted, "{file} through keytool");
        }
    }
}

#[test]
fn a_zip_passes_pythons_test_and_its_files_are_those_that_are_made_one_by_one() {
    let folder = Folder::new();
    let file = folder.made("zip", KINDS[3], " --name api", "all.zip");
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nz.extractall('out')\nprint(*z.namelist())";
    let names = folder.check("python3", &["-c", script, &file]);
    assert_eq!(names.trim(), "cert.pem fullchain.pem key.pem bundle.pkcs12 MANIFEST.json");
    for format in ["cert", "fullchain", "key"] {
        let single = folder.made(format, KINDS[3], "", &format!("{format}.pem"));
        assert_eq!(fs::read(folder.path(&single)).unwrap(), fs::read(folder.path("out").join(&single)).unwrap());
    }
    let arguments = ["pkcs12", "-in", "out/bundle.pkcs12", "-passin", "file:pass", "-noout"];
    folder.check("openssl", &arguments);
    assert!(!fs::read(folder.path(&file)).unwrap().windows(PASSPHRASE.len()).any(|part| part == PASSPHRASE.as_bytes()));
}

#[test]
fn der_zip_has_a_file_for_each_environment_that_openssl_reads() {
    let folder = Folder::new();
    let line = format!(
        "--format der-zip --name api --environment prod={} --environment test={} -o certificates.zip",
        fixture("certificates/p256.pem"),
        fixture("certificates/rsa2048.pem")
    );
    let output = folder.render(&line);
    assert!(output.status.success(), "{output:?}");
    folder.check("python3", &["-c", "import zipfile; zipfile.ZipFile('certificates.zip').extractall('out')"]);
    for (environment, kind) in [("prod", "p256"), ("test", "rsa2048")] {
        let read = folder.check("openssl", &["x509", "-inform", "DER", "-in", &format!("out/api-{environment}.cer")]);
        assert_eq!(read, folder.check("openssl", &["x509", "-in", &fixture(&format!("certificates/{kind}.pem"))]));
    }
}

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

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn go_finds_the_same_key_and_leaf_in_both_profiles_for_every_kind() {
    let folder = Folder::new();
    let mut wanted = String::new();
    let mut files = Vec::new();
    for kind in KINDS {
        let key = fixture(&format!("keys/{}.{}.pem", kind.0, kind.1));
        let certificate = fixture(&format!("certificates/{}.pem", kind.0));
        folder.check("openssl", &["pkcs8", "-topk8", "-nocrypt", "-in", &key, "-outform", "DER", "-out", "key.der"]);
        folder.check("openssl", &["x509", "-in", &certificate, "-outform", "DER", "-out", "leaf.der"]);
        let [key, leaf] = ["key.der", "leaf.der"].map(|file| sha256(&fs::read(folder.path(file)).unwrap()));
        for (profile, flag) in PROFILES {
            let file = folder.made("pkcs12", kind, flag, &format!("{}-{profile}.p12", kind.0));
            writeln!(wanted, "{file} {key} {leaf}").unwrap();
            files.push(file);
        }
    }
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/render/go");
    let reader = folder.path("readers").display().to_string();
    // The first build fetches and compiles; it has more time than a reader.
    let built =
        Command::new("timeout").args(["300", "go", "build", "-C", module, "-o", &reader, "."]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let files: Vec<&str> = ["pass"].into_iter().chain(files.iter().map(String::as_str)).collect();
    assert_eq!(folder.check(&reader, &files), wanted);
}

#[test]
fn java_reads_a_zip_as_a_stream_with_the_digests_of_its_manifest() {
    let folder = Folder::new();
    let file = folder.made("zip", KINDS[0], "", "all.zip");
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/render/Entries.java");
    let entries = folder.check("java", &[reader, &file]);
    let script = "import json, zipfile\nz = zipfile.ZipFile('all.zip')\nfor f in json.loads(z.read('MANIFEST.json'))['files']: print(f['name'], f['sha256'])";
    let manifest = folder.check("python3", &["-c", script]);
    let (files, last): (Vec<_>, Vec<_>) = entries.lines().partition(|line| !line.starts_with("MANIFEST.json "));
    assert_eq!(files, manifest.lines().collect::<Vec<_>>());
    assert_eq!((files.len(), last.len()), (4, 1));
}
