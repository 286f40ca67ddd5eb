//! A request that ended without a file: what its requester does now. By the typed reason, in flags.

use crate::{
    api::{Decision, DownloadRequest, Phase, words::RefusalReason},
    door::{Door, Input},
    lifecycle,
};

/// What its requester does about a request that ended without a file; nothing where the message says it already.
pub fn after(request: &DownloadRequest, flags: &str) -> Option<String> {
    match request.phase() {
        Phase::Denied => Some(format!("talk to {} before you ask again", denied_by(request))),
        Phase::Failed => {
            let reason = request.status.as_ref()?.reason.as_deref().and_then(RefusalReason::of_name)?;
            Some(remedy(Input::of(reason)?, request, flags))
        }
        _ => None,
    }
}

/// Who denied it.
fn denied_by(request: &DownloadRequest) -> String {
    let denials = lifecycle::cast(request).iter().filter(|vote| vote.decision == Decision::Deny);
    let mut people: Vec<&str> = denials.map(|vote| vote.username.as_str()).collect();
    people.dedup();
    if people.is_empty() { "the person who denied it".to_owned() } else { people.join(", ") }
}

/// What to type another time, in flags: the message of the object names its fields.
fn remedy(input: Input, request: &DownloadRequest, flags: &str) -> String {
    let flag = input.at(Door::Plugin);
    match input {
        Input::Reason => format!("ask again with {flag} TEXT"),
        Input::Deadline => format!("ask again with another {flag}"),
        Input::TokenTtl => format!("ask again with a shorter {flag}, or without"),
        Input::Profile => format!("ask again without {flag}"),
        Input::Passphrase | Input::PassphraseSecret => {
            format!("ask again with another {}, or with --generate", Input::PassphraseSecret.at(Door::Plugin))
        }
        Input::Format | Input::Environment => {
            format!("what you can have: {}", explain(request, flags))
        }
    }
}

/// The command that says what the policies allow of it.
pub fn explain(request: &DownloadRequest, flags: &str) -> String {
    let (certificate, environment) = of(request);
    format!("kubectl certcourier policy explain {certificate}{environment} {flags}")
}

/// The Certificate, and the flag for an environment where one was asked for.
pub fn of(request: &DownloadRequest) -> (&str, String) {
    let environment = request.spec.environment.as_ref().map(|name| format!(" -e {name}")).unwrap_or_default();
    (&request.spec.certificate_ref.name, environment)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::request::review::fixtures::{request, vote};

    #[test]
    fn after_a_denial_the_next_step_is_the_person_who_denied() {
        let denied = request("Denied", &json!([vote("Approve", "d1"), vote("Deny", "d1")]));
        assert_eq!(after(&denied, "-n payments").unwrap(), "talk to bob before you ask again");
        let by_hand = request("Denied", &json!([]));
        assert_eq!(after(&by_hand, "").unwrap(), "talk to the person who denied it before you ask again");
    }

    #[test]
    fn after_a_failure_the_next_step_names_a_flag_and_no_field() {
        let failed = |reason: &str| {
            let mut failed = request("Failed", &json!([]));
            failed.status.as_mut().unwrap().reason = Some(reason.to_owned());
            after(&failed, "-n payments")
        };
        for reason in RefusalReason::ALL {
            let next = failed(reason.name());
            assert_eq!(next.is_some(), Input::of(reason).is_some(), "{reason}");
            if let Some(next) = next {
                assert!(next.contains("--") || next.contains("kubectl certcourier policy explain"), "{next}");
                assert!(!next.contains("spec."), "{next}");
            }
        }
        assert_eq!(failed("EpochChanged"), None);
        assert_eq!(failed("ReasonRequired").unwrap(), "ask again with --reason TEXT");
    }
}
