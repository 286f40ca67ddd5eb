use serde_json::{Value, json};

use super::*;

/// Everything that these objects tell.
fn entries(requests: &[DownloadRequest], receipts: &[DownloadReceipt]) -> Vec<Entry> {
    let mut moments = Moments::default();
    moments.add_receipts(receipts.iter().map(Delivered::of).collect());
    moments.add_requests(requests);
    moments.newest(usize::MAX, |_| true)
}

fn request(status: &Value) -> DownloadRequest {
    serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
        "metadata": {"name": "api-key-12345", "namespace": "payments", "uid": "u", "creationTimestamp": "2026-11-22T08:00:00Z"},
        "spec": {"certificateRef": {"name": "api"}, "format": "key", "reason": "F5", "requestedBy": {"username": "alice"}},
        "status": status,
    }))
    .unwrap()
}

fn receipt(uid: &str) -> DownloadReceipt {
    serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt",
        "metadata": {"name": "r-1", "namespace": "payments"},
        "spec": {"requestRef": {"name": "api-key-12345", "uid": uid}, "certificateRef": {"name": "api"}, "format": "key",
            "attemptId": "a", "artifact": {"sha256": "f", "bytes": 7}, "requestedBy": {"username": "alice"},
            "clientIP": "203.0.113.1", "tokenIssuedAt": "2026-11-22T08:20:00Z",
            "consumedAt": "2026-11-22T08:21:00Z", "retainUntil": "2026-12-22T08:21:00Z"},
        "status": {"outcome": "Delivered", "bytesSent": 7},
    }))
    .unwrap()
}

fn at(kind: &str, status: &str, reason: &str, message: &str, time: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
}

fn told(entries: &[Entry]) -> Vec<(String, Kind, String)> {
    let told =
        |entry: &Entry| (entry.time.0.strftime("%H:%M").to_string(), entry.kind, entry.by.clone().unwrap_or_default());
    entries.iter().map(told).collect()
}

/// A request with everything that can happen to one that is delivered in the end.
fn eventful() -> DownloadRequest {
    request(&json!({
        "phase": "Consumed",
        "review": {"digest": "d", "round": 2, "openedAt": "2026-11-22T08:05:00Z", "approvedAt": "2026-11-22T08:10:00Z",
            "approvals": {"required": 2, "given": 2, "by": ["bob", "frank"]}},
        "token": {"generation": 3, "round": 2, "issuedAt": "2026-11-22T08:20:00Z", "expiresAt": "2026-11-22T08:25:00Z",
            "previous": [
                {"hash": "1", "ended": "2026-11-22T08:05:00Z", "why": "ReviewChanged"},
                {"hash": "2", "ended": "2026-11-22T08:15:00Z", "why": "Expired"},
                {"hash": "3", "ended": "2026-11-22T08:21:00Z", "why": "Used"}]},
        "receiptRef": {"name": "r-1"},
        "conditions": [
            at("Approved", "True", "ByPeople", "approved by bob, frank", "2026-11-22T08:10:00Z"),
            at("Finished", "True", "Delivered", "delivered; receipt r-1", "2026-11-22T08:22:00Z")],
    }))
}

#[test]
fn a_delivered_request_is_told_newest_first() {
    let all = entries(&[eventful()], &[receipt("u")]);
    assert_eq!(
        told(&all),
        [
            ("08:21".into(), Kind::Downloaded, "alice".into()),
            ("08:20".into(), Kind::Minted, "alice".into()),
            ("08:15".into(), Kind::Expired, String::new()),
            ("08:10".into(), Kind::Approved, "bob, frank".into()),
            ("08:05".into(), Kind::Voided, String::new()),
            ("08:00".into(), Kind::Requested, "alice".into()),
        ]
    );
    assert_eq!(all[0].message, "Delivered, 7 of 7 bytes");
    assert_eq!((all[0].client_ip.as_deref(), all[0].receipt.as_deref()), (Some("203.0.113.1"), Some("r-1")));
}

#[test]
fn a_denial_that_came_after_the_receipt_is_told_too() {
    let all = entries(
        &[request(&json!({"phase": "Consumed", "receiptRef": {"name": "r-1"}, "conditions": [
            at("Approved", "False", "Denied", "denied by bob: no", "2026-11-22T08:21:30Z"),
            at("Finished", "True", "Delivered", "delivered; receipt r-1", "2026-11-22T08:22:00Z")]}))],
        &[receipt("u")],
    );
    assert_eq!((all[0].kind, all[0].message.as_str()), (Kind::Refused, "denied by bob: no"));
    assert_eq!(all[1].kind, Kind::Downloaded);
}

#[test]
fn who_may_not_see_receipts_sees_the_delivery_by_its_request() {
    let all = entries(&[eventful()], &[]);
    assert_eq!((all[0].kind, all[0].time.0.to_string().as_str()), (Kind::Downloaded, "2026-11-22T08:22:00Z"));
    assert_eq!((all[0].receipt.as_deref(), all[0].client_ip.as_deref()), (Some("r-1"), None));
    assert_eq!(all.iter().filter(|entry| entry.kind == Kind::Downloaded).count(), 1);
}

#[test]
fn a_deleted_request_is_known_by_its_receipt() {
    let all = entries(&[], &[receipt("another")]);
    assert_eq!(
        told(&all),
        [("08:21".into(), Kind::Downloaded, "alice".into()), ("08:20".into(), Kind::Minted, "alice".into())]
    );
}

#[test]
fn each_ending_has_its_kind() {
    for (phase, kind) in [
        ("Denied", Kind::Refused),
        ("Failed", Kind::Refused),
        ("Expired", Kind::Expired),
        ("Revoked", Kind::Revoked),
        ("Consumed", Kind::Downloaded),
    ] {
        let finished = at("Finished", "True", "X", "said", "2026-11-22T09:00:00Z");
        let all = entries(&[request(&json!({"phase": phase, "conditions": [finished]}))], &[]);
        assert_eq!((all[0].kind, all[0].message.as_str(), all.len()), (kind, "said", 2), "{phase}");
    }
    let open = at("Finished", "False", "Open", "not delivered yet", "2026-11-22T08:00:00Z");
    let all = entries(&[request(&json!({"phase": "Approved", "conditions": [open]}))], &[]);
    assert_eq!(told(&all), [("08:00".into(), Kind::Requested, "alice".into())]);
}

#[test]
fn pages_meet_without_a_gap_also_where_all_happened_at_the_same_time() {
    let status = json!({"phase": "TokenIssued", "token": {"generation": 1, "round": 1,
        "issuedAt": "2026-11-22T08:00:00Z", "expiresAt": "2026-11-22T08:05:00Z"}});
    let requests: Vec<DownloadRequest> = (0..7)
        .map(|number| {
            let mut request = request(&status);
            request.metadata.name = Some(format!("r{number}"));
            request.metadata.uid = Some(format!("u{number}"));
            request
        })
        .collect();
    let all = entries(&requests, &[]);
    assert_eq!(all.len(), 14);
    for end in 0..13 {
        let rest: Vec<&Entry> = all.iter().filter(|entry| entry.key() > all[end].key()).collect();
        assert_eq!(rest.len(), 13 - end);
    }
}
