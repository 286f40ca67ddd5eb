//! The id that every answer, log line and audit line of one HTTP request shares.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries it, in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Lengths of an id that a client may choose.
const CHOSEN_LENGTH: std::ops::RangeInclusive<usize> = 8..=64;

/// Id of one HTTP request: the client's own where it is harmless, else a new one (version 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id that the client sent, if it is 8 to 64 letters, digits and hyphens; anything else could forge log lines.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|id| CHOSEN_LENGTH.contains(&id.len()))
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
            .map_or_else(|| Self(Uuid::now_v7().to_string()), |id| Self(id.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header value.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        // Letters, digits and hyphens always make a header value.
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &'static str) -> RequestId {
        RequestId::of(&HeaderMap::from_iter([(HEADER, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_harmless_id_of_the_client_is_kept() {
        for id in ["12345678", "0190c3b2-7e3a-7c1b-9d7e-2f0f5a1c2b3d"] {
            assert_eq!(of(id).as_str(), id);
        }
    }

    #[test]
    fn any_other_id_is_replaced_by_a_new_one() {
        let too_long = "a".repeat(65);
        let too_long: &'static str = Box::leak(too_long.into_boxed_str());
        for id in ["", "short", too_long, "has space 123", "semi;colon12", "under_score12"] {
            let given = of(id);
            assert_ne!(given.as_str(), id);
            assert!(Uuid::parse_str(given.as_str()).is_ok(), "{id}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
