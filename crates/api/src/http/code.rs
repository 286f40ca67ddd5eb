//! The codes of refusals.

use ::http::StatusCode;
use certcourier_bundle::words;

words! {
    /// Why a call was refused: field `error` of the answer, and a label of metrics. docs/troubleshooting.md explains each.
    #[expect(missing_docs, reason = "each is one word of the API that docs/troubleshooting.md explains")]
    pub enum ErrorCode {
        BadRequest = "bad_request",
        Unauthorized = "unauthorized",
        Forbidden = "forbidden",
        KeyExportDisabled = "key_export_disabled",
        FormatNotAllowed = "format_not_allowed",
        ApprovalRequired = "approval_required",
        NotFound = "not_found",
        MethodNotAllowed = "method_not_allowed",
        RequestClosed = "request_closed",
        CertificateChanged = "certificate_changed",
        ClaimConflict = "claim_conflict",
        WrongDelivery = "wrong_delivery",
        TooManyOpenRequests = "too_many_open",
        WriteAltered = "write_altered",
        TokenUnknown = "token_unknown",
        TokenExpired = "token_expired",
        TokenUsed = "token_used",
        TokenReplaced = "token_replaced",
        TokenRevoked = "token_revoked",
        CertificateGone = "certificate_gone",
        TooLarge = "too_large",
        HeadersTooLarge = "headers_too_large",
        ReasonRequired = "reason_required",
        PassphraseRequired = "passphrase_required",
        PassphraseTooShort = "passphrase_too_short",
        UnknownEnvironment = "unknown_environment",
        MaterialUnusable = "material_unusable",
        RateLimited = "rate_limited",
        GuardFailed = "guard_failed",
        AuditFailed = "audit_failed",
        Unavailable = "unavailable",
        InternalError = "internal_error",
    }
}

impl ErrorCode {
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
}
