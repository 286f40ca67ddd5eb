//! Downloading: the one call that uses a token up.

use base64ct::{Base64, Encoding as _};
use reqwest::header::HeaderMap;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Server, ServerError};
use crate::redact::Redacted;

/// No file of certcourier's is larger.
const LARGEST: usize = 64 << 20;

/// A file, whole.
pub struct Artifact {
    /// Its bytes, erased when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Whether the digest that came with it is that of its bytes; `None` where none came.
    pub intact: Option<bool>,
}

impl Server {
    /// Downloads the file of a token, whole, into memory.
    ///
    /// # Errors
    /// A refusal, or no connection: the token was not used. No whole answer: it may have been.
    pub async fn download(&self, token: &Redacted<Zeroizing<String>>) -> Result<Artifact, ServerError> {
        let path = "/api/v1/downloads";
        let mut request = self.http.post(format!("{}{path}", self.place.base)).body(token.expose().to_string());
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        let answer = self.send("POST", path, request).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = self.body(answer, LARGEST).await?;
        if !status.is_success() {
            return Err(ServerError::refused(status, &bytes, &self.place));
        }
        let intact = is_intact(&headers, &bytes);
        Ok(Artifact { bytes, intact })
    }
}

/// Compares the bytes with `Content-Digest` (RFC 9530).
fn is_intact(headers: &HeaderMap, bytes: &[u8]) -> Option<bool> {
    let all = headers.get("content-digest")?.to_str().ok()?;
    let of_sha256 = |part: &str| part.trim().strip_prefix("sha-256=:")?.strip_suffix(':').map(str::to_owned);
    let digest = all.split(',').find_map(of_sha256)?;
    Some(Base64::decode_vec(&digest).is_ok_and(|digest| digest == Sha256::digest(bytes).as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intact(digest: Option<&str>, bytes: &[u8]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        if let Some(digest) = digest {
            headers.insert("content-digest", digest.parse().unwrap());
        }
        is_intact(&headers, bytes)
    }

    #[test]
    fn bytes_are_compared_with_the_digest_that_came_along() {
        // printf hello | openssl dgst -sha256 -binary | base64
        let digest = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
        assert_eq!(intact(Some(digest), b"hello"), Some(true));
        assert_eq!(intact(Some(&format!("sha-512=:AA==:, {digest}")), b"hello"), Some(true));
        assert_eq!(intact(Some(digest), b"hell"), Some(false));
        assert_eq!(intact(Some("sha-256=:!:"), b"hello"), Some(false));
        assert_eq!(intact(None, b"hello"), None);
        assert_eq!(intact(Some("sha-512=:AA==:"), b"hello"), None);
    }
}
