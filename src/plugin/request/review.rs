//! What is under review of a request, in words: the same for those who vote, describe or list what waits.

use jiff::Timestamp;

use crate::plugin::print::{
    facts::Page,
    style::Tone,
    table::{Cell, Table, span},
};
use crate::{
    api::{Certificate, Decision, DownloadRequest, EnvironmentStatus, Format, Phase, Review},
    lifecycle::Tally,
};

pub use crate::lifecycle::{Part, part};

/// `key of api, environment production: it holds the private key`.
pub fn what(request: &DownloadRequest) -> String {
    let spec = &request.spec;
    let environment = match (&spec.environment, spec.format) {
        (_, Format::DerZip) => "all environments".to_owned(),
        (Some(name), _) => format!("environment {name}"),
        (None, _) => "the default environment".to_owned(),
    };
    let key = if spec.format.holds_key() { "it holds the private key" } else { "it holds no key" };
    format!("{} of {}, {environment}: {key}", spec.format, spec.certificate_ref.name)
}

/// `1 of 2 given (bob)`: counted from the votes themselves, because what the controller counted is a moment behind.
pub fn count(request: &DownloadRequest) -> String {
    let Some(tally) = Tally::shown(request) else { return "not known yet".to_owned() };
    let (required, given, by) = (tally.required, tally.given(), tally.by().join(", "));
    let lapsed = match tally.lapsed.as_slice() {
        [] => String::new(),
        people => format!("; not counted: {}, who may no longer approve", people.join(", ")),
    };
    match (required, given) {
        (0, _) => "none required".to_owned(),
        (_, 0) => format!("0 of {required} given{lapsed}"),
        _ => format!("{given} of {required} given ({by}){lapsed}"),
    }
}

/// Adds who asks, what, and why.
pub fn asked(page: &mut Page, request: &DownloadRequest) {
    let by = request.spec.requested_by.clone().unwrap_or_default();
    let groups: Vec<&str> =
        by.groups.iter().map(String::as_str).filter(|group| *group != "system:authenticated").collect();
    let who = match (by.username.as_str(), groups.as_slice()) {
        ("", _) => "no one (the API server did not stamp it)".to_owned(),
        (name, []) => name.to_owned(),
        (name, groups) if groups.len() > 8 => format!("{name} (in {} groups)", groups.len()),
        (name, groups) => format!("{name} (groups: {})", groups.join(", ")),
    };
    page.fact("Who asks", who);
    page.fact("What", what(request));
    page.fact("Why", request.spec.reason.as_deref().unwrap_or("no reason is given"));
}

/// Adds what is to be approved, and who has approved it. `certificate` tells whose the fingerprints are.
pub fn reviewed(page: &mut Page, request: &DownloadRequest, certificate: Option<&Certificate>, now: Timestamp) {
    let Some(review) = request.review() else { return };
    let seen = certificate.and_then(|certificate| certificate.status.as_ref());
    let seen = seen.map(|status| status.environments.as_slice()).unwrap_or_default();
    let known = |fingerprint: &String| {
        let whose = seen.iter().find(|environment| environment.sha256_fingerprint.as_ref() == Some(fingerprint));
        Cell::from(match whose {
            Some(whose) => format!("{fingerprint} ({})", described(whose, now)),
            None => fingerprint.clone(),
        })
    };
    page.facts("Fingerprints", review.fingerprints.iter().map(known).collect());
    page.facts("Policies", review.policies.iter().map(|name| name.as_str().into()).collect());
    if review.round > 1 {
        page.fact("Round", format!("{}: what is under review has changed, and earlier votes are void", review.round));
    }
    page.fact("Approvals", count(request));
    page.maybe(
        "Expires",
        review.expires_at.as_ref().filter(|_| request.is_open()).map(|end| {
            let left = end.0.duration_since(now);
            let when = if left.is_negative() { format!("{} ago", span(left)) } else { format!("in {}", span(left)) };
            format!("{} ({when}) without enough approvals", end.0)
        }),
    );
    page.facts("Ask", review.contacts.iter().map(|contact| contact.as_str().into()).collect());
    page.table("Votes", votes(request, review));
}

fn described(environment: &EnvironmentStatus, now: Timestamp) -> String {
    let mut words = vec![environment.name.clone()];
    words.extend(environment.subject.clone());
    words.extend(environment.not_after.map(|end| {
        let left = end.duration_since(now);
        if end.is_never() {
            return "never expires".to_owned();
        }
        if left.is_negative() { format!("expired {} ago", span(left)) } else { format!("expires in {}", span(left)) }
    }));
    words.join(", ")
}

fn votes(request: &DownloadRequest, review: &Review) -> Table {
    let cast = request.votes();
    let tally = Tally::shown(request).unwrap_or_default();
    let mut table = Table::new(["WHO", "VOTE", "COUNTS", "REASON"]);
    for vote in cast {
        let (tone, word, counts) = match vote.decision {
            Decision::Deny => (Tone::Bad, "Deny", "ends the request"),
            Decision::Approve if vote.digest != review.digest => (Tone::Faint, "Approve", "no: of an earlier review"),
            Decision::Approve if tally.votes.contains(&vote) => (Tone::Good, "Approve", "yes"),
            Decision::Approve if tally.lapsed.contains(&vote.username.as_str()) => {
                (Tone::Bad, "Approve", "no: may no longer approve")
            }
            Decision::Approve => (Tone::Faint, "Approve", "no"),
        };
        table.row([vote.username.as_str().into(), Cell::toned(tone, word), counts.into(), vote.reason.as_str().into()]);
    }
    table
}

/// A phase in its colour.
pub fn toned(phase: Phase) -> Cell {
    let tone = match phase {
        Phase::Consumed | Phase::TokenIssued | Phase::Approved => Tone::Good,
        Phase::Pending | Phase::AwaitingApproval => Tone::Waiting,
        Phase::Denied | Phase::Expired | Phase::Revoked | Phase::Failed => Tone::Bad,
    };
    Cell::toned(tone, phase.name())
}

#[cfg(test)]
pub mod fixtures {
    use serde_json::{Value, json};

    use super::*;

    /// alice asks for the key of `api`; two people must approve digest `d1`.
    pub fn request(phase: &str, votes: &Value) -> DownloadRequest {
        serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
            "metadata": {"name": "key", "namespace": "payments", "uid": "u", "resourceVersion": "7"},
            "spec": {"certificateRef": {"name": "api"}, "format": "key", "reason": "F5",
                     "requestedBy": {"username": "alice", "groups": ["operators", "system:authenticated"]}},
            "status": {
                "phase": phase, "approvals": votes,
                "review": {"digest": "d1", "round": 1, "openedAt": "2026-11-22T12:00:00Z", "fingerprints": ["f1"],
                           "policies": ["two", "(operator)"], "approvals": {"required": 2, "given": 0, "by": []}},
            },
        }))
        .unwrap()
    }

    /// A vote of bob's.
    pub fn vote(decision: &str, digest: &str) -> Value {
        json!({"username": "bob", "digest": digest, "decision": decision, "reason": "INC-1"})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        fixtures::{request, vote},
        *,
    };
    use crate::plugin::print::style::Style;

    #[test]
    fn what_somebody_has_to_do_with_a_request_depends_on_what_is_under_review_now() {
        for (who, votes, part_of) in [
            ("ALICE", json!([]), Part::Asked),
            ("bob", json!([]), Part::None),
            ("bob", json!([vote("Approve", "d1")]), Part::Approved),
            ("BOB", json!([vote("Approve", "d1")]), Part::Approved),
            ("bob", json!([vote("Approve", "d0")]), Part::None),
            ("bob", json!([vote("Approve", "d1"), vote("Deny", "x")]), Part::Denied),
            ("frank", json!([vote("Approve", "d1")]), Part::None),
        ] {
            assert_eq!(part(&request("AwaitingApproval", &votes), who), part_of, "{who} {votes}");
        }
    }

    #[test]
    fn what_is_agreed_to_is_all_there() {
        let request = request("AwaitingApproval", &json!([vote("Approve", "d0"), vote("Approve", "d1")]));
        let mut page = Page::default();
        asked(&mut page, &request);
        reviewed(&mut page, &request, None, Timestamp::UNIX_EPOCH);
        let text = page.render(Style::default());
        for said in [
            "Who asks:      alice (groups: operators)\n",
            "What:          key of api, the default environment: it holds the private key\n",
            "Why:           F5\n",
            "Fingerprints:  f1\n",
            "Policies:      two\n               (operator)\n",
            "Approvals:     1 of 2 given (bob)\n",
            "  bob   Approve   no: of an earlier review   INC-1\n  bob   Approve   yes                        INC-1\n",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }
}
