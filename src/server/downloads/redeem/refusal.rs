//! What `lifecycle` and the API server refuse, as codes and messages for the holder of the token.

use crate::server::http::{
    error::{ErrorCode, ServerError},
    refusal::{SOON, of_reason},
};
use crate::{
    api::DownloadReceipt,
    door::{Door, Worded},
    lifecycle::Refusal,
};

/// A refusal of the token. Its text already names the next step.
pub fn of_lifecycle(refusal: &Refusal) -> ServerError {
    let code = match refusal {
        Refusal::TokenUnknown => ErrorCode::TokenUnknown,
        Refusal::TokenExpired(..) => ErrorCode::TokenExpired,
        Refusal::TokenUsed => ErrorCode::TokenUsed,
        Refusal::TokenReplaced(_) => ErrorCode::TokenReplaced,
        Refusal::TokenRevoked(..) => ErrorCode::TokenRevoked,
        Refusal::CertificateGone(_) => ErrorCode::CertificateGone,
        Refusal::MaterialUnusable(_) => ErrorCode::MaterialUnusable,
        Refusal::CertificateChanged(_) => ErrorCode::CertificateChanged,
        Refusal::ApprovalRequired(_) => ErrorCode::ApprovalRequired,
        Refusal::Refused(reasons) => reasons.first().map_or(ErrorCode::Forbidden, of_reason),
        Refusal::GuardFailed(_) => ErrorCode::GuardFailed,
    };
    let words = ServerError::worded(code, refusal.clone());
    if code == ErrorCode::GuardFailed { words.retry_after(SOON) } else { words }
}

/// A refusal after the receipt: nothing was sent, and the request is over all the same.
pub fn stopped(refusal: &Refusal) -> ServerError {
    match refusal {
        Refusal::TokenRevoked(..) => of_lifecycle(refusal),
        _ => ServerError::worded(ErrorCode::TokenRevoked, Stopped),
    }
}

/// The request was changed at the last moment, by another token or another round.
#[derive(Debug)]
struct Stopped;

impl Worded for Stopped {
    fn at(&self, door: Door) -> String {
        format!(
            "the request was changed after its file was prepared, so nothing was sent; this request delivers no more: {}",
            door.another_request()
        )
    }
}

/// Whether the request was ended before its receipt cannot be found out, so nothing is sent.
pub fn unread() -> ServerError {
    let words = "whether this request was revoked meanwhile is not known, because the API server does not answer; \
                 nothing was sent, and this request delivers no more: create another DownloadRequest";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}

/// The token was used: when, and how that ended. A holder who did not use it learns that someone else did.
pub fn used(receipt: &DownloadReceipt) -> ServerError {
    let name = receipt.key().name;
    let when = receipt.spec.consumed_at.0;
    let outcome = receipt.status.as_ref().and_then(|status| status.outcome);
    let outcome = outcome.map_or_else(|| "under way".to_owned(), |outcome| format!("{outcome:?}"));
    ServerError::worded(ErrorCode::TokenUsed, Used(format!("{when:.0} ({outcome}; receipt {name})")))
}

/// When it was used, and how that ended.
#[derive(Debug)]
struct Used(String);

impl Worded for Used {
    fn at(&self, door: Door) -> String {
        let (used, again) = (&self.0, door.another_request());
        format!(
            "this token was already used at {used}: one request delivers once. If that was not you, tell your security \
             team; for the file {again}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Format, door::TokenOf, policy::Reason};

    #[test]
    fn each_refusal_has_the_code_of_its_kind_and_the_words_of_its_cause() {
        let at: jiff::Timestamp = "2026-11-22T08:49:37Z".parse().unwrap();
        let by = || "policy prod".to_owned();
        let of = || TokenOf { namespace: "payments".into(), request: "api".into(), by_secret: true };
        for (refusal, code, words) in [
            (Refusal::TokenUnknown, "token_unknown", "not known"),
            (Refusal::TokenExpired(at, None), "token_expired", "2026-11-22T08:49:37Z"),
            (Refusal::TokenReplaced(at), "token_replaced", "newer"),
            (Refusal::TokenRevoked("Denied".into(), of()), "token_revoked", "Denied"),
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
