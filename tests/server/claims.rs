//! Mint and claim while the API server fails: never two tokens that work, never a token that nobody knows of and that
//! counts, and whoever gets none is told what to do.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};
use test_support::waiting::until;

use super::{
    fake_api::{Fault, GROUP},
    stage::{AUDIT, Answer, LOG, NAMESPACE, Stage, path},
};

const MINT: &str = "/api/v1/projects/payments/certificates/api/downloads";

fn requests() -> String {
    format!("{GROUP}/{NAMESPACE}/downloadrequests")
}

async fn post(stage: &Stage, path: &str, body: &str) -> Answer {
    let request =
        Request::post(path).header("authorization", "Bearer token-of-carol").body(Body::from(body.to_owned()));
    stage.send(request.unwrap()).await
}

async fn mint(stage: &Stage) -> Answer {
    post(stage, MINT, r#"{"format":"cert"}"#).await
}

/// A stage with no request yet.
async fn stage() -> Stage {
    let stage = Stage::with_flags("cert", &["--receipt-timeout", "1s"]).await;
    stage.api.remove(super::stage::REQUEST);
    stage
}

fn is_create(method: &Method, path: &str) -> bool {
    method == Method::POST && path == requests()
}

fn is_claim(method: &Method, path: &str) -> bool {
    method == Method::PUT && path.starts_with(&requests())
}

/// Fails the first `times` calls that fit.
fn fail(stage: &Stage, fits: fn(&Method, &str) -> bool, times: usize, fault: Fault) {
    let count = AtomicUsize::new(0);
    stage.api.fail(move |method, path| {
        (fits(method, path) && count.fetch_add(1, Ordering::SeqCst) < times).then_some(fault)
    });
}

fn calls(stage: &Stage, fits: fn(&Method, &str) -> bool) -> usize {
    let log = stage.api.take_log();
    let split = |call: &String| call.split_once(' ').map(|(method, path)| (method.parse().unwrap(), path.to_owned()));
    log.iter().filter_map(split).filter(|(method, path): &(Method, String)| fits(method, path)).count()
}

fn the_request(stage: &Stage) -> Value {
    let mut found = stage.api.list(&requests());
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

async fn works(stage: &Stage, answer: &Answer) {
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let file = stage.send(Request::get(format!("/api/v1/downloads/{token}")).body(Body::empty()).unwrap()).await;
    assert_eq!(file.status, 200, "{}", String::from_utf8_lossy(&file.body));
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_request_was_created_still_mints_once() {
    for fault in [Fault::DoneButAnswer(504), Fault::DoneButAnswer(500), Fault::DoneWithoutAnswer] {
        let stage = stage().await;
        fail(&stage, is_create, 9, fault);
        let answer = mint(&stage).await;
        assert_eq!(calls(&stage, is_create), 1, "{fault:?}: a create is sent once");
        assert_eq!(the_request(&stage)["metadata"]["name"], answer.json()["request"]);
        works(&stage, &answer).await;
    }
}

#[tokio::test]
async fn a_request_that_could_not_be_created_is_named_in_the_refusal() {
    let stage = stage().await;
    fail(&stage, is_create, 9, Fault::Refuse(504));
    let answer = mint(&stage).await;
    answer.assert_refused(503, "unavailable", "/api/v1/projects/payments/requests/api-cert-");
    assert!(answer.headers.contains_key("retry-after") && stage.api.list(&requests()).is_empty());
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_token_was_written_is_settled_by_reading() {
    for fault in [Fault::DoneButAnswer(504), Fault::DoneButAnswer(500), Fault::DoneWithoutAnswer] {
        let stage = stage().await;
        fail(&stage, is_claim, 9, fault);
        let answer = mint(&stage).await;
        assert_eq!(calls(&stage, is_claim), 1, "{fault:?}");
        assert_eq!(the_request(&stage)["status"]["token"]["generation"], 1);
        stage.api.fail(|_, _| None);
        works(&stage, &answer).await;
    }
}

#[tokio::test]
async fn a_token_that_could_not_be_written_is_claimed_from_the_request_that_is_there() {
    for fault in [Fault::Refuse(500), Fault::Refuse(504), Fault::Refuse(403), Fault::Refuse(429)] {
        let stage = stage().await;
        fail(&stage, is_claim, 9, fault);
        let answer = mint(&stage).await;
        let request = the_request(&stage);
        let claim =
            format!("/api/v1/projects/payments/requests/{}/token", request["metadata"]["name"].as_str().unwrap());
        answer.assert_refused(503, "unavailable", &claim);
        assert!(request["status"].is_null(), "{fault:?}");
        stage.api.fail(|_, _| None);
        works(&stage, &post(&stage, &claim, "").await).await;
    }
}

#[tokio::test]
async fn conflicts_are_tried_again_three_times() {
    for (times, status) in [(0, 201), (1, 201), (2, 201), (3, 409)] {
        let stage = stage().await;
        fail(&stage, is_claim, times, Fault::Refuse(409));
        let answer = mint(&stage).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
        if status == 201 {
            works(&stage, &answer).await;
        } else {
            answer.assert_refused(409, "claim_conflict", "was created");
            answer.assert_refused(409, "claim_conflict", "kept changing");
            assert_eq!(calls(&stage, is_claim), 3);
        }
    }
}

#[tokio::test]
async fn a_claim_that_was_overtaken_says_so_and_leaves_the_other_token_alone() {
    let stage = stage().await;
    let first = mint(&stage).await;
    let name = first.json()["request"].as_str().unwrap().to_owned();
    let (api, object) = (stage.api.clone(), path("downloadrequests", &name));
    let once = Arc::new(Mutex::new(Some(())));
    stage.api.fail(move |method, path| {
        if is_claim(method, path) && once.lock().unwrap().take().is_some() {
            // Somebody else's claim, as it would be written.
            api.edit(&object, |request| {
                request["status"]["token"]["generation"] = json!(2);
                request["status"]["token"]["hash"] = json!("f".repeat(64));
            });
        }
        None
    });
    let second = post(&stage, &format!("/api/v1/projects/payments/requests/{name}/token"), "").await;
    second.assert_refused(409, "claim_conflict", "faster");
    assert_eq!(the_request(&stage)["status"]["token"]["hash"], "f".repeat(64));
}

#[tokio::test]
async fn a_request_that_is_gone_or_going_has_no_token_for_anybody() {
    let stage = stage().await;
    let name = mint(&stage).await.json()["request"].as_str().unwrap().to_owned();
    let claim = format!("/api/v1/projects/payments/requests/{name}/token");
    stage.api.edit(&path("downloadrequests", &name), |request| {
        request["metadata"]["deletionTimestamp"] = json!("2026-11-22T08:00:00Z");
    });
    post(&stage, &claim, "").await.assert_refused(409, "request_closed", "being deleted");
    let (api, object) = (stage.api.clone(), path("downloadrequests", &name));
    stage.api.edit(&object, |request| request["metadata"]["deletionTimestamp"] = Value::Null);
    stage.api.fail({
        let object = object.clone();
        move |method, path| {
            if is_claim(method, path) {
                api.remove(&object);
            }
            None
        }
    });
    post(&stage, &claim, "").await.assert_refused(409, "request_closed", "deleted in the meantime");
}

#[tokio::test]
async fn who_asks_too_often_waits_whatever_the_address_and_nobody_else_does() {
    let stage = Stage::with_flags("cert", &["--rate-per-person", "1", "--rate-person-burst", "2"]).await;
    stage.api.remove(super::stage::REQUEST);
    for _ in 0..2 {
        assert_eq!(mint(&stage).await.status, 201);
    }
    let waits = mint(&stage).await;
    waits.assert_refused(429, "rate_limited", "in your name");
    assert!(waits.headers.contains_key("retry-after"));
    assert_eq!(stage.api.list(&requests()).len(), 2, "nothing is created");
    let other = Request::post(MINT).header("authorization", "Bearer token-of-alice");
    assert_eq!(stage.send(other.body(Body::from(r#"{"format":"cert"}"#)).unwrap()).await.status, 201);
}

#[tokio::test]
async fn the_log_holds_neither_the_token_nor_the_passphrase_nor_the_bearer_token() {
    let stage = stage().await;
    stage.api.put(super::stage::POLICY, super::stage::policy(&json!({"allowKeyExport": "Always"})));
    let given = post(&stage, MINT, r#"{"format":"pkcs12","passphrase":"canary-of-a-mint"}"#).await;
    let name = given.json()["request"].as_str().unwrap().to_owned();
    let claim = format!("/api/v1/projects/payments/requests/{name}/token");
    let claimed = post(&stage, &claim, r#"{"passphrase":"canary-of-a-claim"}"#).await;
    let generated = post(&stage, MINT, r#"{"format":"zip"}"#).await;
    let wrong = post(&stage, MINT, r#"{"format":"zip","passphrase":["canary-of-a-mistake"]}"#).await;
    wrong.assert_refused(400, "bad_request", "line 1");
    let text = |answer: &Answer, field: &str| answer.json()[field].as_str().unwrap().to_owned();
    let tail = |token: String| token[token.len() - 49..][..20].to_owned();
    let secrets = [
        tail(text(&given, "token")),
        tail(text(&claimed, "token")),
        tail(text(&generated, "token")),
        text(&generated, "passphrase"),
        "canary-of-a".to_owned(),
        "token-of-carol".to_owned(),
    ];
    let minted = |line: &&str| line.contains("\"token.minted\"") && line.contains(&name);
    until("both are on record", async || AUDIT.text().lines().filter(minted).count() == 2).await;
    let log = LOG.text() + &AUDIT.text();
    for secret in secrets {
        assert_eq!(log.lines().find(|line| line.contains(&secret)), None, "{secret}");
    }
    let objects = serde_json::to_string(&stage.api.list(&requests())).unwrap();
    assert!(!objects.contains("canary") && !objects.contains(&text(&generated, "passphrase")));
}

#[tokio::test]
async fn who_may_nothing_causes_no_call_with_the_operators_rights_and_learns_nothing() {
    let stage = stage().await;
    stage.api.put("/refused/download/api", json!({"metadata": {}}));
    stage.api.put("/refused/download/absent", json!({"metadata": {}}));
    stage.api.take_log();
    // The fake lets the create through that is tried for the API server's words.
    let known = mint(&stage).await;
    known.assert_refused(403, "forbidden", "certificates.certcourier.io/api");
    let log = stage.api.take_log();
    for call in ["/certificates/", "/certificatepolicies", "/secrets/", "/subjectaccessreviews"] {
        assert!(!log.iter().any(|made| made.contains(call)), "{log:?}");
    }
    let unknown = post(&stage, &MINT.replace("/api/downloads", "/absent/downloads"), r#"{"format":"cert"}"#).await;
    let without = |answer: &Answer| {
        let mut json = answer.json();
        json["request_id"] = Value::Null;
        json.to_string().replace("absent", "api")
    };
    assert_eq!(without(&known), without(&unknown));
}

#[tokio::test]
async fn without_proof_that_the_policies_stand_no_key_is_minted_or_even_asked_for() {
    let stage = stage().await;
    stage.api.remove(super::stage::RECORD);
    for rules in [json!({"allowKeyExport": "Always"}), json!({"allowKeyExport": "WithApproval"})] {
        stage.api.put(super::stage::POLICY, super::stage::policy(&rules));
        let key = post(&stage, MINT, r#"{"format":"key"}"#).await;
        key.assert_refused(503, "guard_failed", "admission policies");
        assert!(key.headers.contains_key("retry-after") && stage.api.list(&requests()).is_empty());
    }
    works(&stage, &mint(&stage).await).await;
}
