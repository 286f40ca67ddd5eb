//! A token in as few bytes as possible. Hundreds of groups make a JWT larger than cookies can be; as base64 it does not
//! compress, as the JSON that it is it does.

use std::io::{Read as _, Write as _};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// The most that a session may be once it is inflated.
const MOST_BYTES: u64 = 256 * 1024;

/// A token: a JWT in its parts, or any other as it is.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Packed {
    /// Header and payload as text, the signature as it was.
    Jwt(String, String, String),
    /// The token.
    Plain(String),
}

impl Packed {
    /// Takes a JWT apart if it can be put together again exactly.
    pub fn of(token: &str) -> Self {
        parts(token)
            .map(|(header, payload, signature)| Self::Jwt(header, payload, signature.to_owned()))
            .filter(|packed| packed.token() == token)
            .unwrap_or_else(|| Self::Plain(token.to_owned()))
    }

    /// The token again.
    pub fn token(&self) -> String {
        match self {
            Self::Plain(token) => token.clone(),
            Self::Jwt(header, payload, signature) => {
                let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
                format!("{}.{}.{signature}", encode(header), encode(payload))
            }
        }
    }
}

fn parts(token: &str) -> Option<(String, String, &str)> {
    let mut parts = token.split('.');
    let mut decoded = || String::from_utf8(Base64UrlUnpadded::decode_vec(parts.next()?).ok()?).ok();
    let (header, payload) = (decoded()?, decoded()?);
    let signature = parts.next()?;
    parts.next().is_none().then_some((header, payload, signature))
}

/// What a JWT says of itself, unverified: the API server verifies it at every call.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    exp: Option<f64>,
    iss: String,
    sub: String,
}

fn claims(token: &str) -> Option<Claims> {
    serde_json::from_str(&parts(token)?.1).ok()
}

/// When a JWT says that it expires.
pub fn expiry(token: &str) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "a moment out of range is no timestamp")]
    claims(token)?.exp.and_then(|exp| Timestamp::from_second(exp as i64).ok())
}

/// What stays the same when a token is renewed: its issuer and its subject; else the token itself.
pub fn holder(token: &str) -> String {
    match claims(token) {
        Some(claims) if !claims.sub.is_empty() => format!("{}\n{}", claims.iss, claims.sub),
        _ => token.to_owned(),
    }
}

/// JSON, compressed.
pub fn deflate(content: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
    let json = Zeroizing::new(serde_json::to_vec(content)?);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&json)?;
    Ok(Zeroizing::new(encoder.finish()?))
}

/// The same again, within bounds.
pub fn inflate<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut json = Zeroizing::new(Vec::new());
    DeflateDecoder::new(bytes).take(MOST_BYTES).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}
