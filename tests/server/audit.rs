//! The audit record: what the server tells of downloads, a sink that is in trouble, and keys that wait for it.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use certcourier::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::waiting::{until, wanted};

use super::{
    fake_api::FakeApi,
    stage::{AUDIT, EVENTS, POLICY, RECEIPTS, REQUEST, Stage, get, policy, token},
};

/// A sink that answers as it is told to, and keeps what it took.
#[derive(Clone)]
struct Sink {
    address: SocketAddr,
    status: Arc<Mutex<StatusCode>>,
    heard: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    /// Where receipts are looked for when a line comes, and how many there were.
    api: Arc<Mutex<Option<FakeApi>>>,
    receipts: Arc<Mutex<Vec<usize>>>,
}

impl Sink {
    async fn start(status: StatusCode) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self {
            address: listener.local_addr().unwrap(),
            status: Arc::new(Mutex::new(status)),
            heard: Arc::default(),
            api: Arc::default(),
            receipts: Arc::default(),
        };
        let kept = sink.clone();
        let app = Router::new().route(
            "/secret-path",
            post(async move |headers: HeaderMap, body: Bytes| {
                let status = *kept.status.lock().unwrap();
                if status.is_success() {
                    let receipts = kept.api.lock().unwrap().as_ref().map_or(0, |api| api.list(RECEIPTS).len());
                    kept.receipts.lock().unwrap().push(receipts);
                    kept.heard.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
                }
                status
            }),
        );
        tokio::spawn(async move { axum::serve(listener, app).await });
        sink
    }

    fn answers(&self, status: StatusCode) {
        *self.status.lock().unwrap() = status;
    }

    fn url(&self) -> String {
        format!("http://{}/secret-path", self.address)
    }

    fn types(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(_, line)| line["type"].as_str().unwrap().to_owned()).collect()
    }
}

fn series(metrics: &Metrics, name: &str) -> f64 {
    let text = metrics.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// The lines of one HTTP request's id.
fn told(request_id: &str) -> Vec<Value> {
    let lines = AUDIT.text();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["data"]["request_id"] == request_id).collect()
}

async fn download(stage: &Stage, request_id: &str) -> super::stage::Answer {
    let mut request = get(&token());
    request.headers_mut().insert("x-request-id", request_id.parse().unwrap());
    stage.send(request).await
}

#[tokio::test]
async fn a_download_and_each_refusal_of_a_token_is_told_with_what_is_known_of_it() {
    let stage = Stage::with_flags("fullchain", &["--cluster-name", "prod-1"]).await;
    stage.api.edit(REQUEST, |request| request["status"]["token"]["expiresAt"] = json!("2020-01-01T00:00:00Z"));
    download(&stage, "audit-expired").await.assert_refused(410, "token_expired", "expired");
    let soon = (Timestamp::now() + SignedDuration::from_mins(5)).to_string();
    stage.api.edit(REQUEST, |request| request["status"]["token"]["expiresAt"] = json!(soon));
    assert_eq!(download(&stage, "audit-delivered").await.status, StatusCode::OK);
    until("the delivery is on record", async || !told("audit-delivered").is_empty()).await;

    let [expired] = &told("audit-expired")[..] else { panic!("{}", AUDIT.text()) };
    assert_eq!(expired["type"], "cert.download_refused");
    assert_eq!((&expired["data"]["code"], &expired["data"]["address"]), (&json!("token_expired"), &json!("0.0.0.0")));
    let [delivered] = &told("audit-delivered")[..] else { panic!("{}", AUDIT.text()) };
    let receipt = stage.receipt().unwrap();
    assert_eq!(delivered["type"], "cert.downloaded");
    assert_eq!(delivered["source"], "/certcourier/prod-1");
    assert_eq!(delivered["subject"], "payments/downloadrequests/api");
    for (field, value) in [
        ("outcome", json!("Delivered")),
        ("requester", json!("carol")),
        ("reason", json!("INC-4211")),
        ("receipt", receipt["metadata"]["name"].clone()),
        ("artifact_sha256", receipt["spec"]["artifact"]["sha256"].clone()),
        ("fingerprints", receipt["spec"]["fingerprints"].clone()),
        ("bytes_sent", receipt["spec"]["artifact"]["bytes"].clone()),
    ] {
        assert_eq!(delivered["data"][field], value, "{field}");
    }
}

#[tokio::test]
async fn a_used_token_that_comes_again_is_told_once_a_minute_noted_once_and_counted_each_time() {
    let stage = Stage::of_format("fullchain").await;
    stage.api.edit(REQUEST, |request| request["metadata"]["uid"] = json!("replayed-uid"));
    assert_eq!(stage.download().await.status, StatusCode::OK);
    stage.outcome().await;
    for _ in 0..3 {
        download(&stage, "audit-replayed").await.assert_refused(410, "token_used", "already used");
    }
    assert!((series(&stage.metrics, "certcourier_token_replays_total") - 3.0).abs() < 0.1);
    let replays = || stage.api.list(EVENTS).into_iter().filter(|event| event["reason"] == "TokenReused").count();
    until("Event and record tell of it", async || replays() == 1 && !told("audit-replayed").is_empty()).await;
    // Three attempts may be those of two minutes.
    let lines = told("audit-replayed");
    assert!((1..=2).contains(&lines.len()), "{lines:?}");
    assert_eq!(lines[0]["type"], "token.reused");
    let event = stage.api.list(EVENTS).into_iter().find(|event| event["reason"] == "TokenReused").unwrap();
    assert_eq!(event["regarding"]["name"], "api");
    assert!(event["note"].as_str().unwrap().contains("from 0.0.0.0"), "{event}");
}

#[tokio::test]
async fn guesses_and_trouble_that_passes_are_not_told() {
    let stage = Stage::of_format("fullchain").await;
    stage.api.edit(REQUEST, |request| request["status"]["token"]["hash"] = json!("another"));
    download(&stage, "audit-guessed").await.assert_refused(404, "token_unknown", "");
    assert_eq!(download(&stage, "audit-guessed").await.status, 404);
    assert_eq!(told("audit-guessed"), Vec::<Value>::new());
}

#[tokio::test]
async fn a_sink_is_told_in_order_with_its_headers_and_again_until_it_takes_what_it_is_told() {
    let sink = Sink::start(StatusCode::SERVICE_UNAVAILABLE).await;
    let mut headers = tempfile::NamedTempFile::new().unwrap();
    writeln!(headers, "Authorization: Bearer of-the-sink").unwrap();
    let (url, headers) = (sink.url(), headers.into_temp_path());
    let flags = ["--audit-sink", &url, "--audit-sink-headers", headers.to_str().unwrap(), "--audit-sink-retry", "1s"];
    let stage = Stage::with_flags("fullchain", &flags).await;
    stage.audit.begin("server", "a", Timestamp::now());
    assert_eq!(stage.download().await.status, StatusCode::OK);
    until("the sink was tried again", async || {
        wanted(series(&stage.metrics, "certcourier_audit_sink_failures_total"), |failures| *failures > 1.0)
    })
    .await;
    assert!(series(&stage.metrics, "certcourier_audit_sink_up").abs() < 0.1);
    let remark = stage.audit.remark().unwrap();
    assert!(remark.contains(&sink.address.to_string()) && !remark.contains("secret-path"), "{remark}");
    assert!(!remark.contains("key"), "nothing is refused: {remark}");

    sink.answers(StatusCode::ACCEPTED);
    until("the sink has both", async || wanted(sink.types(), |types| types == &["audit.started", "cert.downloaded"]))
        .await;
    let heard = sink.heard.lock().unwrap().clone();
    for (headers, _) in &heard {
        assert_eq!(headers["authorization"], "Bearer of-the-sink");
        assert!(headers["content-type"].to_str().unwrap().starts_with("application/cloudevents+json"));
    }
    until("the sink is up", async || series(&stage.metrics, "certcourier_audit_sink_up") > 0.9).await;
    assert_eq!(stage.audit.remark(), None);

    // What is wrong with one line does not hold up the next.
    sink.answers(StatusCode::BAD_REQUEST);
    stage.audit.begin("server", "b", Timestamp::now());
    let refused = "certcourier_audit_dropped_total{outlet=\"sink\",reason=\"refused\"}";
    until("the refused line is counted", async || stage.metrics.text().contains(refused)).await;
    sink.answers(StatusCode::NO_CONTENT);
    stage.audit.begin("server", "c", Timestamp::now());
    until("the sink has the next line", async || wanted(sink.types(), |types| types.len() == 3)).await;
    assert_eq!(sink.heard.lock().unwrap()[2].1["data"]["instance"], "c");
}

/// A server for a key that leaves only when this sink has heard of it.
async fn required(sink: &Sink) -> Stage {
    let url = sink.url();
    let flags = ["--audit", "required", "--audit-sink", &url, "--audit-sink-retry", "1s", "--decision-timeout", "2s"];
    let stage = Stage::with_flags("key", &flags).await;
    stage.api.put(POLICY, policy(&json!({"allowKeyExport": "Always"})));
    stage
}

#[tokio::test]
async fn a_key_waits_for_a_sink_that_must_hear_of_it_and_other_files_do_not() {
    let sink = Sink::start(StatusCode::SERVICE_UNAVAILABLE).await;
    let stage = required(&sink).await;
    stage.audit.begin("server", "a", Timestamp::now());
    let refused = stage.download().await;
    refused.assert_refused(503, "audit_failed", "the token is still valid");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(stage.receipt().is_none());
    assert!(stage.audit.remark().unwrap().contains("formats with a key are refused"));

    sink.answers(StatusCode::OK);
    until("the sink is well", async || wanted(stage.audit.remark(), Option::is_none)).await;
    assert_eq!(stage.download().await.status, StatusCode::OK);
    until("the sink knows of the delivery", async || {
        wanted(sink.types(), |types| types.contains(&"cert.downloaded".to_owned()))
    })
    .await;
    let types = sink.types();
    let at = |kind: &str| types.iter().position(|line| line == kind).unwrap_or_else(|| panic!("{kind}: {types:?}"));
    assert!(at("audit.started") < at("cert.releasing") && at("cert.releasing") < at("cert.downloaded"), "{types:?}");

    sink.answers(StatusCode::SERVICE_UNAVAILABLE);
    stage.audit.begin("server", "b", Timestamp::now());
    until("the sink is in trouble", async || stage.audit.remark()).await;
    let public = Stage::with_flags(
        "fullchain",
        &["--audit", "required", "--audit-sink", &sink.url(), "--audit-sink-retry", "1s"],
    )
    .await;
    assert_eq!(public.download().await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_sink_has_heard_of_a_key_before_its_receipt_exists() {
    let sink = Sink::start(StatusCode::OK).await;
    let stage = required(&sink).await;
    *sink.api.lock().unwrap() = Some(stage.api.clone());
    // A sink that has taken nothing yet is not known to be there.
    stage.download().await.assert_refused(503, "audit_failed", "does not respond as expected");
    stage.audit.begin("server", "a", Timestamp::now());
    until("the sink is well", async || wanted(stage.audit.remark(), Option::is_none)).await;
    assert_eq!(stage.download().await.status, StatusCode::OK);
    until("the sink knows of the delivery", async || {
        wanted(sink.types(), |types| types.contains(&"cert.downloaded".to_owned()))
    })
    .await;
    let at = |kind: &str| sink.types().iter().position(|line| line == kind).unwrap();
    let receipts = sink.receipts.lock().unwrap().clone();
    assert_eq!((receipts[at("cert.releasing")], receipts[at("cert.downloaded")]), (0, 1));
}

#[tokio::test]
async fn a_required_sink_that_falls_silent_holds_the_key_back_before_the_receipt() {
    let sink = Sink::start(StatusCode::OK).await;
    let stage = required(&sink).await;
    stage.audit.begin("server", "a", Timestamp::now());
    until("the sink is well", async || wanted(stage.audit.remark(), Option::is_none)).await;
    // Nobody knows yet that it is in trouble.
    sink.answers(StatusCode::INTERNAL_SERVER_ERROR);
    stage.download().await.assert_refused(503, "audit_failed", "did not accept the line in time");
    assert!(stage.receipt().is_none(), "nothing was started");
    sink.answers(StatusCode::OK);
    until("the sink is well", async || wanted(stage.audit.remark(), Option::is_none)).await;
    assert_eq!(stage.download().await.status, StatusCode::OK, "and the token was good");
    until("the sink knows of one delivery", async || {
        wanted(sink.types(), |types| types.iter().filter(|kind| *kind == "cert.downloaded").count() == 1)
    })
    .await;
}
