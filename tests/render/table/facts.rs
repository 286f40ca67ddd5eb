//! What a reader finds, in words that do not depend on the reader.

use std::{collections::BTreeMap, fmt::Write as _};

use sha2::{Digest as _, Sha256};

/// `certificate` and `key` by the digest of their DER (a key as PKCS#8), `name` of each certificate (`-`:
/// none), `key-name`, and `entry` of a ZIP file: its name and digest. In the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts(BTreeMap<String, Vec<String>>);

impl Facts {
    pub(super) fn add(&mut self, kind: &str, fact: impl Into<String>) {
        self.0.entry(kind.to_owned()).or_default().push(fact.into());
    }

    pub(super) fn all(&self, kind: &str) -> &[String] {
        self.0.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Those of some kinds, perhaps without their order.
    pub(super) fn only(&self, kinds: &[&str], in_order: bool) -> Self {
        let mut some = self.0.clone();
        some.retain(|kind, _| kinds.contains(&kind.as_str()));
        if !in_order {
            for facts in some.values_mut() {
                facts.sort_unstable();
            }
        }
        Self(some)
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
