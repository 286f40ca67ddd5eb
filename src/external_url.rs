//! `--external-url`: where people reach the server. The controller writes it into token Secrets, the server into answers.

/// Reads the flag's value; a slash at its end is dropped.
///
/// # Errors
/// What to write instead.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let url: hyper::Uri = text.parse().map_err(|error| format!("{error}: write it like https://certs.example.com"))?;
    match (url.scheme_str(), url.authority(), url.query()) {
        (Some("https" | "http"), Some(_), None) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err("write scheme and host, such as https://certs.example.com".to_owned()),
    }
}

/// Host and port of such a URL.
pub(crate) fn authority(url: &str) -> Option<&str> {
    url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_url_is_scheme_host_and_perhaps_a_path() {
        for (text, url) in [
            ("https://certs.example.com", "https://certs.example.com"),
            ("https://certs.example.com/", "https://certs.example.com"),
            ("http://127.0.0.1:8443/x", "http://127.0.0.1:8443/x"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(url));
        }
        for text in ["certs.example.com", "ftp://x", "https://", "https://x?y", "/downloads", "https://x y"] {
            assert!(parse(text).unwrap_err().contains("https://certs.example.com"), "{text}");
        }
    }
}
