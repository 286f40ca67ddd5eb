//! When a request can be left alone, because what is to be decided about it was decided a moment ago, or will be in a
//! moment. Nothing is lost by it: a redemption decides on everything anew, and what people do ends the rest.

use std::time::Duration;

use jiff::Timestamp;

use super::draft::after;
use crate::api::{Decision as Vote, Delivery, DownloadReceipt, DownloadRequest, Phase, names};

/// The HTTP API writes the token of a request that it has created; this much later at most.
const CREATED: Duration = Duration::from_secs(1);
/// Whoever issued a token has just looked at everything that it depends on.
const ISSUED: Duration = Duration::from_secs(3);
/// Most deliveries end within this time, and then their end and their outcome are written at once.
const USED: Duration = Duration::from_millis(1500);

/// Whether the request itself says how it ends, so that only a receipt could say otherwise. What people revoke must end
/// also while Secrets, policies or reviews cannot be read.
#[must_use]
pub fn is_settled(request: &DownloadRequest) -> bool {
    let deleted = request.metadata.deletion_timestamp.is_some();
    let revoked = request.annotation(names::REVOKE).is_some();
    !request.is_open() || revoked || deleted || request.votes().iter().any(|vote| vote.decision == Vote::Deny)
}

/// Until when nothing needs to be decided about a request. `None`: it does now.
#[must_use]
pub fn rests_until(request: &DownloadRequest, receipt: Option<&DownloadReceipt>, now: Timestamp) -> Option<Timestamp> {
    if is_settled(request) {
        return None;
    }
    let until = match (receipt, request.status.as_ref().and_then(|status| status.phase)) {
        (Some(receipt), _) if receipt.status.as_ref().is_some_and(|status| status.outcome.is_some()) => return None,
        (Some(receipt), _) => after(receipt.spec.consumed_at.0, USED),
        (None, None) if is_of_the_api(request) => after(request.created()?, CREATED),
        (None, Some(Phase::TokenIssued)) if !asks_for_another(request) => {
            let token = request.token()?;
            let (issued, expires) = (token.issued_at.as_ref()?.0, token.expires_at.as_ref()?.0);
            after(issued, ISSUED).min(expires)
        }
        _ => return None,
    };
    (until > now).then_some(until)
}

/// Whether the HTTP API has made it, and is about to write into it.
fn is_of_the_api(request: &DownloadRequest) -> bool {
    let made_by = request.metadata.labels.as_ref().and_then(|labels| labels.get(names::CREATED_BY));
    made_by.is_some_and(|by| by == names::CREATED_BY_API) && request.delivery() == Delivery::Claim
}

/// Whether its requester wants another token than the one that it has.
fn asks_for_another(request: &DownloadRequest) -> bool {
    let observed = request.token().and_then(|token| token.observed_mint.as_deref());
    request.annotation(names::MINT).is_some_and(|asked| !asked.is_empty() && Some(asked) != observed)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;
    use crate::{
        api::Format,
        lifecycle::fixtures::{World, at, policy},
    };

    fn receipt(second: i64, outcome: Option<&str>) -> DownloadReceipt {
        let (day, status) = ("2026-11-22T12:00", outcome.map(|outcome| json!({"outcome": outcome})));
        serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt", "metadata": {"name": "r-1"},
            "spec": {"requestRef": {"name": "r", "uid": "u"}, "certificateRef": {"name": "api"}, "format": "cert",
                "attemptId": "a", "artifact": {"sha256": "s", "bytes": 1}, "fingerprints": [],
                "consumedAt": format!("{day}:{second:02}Z"), "retainUntil": "2026-12-22T12:00:00Z"},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_token_that_was_issued_a_moment_ago_rests_unless_something_is_wanted_or_said() {
        type Change = fn(&mut World);
        let mut world = World::new(Format::Cert, vec![]);
        world.step(0);
        assert_eq!(world.phase(), Phase::TokenIssued);
        assert_eq!(rests_until(&world.request, None, at(1)), Some(at(3)));
        assert_eq!(rests_until(&world.request, None, at(3)), None);
        let changes: [Change; 4] = [
            |world| world.annotate(names::MINT, "1"),
            |world| world.annotate(names::REVOKE, "why"),
            |world| world.request.metadata.deletion_timestamp = Some(Time(at(1))),
            |world| world.vote_for("bob", Vote::Deny, ""),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut world = world.clone();
            change(&mut world);
            assert_eq!(rests_until(&world.request, None, at(1)), None, "{number}");
        }
        let mut world = World::new(Format::Key, policy(2));
        world.step(0);
        assert_eq!(rests_until(&world.request, None, at(0)), None, "it waits for people");
    }

    #[test]
    fn a_request_of_the_api_waits_for_its_token_and_a_used_one_for_its_outcome() {
        let mut world = World::new(Format::Cert, vec![]).claimed();
        assert_eq!(rests_until(&world.request, None, at(0)), None, "made by someone else");
        let labels = world.request.metadata.labels.get_or_insert_default();
        labels.insert(names::CREATED_BY.to_owned(), names::CREATED_BY_API.to_owned());
        let created = world.request.created().unwrap();
        assert_eq!(rests_until(&world.request, None, created), Some(after(created, CREATED)));
        assert_eq!(rests_until(&world.request, None, after(created, CREATED)), None);

        let mut world = World::new(Format::Cert, vec![]);
        world.step(0);
        let used = receipt(10, None);
        let moment = used.spec.consumed_at.0;
        assert_eq!(rests_until(&world.request, Some(&used), moment), Some(after(moment, USED)));
        assert_eq!(rests_until(&world.request, Some(&used), after(moment, USED)), None);
        assert_eq!(rests_until(&world.request, Some(&receipt(10, Some("Delivered"))), moment), None);
        world.annotate(names::REVOKE, "why");
        assert_eq!(rests_until(&world.request, Some(&used), moment), None);
    }
}
