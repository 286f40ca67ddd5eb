//! What the watches keep of an object: what the controller uses, and nothing that only others use. Everyone who may write
//! an object may write a quarter of a megabyte of annotations into it, and every object is kept; of a finished request
//! and of a receipt with its outcome, so little is used that most of it goes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    api::{
        DownloadReceipt, DownloadRequest, DownloadRequestStatus, Phase, Requester,
        names::{CREATED_BY, MINT, REVOKE, REVOKED_BY},
        words::ConditionType,
    },
    lifecycle,
};

/// Annotations that decide something.
const ANNOTATIONS: [&str; 3] = [MINT, REVOKE, REVOKED_BY];
/// Labels that decide something.
const LABELS: [&str; 1] = [CREATED_BY];

/// Takes everything else away.
pub(crate) fn only_what_is_used(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        resource_version: metadata.resource_version.take(),
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        annotations: kept(metadata.annotations.take(), &ANNOTATIONS),
        labels: kept(metadata.labels.take(), &LABELS),
        ..ObjectMeta::default()
    };
}

/// Of a finished request: whose it is, of what, how and when it ended. Votes, reviews and texts are read from the API
/// server where they are needed.
pub(crate) fn of_request(request: &mut DownloadRequest) {
    if lifecycle::finished_at(request).is_none() {
        return;
    }
    request.metadata.annotations = None;
    let spec = &mut request.spec;
    if let Some(by) = spec.requested_by.take() {
        spec.requested_by = Some(Requester { username: by.username, ..Requester::default() });
    }
    (spec.reason, spec.pkcs12, spec.pem, spec.passphrase_secret_ref) = (None, None, None, None);
    let Some(status) = request.status.take() else { return };
    let is_used = status.phase == Some(Phase::Consumed);
    let mut conditions = status.conditions;
    // A receipt's words are compared with these; other ends are final.
    conditions.retain(|condition| {
        condition.type_ == ConditionType::Finished || (is_used && condition.type_ == ConditionType::TokenIssued)
    });
    if !is_used {
        for condition in &mut conditions {
            condition.message = String::new();
        }
    }
    conditions.shrink_to_fit();
    request.status = Some(DownloadRequestStatus {
        observed_generation: status.observed_generation,
        phase: status.phase,
        receipt_ref: status.receipt_ref,
        conditions,
        ..DownloadRequestStatus::default()
    });
}

/// Of a receipt whose outcome is known: of which request, how it ended, and until when it is kept.
pub(crate) fn of_receipt(receipt: &mut DownloadReceipt) {
    if receipt.status.as_ref().is_none_or(|status| status.outcome.is_none()) {
        return;
    }
    receipt.metadata.annotations = None;
    let spec = &mut receipt.spec;
    (spec.reason, spec.requested_by, spec.review_digest, spec.consumed_by) = (None, None, None, None);
    (spec.client_ip, spec.user_agent, spec.cluster, spec.environment) = (None, None, None, None);
    (spec.approvals, spec.policies, spec.fingerprints) = (Vec::new(), Vec::new(), Vec::new());
    (spec.attempt_id, spec.artifact.sha256) = (String::new(), String::new());
}

fn kept(map: Option<BTreeMap<String, String>>, keys: &[&str]) -> Option<BTreeMap<String, String>> {
    let map: BTreeMap<_, _> = map?.into_iter().filter(|(key, _)| keys.contains(&key.as_str())).collect();
    (!map.is_empty()).then_some(map)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_wrote_is_not_kept_and_what_decides_is() {
        let mut metadata: ObjectMeta = serde_json::from_value(serde_json::json!({
            "name": "api", "namespace": "payments", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-11-22T12:00:00Z", "deletionTimestamp": "2026-11-22T12:01:00Z",
            "annotations": {"junk": "x".repeat(250_000), MINT: "1", REVOKE: "why", REVOKED_BY: "bob",
                            "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "labels": {CREATED_BY: "api", "team": "shop"},
            "finalizers": ["a.io/x"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "o"}],
            "managedFields": [{"manager": "kubectl"}],
        }))
        .unwrap();
        only_what_is_used(&mut metadata);
        assert_eq!(
            serde_json::to_value(&metadata).unwrap(),
            serde_json::json!({
                "name": "api", "namespace": "payments", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-11-22T12:00:00Z", "deletionTimestamp": "2026-11-22T12:01:00Z",
                "annotations": {MINT: "1", REVOKE: "why", REVOKED_BY: "bob"}, "labels": {CREATED_BY: "api"},
            })
        );
    }

    /// A used request of a person with 40 groups, with two votes, as the API server has it; and its receipt.
    fn used() -> (DownloadRequest, DownloadReceipt) {
        let groups: Vec<String> = (0..40).map(|n| format!("a-group-of-a-company-{n:03}")).collect();
        let vote = |who: &str| json!({"username": who, "digest": "d".repeat(64), "decision": "Approve", "reason": "checked ".repeat(20), "groups": groups});
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": "2026-11-22T12:00:05Z", "observedGeneration": 1})
        };
        let request = json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
            "metadata": {"name": "api-key", "namespace": "payments", "uid": "0f66d188-9a07-2641-58df-d1ebe3d4fd23",
                "generation": 1, "resourceVersion": "7", "creationTimestamp": "2026-11-22T12:00:00Z",
                "managedFields": [{"manager": "x".repeat(100)}], "annotations": {REVOKE: "y".repeat(1024)}},
            "spec": {"certificateRef": {"name": "api"}, "format": "key", "reason": "INC-4211 ".repeat(50),
                "requestedBy": {"username": "alice", "uid": "u", "groups": groups}},
            "status": {"observedGeneration": 1, "phase": "Consumed", "receiptRef": {"name": "r-1"},
                "review": {"digest": "d".repeat(64), "round": 1, "openedAt": "2026-11-22T12:00:00Z", "fingerprints": ["f".repeat(64)],
                    "policies": ["two-people", "(operator)"], "approvals": {"required": 2, "given": 2, "by": ["bob", "frank"], "summary": "2/2"}},
                "approvals": [vote("bob"), vote("frank")],
                "token": {"generation": 1, "round": 1, "previous": [{"hash": "h".repeat(64), "ended": "2026-11-22T12:00:05Z", "why": "Used"}]},
                "conditions": [
                    condition("Approved", "True", "ByPeople", "approved by bob, frank"),
                    condition("TokenIssued", "False", "Closed", "the token was used"),
                    condition("Finished", "True", "Delivered", "delivered (241 bytes sent); receipt r-1"),
                ]},
        });
        let receipt = json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt",
            "metadata": {"name": "r-1", "namespace": "payments", "uid": "u", "resourceVersion": "8"},
            "spec": {"requestRef": {"name": "api-key", "uid": "0f66d188-9a07-2641-58df-d1ebe3d4fd23"}, "certificateRef": {"name": "api"},
                "format": "key", "reason": "INC-4211 ".repeat(50), "requestedBy": {"username": "alice", "groups": groups},
                "attemptId": "a".repeat(32), "artifact": {"sha256": "s".repeat(64), "bytes": 241}, "fingerprints": ["f".repeat(64)],
                "consumedAt": "2026-11-22T12:00:05Z", "retainUntil": "2026-12-22T12:00:05Z"},
            "status": {"outcome": "Delivered", "bytesSent": 241, "finishedAt": "2026-11-22T12:00:05Z"},
        });
        (serde_json::from_value(request).unwrap(), serde_json::from_value(receipt).unwrap())
    }

    fn next_of(request: &DownloadRequest, receipt: &DownloadReceipt) -> lifecycle::Step {
        let observed = lifecycle::Observed {
            request,
            material: lifecycle::Material::Usable { fingerprints: Vec::new() },
            decision: None,
            receipt: crate::cluster::facts::receipt_seen(Some(receipt)),
            approvers: lifecycle::Approvers::default(),
            guard: lifecycle::Guard::Unwatched,
            ahead: 0,
            settings: lifecycle::Settings::default(),
        };
        lifecycle::next(&observed, "2026-11-22T13:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_is_kept_of_a_finished_request_and_its_receipt_decides_as_all_of_it_does() {
        let (whole, mut receipt) = used();
        assert_eq!(next_of(&whole, &receipt), lifecycle::Step::default(), "the fixture is settled");
        let mut kept = whole.clone();
        only_what_is_used(&mut kept.metadata);
        of_request(&mut kept);
        of_receipt(&mut receipt);
        assert_eq!(next_of(&kept, &receipt), lifecycle::Step::default());
        assert_eq!(next_of(&whole, &receipt), lifecycle::Step::default());
        assert_eq!(lifecycle::finished_at(&kept), lifecycle::finished_at(&whole));
        let now = "2026-11-22T13:00:00Z".parse().unwrap();
        let deleted = |request: &DownloadRequest| crate::audit::request::deleted(request, None, now);
        assert_eq!(deleted(&kept), deleted(&whole), "the record says the same of both");
        assert_eq!(lifecycle::receipt_expiry(&receipt, Some(&kept)), Some("2026-12-22T12:00:05Z".parse().unwrap()));
    }

    #[test]
    fn an_open_request_and_a_delivery_under_way_are_kept_whole() {
        let (whole, receipt) = used();
        let mut open = whole.clone();
        open.status.as_mut().unwrap().conditions.retain(|condition| condition.type_ != ConditionType::Finished);
        let before = open.clone();
        of_request(&mut open);
        assert_eq!(open, before);
        let mut under_way = DownloadReceipt { status: None, ..receipt };
        let before = under_way.clone();
        of_receipt(&mut under_way);
        assert_eq!(under_way, before);
    }

    #[test]
    fn little_is_kept_of_what_is_finished() {
        let (mut request, mut receipt) = used();
        let size = |request: &DownloadRequest| serde_json::to_string(request).unwrap().len();
        let (before, receipt_before) = (size(&request), serde_json::to_string(&receipt).unwrap().len());
        only_what_is_used(&mut request.metadata);
        of_request(&mut request);
        of_receipt(&mut receipt);
        let (after, receipt_after) = (size(&request), serde_json::to_string(&receipt).unwrap().len());
        println!(
            "a finished request: {before} bytes of JSON before, {after} kept; its receipt {receipt_before} and {receipt_after}"
        );
        println!("in memory besides its texts: {} bytes", size_of::<DownloadRequest>());
        assert!(after < 1000 && before > 5 * after, "{before} {after}");
        assert!(receipt_after < 1000, "{receipt_before} {receipt_after}");
    }
}
