//! Others' readers find the same key and the same certificate.

use std::fs;

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
