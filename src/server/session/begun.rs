//! A sign-in at an identity provider that has begun: sealed in a cookie of its own until the browser comes back. `Lax`,
//! because it comes back from another site.

use axum::http::{HeaderMap, HeaderValue};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use jiff::Timestamp;

use super::{KeyError, Keys, SessionError, packed, seal::Purpose};
use crate::{browser, server::oidc::Begun};

const NAME: &str = "__Host-cc-sign-in";
const ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=";

/// The header that sets its cookie.
///
/// # Errors
/// [`SessionError`].
pub async fn sealed(begun: &Begun, keys: &Keys) -> Result<HeaderValue, SessionError> {
    let plain = packed::deflate(begun).map_err(|_| SessionError::Seal)?;
    let sealed = keys.ring().await?.seal(Purpose::SignIn, &plain).ok_or(SessionError::Seal)?;
    let text = Base64UrlUnpadded::encode_string(&sealed);
    HeaderValue::from_str(&format!("{NAME}={text}{ATTRIBUTES}600")).map_err(|_| SessionError::Seal)
}

/// The header that deletes it.
#[must_use]
pub fn clearing() -> HeaderValue {
    HeaderValue::from_str(&format!("{NAME}={ATTRIBUTES}0")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What a request's cookie holds, if it was sealed here and is not over.
///
/// # Errors
/// [`KeyError`] where there is one and the key is not to be had.
pub async fn of(headers: &HeaderMap, keys: &Keys, now: Timestamp) -> Result<Option<Begun>, KeyError> {
    let value = browser::cookies(headers).find(|(name, _)| *name == NAME);
    let Some(sealed) = value.and_then(|(_, text)| Base64UrlUnpadded::decode_vec(text).ok()) else { return Ok(None) };
    let plain = keys.ring_for(&sealed).await?.open(Purpose::SignIn, &sealed);
    Ok(plain.and_then(|plain| packed::inflate::<Begun>(&plain)).filter(|begun| now.as_second() < begun.until))
}
