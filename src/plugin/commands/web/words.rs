//! The few pages that are the plugin's own: a sentence, and the way to the server's page.

use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderValue},
};
use reqwest::Body;

const PAGE: &str = "/ui/";

/// A page with this sentence.
pub fn sentence(status: StatusCode, words: &str) -> Response<Body> {
    page(status, "", &format!("<p>{}.</p>", escaped(words)))
}

/// The page that the link leads to: it goes on to the server's by itself, as a step from here, so that the browser sends the
/// cookie along wherever the link was clicked.
pub fn welcome(cookie: &str) -> Response<Body> {
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={PAGE}\">");
    let mut page = page(StatusCode::OK, &refresh, &format!("<p><a href=\"{PAGE}\">Go on to certcourier</a></p>"));
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        page.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    page
}

/// Leads from the bare address to the page.
pub fn to_the_page() -> Response<Body> {
    let mut answer = sentence(StatusCode::SEE_OTHER, "The page is at /ui/");
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(PAGE));
    answer
}

fn page(status: StatusCode, head: &str, body: &str) -> Response<Body> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>certcourier</title>\
         <meta name=\"viewport\" content=\"width=device-width\">{head}</head><body><h1>certcourier</h1>{body}</body></html>\n"
    );
    let mut answer = Response::new(Body::from(html));
    *answer.status_mut() = status;
    add_to(answer.headers_mut());
    answer
}

fn add_to(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
