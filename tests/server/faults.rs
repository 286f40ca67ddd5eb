//! Faults between the server and the API server: never two deliveries, never bytes without a receipt, and whoever gets
//! nothing is told whether the token is still valid.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::Method;
use certcourier::api::names;
use futures::future::join_all;
use serde_json::{Value, json};
use test_support::waiting::until;
use tower::ServiceExt as _;

use super::{
    fake_api::Fault,
    stage::{Answer, PATIENT, PKI, RECEIPTS, REQUEST, SECRET, Stage, ago, get, token},
};

fn is_create_of_receipt(method: &Method, path: &str) -> bool {
    method == Method::POST && path == RECEIPTS
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_receipt_was_created_still_delivers_once() {
    for fault in [
        Fault::DoneButAnswer(504),
        Fault::DoneButAnswer(500),
        Fault::DoneWithoutAnswer,
        Fault::Late(Duration::from_millis(500)),
    ] {
        let stage = Stage::of_format("cert").await;
        stage.api.fail(move |method, path| is_create_of_receipt(method, path).then_some(fault));
        let answer = stage.download().await;
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, PKI.leaf.as_bytes()), "{fault:?}");
        stage.download().await.assert_refused(410, "token_used", "already used");
        let creates = stage.api.take_log().into_iter().filter(|call| *call == format!("POST {RECEIPTS}")).count();
        assert_eq!(creates, 2, "{fault:?}: each attempt sends one, and the second finds the first one's receipt");
        assert_eq!(stage.outcome().await["outcome"], "Delivered", "{fault:?}");
    }
}

#[tokio::test]
async fn without_a_receipt_nothing_is_sent_and_the_token_stays_good() {
    for fault in [Fault::Refuse(504), Fault::Refuse(500), Fault::Refuse(403), Fault::Refuse(422), Fault::Refuse(429)] {
        let stage = Stage::with_flags("cert", &["--receipt-timeout", "1s"]).await;
        stage.api.fail(move |method, path| is_create_of_receipt(method, path).then_some(fault));
        let answer = stage.download().await;
        answer.assert_refused(503, "unavailable", "");
        assert!(answer.headers.contains_key("retry-after"), "{fault:?}");
        assert!(stage.receipt().is_none());
        stage.api.fail(|_, _| None);
        assert_eq!(stage.download().await.status, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn a_receipt_that_appears_only_later_is_nobodys_delivery() {
    let stage = Stage::with_flags("cert", &["--receipt-timeout", "1s"]).await;
    // The create is answered by nobody and done much later than the server is willing to look.
    stage.api.fail(|method, path| is_create_of_receipt(method, path).then_some(Fault::Late(Duration::from_secs(6))));
    stage.download().await.assert_refused(503, "unavailable", "not known");
    stage.api.fail(|_, _| None);
    until("the receipt is there", async || stage.receipt()).await;
    stage.download().await.assert_refused(410, "token_used", "under way");
    assert!(stage.receipt().unwrap()["status"].is_null(), "its outcome is the controller's to write");
}

#[tokio::test]
async fn a_receipt_of_another_attempt_wins() {
    let stage = Stage::of_format("cert").await;
    let api = stage.api.clone();
    let reads = AtomicUsize::new(0);
    // Another replica's receipt appears between our look and our create.
    stage.api.fail(move |method, path| {
        if is_create_of_receipt(method, path) && reads.fetch_add(1, Ordering::SeqCst) == 0 {
            let theirs = certcourier::cluster::receipts::name_of("request-uid");
            api.put(
                &format!("{RECEIPTS}/{theirs}"),
                json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt",
                    "metadata": {"name": theirs, "namespace": "payments"},
                    "spec": {"requestRef": {"name": "api", "uid": "request-uid"}, "certificateRef": {"name": "api"},
                        "format": "cert", "attemptId": "theirs", "artifact": {"sha256": "", "bytes": 1},
                        "consumedAt": ago(1), "retainUntil": ago(-1000)}}),
            );
        }
        None
    });
    stage.download().await.assert_refused(410, "token_used", "already used");
    assert_eq!(stage.receipt().unwrap()["spec"]["attemptId"], "theirs");
}

#[tokio::test]
async fn what_was_ended_before_its_receipt_is_not_sent() {
    type End = fn(&mut Value);
    let ends: [(End, &str); 5] = [
        (
            |request| {
                let deny = json!({"username": "bob", "uid": "", "digest": "", "decision": "Deny", "reason": "no"});
                request["status"]["approvals"] = json!([deny]);
            },
            "Denied",
        ),
        (|request| request["metadata"]["annotations"] = json!({names::REVOKE: "no"}), "Revoked"),
        (
            |request| {
                request["status"]["phase"] = json!("Failed");
                request["status"]["reason"] = json!("EpochChanged");
            },
            "Failed, EpochChanged",
        ),
        (|request| request["metadata"]["deletionTimestamp"] = json!(ago(0)), "Deleted"),
        (|request| request["metadata"]["uid"] = json!("of another request of this name"), "Deleted"),
    ];
    for (end, why) in ends {
        let stage = Stage::of_format("cert").await;
        let api = stage.api.clone();
        stage.api.fail(move |method, path| {
            if is_create_of_receipt(method, path) {
                api.edit(REQUEST, end);
            }
            None
        });
        stage.download().await.assert_refused(410, "token_revoked", &format!("closed ({why})"));
        let outcome = stage.outcome().await;
        assert_eq!((&outcome["outcome"], &outcome["bytesSent"]), (&json!("Aborted"), &json!(0)), "{why}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_read_again_is_not_sent() {
    let stage = Stage::with_flags("cert", &["--receipt-timeout", "1s"]).await;
    let committed = AtomicBool::new(false);
    stage.api.fail(move |method, path| {
        committed.fetch_or(is_create_of_receipt(method, path), Ordering::SeqCst);
        (method == Method::GET && path == REQUEST && committed.load(Ordering::SeqCst)).then_some(Fault::Refuse(500))
    });
    stage.download().await.assert_refused(
        503,
        "unavailable",
        "whether this request was revoked meanwhile is not known",
    );
    assert_eq!(stage.outcome().await["outcome"], "Aborted");
}

#[tokio::test]
async fn a_controller_that_sees_the_receipt_first_stops_nothing() {
    let stage = Stage::of_format("cert").await;
    let api = stage.api.clone();
    stage.api.fail(move |method, path| {
        if is_create_of_receipt(method, path) {
            api.edit(REQUEST, |request| request["status"]["phase"] = json!("Consumed"));
        }
        None
    });
    assert_eq!(stage.download().await.status, 200);
}

#[tokio::test]
async fn facts_that_come_too_late_deliver_nothing() {
    let stage = Stage::with_flags("cert", &["--decision-timeout", "1s"]).await;
    stage.api.fail(|_, path| path.ends_with("certificatepolicies").then_some(Fault::DoneWithoutAnswer));
    stage.download().await.assert_refused(503, "unavailable", "too old");
    stage.api.fail(|_, path| (path == SECRET).then_some(Fault::Refuse(500)));
    stage.download().await.assert_refused(503, "unavailable", "try again");
    assert!(!stage.api.take_log().iter().any(|call| call.starts_with("POST") && call.ends_with("downloadreceipts")));
    stage.api.fail(|_, _| None);
    assert_eq!(stage.download().await.status, 200);
}

#[tokio::test]
async fn an_api_server_that_is_gone_is_a_503_and_never_a_500() {
    let stage = Stage::of_format("cert").await;
    stage.api.fail(|_, _| Some(Fault::DoneWithoutAnswer));
    for answer in [stage.download().await, stage.status().await] {
        answer.assert_refused(503, "unavailable", "the token is still valid");
    }
}

#[tokio::test]
async fn an_outcome_is_written_again_until_it_is_there() {
    let stage = Stage::of_format("cert").await;
    let failures = AtomicUsize::new(0);
    stage.api.fail(move |method, path| {
        (method == Method::PUT && path.ends_with("/status"))
            .then(|| match failures.fetch_add(1, Ordering::SeqCst) {
                0 => Some(Fault::Refuse(503)),
                1 => Some(Fault::DoneButAnswer(504)),
                _ => None,
            })
            .flatten()
    });
    assert_eq!(stage.download().await.status, 200);
    assert_eq!(stage.outcome().await["outcome"], "Delivered");
}

#[tokio::test]
async fn in_a_race_with_faults_there_is_still_one_delivery() {
    for round in 0..5_usize {
        let stage = Stage::with_flags("cert", &PATIENT).await;
        let replicas = [stage.app.clone(), Stage::replica(&stage.api, &PATIENT)];
        let calls = Arc::new(AtomicUsize::new(round));
        stage.api.fail(move |method, path| {
            if !is_create_of_receipt(method, path) {
                return None;
            }
            match calls.fetch_add(1, Ordering::SeqCst) % 4 {
                0 => Some(Fault::Refuse(504)),
                1 => Some(Fault::DoneButAnswer(504)),
                2 => Some(Fault::Late(Duration::from_millis(200))),
                _ => None,
            }
        });
        let racing = (0..24).map(|number| {
            let app = replicas[number % 2].clone();
            async move { Answer::read(app.oneshot(get(&token())).await.unwrap()).await }
        });
        let answers = join_all(racing).await;
        let delivered = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(delivered, 1, "{:?}", answers.iter().map(|answer| answer.status.as_u16()).collect::<Vec<_>>());
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert!([410, 503].contains(&answer.status.as_u16()), "{answer:?}");
        }
        assert!(stage.receipt().is_some());
    }
}
