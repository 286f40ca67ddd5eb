//! The page that a browser gets for a download link: one button that POSTs. Opening the link in a browser consumes nothing,
//! so a restored tab does no harm, nor do mail scanners and link previews that ask as a browser does. One that sends a
//! plain GET is not told from curl, and uses the link up.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

use crate::token::Token;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:4em auto;padding:0 1em}\
button{font:inherit;padding:.6em 1.4em}";

/// No script, no other origin; the form goes back to where the page came from and nowhere else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = Base64::encode_string(&Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
         sandbox allow-forms allow-downloads"
    )
});

/// The page for a well-formed token. Nothing is looked up: the page is the same whether the token still works or not.
pub fn download_page(token: &Token) -> Response {
    // The form's target is relative, so that the page also works behind a proxy that adds a path.
    // A token that was read has letters, digits, `_`, `-` and `.` only, so nothing in it is HTML.
    let token = token.expose();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Download a certificate</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <style>{STYLE}</style></head><body><h1>Download a certificate</h1>\
         <p>This link works once. The button starts the download; opening this page has not used the link.</p>\
         <form method=\"post\" action=\"../downloads\">\
         <input type=\"hidden\" name=\"token\" value=\"{token}\"><button>Download</button></form>\
         <p>From a terminal: <code>curl -fsS -o FILE</code> with the same link.</p></body></html>\n"
    );
    let mut page = Html(html).into_response();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    page
}
