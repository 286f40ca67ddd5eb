//! What `lifecycle` and the API server refuse, as codes and messages for the holder of the token.

use std::time::Duration;

use crate::server::http::error::{ErrorCode, ServerError};
use crate::{
    api::DownloadReceipt,
    cluster::{
        error::{ApiError, Failure, in_one_line},
        policies::PolicyError,
    },
    lifecycle::Refusal,
    policy::Reason,
};

/// When to come back after something that passes by itself.
pub const SOON: Duration = Duration::from_secs(1);

/// A refusal of the token. Its text already names the next step.
pub fn of_lifecycle(refusal: &Refusal) -> ServerError {
    let code = match refusal {
        Refusal::TokenUnknown => ErrorCode::TokenUnknown,
        Refusal::TokenExpired(_) => ErrorCode::TokenExpired,
        Refusal::TokenUsed => ErrorCode::TokenUsed,
        Refusal::TokenReplaced(_) => ErrorCode::TokenReplaced,
        Refusal::TokenRevoked(_) => ErrorCode::TokenRevoked,
        Refusal::CertificateGone(_) => ErrorCode::CertificateGone,
        Refusal::MaterialUnusable(_) => ErrorCode::MaterialUnusable,
        Refusal::CertificateChanged(_) => ErrorCode::CertificateChanged,
        Refusal::ApprovalRequired(_) => ErrorCode::ApprovalRequired,
        Refusal::Refused(reasons) => reasons.first().map_or(ErrorCode::Forbidden, of_reason),
        Refusal::GuardFailed(_) => ErrorCode::GuardFailed,
    };
    let words = ServerError::new(code, refusal.to_string());
    if code == ErrorCode::GuardFailed { words.retry_after(SOON) } else { words }
}

/// The code of what a policy or the requester's rights refuse. Where there are several, the first one's counts and the
/// text has them all.
pub const fn of_reason(reason: &Reason) -> ErrorCode {
    match reason {
        Reason::KeyExportDisabled { .. } | Reason::CaKeyExportDisabled { .. } => ErrorCode::KeyExportDisabled,
        Reason::FormatNotAllowed { .. } | Reason::NoFormatInCommon { .. } | Reason::LegacyNotAllowed { .. } => {
            ErrorCode::FormatNotAllowed
        }
        Reason::UnattendedKeyDenied { .. } | Reason::AccessRefused { .. } | Reason::PassphraseSecretRefused { .. } => {
            ErrorCode::Forbidden
        }
        Reason::DeadlineRequired
        | Reason::DeadlineTooFar { .. }
        | Reason::DeadlinePassed { .. }
        | Reason::TokenTtlTooLong { .. } => ErrorCode::BadRequest,
        Reason::ReasonRequired { .. } => ErrorCode::ReasonRequired,
        Reason::PassphraseTooShort { .. } => ErrorCode::PassphraseTooShort,
    }
}

/// The token was used: when, and how that ended. A holder who did not use it learns that someone else did.
pub fn used(receipt: &DownloadReceipt) -> ServerError {
    let name = receipt.metadata.name.as_deref().unwrap_or_default();
    let when = receipt.spec.consumed_at.0;
    let outcome = receipt.status.as_ref().and_then(|status| status.outcome);
    let outcome = outcome.map_or_else(|| "under way".to_owned(), |outcome| format!("{outcome:?}"));
    let words = format!(
        "this token was already used at {when:.0} ({outcome}; receipt {name}): one request delivers once. \
         If that was not you, tell your security team; for the file create another DownloadRequest"
    );
    ServerError::new(ErrorCode::TokenUsed, words)
}

/// The API server did not do what was needed. The caller learns that it may be tried again, the log learns why.
pub fn of_api_error(error: ApiError) -> ServerError {
    let wait = match error.failure() {
        Failure::Throttled(Some(wait)) => wait,
        _ => SOON,
    };
    let words = "the API server does not respond as expected; nothing was delivered and the token is still valid: \
                 try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(wait).caused_by(error)
}

/// The namespace is being deleted, and with it everything that the token leads to.
pub fn of_ending_namespace(error: ApiError) -> ServerError {
    let said = error.ending_namespace().unwrap_or("the namespace is being terminated");
    let words = format!("{said}, and its certificates with it: nothing can be downloaded from it any more");
    ServerError::new(ErrorCode::CertificateGone, words).caused_by(error)
}

/// The policies are not known, so nothing is allowed.
pub fn of_policy_error(error: PolicyError) -> ServerError {
    match error {
        PolicyError::Api(error) => of_api_error(error),
        PolicyError::Unreadable { .. } => {
            let words = "a CertificatePolicy of this namespace cannot be read by this version of certcourier, \
                         so nothing is delivered; tell your policy administrator. The token is still valid";
            ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON).caused_by(in_one_line(&error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Format;

    #[test]
    fn each_refusal_has_the_code_of_its_kind_and_the_words_of_its_cause() {
        let at: jiff::Timestamp = "2026-11-22T08:49:37Z".parse().unwrap();
        let by = || "policy prod".to_owned();
        for (refusal, code, words) in [
            (Refusal::TokenUnknown, "token_unknown", "not known"),
            (Refusal::TokenExpired(at), "token_expired", "2026-11-22T08:49:37Z"),
            (Refusal::TokenReplaced(at), "token_replaced", "newer"),
            (Refusal::TokenRevoked("Denied".into()), "token_revoked", "Denied"),
            (Refusal::CertificateChanged(2), "certificate_changed", "round 2"),
            (
                Refusal::Refused(vec![
                    Reason::KeyExportDisabled { format: Format::Key, by: by() },
                    Reason::ReasonRequired { by: by() },
                ]),
                "key_export_disabled",
                "a reason is required",
            ),
            (Refusal::Refused(vec![Reason::ReasonRequired { by: by() }]), "reason_required", "policy prod"),
            (Refusal::GuardFailed("no probe".into()), "guard_failed", "no probe"),
        ] {
            let error = of_lifecycle(&refusal);
            assert_eq!(error.code().name(), code);
            assert!(error.description().contains(words), "{error}");
        }
    }
}
