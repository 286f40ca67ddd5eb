//! The one kind of refusal that every handler returns.
//!
//! A refusal carries what the caller may know (code, sentence, when to come back) and, apart from that, the cause, which
//! only the log sees. [`crate::server::http::middleware`] turns it into the envelope, because only there the request id is known.

use std::time::Duration;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

pub use crate::api::http::ErrorCode;
use crate::{
    cluster::error::in_one_line,
    door::{Door, Worded},
};

/// When to come back after something that passes by itself.
pub const SOON: Duration = Duration::from_secs(1);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A refused request: what the caller is told, and what only the log is told.
#[derive(Debug, thiserror::Error)]
#[error("{}", .message.at(Door::Http))]
pub struct ServerError {
    code: ErrorCode,
    message: Box<dyn Worded>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    malformed: bool,
    #[source]
    cause: Option<Cause>,
}

impl ServerError {
    /// A refusal with the sentence that the caller reads: what happened and what to do next.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        Self::worded(code, description.into())
    }

    /// A refusal that each door says in its own words.
    pub fn worded(code: ErrorCode, message: impl Worded + 'static) -> Self {
        Self { code, message: Box::new(message), retry_after: None, allow: None, malformed: false, cause: None }
    }

    /// No such route.
    #[must_use]
    pub fn no_route() -> Self {
        Self::new(ErrorCode::NotFound, "there is no such path; /openapi.json lists all paths").malformed()
    }

    /// A method that the route does not have. `allow` lists those it has.
    #[must_use]
    pub fn method(allow: &'static str) -> Self {
        let mut refusal =
            Self::new(ErrorCode::MethodNotAllowed, format!("this path does not allow that method; use {allow}"));
        refusal.allow = Some(allow);
        refusal.malformed()
    }

    /// What goes wrong by our own fault. The caller learns nothing of the cause.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            ErrorCode::InternalError,
            "something went wrong inside the server; tell its operator the request_id, the log says more",
        )
    }

    /// The caller may come again after this time (header Retry-After, whole seconds, at least one).
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// It asked for nothing there is, and was refused without looking anything up. Such requests have a budget of their
    /// own.
    #[must_use]
    pub fn malformed(mut self) -> Self {
        self.malformed = true;
        self
    }

    /// Whether it is such a refusal.
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// The same with something more to say.
    #[must_use]
    pub fn adding(mut self, more: impl Worded + 'static) -> Self {
        self.message = Box::new(Both(self.message, Box::new(more)));
        self
    }

    /// What led to it, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message for a caller of HTTP, and for the record.
    #[must_use]
    pub fn description(&self) -> String {
        self.description_at(Door::Http)
    }

    /// The message for a caller at this door.
    #[must_use]
    pub fn description_at(&self, door: Door) -> String {
        self.message.at(door)
    }

    /// The causes, outermost first, in one line for the log. Empty without a cause.
    #[must_use]
    pub fn causes(&self) -> String {
        std::error::Error::source(self).map(in_one_line).unwrap_or_default()
    }
}

/// One message after another.
#[derive(Debug)]
struct Both(Box<dyn Worded>, Box<dyn Worded>);

impl Worded for Both {
    fn at(&self, door: Door) -> String {
        format!("{}; {}", self.0.at(door), self.1.at(door))
    }
}

impl IntoResponse for ServerError {
    /// Status, headers, and the refusal as an extension; the body is written where the request id is known.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.code == ErrorCode::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"kubernetes\""));
        }
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (wait_ms, header_value) in [(1, "1"), (1000, "1"), (1001, "2"), (0, "1")] {
            let response = ServerError::new(ErrorCode::RateLimited, "slowly")
                .retry_after(Duration::from_millis(wait_ms))
                .into_response();
            assert_eq!(response.headers()[header::RETRY_AFTER], header_value, "{wait_ms} ms");
        }
    }

    #[test]
    fn an_unauthorized_answer_says_how_to_authenticate() {
        let response = ServerError::new(ErrorCode::Unauthorized, "no token").into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"kubernetes\"");
    }

    #[test]
    fn the_cause_is_for_the_log_and_not_part_of_the_description() {
        let refusal = ServerError::new(ErrorCode::Unavailable, "the API server does not answer; try again")
            .caused_by(std::io::Error::other("connection refused by 10.0.0.1"));
        assert_eq!(refusal.causes(), "connection refused by 10.0.0.1");
        assert!(!refusal.to_string().contains("10.0.0.1"));
    }
}
