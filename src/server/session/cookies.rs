//! A sealed session as cookies: a browser keeps 4 KiB of each, so there are up to four.

use axum::http::{HeaderMap, HeaderValue};
use base64ct::{Base64UrlUnpadded, Encoding as _};

use crate::browser;

/// Names of the cookies. `__Host-`: a browser takes them only over TLS, from this very host, for all of its paths.
const NAMES: [&str; 4] = ["__Host-cc0", "__Host-cc1", "__Host-cc2", "__Host-cc3"];
/// A browser keeps 4096 bytes of name and value.
const MOST_OF_ONE: usize = 4000;
/// Name, sign and separator of a cookie in a request's header.
const AROUND: usize = "__Host-cc0=; ".len();
/// No script reads them, and no other site's page makes a browser send them.
const ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Strict";

/// The values of the cookies, if all of them fit into so many bytes of a header.
pub fn split(sealed: &[u8], room: usize) -> Option<Vec<String>> {
    let text = Base64UrlUnpadded::encode_string(sealed);
    let pieces: Vec<String> =
        text.as_bytes().chunks(MOST_OF_ONE).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
    let length = text.len() + AROUND * pieces.len();
    (pieces.len() <= NAMES.len() && length <= room).then_some(pieces)
}

/// The sealed session of a request, put together again.
pub fn join(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = |name: &str| browser::cookies(headers).find(|(found, _)| *found == name).map(|(_, value)| value);
    let text: String = NAMES.into_iter().map_while(value).collect();
    (!text.is_empty()).then(|| Base64UrlUnpadded::decode_vec(&text).ok())?
}

/// Whether a request has any of these cookies.
#[must_use]
pub fn is_there(headers: &HeaderMap) -> bool {
    browser::cookies(headers).any(|(name, _)| name == NAMES[0])
}

/// The headers that set a session's cookies, and delete those of a longer one.
pub fn setting(values: &[String]) -> Vec<HeaderValue> {
    let set = |(name, value): (&&str, &String)| HeaderValue::from_str(&format!("{name}={value}{ATTRIBUTES}")).ok();
    let mut headers: Vec<HeaderValue> = NAMES.iter().zip(values).filter_map(set).collect();
    headers.extend(NAMES.iter().skip(values.len()).filter_map(deleting));
    headers
}

/// The headers that end a session.
pub fn clearing() -> Vec<HeaderValue> {
    NAMES.iter().filter_map(deleting).collect()
}

fn deleting(name: &&str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{name}={ATTRIBUTES}; Max-Age=0")).ok()
}
