//! The Secret with the token of a request, as its requester reads it.
//!
//! Mutating admission can change what a Secret holds, so what it says is believed only with a token whose hash is in the
//! request's status.

use zeroize::Zeroizing;

use super::secrets::{SecretBytes, SecretObject};
use crate::{
    api::{
        DownloadRequest,
        words::{ConditionReason, ConditionType},
    },
    redact::Redacted,
    token::{hash_of, same_hash},
};

/// The keys of its content.
pub const KEYS: [&str; 4] = ["token", "url", "ca.crt", "passphrase"];

/// A text that is erased when dropped, and never shown.
pub type SecretText = Redacted<Zeroizing<String>>;

/// What it holds.
#[derive(Debug)]
pub struct TokenSecret {
    /// The token.
    pub token: SecretText,
    /// Its link, where the operator knows its own address.
    pub url: Option<SecretText>,
    /// The authority behind the server's certificate: PEM.
    pub ca: Option<String>,
    /// The passphrase, where it was generated.
    pub passphrase: Option<SecretText>,
}

impl TokenSecret {
    /// What links begin with.
    #[must_use]
    pub fn base(&self) -> Option<String> {
        self.url.as_ref().and_then(|url| url.expose().split("/api/v1/downloads/").next().map(str::to_owned))
    }
}

/// Why its token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// There is none in it.
    Empty,
    /// There is another one than the operator issued.
    Another,
}

/// What the Secret of this request holds, if its token is the one that was issued.
///
/// # Errors
/// [`NoToken`].
pub fn of(mut found: SecretObject, request: &DownloadRequest) -> Result<TokenSecret, NoToken> {
    let mut part = |key: &str| found.take(key).as_ref().and_then(text);
    let token = part("token").ok_or(NoToken::Empty)?;
    let issued = request.token().and_then(|token| token.hash.as_deref()).unwrap_or_default();
    if !same_hash(&hash_of(token.expose()), issued) {
        return Err(NoToken::Another);
    }
    let (url, ca, passphrase) = (part("url"), part("ca.crt"), part("passphrase"));
    Ok(TokenSecret { token, url, ca: ca.map(|ca| ca.expose().to_string()), passphrase })
}

/// Whether its last token has expired, so that another one can be asked for.
#[must_use]
pub fn is_expired(request: &DownloadRequest) -> bool {
    let issued = request.condition(ConditionType::TokenIssued);
    issued.is_some_and(|condition| condition.reason == ConditionReason::TokenExpired)
}

fn text(bytes: &SecretBytes) -> Option<SecretText> {
    let text = std::str::from_utf8(bytes.expose()).ok()?;
    Some(Redacted::new(Zeroizing::new(text.to_owned())))
}
