//! Headers that go with answers: the same for all, and those of a file.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What every answer carries unless it says otherwise: kept by no one, guessed by no one, framed by no one.
const EVERYWHERE: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'"),
];

/// Over TLS: a browser that has been here never comes again without it.
const STRICT: (HeaderName, HeaderValue) =
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

/// Adds what every answer carries; a header that is there already stays.
pub fn add_everywhere(headers: &mut HeaderMap, over_tls: bool) {
    if over_tls {
        let (name, value) = STRICT;
        headers.insert(name, value);
    }
    for (name, value) in EVERYWHERE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The headers of a file: its type, length, name and digest, and that it cannot be had in parts.
#[must_use]
pub fn of_file(content_type: &'static str, length: usize, disposition: &str, digest: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    let attachment = HeaderValue::from_static("attachment");
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(disposition).unwrap_or(attachment));
    if let Ok(digest) = HeaderValue::from_str(digest) {
        headers.insert(HeaderName::from_static("content-digest"), digest);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_sets_is_not_overwritten() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("form-action 'self'"));
        add_everywhere(&mut headers, false);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "form-action 'self'");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    }

    #[test]
    fn browsers_are_told_to_come_over_tls_only_where_they_did() {
        for over_tls in [true, false] {
            let mut headers = HeaderMap::new();
            add_everywhere(&mut headers, over_tls);
            let told = headers.get(header::STRICT_TRANSPORT_SECURITY).map(|value| value.to_str().unwrap());
            assert_eq!(told, over_tls.then_some("max-age=31536000"));
        }
    }

    #[test]
    fn a_file_is_described_and_not_offered_in_parts() {
        let headers = of_file("application/x-pem-file", 12, "attachment; filename=\"api-cert.pem\"", "sha-256=:AAAA:");
        for (name, value) in [
            ("content-type", "application/x-pem-file"),
            ("content-length", "12"),
            ("accept-ranges", "none"),
            ("content-disposition", "attachment; filename=\"api-cert.pem\""),
            ("content-digest", "sha-256=:AAAA:"),
        ] {
            assert_eq!(headers[name], value);
        }
    }
}
