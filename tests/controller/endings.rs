//! How requests end, and what becomes of them and their receipts.

use certcourier::api::{
    Certificate, CertificatePolicy, DownloadReceipt, DownloadReceiptStatus, DownloadRequest, DownloadRequestStatus,
    Outcome, Phase, names,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_support::{
    next_second,
    request::{condition, hash, message, phase},
};

use crate::world::{World, leaf};

const SECRET: &str = "full-download-token";

/// Certificate, people, a controller, and a request with a token.
async fn issued(world: &World, spec: Value) -> DownloadRequest {
    world.furnish().await;
    world.people().await;
    world.request("full", "fullchain", spec).await;
    world.wait_for_phase("full", Phase::TokenIssued).await
}

async fn all_is_swept(world: &World) {
    world.wait_gone::<Secret>(SECRET).await;
    world.until("swept", async || world.readers().await.is_empty()).await;
}

#[tokio::test]
async fn what_policy_or_input_forbids_fails_with_a_sentence() {
    let world = World::new("endings").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[]).await;
    let past = (Timestamp::now() - SignedDuration::from_secs(5)).to_string();
    let missing = json!({"certificateRef": {"name": "gone"}});
    for (name, person, format, spec, reason, said) in [
        ("key", "alice", "key", json!({}), "KeyExportDisabled", "allowKeyExport is Never"),
        ("verb", "mallory", "fullchain", json!({}), "AccessRefused", "lacks verb `download`"),
        ("ttl", "carol", "fullchain", json!({"tokenTTL": "2h"}), "TokenTTLTooLong", "ask for less"),
        ("past", "carol", "fullchain", json!({"deadline": past}), "DeadlinePassed", "later deadline"),
        ("where", "carol", "fullchain", json!({"environment": "moon"}), "UnknownEnvironment", "it has production"),
        ("ca", "carol", "ca", json!({}), "NoCa", "there is no ca.crt"),
        ("gone", "carol", "fullchain", missing, "CertificateNotFound", "no Certificate `gone`"),
    ] {
        world.request_by(person, name, format, spec).await;
        let failed = world.wait_for_phase(name, Phase::Failed).await;
        assert_eq!(failed.status.as_ref().unwrap().reason.as_deref(), Some(reason), "{name}");
        assert_eq!(
            (condition(&failed, "Finished").as_str(), condition(&failed, "Approved").as_str()),
            ("True/Failed", "False/Refused"),
            "{name}"
        );
        let message = message(&failed, "Finished");
        assert!(message.contains(said), "{name}: {message}");
        assert!(world.api::<Secret>().get_opt(&names::token_secret(name)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_request_that_is_deleted_and_held_by_a_finalizer_is_closed_and_swept() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[]).await;
    issued(&world, json!({})).await;
    let requests = world.api::<DownloadRequest>();
    let finalizers = |list: Value| Patch::Merge(json!({"metadata": {"finalizers": list}}));
    requests.patch("full", &PatchParams::default(), &finalizers(json!(["example.com/keep"]))).await.unwrap();
    requests.delete("full", &DeleteParams::default()).await.unwrap();
    let closed = world.wait_for_phase("full", Phase::Revoked).await;
    assert_eq!(condition(&closed, "Finished"), "True/Revoked");
    all_is_swept(&world).await;
    requests.patch("full", &PatchParams::default(), &finalizers(json!([]))).await.unwrap();
    world.wait_gone::<DownloadRequest>("full").await;
}

#[tokio::test]
async fn a_request_waits_a_while_for_its_certificate_and_secret() {
    let world = World::new("endings").await;
    world.people().await;
    let _controller = world.controller(&[("--certificate-wait", "15s")]).await;
    world.request("full", "fullchain", json!({})).await;
    let waits = |status: &DownloadRequestStatus| condition(status, "Approved") == "Unknown/WaitingForCertificate";
    let waiting = world.wait("full", "waiting", waits).await;
    assert!(message(&waiting, "Approved").contains("no Certificate `api`"));
    world.certificate_only().await;
    let of_secret = |status: &DownloadRequestStatus| message(status, "Approved").contains("Secret `api-tls`");
    world.wait("full", "waiting for the Secret", of_secret).await;
    world.tls_secret("api-tls", &leaf()).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
}

#[tokio::test]
async fn a_token_runs_out_and_can_be_had_again_until_the_deadline() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[]).await;
    // Objects hold whole seconds.
    let deadline = Timestamp::from_second(Timestamp::now().as_second() + 9).unwrap();
    let first = issued(&world, json!({"tokenTTL": "2s", "deadline": deadline.to_string()})).await;
    let expired = |status: &DownloadRequestStatus| condition(status, "TokenIssued") == "False/TokenExpired";
    let over = world.wait("full", "expired", expired).await;
    assert_eq!(phase(&over), Phase::Approved);
    assert!(hash(&over).is_none());
    let message = message(&over, "TokenIssued");
    let again = format!("kubectl annotate dlr full -n {} --overwrite certcourier.io/mint=", world.namespace);
    assert!(message.contains(&again), "{message}");
    all_is_swept(&world).await;
    world.merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::MINT: "2"}}})).await;
    let second = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_ne!(hash(&first), hash(&second));
    let end = world.wait_for_phase("full", Phase::Expired).await;
    assert_eq!(condition(&end, "Finished"), "True/Expired");
    assert!(Timestamp::now() >= deadline);
    all_is_swept(&world).await;
}

#[tokio::test]
async fn a_token_that_ran_out_while_no_controller_was_there_is_found_dead() {
    let world = World::new("endings").await;
    let controller = world.controller(&[]).await;
    issued(&world, json!({"tokenTTL": "2s"})).await;
    controller.kill().await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let _controller = world.controller(&[]).await;
    world.wait("full", "expired", |status| condition(status, "TokenIssued") == "False/TokenExpired").await;
    all_is_swept(&world).await;
}

#[tokio::test]
async fn a_revoked_request_loses_its_token_at_once() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[]).await;
    issued(&world, json!({})).await;
    world
        .merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::REVOKE: "laptop stolen"}}}))
        .await;
    let revoked = world.wait_for_phase("full", Phase::Revoked).await;
    assert!(hash(&revoked).is_none());
    assert!(message(&revoked, "Finished").contains("laptop stolen"));
    all_is_swept(&world).await;
}

#[tokio::test]
async fn a_policy_that_is_tightened_ends_a_request_that_it_refuses() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[]).await;
    issued(&world, json!({})).await;
    world.policy("only-cert", json!({"allowedFormats": ["cert"]})).await;
    let failed = world.wait_for_phase("full", Phase::Failed).await;
    assert_eq!(failed.status.as_ref().unwrap().reason.as_deref(), Some("PolicyRefused"));
    assert!(message(&failed, "Finished").contains("policy only-cert"));
    all_is_swept(&world).await;
}

#[tokio::test]
async fn material_that_becomes_unusable_stalls_a_request_and_mended_frees_it() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[]).await;
    let before = issued(&world, json!({})).await;
    world.delete::<Secret>("api-tls").await;
    let stalled = world.wait("full", "stalled", |status| condition(status, "Stalled") == "True/MaterialUnusable").await;
    assert_eq!((phase(&stalled), hash(&stalled)), (Phase::TokenIssued, hash(&before)));
    assert!(message(&stalled, "Stalled").contains("Secret `api-tls` does not exist"));
    world.tls_secret("api-tls", &leaf()).await;
    let mended = world.wait("full", "not stalled", |status| condition(status, "Stalled") == "False/NotStalled").await;
    assert_eq!(hash(&mended), hash(&before));
    world.delete::<Certificate>("api").await;
    world.wait("full", "stalled again", |status| condition(status, "Stalled") == "True/MaterialUnusable").await;
}

#[tokio::test]
async fn the_receipt_ends_a_request_and_its_outcome_finishes_it() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[]).await;
    let request = issued(&world, json!({})).await;
    let receipt = world.receipt(&request, 0, 86_400).await;
    let consumed = world.wait_for_phase("full", Phase::Consumed).await;
    assert_eq!(consumed.status.as_ref().unwrap().receipt_ref.as_ref().unwrap().name, receipt.name_any());
    assert_eq!(condition(&consumed, "Finished"), "False/Open");
    all_is_swept(&world).await;
    let outcome = DownloadReceiptStatus {
        outcome: Some(Outcome::Delivered),
        bytes_sent: Some(7),
        finished_at: Some(Time(Timestamp::now())),
    };
    let delivered = DownloadReceipt { status: Some(outcome), ..receipt };
    let api = world.api::<DownloadReceipt>();
    api.replace_status(&delivered.name_any(), &PostParams::default(), &delivered).await.unwrap();
    let finished = world.wait("full", "finished", |status| condition(status, "Finished") == "True/Delivered").await;
    assert!(message(&finished, "Finished").contains("7 bytes"));
}

#[tokio::test]
async fn the_receipt_wins_over_a_revocation_that_came_first() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[("--outcome-wait", "2s")]).await;
    let request = issued(&world, json!({})).await;
    world.merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::REVOKE: "late"}}})).await;
    world.wait_for_phase("full", Phase::Revoked).await;
    world.receipt(&request, 0, 86_400).await;
    // Not before it is known that something may have left: nobody reports an outcome here, so that is Unknown.
    world.wait_for_phase("full", Phase::Consumed).await;
}

#[tokio::test]
async fn a_delivery_that_nobody_reports_on_is_unknown_after_a_while() {
    let world = World::new("endings").await;
    let controller = world.controller(&[("--outcome-wait", "2s")]).await;
    let request = issued(&world, json!({})).await;
    let receipt = world.receipt(&request, 0, 86_400).await;
    let unknown =
        |receipt: &DownloadReceipt| receipt.status.as_ref().and_then(|status| status.outcome) == Some(Outcome::Unknown);
    world.wait_for::<DownloadReceipt>(&receipt.name_any(), "unknown", unknown).await;
    world.wait("full", "finished", |status| condition(status, "Finished") == "True/Unknown").await;
    controller.says("\"outcome\":\"Unknown\"").await;
}

#[tokio::test]
async fn a_receipt_goes_when_its_time_is_over_and_its_request_finished_and_not_before() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[("--outcome-wait", "4s")]).await;
    let request = issued(&world, json!({})).await;
    // Its time is over long before the outcome is known.
    let due = world.receipt(&request, 3600, 60).await;
    let mut gone = request.clone();
    gone.metadata.uid = Some("of-nobody".to_owned());
    let retained = world.receipt(&gone, 10, 86_400).await;
    world.wait_gone::<DownloadReceipt>(&due.name_any()).await;
    let request = world.get("full").await;
    assert!(condition(&request, "Finished").starts_with("True/"), "deleted before its request was finished");
    assert!(world.api::<DownloadReceipt>().get_opt(&retained.name_any()).await.unwrap().is_some());
}

#[tokio::test]
async fn finished_requests_go_when_a_policy_says_so_and_stay_otherwise() {
    let world = World::new("endings").await;
    let _controller = world.controller(&[("--api-request-ttl", "1s")]).await;
    world.furnish().await;
    world.people().await;
    world.request("stays", "key", json!({})).await;
    world.wait_for_phase("stays", Phase::Failed).await;
    let made_by_api = json!({
        "metadata": {"name": "api-made", "labels": {names::CREATED_BY: names::CREATED_BY_API}},
        "spec": {"certificateRef": {"name": "api"}, "format": "key", "requestedBy": {"username": "carol"}},
    });
    world.create::<DownloadRequest>(made_by_api).await;
    world.wait_gone::<DownloadRequest>("api-made").await;
    assert_eq!(phase(&world.get("stays").await), Phase::Failed);
    world.policy("tidy", json!({"finishedRequestTTL": "1s"})).await;
    world.wait_gone::<DownloadRequest>("stays").await;
    world.delete::<CertificatePolicy>("tidy").await;
}

#[tokio::test]
async fn of_one_requester_the_newest_finished_requests_stay_and_the_record_says_why_the_others_went() {
    let world = World::new("finished").await;
    world.furnish().await;
    world.people().await;
    // However long a policy lets them stay.
    world.policy("kept", json!({"finishedRequestTTL": "never"})).await;
    let controller = world.controller(&[("--max-finished-requests", "2")]).await;
    let mut uids = Vec::new();
    world.request_by("alice", "hers", "key", json!({})).await;
    world.wait_for_phase("hers", Phase::Failed).await;
    for name in ["one", "two", "three", "four"] {
        let made = world.request(name, "key", json!({})).await;
        uids.push(made.uid().unwrap());
        world.wait_for_phase(name, Phase::Failed).await;
        next_second().await;
    }
    for name in ["one", "two"] {
        world.wait_gone::<DownloadRequest>(name).await;
    }
    controller.says(&format!("{}/deleted", uids[1])).await;
    let log = controller.log();
    let line = log.lines().find(|line| line.contains(&format!("{}/deleted", uids[1]))).unwrap();
    assert!(line.contains("its requester has 2 newer finished requests here, the maximum"), "{line}");
    // The newest of this requester, and another's, are there.
    for name in ["three", "four", "hers"] {
        assert_eq!(phase(&world.get(name).await), Phase::Failed, "{name}");
    }
    drop(controller);

    // Another leader counts what there is.
    let _next = world.controller(&[("--max-finished-requests", "1")]).await;
    world.wait_gone::<DownloadRequest>("three").await;
    assert_eq!(phase(&world.get("four").await), Phase::Failed);
}

#[tokio::test]
async fn more_open_requests_than_one_may_have_fail_and_the_oldest_stay() {
    let world = World::new("crowd").await;
    world.furnish().await;
    world.people().await;
    world.policy("all", json!({"approval": {"requiredFor": "All"}})).await;
    let controller = world.controller(&[("--max-open-requests", "2")]).await;
    for name in ["one", "two"] {
        world.request(name, "cert", json!({})).await;
        world.wait_for_phase(name, Phase::AwaitingApproval).await;
    }
    let failed = async |name: &str| {
        next_second().await;
        world.request(name, "cert", json!({})).await;
        let failed = world.wait_for_phase(name, Phase::Failed).await;
        assert_eq!(failed.status.as_ref().unwrap().reason.as_deref(), Some("TooManyOpenRequests"));
        let message = message(&failed, "Finished");
        assert!(message.contains("carol has 2 open requests in this namespace already"), "{message}");
    };
    failed("three").await;
    // Somebody else has room of their own.
    world.request_by("alice", "hers", "cert", json!({})).await;
    world.wait_for_phase("hers", Phase::AwaitingApproval).await;
    world.merge::<DownloadRequest>("one", json!({"metadata": {"annotations": {names::REVOKE: "enough"}}})).await;
    world.wait_for_phase("one", Phase::Revoked).await;
    // The controller's own watch must have seen it, too.
    controller.says("revoked: enough").await;
    world.request("four", "cert", json!({})).await;
    world.wait_for_phase("four", Phase::AwaitingApproval).await;
    assert_eq!(phase(&world.get("two").await), Phase::AwaitingApproval);
    drop(controller);

    // Another leader counts what there is.
    let _next = world.controller(&[("--max-open-requests", "2")]).await;
    failed("five").await;
}

#[tokio::test]
async fn a_deleted_request_is_told_with_where_it_stood() {
    let world = World::new("deleted").await;
    world.furnish().await;
    world.people().await;
    world.policy("all", json!({"approval": {"requiredFor": "All"}})).await;
    let controller = world.controller(&[]).await;
    let made = world.request("waits", "cert", json!({})).await;
    world.wait_for_phase("waits", Phase::AwaitingApproval).await;
    // The controller has seen what it wrote once it asks nobody any more; the record needs the phase.
    controller.says("approval.requested").await;
    world.delete::<DownloadRequest>("waits").await;
    controller.says(&format!("{}/deleted", made.uid().unwrap())).await;
    let log = controller.log();
    let line = log.lines().find(|line| line.contains("request.deleted")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["data"]["request"], &line["data"]["requester"]), (&json!("waits"), &json!("carol")));
    assert!(line["data"]["message"].as_str().unwrap().starts_with("it was open (AwaitingApproval)"), "{line}");
    assert_eq!(log.matches("request.deleted").count(), 1);
}
