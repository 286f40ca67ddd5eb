//! What the API server, `policy` and `lifecycle` refuse, as codes and words for the caller.
//!
//! What the API server says to a call made with the caller's own token is the caller's to read, so it is passed on: RBAC's
//! sentence, or the one of the admission policy that refused.

use std::time::Duration;

use kube::Error;

pub use super::error::SOON;
use super::path::ObjectPath;
use crate::server::http::error::{ErrorCode, ServerError};
use crate::{
    admission::{REQUEST_CLOSED, STAYS_REVOKED},
    cluster::{
        error::{ApiError, Failure, in_one_line, said_by_admission},
        policies::PolicyError,
    },
    door::{Door, Listed, NO_CREDENTIALS, NotThere, SIGN_IN, Worded},
    lifecycle::{Altered, ClaimRefusal},
    policy::Reason,
};

/// How long to wait before reading again what became of a write.
pub const READ_AGAIN: Duration = Duration::from_millis(50);

/// What became of the thing that was asked for, as far as a caller has to know it to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// Nothing is said of it: the refusal itself says enough, or it is not known.
    Unsaid,
    /// Nothing was delivered, and the token still works.
    TokenGood,
}

/// The API server does not answer, or has too much to do. The caller may try again; the log learns why.
pub fn unavailable(error: ApiError, aftermath: Aftermath) -> ServerError {
    let wait = match error.failure() {
        Failure::Throttled(Some(wait)) => wait,
        _ => SOON,
    };
    let words = match aftermath {
        Aftermath::Unsaid => "the API server does not respond as expected: try again",
        Aftermath::TokenGood => {
            "the API server does not respond as expected; nothing was delivered and the token is still valid: try again"
        }
    };
    ServerError::new(ErrorCode::Unavailable, words).retry_after(wait).caused_by(error)
}

/// The API server did not do what a redemption needed.
pub fn of_api_error(error: ApiError) -> ServerError {
    unavailable(error, Aftermath::TokenGood)
}

/// There is no such object.
pub fn not_there(what: Listed, place: &ObjectPath) -> ServerError {
    let ObjectPath { project, name } = place.clone();
    ServerError::worded(ErrorCode::NotFound, NotThere { what, namespace: project, name })
}

/// The bearer token is no one's, or no longer.
#[must_use]
pub fn unauthorized() -> ServerError {
    ServerError::worded(ErrorCode::Unauthorized, UnknownBearer)
}

/// Who calls is not known to the API server.
#[derive(Debug)]
struct UnknownBearer;

impl Worded for UnknownBearer {
    fn at(&self, door: Door) -> String {
        match door {
            Door::Plugin => format!("{NO_CREDENTIALS}: {SIGN_IN}"),
            Door::Object | Door::Http => {
                "the API server does not accept this bearer token; get a new one: kubectl create token, or log in again"
                    .to_owned()
            }
        }
    }
}

/// The namespace is being deleted, and with it everything that a request or a token leads to.
pub fn of_ending_namespace(error: ApiError) -> ServerError {
    let said = error.ending_namespace().unwrap_or("the namespace is being terminated");
    let words = format!("{said}, and its certificates with it: nothing can be downloaded from it any more");
    ServerError::new(ErrorCode::CertificateGone, words).caused_by(error)
}

/// A review of the caller's own identity or rights went wrong. Everyone may ask for these, unless someone took that
/// away.
pub fn of_review(error: ApiError) -> ServerError {
    passed_through(error, "ask for ClusterRole system:basic-user, which Kubernetes gives to everyone")
}

/// The API server's refusal of a call that was made as the caller. `hint` is what to ask for where a right is missing.
pub fn passed_through(error: ApiError, hint: &str) -> ServerError {
    if error.ending_namespace().is_some() {
        return of_ending_namespace(error);
    }
    let Error::Api(status) = &error.source else { return unavailable(error, Aftermath::Unsaid) };
    let (code, said) = (status.code, in_the_api_servers_words(&status.message));
    let refuse = |code, words: String| ServerError::new(code, words);
    match (code, error.failure()) {
        (401, _) => unauthorized().caused_by(error),
        (_, Failure::Forbidden) if said.by_admission => {
            refuse(of_admission(said.words, ErrorCode::Forbidden), said.words.to_owned())
        }
        (_, Failure::Forbidden) => refuse(ErrorCode::Forbidden, format!("{}; {hint}", said.words)),
        (_, Failure::NotFound) => refuse(ErrorCode::NotFound, format!("{}; the lists say what there is", said.words)),
        (_, Failure::Invalid) => refuse(of_admission(said.words, ErrorCode::BadRequest), said.words.to_owned()),
        (_, Failure::Conflict) => {
            let words = "another client changed this at the same time: try again";
            refuse(ErrorCode::Unavailable, words.to_owned()).retry_after(SOON).caused_by(error)
        }
        (_, Failure::Throttled(wait)) => {
            refuse(ErrorCode::RateLimited, "the API server has too many requests: try again later".to_owned())
                .retry_after(wait.unwrap_or(SOON))
                .caused_by(error)
        }
        (_, Failure::Unavailable) => unavailable(error, Aftermath::Unsaid),
    }
}

struct Said<'a> {
    words: &'a str,
    by_admission: bool,
}

/// Without what the API server puts in front of an admission policy's sentence.
fn in_the_api_servers_words(message: &str) -> Said<'_> {
    match said_by_admission(message) {
        Some(words) => Said { words, by_admission: true },
        None => Said { words: message, by_admission: false },
    }
}

/// The code of an admission policy's sentence. Two of them say that it is too late.
fn of_admission(words: &str, otherwise: ErrorCode) -> ErrorCode {
    let too_late = [REQUEST_CLOSED, STAYS_REVOKED];
    if too_late.iter().any(|beginning| words.starts_with(beginning)) { ErrorCode::RequestClosed } else { otherwise }
}

/// The code of what a policy or the requester's rights refuse. Where there are several, the first one's counts and the
/// message has them all.
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

/// Policy or rights refuse.
pub fn of_reasons(reasons: &[Reason]) -> ServerError {
    let code = reasons.first().map_or(ErrorCode::Forbidden, of_reason);
    ServerError::worded(code, ClaimRefusal::Refused(reasons.to_vec()))
}

/// A token that cannot be claimed now.
pub fn of_claim(refusal: &ClaimRefusal) -> ServerError {
    let code = match refusal {
        ClaimRefusal::WrongDelivery(_) => ErrorCode::WrongDelivery,
        ClaimRefusal::Closed(_) | ClaimRefusal::NoMoreTokens(_) => ErrorCode::RequestClosed,
        ClaimRefusal::ApprovalRequired(_) => ErrorCode::ApprovalRequired,
        ClaimRefusal::NotReady(_) => ErrorCode::MaterialUnusable,
        ClaimRefusal::Refused(reasons) => return of_reasons(reasons),
        ClaimRefusal::GuardFailed(_) => {
            return ServerError::worded(ErrorCode::GuardFailed, refusal.clone()).retry_after(SOON);
        }
    };
    ServerError::worded(code, refusal.clone())
}

/// The API server stored something else than the caller sent. No one may take it for what they wanted.
pub fn of_altered(altered: &Altered, place: &ObjectPath) -> ServerError {
    let altered = AlteredRequest { altered: altered.clone(), place: place.clone() };
    ServerError::worded(ErrorCode::WriteAltered, altered)
}

/// The API server stored another request than was sent.
#[derive(Debug)]
struct AlteredRequest {
    altered: Altered,
    place: ObjectPath,
}

impl Worded for AlteredRequest {
    fn at(&self, door: Door) -> String {
        let Self { altered, place: ObjectPath { project, name } } = self;
        let revoke = match door {
            Door::Http => format!("POST /api/v1/projects/{project}/requests/{name}/revoke"),
            Door::Object | Door::Plugin => format!("kubectl certcourier revoke {name} -n {project} --reason …"),
        };
        format!(
            "{altered}. Revoke the request ({revoke}) and tell a cluster administrator: `kubectl certcourier doctor` \
             lists who could do that"
        )
    }
}

/// The facts of a decision could not be gathered with the operator's rights, so nothing is allowed.
pub fn of_facts(error: PolicyError, aftermath: Aftermath) -> ServerError {
    match error {
        PolicyError::Api(error) => unavailable(error, aftermath),
        PolicyError::Unreadable { .. } => {
            let end = match aftermath {
                Aftermath::Unsaid => "so nothing is allowed; tell your policy administrator",
                Aftermath::TokenGood => {
                    "so nothing is delivered; tell your policy administrator. The token is still valid"
                }
            };
            let words =
                format!("a CertificatePolicy of this namespace cannot be read by this version of certcourier, {end}");
            ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON).caused_by(in_one_line(&error))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(status: Value) -> ServerError {
        let source = Error::Api(Box::new(serde_json::from_value(status).unwrap()));
        let error = ApiError { action: "create", object: "DownloadRequest payments/api".to_owned(), source };
        passed_through(error, "ask for ClusterRole certcourier-downloader")
    }

    #[test]
    fn a_namespace_that_is_being_deleted_is_no_matter_of_roles() {
        let cause = json!({"reason": "NamespaceTerminating", "message": "namespace payments is being terminated"});
        let message = "downloadrequests.certcourier.io \"api\" is forbidden: unable to create new content";
        let refusal = refused(json!({"code": 403, "message": message, "details": {"causes": [cause]}}));
        assert_eq!(refusal.code(), ErrorCode::CertificateGone);
        assert!(refusal.description().starts_with("namespace payments is being terminated"), "{refusal}");
        assert!(!refusal.description().contains("ClusterRole"), "{refusal}");
        let refusal = refused(json!({"code": 403, "message": message}));
        assert_eq!(refusal.code(), ErrorCode::Forbidden);
        assert!(refusal.description().ends_with("ask for ClusterRole certcourier-downloader"), "{refusal}");
    }

    #[test]
    fn policys_words_name_the_fields_that_a_caller_of_http_writes() {
        let reasons = [
            Reason::TokenTtlTooLong {
                asked: "2h".parse().unwrap(),
                longest: "1h".parse().unwrap(),
                by: "policy prod".to_owned(),
            },
            Reason::ReasonRequired { by: "policy prod".to_owned() },
        ];
        let words = of_reasons(&reasons).description();
        assert!(words.starts_with("`token_ttl` 2h is longer"), "{words}");
        assert!(words.contains("leave `token_ttl` out") && words.contains("give it in `reason`"), "{words}");
    }
}
