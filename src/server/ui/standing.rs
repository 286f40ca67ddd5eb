//! What someone has to do with a request, in words. The rule is [`lifecycle::may_vote`], as at every door; here is who is
//! told what.

use crate::{
    api::{Decision, DownloadRequest, Format, Phase},
    door::Door,
    lifecycle::{self, Ballot, VoteRefusal},
    server::api::requests::votes,
};

/// What someone has to do with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it waits for their vote.
    pub votes: bool,
    /// Whether they may deny it: also when it no longer waits.
    pub denies: bool,
    /// Why they do not vote; empty where they do.
    pub why: String,
    /// The same in a word or two.
    pub short: &'static str,
}

impl Standing {
    /// Of this person. `may`: what the API server says of verb `approve` for them.
    pub fn of(request: &DownloadRequest, who: &str, may: bool) -> Self {
        let allowed = |decision| lifecycle::may_vote(request, who, &ballot(decision));
        let (approve, deny) = (allowed(Decision::Approve), allowed(Decision::Deny));
        let denies = deny.is_ok() && may;
        match approve {
            Ok(()) if may => Self { votes: true, denies, why: String::new(), short: "Waits for you" },
            Ok(()) => Self { why: no_verb(request), short: "You cannot vote", ..Self::default() },
            Err(refusal) => Self { votes: false, denies, why: words(request, refusal), short: short(refusal) },
        }
    }
}

/// Whether what someone may do with it depends on a right of theirs, which must then be asked about.
pub fn depends_on_right(request: &DownloadRequest, who: &str) -> bool {
    [Decision::Approve, Decision::Deny]
        .into_iter()
        .any(|decision| lifecycle::may_vote(request, who, &ballot(decision)).is_ok())
}

/// The ballot of the page. No one is asked for an approval that no one waits for.
const fn ballot(decision: Decision) -> Ballot<'static> {
    Ballot { decision, digest: None, spare: false }
}

fn no_verb(request: &DownloadRequest) -> String {
    let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
    format!(
        "you lack verb `approve` on certificates.certcourier.io/{} in namespace {namespace}: ask for ClusterRole \
         certcourier-approver there",
        request.spec.certificate_ref.name
    )
}

fn words(request: &DownloadRequest, refusal: VoteRefusal) -> String {
    match refusal {
        VoteRefusal::Closed(phase) => {
            let why = lifecycle::summary(request).map(|why| format!(": {why}")).unwrap_or_default();
            format!("this request is closed ({}){why}", phase_words(phase))
        }
        VoteRefusal::OwnRequest => {
            "you asked for this yourself, and no one votes on their own request: another person must".to_owned()
        }
        VoteRefusal::NothingToApprove => "there is nothing to vote on yet: the controller is checking it".to_owned(),
        VoteRefusal::NotAwaited(_) => "no approval is missing".to_owned(),
        other => votes::refused(other).description_at(Door::Plugin),
    }
}

const fn short(refusal: VoteRefusal) -> &'static str {
    match refusal {
        VoteRefusal::Closed(_) => "Closed",
        VoteRefusal::SystemUser => "You cannot vote",
        VoteRefusal::OwnRequest => "You asked",
        VoteRefusal::AlreadyApproved => "You approved",
        VoteRefusal::AlreadyDenied => "You denied",
        VoteRefusal::NothingToApprove => "Being checked",
        VoteRefusal::NotAwaited(_) | VoteRefusal::OtherReview => "Nothing to do",
    }
}

/// A phase in words, and how it looks.
pub const fn phase(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Pending => ("Being checked", "info"),
        Phase::AwaitingApproval => ("Waiting for approval", "warn"),
        Phase::Approved => ("Approved", "ok"),
        Phase::TokenIssued => ("Link issued", "info"),
        Phase::Consumed => ("Delivered", "ok"),
        Phase::Denied => ("Denied", "bad"),
        Phase::Expired => ("Expired", "bad"),
        Phase::Revoked => ("Revoked", "bad"),
        Phase::Failed => ("Failed", "bad"),
    }
}

const fn phase_words(of: Phase) -> &'static str {
    phase(of).0
}

/// The environment that is asked for.
pub fn environment(request: &DownloadRequest) -> String {
    match (&request.spec.environment, request.spec.format) {
        (_, Format::DerZip) => "all environments".to_owned(),
        (Some(name), _) => name.clone(),
        (None, _) => "the default environment".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(phase: &str, votes: &Value) -> DownloadRequest {
        serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
            "metadata": {"name": "key", "namespace": "payments", "uid": "u", "resourceVersion": "7"},
            "spec": {"certificateRef": {"name": "api"}, "format": "key", "reason": "F5",
                     "requestedBy": {"username": "alice", "groups": ["operators"]}},
            "status": {
                "phase": phase, "approvals": votes,
                "review": {"digest": "d1", "round": 1, "openedAt": "2026-11-22T12:00:00Z", "fingerprints": ["f1"],
                           "policies": ["two"], "approvals": {"required": 2, "given": 0, "by": []}},
            },
        }))
        .unwrap()
    }

    fn vote(decision: &str) -> Value {
        json!([{"username": "bob", "digest": "d1", "decision": decision, "reason": "seen"}])
    }

    #[test]
    fn who_may_vote_votes_and_everyone_else_is_told_why_not() {
        let none = json!([]);
        for (phase, votes, who, may, short, said) in [
            ("AwaitingApproval", none.clone(), "bob", true, "Waits for you", ""),
            ("AwaitingApproval", none.clone(), "bob", false, "You cannot vote", "ClusterRole certcourier-approver"),
            ("AwaitingApproval", none.clone(), "alice", true, "You asked", "yourself"),
            ("AwaitingApproval", none.clone(), "system:serviceaccount:a:b", true, "You cannot vote", "people"),
            ("AwaitingApproval", vote("Approve"), "bob", true, "You approved", "already"),
            ("AwaitingApproval", vote("Deny"), "bob", true, "You denied", "denied"),
            ("Pending", none.clone(), "bob", true, "Being checked", "nothing to vote on yet"),
            ("TokenIssued", none.clone(), "bob", true, "Nothing to do", "no approval is missing"),
            ("Denied", none.clone(), "bob", true, "Closed", "closed (Denied)"),
        ] {
            let standing = Standing::of(&request(phase, &votes), who, may);
            assert_eq!(standing.short, short, "{phase} {who}");
            assert!(standing.why.contains(said) && standing.votes == said.is_empty(), "{phase} {who}: {standing:?}");
        }
    }

    #[test]
    fn one_may_deny_as_long_as_it_is_open_and_not_ones_own() {
        for (phase, votes, who, may, denies) in [
            ("AwaitingApproval", json!([]), "bob", true, true),
            ("AwaitingApproval", vote("Approve"), "bob", true, true),
            ("TokenIssued", json!([]), "bob", true, true),
            ("TokenIssued", json!([]), "bob", false, false),
            ("TokenIssued", json!([]), "alice", true, false),
            ("Consumed", json!([]), "bob", true, false),
        ] {
            let request = request(phase, &votes);
            assert_eq!(Standing::of(&request, who, may).denies, denies, "{phase} {who}");
            assert!(depends_on_right(&request, who) || !denies);
        }
    }
}
