//! A refusal as a page: what happened and what to do next, with the id under which the log knows it.

use askama::Template;
use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::page::{self, Frame};
use crate::door::Door;
use crate::server::http::{
    error::{ErrorCode, ServerError},
    request_id,
};

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'a> {
    frame: Frame,
    title: &'static str,
    words: String,
    code: &'static str,
    request_id: &'a str,
    signed_out: bool,
    again: bool,
}

/// The page of a refusal. `headers` are those of the answer that it replaces; `signs_in`: whether people sign in here.
pub fn page(frame: Frame, status: StatusCode, refusal: &ServerError, headers: &HeaderMap, signs_in: bool) -> Response {
    let request_id = headers.get(request_id::HEADER).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let code = refusal.code();
    page::show_as(
        status,
        &Refused {
            frame,
            title: title(status),
            // In the words of the plugin: a page has no word of its own for every next step, and people can copy a command.
            words: refusal.description_at(Door::Plugin),
            code: code.name(),
            request_id,
            signed_out: code == ErrorCode::Unauthorized && signs_in,
            again: matches!(status.as_u16(), 429 | 503),
        },
    )
}

fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 | 405 | 413 | 422 | 431 => "This cannot be done as asked",
        401 => "You are not signed in",
        403 => "You are not allowed to do this",
        404 => "There is nothing here",
        409 => "This has changed in the meantime",
        410 => "This is over",
        429 => "Too many requests",
        503 => "Not available at the moment",
        _ => "Something went wrong",
    }
}
