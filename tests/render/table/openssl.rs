//! What openssl reads, as PEM on its standard output.

use std::fs;

use base64ct::{Base64, Encoding as _};

use super::{
    facts::{Facts, sha256},
    made::Made,
};
use crate::Folder;

/// PEM and DER through `storeutl`, PKCS#12 through `pkcs12`.
pub(super) fn read(folder: &Folder, made: &[&Made]) -> Vec<Result<Facts, String>> {
    made.iter()
        .map(|made| match made.format() {
            "pkcs12" => pkcs12(folder, &made.path, &[]),
            _ => folder.try_check("openssl", &["storeutl", &made.path]).map(|text| facts(&text, false)),
        })
        .collect()
}

/// With `-legacy`, which some scripts give always.
pub(super) fn read_legacy(folder: &Folder, made: &[&Made]) -> Vec<Result<Facts, String>> {
    made.iter().map(|made| pkcs12(folder, &made.path, &["-legacy"])).collect()
}

pub(super) fn pkcs12(folder: &Folder, path: &str, more: &[&str]) -> Result<Facts, String> {
    let arguments = ["pkcs12", "-in", path, "-passin", "file:pass", "-nodes"];
    folder.try_check("openssl", &[&arguments, more].concat()).map(|text| facts(&text, true))
}

/// A key file as PKCS#8, DER.
pub(super) fn pkcs8(folder: &Folder, path: &str) -> Vec<u8> {
    let der = format!("{path}.der");
    folder.check("openssl", &["pkcs8", "-topk8", "-nocrypt", "-in", path, "-outform", "DER", "-out", &der]);
    fs::read(folder.path(&der)).unwrap()
}

/// DER of the certificates of a clean PEM file.
pub(super) fn certificates(pem: &str) -> Vec<Vec<u8>> {
    blocks(pem).into_iter().filter(|block| block.label == "CERTIFICATE").map(|block| block.der).collect()
}

struct Block<'a> {
    /// The `friendlyName` that stands before it.
    name: Option<&'a str>,
    label: &'a str,
    der: Vec<u8>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    for part in text.split_inclusive("-----END ") {
        let Some((before, block)) = part.split_once("-----BEGIN ") else { continue };
        let (label, base64) = block.split_once("-----\n").unwrap();
        let base64: String = base64.trim_end_matches("-----END ").lines().collect();
        let name = before.lines().find_map(|line| line.trim_start().strip_prefix("friendlyName: "));
        found.push(Block { name, label, der: Base64::decode_vec(&base64).unwrap() });
    }
    found
}

fn facts(text: &str, with_names: bool) -> Facts {
    let mut facts = Facts::default();
    for block in blocks(text) {
        let (kind, name_kind) =
            if block.label == "CERTIFICATE" { ("certificate", "name") } else { ("key", "key-name") };
        facts.add(kind, sha256(&block.der));
        if with_names {
            facts.add(name_kind, block.name.unwrap_or("-"));
        }
    }
    facts
}
