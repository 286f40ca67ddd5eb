//! The one kind of refusal that every handler returns, and the closed list of its codes.
//!
//! A refusal carries what the caller may know (code, sentence, when to come back) and, apart from that, the cause, which
//! only the log sees. [`crate::server::http::middleware`] turns it into the envelope, because only there the request id is known.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::cluster::error::in_one_line;

/// Why a request was refused. Each is explained in docs/troubleshooting.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is one word of the API that docs/troubleshooting.md explains")]
pub enum ErrorCode {
    BadRequest,
    Unauthorized,
    Forbidden,
    KeyExportDisabled,
    FormatNotAllowed,
    ApprovalRequired,
    NotFound,
    MethodNotAllowed,
    RequestClosed,
    CertificateChanged,
    ClaimConflict,
    WrongDelivery,
    TooManyOpenRequests,
    WriteAltered,
    TokenUnknown,
    TokenExpired,
    TokenUsed,
    TokenReplaced,
    TokenRevoked,
    CertificateGone,
    TooLarge,
    HeadersTooLarge,
    ReasonRequired,
    PassphraseRequired,
    PassphraseTooShort,
    UnknownEnvironment,
    MaterialUnusable,
    RateLimited,
    GuardFailed,
    AuditFailed,
    Unavailable,
    InternalError,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 32] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::KeyExportDisabled,
        Self::FormatNotAllowed,
        Self::ApprovalRequired,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestClosed,
        Self::CertificateChanged,
        Self::ClaimConflict,
        Self::WrongDelivery,
        Self::TooManyOpenRequests,
        Self::WriteAltered,
        Self::TokenUnknown,
        Self::TokenExpired,
        Self::TokenUsed,
        Self::TokenReplaced,
        Self::TokenRevoked,
        Self::CertificateGone,
        Self::TooLarge,
        Self::HeadersTooLarge,
        Self::ReasonRequired,
        Self::PassphraseRequired,
        Self::PassphraseTooShort,
        Self::UnknownEnvironment,
        Self::MaterialUnusable,
        Self::RateLimited,
        Self::GuardFailed,
        Self::AuditFailed,
        Self::Unavailable,
        Self::InternalError,
    ];

    /// The word in field `error` of the envelope; also a label of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::KeyExportDisabled => "key_export_disabled",
            Self::FormatNotAllowed => "format_not_allowed",
            Self::ApprovalRequired => "approval_required",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestClosed => "request_closed",
            Self::CertificateChanged => "certificate_changed",
            Self::ClaimConflict => "claim_conflict",
            Self::WrongDelivery => "wrong_delivery",
            Self::TooManyOpenRequests => "too_many_open",
            Self::WriteAltered => "write_altered",
            Self::TokenUnknown => "token_unknown",
            Self::TokenExpired => "token_expired",
            Self::TokenUsed => "token_used",
            Self::TokenReplaced => "token_replaced",
            Self::TokenRevoked => "token_revoked",
            Self::CertificateGone => "certificate_gone",
            Self::TooLarge => "too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::ReasonRequired => "reason_required",
            Self::PassphraseRequired => "passphrase_required",
            Self::PassphraseTooShort => "passphrase_too_short",
            Self::UnknownEnvironment => "unknown_environment",
            Self::MaterialUnusable => "material_unusable",
            Self::RateLimited => "rate_limited",
            Self::GuardFailed => "guard_failed",
            Self::AuditFailed => "audit_failed",
            Self::Unavailable => "unavailable",
            Self::InternalError => "internal_error",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::KeyExportDisabled | Self::FormatNotAllowed | Self::ApprovalRequired => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound | Self::TokenUnknown => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestClosed
            | Self::CertificateChanged
            | Self::ClaimConflict
            | Self::WrongDelivery
            | Self::TooManyOpenRequests
            | Self::WriteAltered => StatusCode::CONFLICT,
            Self::TokenExpired | Self::TokenUsed | Self::TokenReplaced | Self::TokenRevoked | Self::CertificateGone => {
                StatusCode::GONE
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ReasonRequired
            | Self::PassphraseRequired
            | Self::PassphraseTooShort
            | Self::UnknownEnvironment
            | Self::MaterialUnusable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::GuardFailed | Self::AuditFailed | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl ErrorCode {
    /// Whether it says something of someone's rights or of a token, for the record: not of how they asked, and not of
    /// trouble that passes.
    #[must_use]
    pub const fn is_decision(self) -> bool {
        !matches!(
            self,
            Self::BadRequest
                | Self::NotFound
                | Self::MethodNotAllowed
                | Self::TokenUnknown
                | Self::TooLarge
                | Self::HeadersTooLarge
                | Self::RateLimited
                | Self::TooManyOpenRequests
                | Self::Unavailable
                | Self::InternalError
        )
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A refused request: what the caller is told, and what only the log is told.
#[derive(Debug, thiserror::Error)]
#[error("{description}")]
pub struct ServerError {
    code: ErrorCode,
    description: String,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    malformed: bool,
    #[source]
    cause: Option<Cause>,
}

impl ServerError {
    /// A refusal with the sentence that the caller reads: what happened and what to do next.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), retry_after: None, allow: None, malformed: false, cause: None }
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
    pub fn adding(mut self, words: &str) -> Self {
        self.description = format!("{}; {words}", self.description);
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

    /// The sentence for the caller.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The causes, outermost first, in one line for the log. Empty without a cause.
    #[must_use]
    pub fn causes(&self) -> String {
        std::error::Error::source(self).map(in_one_line).unwrap_or_default()
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
    fn every_code_is_listed_once_and_never_a_success() {
        let names: std::collections::BTreeSet<_> = ErrorCode::ALL.into_iter().map(ErrorCode::name).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{}", code.name());
        }
    }

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
