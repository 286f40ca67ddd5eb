//! Whether someone who asks for a file means to have it, as far as their headers tell.

use axum::http::{HeaderMap, HeaderName, header};

use crate::{
    browser,
    server::http::error::{ErrorCode, ServerError},
};

/// Refuses what would use the token up without a whole file for anyone.
///
/// # Errors
/// [`ErrorCode::BadRequest`]; the token is as good as before.
pub fn refuse_half_hearted(headers: &HeaderMap) -> Result<(), ServerError> {
    let refuse = |words| Err(ServerError::new(ErrorCode::BadRequest, words));
    if browser::asks_ahead_of_time(headers) {
        return refuse("this link works once and is not fetched ahead; open it to download");
    }
    // Not 416: curl and wget take that for "you have the whole file already", and end with success.
    if !values(headers, &header::RANGE).all(is_everything) {
        return refuse(
            "this link gives the whole file, once, and no part of it (header Range): delete the partial file and ask \
             without Range (curl without -C, wget without -c); the token is still valid",
        );
    }
    Ok(())
}

/// Whether a Range is the whole file, of whatever length: from the first byte to the last.
fn is_everything(range: &str) -> bool {
    let mut parts = range.splitn(2, '=').map(str::trim);
    parts.next().is_some_and(|unit| unit.eq_ignore_ascii_case("bytes")) && parts.next() == Some("0-")
}

/// A value that is not text counts as one that no one understands.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (HeaderName::from_static(name), HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn only_a_range_that_is_the_whole_file_is_no_reason_to_refuse() {
        for whole in ["bytes=0-", "Bytes=0-", "bytes = 0-", " bytes=0- "] {
            assert!(refuse_half_hearted(&headers("range", &[whole])).is_ok(), "{whole}");
        }
        assert!(refuse_half_hearted(&HeaderMap::new()).is_ok());
        for part in [
            "bytes=100-",
            "bytes=0-32767",
            "bytes=0-18446744073709551615",
            "bytes=-1",
            "bytes=0-,5-",
            "bytes=0-1,2-3",
            "bytes=1-0",
            "bytes=",
            "bytes",
            "items=0-",
            "",
        ] {
            let refusal = refuse_half_hearted(&headers("range", &[part])).unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::BadRequest, "{part}");
            assert!(refusal.description().contains("ask without Range"), "{refusal}");
        }
        assert!(refuse_half_hearted(&headers("range", &["bytes=0-", "bytes=1-"])).is_err());
    }

    #[test]
    fn what_is_asked_for_ahead_of_time_is_refused_in_whatever_case() {
        for value in ["prefetch", "PREFETCH;prerender", "Preview"] {
            let refusal = refuse_half_hearted(&headers("sec-purpose", &["x", value])).unwrap_err();
            assert!(refusal.description().contains("not fetched ahead"), "{value}: {refusal}");
        }
        assert!(refuse_half_hearted(&headers("sec-purpose", &["navigate"])).is_ok());
    }
}
