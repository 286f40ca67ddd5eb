//! Each arrow of the state table that needs no votes, on the real API server.

use certcourier::api::{DownloadReceipt, DownloadRequest, Phase, TokenEnd, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::json;

use super::{
    stage::Stage,
    world::{World, condition, message},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_fails_and_says_which_policy_and_what_to_do() {
    let world = World::new(Stage::shared().await, "refused").await;
    world.request("alice", "key", json!({"format": "key"})).await;
    let (phase, request) = world.wait_finished("key").await;
    let status = request.status.unwrap();
    assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some("KeyExportDisabled")));
    assert!(message(&status, "Finished").contains("key export disabled"), "{status:?}");
    assert_eq!(condition(&status, "Approved"), "False/Refused");
    let wait = world.kubectl("alice", &["wait", "dlr/key", "--for=condition=Finished", "--timeout=5s"]).await;
    assert!(wait.succeeded(), "kubectl wait ends in every outcome: {}", wait.stderr);

    world.policy("cert-only", json!({"allowedFormats": ["cert"]})).await;
    world.policy("der-only", json!({"allowedFormats": ["der"]})).await;
    world.request("carol", "none", json!({"format": "cert"})).await;
    let (_, request) = world.wait_finished("none").await;
    let words = message(&request.status.unwrap(), "Finished");
    assert!(words.contains("cert-only") && words.contains("der-only"), "both are named: {words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_comes_late_is_waited_for_and_one_that_never_comes_fails_the_request() {
    let world = World::empty(Stage::shared().await, "late").await;
    world.request("carol", "late", json!({"format": "cert"})).await;
    world.request("carol", "never", json!({"format": "cert", "certificateRef": {"name": "never"}})).await;
    let request = world.wait("late", "waiting", |s| condition(s, "Approved") == "Unknown/WaitingForCertificate").await;
    assert_eq!(request.status.unwrap().phase, Some(Phase::Pending));
    world.secret("api-tls", &world.leaf).await;
    world.certificate("api", &[("production", "api-tls")]).await;
    world.wait_for_phase("late", Phase::TokenIssued).await;
    let (phase, request) = world.wait_finished("never").await;
    assert_eq!((phase, request.status.unwrap().reason.as_deref()), (Phase::Failed, Some("CertificateNotFound")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_and_another_is_had_by_annotation_and_the_old_one_says_so() {
    let world = World::new(Stage::shared().await, "expiry").await;
    let first = world.issue("carol", "short", json!({"format": "cert", "tokenTTL": "1s"})).await;
    let request = world.wait("short", "expired", |s| condition(s, "TokenIssued") == "False/TokenExpired").await;
    assert_eq!(request.status.as_ref().unwrap().phase, Some(Phase::Approved));
    assert!(message(request.status.as_ref().unwrap(), "TokenIssued").contains(names::MINT));
    let answer = world.redeem(&first).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_expired"), "{}", answer.text());
    assert!(answer.json("error_description").starts_with("token expired"), "{}", answer.text());
    world
        .until("the Secret is gone", || async {
            world.api::<Secret>().get_opt("short-download-token").await.unwrap().is_none()
        })
        .await;

    let long = world.issue("carol", "long", json!({"format": "cert"})).await;
    world.annotate("carol", "long", names::MINT, "1").await.unwrap();
    let request = world
        .wait("long", "minted anew", |s| s.token.as_ref().is_some_and(|t| t.generation == 2 && t.hash.is_some()))
        .await;
    assert_eq!(request.status.unwrap().token.unwrap().previous[0].why, TokenEnd::Replaced);
    let answer = world.redeem(&long).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_replaced"), "{}", answer.text());
    let new = world.token_part("carol", "long", "token").await.unwrap();
    assert_eq!(world.redeem(&new).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn validity_and_deadline_end_a_request() {
    let world = World::new(Stage::shared().await, "ends").await;
    let soon = (Timestamp::now() + SignedDuration::from_secs(3)).to_string();
    let token = world.issue("carol", "deadline", json!({"format": "cert", "deadline": soon})).await;
    let (phase, _) = world.wait_finished("deadline").await;
    assert_eq!(phase, Phase::Expired);
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_expired"), "{}", answer.text());

    let past = (Timestamp::now() - SignedDuration::from_secs(60)).to_string();
    world.request("carol", "copy", json!({"format": "cert", "deadline": past})).await;
    let (phase, request) = world.wait_finished("copy").await;
    assert_eq!((phase, request.status.unwrap().reason.as_deref()), (Phase::Failed, Some("DeadlinePassed")));
    assert!(world.token_part("carol", "copy", "token").await.is_err(), "a copy made too late does nothing");

    world.policy("short", json!({"approval": {"validity": "2s"}})).await;
    world.request("carol", "validity", json!({"format": "cert"})).await;
    let (phase, _) = world.wait_finished("validity").await;
    assert_eq!(phase, Phase::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_request_is_over_for_good() {
    let world = World::new(Stage::shared().await, "revoke").await;
    let token = world.issue("carol", "leaked", json!({"format": "cert"})).await;
    world.annotate("bob", "leaked", names::REVOKE, "seen in a chat").await.unwrap();
    let (phase, request) = world.wait_finished("leaked").await;
    assert_eq!(
        (phase, message(request.status.as_ref().unwrap(), "Finished").as_str()),
        (Phase::Revoked, "revoked: seen in a chat")
    );
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_revoked"), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_tightens_ends_what_is_under_way() {
    let world = World::new(Stage::shared().await, "tighten").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    world.issue("alice", "key", json!({"format": "key"})).await;
    world.policy("keys", json!({"allowKeyExport": "Never"})).await;
    let (phase, request) = world.wait_finished("key").await;
    let status = request.status.unwrap();
    assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some("PolicyRefused")));
    assert!(message(&status, "Finished").contains("KeyExportDisabled"), "{status:?}");
    assert_eq!(status.token.unwrap().hash, None, "the token is dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_for_its_claimer() {
    let world = World::new(Stage::shared().await, "claim").await;
    world.request("carol", "claim", json!({"format": "cert", "delivery": "Claim"})).await;
    let request =
        world.wait("claim", "awaiting a claim", |s| condition(s, "TokenIssued") == "False/AwaitingClaim").await;
    assert_eq!(request.status.unwrap().phase, Some(Phase::Approved));
    assert!(world.api::<Secret>().get_opt("claim-download-token").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_without_an_outcome_becomes_unknown_and_wins_over_the_phase() {
    let world = World::new(Stage::shared().await, "unknown").await;
    world.issue("carol", "crashed", json!({"format": "cert"})).await;
    let request = world.get("crashed").await;
    // What a server leaves behind that dies between receipt and stream: a receipt without an outcome.
    let server = world.stage.plane.service_account(super::stage::SYSTEM, "server", &[]).await.unwrap();
    let receipt: DownloadReceipt = serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt",
        "metadata": {"name": certcourier::kube::receipts::name_of(&request.metadata.uid.clone().unwrap())},
        "spec": {
            "requestRef": {"name": "crashed", "uid": request.metadata.uid},
            "certificateRef": {"name": "api"}, "format": "cert", "attemptId": "a",
            "artifact": {"sha256": "", "bytes": 1}, "fingerprints": [],
            "consumedAt": Timestamp::now(), "retainUntil": Timestamp::now() + SignedDuration::from_hours(24),
        },
    }))
    .unwrap();
    let receipts: kube::Api<DownloadReceipt> = kube::Api::namespaced(server.client, &world.namespace);
    receipts.create(&Default::default(), &receipt).await.unwrap();
    let request = world.wait_for_phase("crashed", Phase::Consumed).await;
    assert_eq!(condition(request.status.as_ref().unwrap(), "Finished"), "False/Open");
    let (_, request) = world.wait_finished("crashed").await;
    assert_eq!(condition(request.status.as_ref().unwrap(), "Finished"), "True/Unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_requests_and_old_receipts_are_removed_when_policy_says_and_not_before() {
    let world = World::new(Stage::shared().await, "cleanup").await;
    world.policy("tidy", json!({"finishedRequestTTL": "1s"})).await;
    let token = world.issue("carol", "tidy", json!({"format": "cert"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    world
        .until("the finished request is gone", || async {
            world.api::<DownloadRequest>().get_opt("tidy").await.unwrap().is_none()
        })
        .await;
    assert_eq!(world.receipts().await.len(), 1, "its receipt stays");

    world.policy("tidy", json!({"reasonRequired": false})).await;
    let token = world.issue("carol", "stays", json!({"format": "cert"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    let (_, request) = world.wait_finished("stays").await;
    // Nobody else deletes a receipt, not even a cluster admin.
    let receipt = world.receipt_of(&request).await.unwrap().metadata.name.unwrap();
    let error = world.api::<DownloadReceipt>().delete(&receipt, &DeleteParams::default()).await.unwrap_err();
    assert!(super::world::words(&error).contains("downloadreceipts.certcourier.io"), "{error}");
}
