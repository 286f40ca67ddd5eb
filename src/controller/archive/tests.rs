use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::{
    api::{
        Outcome,
        condition::ConditionStatus::True,
        words::{ConditionReason, ConditionType},
    },
    controller::fixtures,
    lifecycle,
};

fn finished(number: u8, requester: &str, seconds: i64) -> DownloadRequest {
    fixtures::finished(&format!("r{number}"), requester, seconds)
}

/// The receipt of a request.
fn receipt(of: &DownloadRequest, outcome: Option<&str>, bytes: i64) -> DownloadReceipt {
    serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt",
        "metadata": {"name": receipts::name_of(of.uid_text()), "namespace": of.key().namespace},
        "spec": {"requestRef": {"name": of.key().name, "uid": of.uid_text()}, "certificateRef": {"name": "api"},
            "format": "key", "attemptId": "a", "artifact": {"sha256": "s", "bytes": 9}, "fingerprints": [],
            "consumedAt": "2026-11-22T12:00:05Z", "retainUntil": "2026-12-22T12:00:05Z"},
        "status": outcome.map(|outcome| json!({"outcome": outcome, "bytesSent": bytes})),
    }))
    .unwrap()
}

/// A request whose file was delivered.
fn delivered(number: u8) -> DownloadRequest {
    let mut request = finished(number, "alice", 0);
    let at = request.created().unwrap();
    let status = request.status.as_mut().unwrap();
    status.phase = Some(Phase::Consumed);
    status.receipt_ref = serde_json::from_value(json!({"name": "r"})).unwrap();
    let ended = True(ConditionReason::Delivered);
    lifecycle::set_condition(&mut status.conditions, ConditionType::Finished, ended, "delivered", Some(1), at);
    request
}

fn named(places: Vec<Place>) -> Vec<String> {
    places.into_iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect()
}

#[test]
fn only_the_newest_finished_requests_of_a_requester_and_namespace_stay() {
    let archive = Archive::default();
    let requests = [finished(1, "ci", 10), finished(2, "ci", 20), finished(3, "ci", 30)];
    let mut elsewhere = finished(4, "ci", 0);
    elsewhere.metadata.namespace = Some("web".to_owned());
    for other in [&finished(5, "bob", 0), &elsewhere] {
        assert!(archive.keep_request(other));
    }
    assert!(!archive.keep_request(&fixtures::request("ci", 0)), "it is open");
    let beyond = requests.each_ref().map(|request| {
        assert!(archive.keep_request(request) && archive.keep_request(request));
        named(archive.beyond(2))
    });
    assert_eq!(beyond, [vec![], vec![], vec!["payments/r1".to_owned()]]);
    assert_eq!([0, 1, 2].map(|at| archive.is_beyond(&requests[at], 2)), [true, false, false]);
    assert!(!archive.is_beyond(&elsewhere, 1) && !archive.is_beyond(&fixtures::request("ci", 0), 1));
    archive.forget_request("payments", "r3");
    assert!(!archive.is_beyond(&requests[0], 2), "there is room again");
    assert_eq!(named(archive.beyond(1)), ["payments/r1"]);
}

#[test]
fn what_a_list_does_not_name_is_gone() {
    let archive = Archive::default();
    let (here, gone) = (delivered(1), delivered(2));
    for request in [&here, &gone] {
        archive.keep_request(request);
        archive.keep_receipt(&receipt(request, Some("Delivered"), 9));
    }
    let list = archive.begin_list();
    archive.keep_request(&here);
    let left = archive.requests_not_in(list);
    assert_eq!(left.len(), 1);
    let now = "2026-11-22T13:00:00Z".parse().unwrap();
    let told = |request: &DownloadRequest| crate::audit::request::deleted(request, None, now);
    assert_eq!(told(&left[0]), told(&gone), "the record says of it what it says of the whole");
    assert!(archive.holds(&here) && !archive.holds(&gone));
    let list = archive.begin_list();
    archive.keep_receipt(&receipt(&here, Some("Delivered"), 9));
    archive.forget_receipts_not_in(list);
    assert_eq!([&here, &gone].map(|request| archive.receipt_of(request).is_some()), [true, false]);
}

#[test]
fn a_request_whose_receipt_says_more_is_looked_at_whichever_comes_first() {
    for receipt_first in [true, false] {
        let keep = |request: &DownloadRequest, receipt: &DownloadReceipt| {
            let archive = Archive::default();
            if receipt_first {
                assert!(archive.keep_receipt(receipt) && archive.keep_request(request));
            } else {
                assert!(archive.keep_request(request) && archive.keep_receipt(receipt));
            }
            let attended = named(archive.take_attended());
            assert_eq!(archive.take_attended(), [], "named once");
            !attended.is_empty()
        };
        let (used, revoked) = (delivered(1), finished(2, "alice", 0));
        assert!(!keep(&used, &receipt(&used, Some("Delivered"), 9)));
        assert!(keep(&used, &receipt(&used, Some("Aborted"), 3)), "it says Delivered");
        assert!(keep(&revoked, &receipt(&revoked, Some("Delivered"), 9)), "a delivery wins over everything");
        assert!(keep(&revoked, &receipt(&revoked, Some("Aborted"), 0)), "it does not name its receipt");
        let mut knows = revoked.clone();
        knows.status.as_mut().unwrap().receipt_ref = serde_json::from_value(json!({"name": "r"})).unwrap();
        assert!(!keep(&knows, &receipt(&knows, Some("Aborted"), 0)));
        let mut namesake = receipt(&used, Some("Aborted"), 3);
        namesake.spec.request_ref.uid = "another".to_owned();
        namesake.metadata.name = Some(receipts::name_of("another"));
        assert!(!keep(&used, &namesake), "it is of an earlier request of that name");
    }
    let (archive, revoked) = (Archive::default(), finished(1, "alice", 0));
    archive.keep_request(&revoked);
    assert!(archive.is_being_delivered("payments", "r1") && !archive.is_being_delivered("payments", "r2"));
    assert_eq!(named(archive.take_attended()), ["payments/r1"]);
}

#[test]
fn a_receipt_without_an_outcome_and_what_is_being_deleted_are_not_kept() {
    let (archive, request) = (Archive::default(), delivered(1));
    assert!(!archive.keep_receipt(&receipt(&request, None, 0)));
    let deleted = Some(Time("2026-11-22T12:01:00Z".parse().unwrap()));
    let mut going = receipt(&request, Some("Delivered"), 9);
    going.metadata.deletion_timestamp.clone_from(&deleted);
    assert!(!archive.keep_receipt(&going));
    let mut going = request.clone();
    going.metadata.deletion_timestamp = deleted;
    assert!(!archive.keep_request(&going));
    archive.keep_receipt(&receipt(&request, Some("Delivered"), 9));
    let seen = crate::cluster::facts::receipt_seen(archive.receipt_of(&request).as_ref()).unwrap();
    assert_eq!(
        (seen.outcome, seen.bytes_sent, seen.name),
        (Some(Outcome::Delivered), Some(9), receipts::name_of(request.uid_text()))
    );
}
