//! The frame around every page, and the headers that go with it.

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use super::assets::{ICON, LIVE, SCRIPT, STYLES};
use crate::server::http::error::ServerError;

/// Nothing from elsewhere, and no script or style within a page. The download's answer goes where its form is.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers of every page besides those of every answer.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What the frame of a page shows; `base.html` is made from it.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// What leads from the page to `/ui/`.
    pub root: String,
    /// What leads back to the page from there.
    pub path: String,
    /// Who is signed in; None: no one.
    pub who: Option<String>,
    /// Whether they can sign out here: not where a proxy signed them in.
    pub can_leave: bool,
    /// The mark that each form of the page carries.
    pub mark: String,
    /// The part of the navigation that the page belongs to.
    pub section: &'static str,
}

impl Frame {
    /// The styles' path.
    #[must_use]
    pub fn styles(&self) -> String {
        self.asset(&STYLES.name)
    }

    /// The script's path.
    #[must_use]
    pub fn script(&self) -> String {
        self.asset(&SCRIPT.name)
    }

    /// The path of the script of pages that change while they are open.
    #[must_use]
    pub fn live(&self) -> String {
        self.asset(&LIVE.name)
    }

    /// The icon's path.
    #[must_use]
    pub fn icon(&self) -> String {
        self.asset(&ICON.name)
    }

    fn asset(&self, name: &str) -> String {
        format!("{}static/{name}", self.root)
    }
}

/// A page.
#[must_use]
pub fn show(template: &impl Template) -> Response {
    show_as(StatusCode::OK, template)
}

/// A page with another status.
#[must_use]
pub fn show_as(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut page = (status, Html(html)).into_response();
            for (name, value) in HEADERS {
                page.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            page
        }
        Err(error) => ServerError::internal().caused_by(error).into_response(),
    }
}

/// Leads to another page. `to` is relative to the one that was asked for.
#[must_use]
pub fn lead(to: &str) -> Response {
    let mut answer = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(header::LOCATION, to);
    }
    answer
}
