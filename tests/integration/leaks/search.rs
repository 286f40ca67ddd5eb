//! Finds secrets in whatever encoding they may have been written.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};

/// Bytes that must be nowhere, and what they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    pub what: String,
    pub bytes: Vec<u8>,
}

/// Everything that a secret may look like in a text, by encoding.
pub fn disguises(secret: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::from([
        ("raw".to_owned(), secret.to_vec()),
        ("hex".to_owned(), hex(secret).into_bytes()),
        ("HEX".to_owned(), hex(secret).to_uppercase().into_bytes()),
        ("URL-encoded".to_owned(), url_encoded(secret).into_bytes()),
        // As `{:?}` prints bytes.
        ("list of numbers".to_owned(), secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes()),
    ]);
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = serde_json::to_string(text).unwrap();
        all.insert("JSON".to_owned(), json.trim_matches('"').as_bytes().to_vec());
    }
    // Base64 of a text that the secret is part of depends on what stands before it, modulo three bytes.
    for offset in 0..3 {
        all.insert(format!("base64+{offset}"), inside::<Base64>(secret, offset));
        all.insert(format!("base64url+{offset}"), inside::<Base64UrlUnpadded>(secret, offset));
    }
    all
}

/// The characters of base64 that the secret alone decides when `offset` other bytes stand before it.
fn inside<E: base64ct::Encoding>(secret: &[u8], offset: usize) -> Vec<u8> {
    let text = E::encode_string(&[&vec![0; offset], secret].concat());
    let begin = (offset * 8).div_ceil(6);
    let end = (offset + secret.len()) * 8 / 6;
    text.as_bytes()[begin..end].to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    let of = |byte: &u8| [byte >> 4, byte & 15].map(|half| char::from(digits[usize::from(half)]));
    bytes.iter().flat_map(of).collect()
}

fn url_encoded(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    bytes.iter().map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Looks for many secrets in one pass.
pub struct Searcher {
    automaton: AhoCorasick,
    /// What each pattern is.
    names: Vec<String>,
}

impl Searcher {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut patterns = BTreeMap::new();
        for Secret { what, bytes } in secrets {
            assert!(bytes.len() >= 12, "{what} is too short to be looked for");
            for (encoding, pattern) in disguises(bytes) {
                patterns.entry(pattern).or_insert_with(|| format!("{what}, {encoding}"));
            }
        }
        let (patterns, names): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        Self { automaton: AhoCorasick::new(patterns).unwrap(), names }
    }

    /// What was found, each with the line around it as far as that shows where it came from, without the secret.
    pub fn find(&self, text: &[u8]) -> Vec<String> {
        let around = |at: usize| {
            let begin = text[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            String::from_utf8_lossy(&text[begin.max(at.saturating_sub(300))..at]).into_owned()
        };
        self.automaton
            .find_iter(text)
            .map(|found| format!("{}: after `{}`", self.names[found.pattern().as_usize()], around(found.start())))
            .collect()
    }
}

#[test]
fn the_searcher_finds_a_secret_in_every_encoding_and_in_the_middle_of_others() {
    let secret = Secret { what: "the canary".to_owned(), bytes: b"k?>n\xc3\xbc/+~canary-0123456789".to_vec() };
    let searcher = Searcher::new([&secret]);
    let noise = "a line of a log\n".repeat(1000).into_bytes();
    assert_eq!(searcher.find(&noise), Vec::<String>::new());
    let mut tried = 0;
    for (encoding, disguise) in disguises(&secret.bytes) {
        let planted = [noise.as_slice(), b"x=\"", &disguise, b"\"\n", &noise].concat();
        let found = searcher.find(&planted);
        assert_eq!(found.len(), 1, "{encoding}: {found:?}");
        assert!(found[0].starts_with("the canary, ") && found[0].ends_with("after `x=\"`"), "{found:?}");
        tried += 1;
    }
    assert_eq!(tried, 12);
    // As part of a longer text that was encoded as a whole.
    for before in ["", "a", "ab", "https://certs.example.com/api/v1/downloads/ccd_cGF5.", "{\"token\":\""] {
        let whole = [before.as_bytes(), &secret.bytes, b"\"}"].concat();
        for encoded in [Base64::encode_string(&whole), Base64UrlUnpadded::encode_string(&whole), hex(&whole)] {
            assert_eq!(searcher.find(encoded.as_bytes()).len(), 1, "{before}: {encoded}");
        }
    }
}
