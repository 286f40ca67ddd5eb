//! Java's keytool: what it lists, and what it takes over into a store of its own.

use super::{facts::Facts, made::Made, openssl};
use crate::Folder;

/// A machine that starts 70 times in a row need not optimize, and what it writes need not be hard to guess.
const QUICK: [&str; 5] = [
    "-J-XX:TieredStopAtLevel=1",
    "-J-XX:+UseSerialGC",
    "-J-Dkeystore.pkcs12.keyPbeIterationCount=1000",
    "-J-Dkeystore.pkcs12.certPbeIterationCount=1000",
    "-J-Dkeystore.pkcs12.macIterationCount=1000",
];

pub(super) fn list(folder: &Folder, made: &[&Made]) -> Vec<Result<Facts, String>> {
    made.iter()
        .map(|made| {
            let arguments = ["-list", "-v", "-keystore", &made.path, "-storetype", "PKCS12", "-storepass:file", "pass"];
            folder.try_check("keytool", &[&arguments, &QUICK[..]].concat()).map(|text| listed(&text))
        })
        .collect()
}

/// The name of each entry that has a key, and the digests of the certificates of all.
fn listed(text: &str) -> Facts {
    let mut facts = Facts::default();
    let mut alias = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Alias name: ") {
            alias = name;
        } else if let Some(kind) = line.strip_prefix("Entry type: ") {
            facts.add("key-name", if kind == "PrivateKeyEntry" { alias } else { kind });
        } else if let Some(digest) = line.trim_start().strip_prefix("SHA256: ") {
            facts.add("certificate", digest.replace(':', "").to_lowercase());
        }
    }
    facts
}

/// Into another store, which openssl opens.
pub(super) fn import(folder: &Folder, made: &[&Made]) -> Vec<Result<Facts, String>> {
    made.iter()
        .map(|made| {
            let store = format!("{}-by-keytool", made.path);
            let from = ["-srckeystore", &made.path, "-srcstoretype", "PKCS12", "-srcstorepass:file", "pass"];
            let to = ["-destkeystore", &store, "-deststoretype", "PKCS12", "-deststorepass:file", "pass"];
            let arguments = [&["-importkeystore", "-noprompt"][..], &from, &to, &QUICK].concat();
            folder.try_check("keytool", &arguments)?;
            openssl::pkcs12(folder, &store, &[])
        })
        .collect()
}
