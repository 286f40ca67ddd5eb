//! What the files are made of: a key of each kind under three intermediates, and what is met in the world.

use std::fs;

use crate::{Folder, KINDS, fixture};

/// A Secret's three files, in the folder under its name with `.crt`, `.key` and `.ca`; the key as it was before
/// something was put around it has `.clean-key`.
pub(super) struct Material {
    pub(super) name: &'static str,
    /// The certificates in the order of the chain, PEM and nothing else.
    pub(super) chain: String,
    pub(super) ca: String,
}

/// As it is stored: the text, changed.
type Change = fn(&str) -> String;

/// Name, key, and how the text of both files is changed; the certificates are `issued/{name}.pem`.
const ISSUED: [(&str, &str); 6] = [
    ("cross-signed", "p256.sec1"),
    ("hundred-names", "rsa2048.pkcs1"),
    ("name-constraints", "p256.sec1"),
    ("serial-negative", "p256.sec1"),
    ("serial-20-bytes", "p256.sec1"),
    ("serial-21-bytes", "p256.sec1"),
];

/// Files as people store them, made of the RSA one.
const TEXTS: [(&str, Change); 4] = [
    ("windows-line-ends", |text| text.replace('\n', "\r\n")),
    ("byte-order-mark", |text| format!("\u{feff}{text}")),
    ("comments", |text| {
        let bag = "Bag Attributes\n    friendlyName: old\nsubject=CN = old\n-----BEGIN";
        format!("# from the old box\n{}", text.replace("-----BEGIN", bag))
    }),
    ("trailing-garbage", |text| format!("{text}\0\u{1}garbage -----BEGIN")),
];

/// Every material, written into the folder.
pub(super) fn all(folder: &Folder) -> Vec<Material> {
    let unchanged: Change = str::to_owned;
    let kinds = KINDS.map(|(kind, encoding)| (kind, kind, format!("{kind}.{encoding}"), unchanged));
    let issued = ISSUED.map(|(name, key)| (name, name, key.to_owned(), unchanged));
    let texts = TEXTS.map(|(name, change)| (name, "rsa2048", "rsa2048.pkcs1".to_owned(), change));
    let all = kinds.into_iter().chain(issued).chain(texts);
    all.map(|(name, certificate, key, change)| material(folder, name, certificate, &key, change)).collect()
}

fn material(folder: &Folder, name: &'static str, certificate: &str, key: &str, change: Change) -> Material {
    let text = |file: String| fs::read_to_string(fixture(&file)).unwrap();
    let chain = text(format!("issued/{certificate}.pem"));
    let key = text(format!("keys/{key}.pem"));
    let ca = text("issued/ca.pem".to_owned());
    for (ending, content) in [("crt", &chain), ("key", &key), ("ca", &ca)] {
        fs::write(folder.path(&format!("{name}.{ending}")), change(content)).unwrap();
    }
    fs::write(folder.path(&format!("{name}.clean-key")), &key).unwrap();
    Material { name, chain, ca }
}
