//! The page that a browser gets for a download link: what the link is for, until when, and one button that POSTs. Opening
//! the link in a browser consumes nothing, so a restored tab does no harm, nor do mail scanners and link previews that ask as
//! a browser does. One that sends a plain GET is not told from curl, and uses the link up.
//!
//! The page says what `…/status` says to anyone who holds the token, and a link that does not work has no button.

use axum::response::Response;

use super::status::TokenStatus;
use crate::server::http::page::{escaped, page};
use crate::{api::Format, token::Token};

const TITLE: &str = "Download a certificate";

/// The page of a link that works, as far as is known.
pub fn of_live(token: &Token, status: &TokenStatus) -> Response {
    let format = Format::ALL.into_iter().find(|format| format.name() == status.format);
    let environment = match (&status.environment, format) {
        (Some(name), _) => format!(", environment <b>{}</b>", escaped(name)),
        (None, Some(Format::DerZip)) => ", all environments".to_owned(),
        (None, _) => String::new(),
    };
    let key = if format.is_some_and(Format::holds_key) {
        " <b>It holds the private key</b>: keep it to yourself."
    } else {
        ""
    };
    let until = status.expires_at.as_ref().map(|at| format!(", until {}", at.0)).unwrap_or_default();
    let what = format!(
        "<p>Certificate <b>{}</b> of project <b>{}</b>{environment}, format <b>{}</b>.{key}</p>\
         <p>This link works once{until}. Opening this page has not used it.</p>",
        escaped(&status.certificate),
        escaped(&status.project),
        escaped(status.format),
    );
    page(TITLE, &format!("{what}{}", button(token)))
}

/// The page of a link of which nothing can be said now.
pub fn of_unknown(token: &Token) -> Response {
    let words = "<p>Whether this link still works cannot be said at the moment, because the cluster does not answer. It \
                 works once; opening this page has not used it.</p>";
    page(TITLE, &format!("{words}{}", button(token)))
}

/// The form's target is relative, so that the page also works behind a proxy that adds a path.
fn button(token: &Token) -> String {
    format!(
        "<form method=\"post\" action=\"../downloads\">\
         <input type=\"hidden\" name=\"token\" value=\"{}\"><button>Download</button></form>\
         <p>From a terminal: <code>curl -fsS -o FILE</code> with the same link.</p>",
        escaped(token.expose())
    )
}
