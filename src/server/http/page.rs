//! The few pages for people who come with a browser: who counts as one, and what every page looks like.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

use super::error::ServerError;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:4em auto;padding:0 1em}\
button{font:inherit;padding:.6em 1.4em}";

/// No script, no other origin; a form goes back to where the page came from and nowhere else. Of the same origin: with one of
/// its own a browser would call its form another site's, and behind a sign-in proxy that is refused.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = Base64::encode_string(&Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
         sandbox allow-forms allow-downloads allow-same-origin"
    )
});

/// Whether a browser navigates here: it gets a page with a button, because it would also follow links that someone
/// else made it follow.
///
/// `text/html` alone is not a sign of one: every Java program sends it, with a wildcard behind, and would keep the page
/// as its certificate. Browsers name XHTML beside it; what takes no other type has no use for a file.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().map(|value| value.to_str().unwrap_or_default());
    let accepted: Vec<String> = values
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .collect();
    let accepts = |wanted: &str| accepted.iter().any(|range| range == wanted);
    let takes_anything = accepts("*/*") || accepts("*");
    let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    navigates || (accepts("text/html") && (accepts("application/xhtml+xml") || !takes_anything))
}

/// A page. `body` is HTML; what comes from elsewhere must have gone through [`escaped`].
pub fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    );
    let mut page = Html(html).into_response();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    page
}

/// The page of a refusal: the sentence, and under which number the log has it.
pub fn of_refusal(refusal: &ServerError, request_id: &str) -> Response {
    let (words, code) = (escaped(&refusal.description()), refusal.code().name());
    let id = escaped(request_id);
    page("No download", &format!("<p>Nothing was downloaded: {words}.</p><p><small>{code}, request {id}</small></p>"))
}

/// Text, as HTML shows it.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (HeaderName::from_static(name), HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn what_comes_from_elsewhere_is_no_html() {
        assert_eq!(escaped("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    }

    #[test]
    fn a_page_is_for_those_who_navigate_and_not_for_programs_that_take_anything() {
        let page = |lines: &[&str]| is_wanted(&headers("accept", lines));
        for browser in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "text/html, application/xhtml+xml, image/jxr, */*",
            "Text/HTML",
            "application/json, text/html;q=0.9",
        ] {
            assert!(page(&[browser]), "{browser}");
        }
        assert!(page(&["application/xhtml+xml", "text/html, */*"]));
        assert!(is_wanted(&headers("sec-fetch-mode", &["navigate"])));
        for program in [
            "*/*",
            "application/pem-certificate-chain",
            // Java's HttpURLConnection, URL.openStream and all that is built on them.
            "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
            "text/html, image/gif, image/jpeg, */*; q=0.2",
            "application/xhtml+xml, */*",
        ] {
            assert!(!page(&[program]), "{program}");
        }
        assert!(!page(&[]) && !is_wanted(&headers("sec-fetch-mode", &["cors"])));
    }
}
