//! Which message to show of a request that has several conditions: one answer, for HTTP and for the plugin.

use super::votes::awaiting_approval;
use crate::api::{
    DownloadRequest,
    words::ConditionType::{self, Approved, Finished, Stalled, TokenIssued},
};

/// The sentence that tells most: how the request ended; else what stops it; else what it waits for, of missing approvals
/// as the votes say now. `None` while the controller has written nothing.
#[must_use]
pub fn summary(request: &DownloadRequest) -> Option<String> {
    let any = |kind: ConditionType| request.condition(kind).filter(|condition| !condition.message.is_empty());
    let message = |kind, value: &str| any(kind).filter(|condition| condition.status == value);
    let ended = if request.is_open() { None } else { any(Finished) };
    if let Some(condition) = ended.or_else(|| message(Stalled, "True")) {
        return Some(condition.message.clone());
    }
    awaiting_approval(request).or_else(|| {
        let waits = message(Approved, "False").or_else(|| message(Approved, "Unknown"));
        waits.or_else(|| any(TokenIssued)).or_else(|| any(Finished)).map(|condition| condition.message.clone())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(phase: &str, conditions: &[(&str, &str, &str)]) -> Option<String> {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, message)| {
                json!({"type": kind, "status": status, "reason": "R", "message": message, "lastTransitionTime": "2026-11-22T08:00:00Z"})
            })
            .collect();
        let request: DownloadRequest = serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": "r"},
            "spec": {"certificateRef": {"name": "api"}, "format": "key"},
            "status": {"phase": phase, "conditions": conditions},
        }))
        .unwrap();
        summary(&request)
    }

    #[test]
    fn the_message_that_tells_most_is_the_one_that_is_shown() {
        let missing = ("Approved", "Unknown", "Secret api-tls does not exist; create it");
        let approved = ("Approved", "True", "approved by bob");
        let awaiting = ("Approved", "False", "0 of 2 approvals given");
        let (no_token, token) = (("TokenIssued", "False", "waiting"), ("TokenIssued", "True", "read the link"));
        let (open, ended) = (("Finished", "False", "not delivered yet"), ("Finished", "True", "delivered"));
        let stalled = ("Stalled", "True", "fix the Secret");
        for (phase, conditions, shown) in [
            ("Pending", vec![], None),
            ("Pending", vec![missing, no_token, open], Some(missing)),
            ("Pending", vec![open], Some(open)),
            ("AwaitingApproval", vec![awaiting, no_token, open], Some(awaiting)),
            ("AwaitingApproval", vec![awaiting, no_token, open, stalled], Some(stalled)),
            ("Approved", vec![approved, no_token, open], Some(no_token)),
            ("Approved", vec![approved, no_token, open, stalled], Some(stalled)),
            ("TokenIssued", vec![approved, token, open, ("Stalled", "False", "nothing")], Some(token)),
            ("TokenIssued", vec![approved, ("TokenIssued", "True", ""), open], Some(open)),
            ("Consumed", vec![approved, no_token, ("Finished", "False", "under way")], Some(("", "", "under way"))),
            ("Consumed", vec![approved, no_token, ended], Some(ended)),
            ("Failed", vec![("Approved", "False", "refused"), no_token, ended, stalled], Some(ended)),
        ] {
            assert_eq!(
                said(phase, &conditions).as_deref(),
                shown.map(|(_, _, message)| message),
                "{phase} {conditions:?}"
            );
        }
    }
}
