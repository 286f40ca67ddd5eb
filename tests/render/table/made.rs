//! The files, each made by `certcourier render`, and what went into them.

use std::{fs, thread};

use serde_json::Value;

use super::{
    facts::{Facts, sha256},
    material::{self, Material},
    openssl,
};
use crate::{Folder, fixture};

/// Format, the choice that there is in it, and how it is asked for.
const FILES: [(&str, &str); 13] = [
    ("cert", ""),
    ("chain", ""),
    ("fullchain", ""),
    ("ca", ""),
    ("der", ""),
    ("der-zip", ""),
    ("key", ""),
    ("pkcs12 Modern", ""),
    ("pkcs12 Legacy", " --legacy"),
    ("combined LeafChainKey", " --order leaf-chain-key"),
    ("combined KeyLeafChain", " --order key-leaf-chain"),
    ("zip Modern", ""),
    ("zip Legacy", " --legacy"),
];
/// The certificate of the other environment of `der-zip`.
const OTHER: &str = "certificates/ed25519.pem";

/// One file.
pub(super) struct Made {
    pub(super) material: &'static str,
    /// One of [`FILES`].
    pub(super) file: &'static str,
    /// Its name in the folder.
    pub(super) path: String,
    pub(super) expected: Facts,
}

impl Made {
    pub(super) fn format(&self) -> &'static str {
        self.file.split(' ').next().unwrap()
    }
}

/// Every file of every material.
pub(super) fn all(folder: &Folder) -> Vec<Made> {
    let materials = material::all(folder);
    let halves = materials.chunks(materials.len().div_ceil(2));
    thread::scope(|scope| {
        let running: Vec<_> =
            halves.map(|half| scope.spawn(|| half.iter().flat_map(|one| files(folder, one)).collect())).collect();
        running.into_iter().flat_map(|thread| -> Vec<Made> { thread.join().unwrap() }).collect()
    })
}

fn files(folder: &Folder, material: &Material) -> Vec<Made> {
    FILES
        .iter()
        .map(|&(file, flags)| {
            let path = render(folder, material, file, flags);
            let expected = expected(folder, material, file, &path);
            Made { material: material.name, file, path, expected }
        })
        .collect()
}

fn render(folder: &Folder, Material { name, .. }: &Material, file: &str, flags: &str) -> String {
    let format = file.split(' ').next().unwrap();
    let path = format!("{name}-{}", file.replace(' ', "-"));
    let input = match format {
        "der-zip" => format!("--environment prod={name}.crt --environment test={}", fixture(OTHER)),
        _ => format!("--cert {name}.crt --key {name}.key --ca {name}.ca --passphrase-file pass"),
    };
    let line = format!("--format {format} --name api {input}{flags} -o {path}");
    let output = folder.render(&line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

fn expected(folder: &Folder, material: &Material, file: &str, path: &str) -> Facts {
    let chain = openssl::certificates(&material.chain);
    let mut facts = Facts::default();
    let mut certificates = |certificates: &[Vec<u8>]| {
        for certificate in certificates {
            facts.add("certificate", sha256(certificate));
        }
    };
    match file.split(' ').next().unwrap() {
        "cert" | "der" => certificates(&chain[..1]),
        "chain" => certificates(&chain[1..]),
        "ca" => certificates(&openssl::certificates(&material.ca)),
        "der-zip" => return der_zip(&chain[0]),
        "zip" => return zip(folder, material, path),
        "key" => {}
        _ => certificates(&chain),
    }
    if matches!(file.split(' ').next().unwrap(), "key" | "combined" | "pkcs12") {
        facts.add("key", sha256(&openssl::pkcs8(folder, &format!("{}.clean-key", material.name))));
    }
    if file.starts_with("pkcs12") {
        facts.add("key-name", "api");
        facts.add("name", "api");
        (1..chain.len()).for_each(|_| facts.add("name", "-"));
    }
    facts
}

fn der_zip(leaf: &[u8]) -> Facts {
    let other = openssl::certificates(&fs::read_to_string(fixture(OTHER)).unwrap());
    let mut facts = Facts::default();
    for (environment, certificate) in [("prod", leaf), ("test", &other[0])] {
        facts.add("entry", format!("api-{environment}.cer {}", sha256(certificate)));
    }
    facts
}

/// Its files are those that are made one by one, the manifest has the digest of each, and the bundle opens.
fn zip(folder: &Folder, material: &Material, path: &str) -> Facts {
    let unpacked = format!("{path}-unpacked");
    folder.check("unzip", &["-qq", "-d", &unpacked, path]);
    let read = |file: &str| fs::read(folder.path(&format!("{unpacked}/{file}"))).unwrap();
    for format in ["cert", "chain", "fullchain", "key"] {
        let alone = fs::read(folder.path(&format!("{}-{format}", material.name))).unwrap();
        assert_eq!(read(&format!("{format}.pem")), alone, "{path}");
    }
    let bundle = expected(folder, material, "pkcs12", path);
    assert_eq!(openssl::pkcs12(folder, &format!("{unpacked}/bundle.p12"), &[]), Ok(bundle), "{path}");
    let manifest: Value = serde_json::from_slice(&read("MANIFEST.json")).unwrap();
    let mut facts = Facts::default();
    for file in manifest["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        assert_eq!(file["sha256"].as_str().unwrap(), sha256(&read(name)), "{path}");
        facts.add("entry", format!("{name} {}", sha256(&read(name))));
    }
    assert_eq!(facts.all("entry").len(), 5, "{path}");
    facts.add("entry", format!("MANIFEST.json {}", sha256(&read("MANIFEST.json"))));
    facts
}
