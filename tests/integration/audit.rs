//! The audit record as the programs write it: each fact once, by whoever knows it.

use std::collections::BTreeMap;

use certcourier::{
    api::{Phase, names},
    audit::{Audit, AuditArgs, Source},
    metrics::Metrics,
};
use clap::Parser as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use test_support::{
    stage::{Program, Stage},
    world::World,
};

/// The lines that a program has told about a namespace, in their order.
pub fn lines(program: &Program, namespace: &str) -> Vec<Value> {
    let is_told = |line: &&str| line.starts_with("{\"specversion\"") && line.contains(namespace);
    let lines = program.output();
    let lines = lines.lines().filter(is_told).map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["data"]["namespace"] == namespace).collect()
}

/// The types of these lines about one request, in their order.
pub fn types(lines: &[Value], request: &str) -> Vec<String> {
    let about = lines.iter().filter(|line| line["data"]["request"] == request);
    about.map(|line| line["type"].as_str().unwrap().to_owned()).collect()
}

/// How often each id was told.
pub fn ids(lines: &[Value]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for line in lines {
        *ids.entry(line["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    ids
}

/// What both servers have told.
fn of_servers(world: &World<'_>) -> Vec<Value> {
    world.stage.servers.iter().flat_map(|server| lines(server, &world.namespace)).collect()
}

fn one<'a>(lines: &'a [Value], kind: &str, request: &str) -> &'a Value {
    let wanted = |line: &&Value| line["type"] == kind && line["data"]["request"] == request;
    let found: Vec<_> = lines.iter().filter(wanted).collect();
    assert_eq!(found.len(), 1, "{kind} of {request}: {lines:#?}");
    found[0]
}

async fn vote(world: &World<'_>, who: &str, request: &str, decision: &str, reason: &str) {
    let digest = world.get(request).await.status.unwrap().review.unwrap().digest;
    let patch = json!([{"op": "add", "path": "/status/approvals/-", "value":
        {"username": who, "digest": digest, "decision": decision, "reason": reason}}]);
    let (patch, name) = (patch.to_string(), format!("dlr/{request}"));
    let arguments = ["patch", &name, "--subresource=status", "--type=json", "-p", &patch];
    let output = world.kubectl(who, &arguments).await;
    assert!(output.succeeded(), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_with_kubectl_is_told_once_by_the_controller_and_the_delivery_by_the_server() {
    let world = World::new(Stage::shared().await, "told").await;
    world.policy("one", json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys"}})).await;
    world.request("alice", "good", json!({"format": "key", "reason": "INC-4211"})).await;
    world.wait_for_phase("good", Phase::AwaitingApproval).await;
    vote(&world, "bob", "good", "Approve", "checked with alice").await;
    world.wait_for_phase("good", Phase::TokenIssued).await;
    let token = world.token_part("alice", "good", "token").await.unwrap();
    assert_eq!(world.redeem(&token).await.status, 200);
    world.wait_finished("good").await;
    assert_eq!(world.redeem_at(1, &token).await.json("error"), "token_used");

    world.request("alice", "bad", json!({"format": "key"})).await;
    world.wait_for_phase("bad", Phase::AwaitingApproval).await;
    vote(&world, "frank", "bad", "Deny", "called off").await;
    world.wait_for_phase("bad", Phase::Denied).await;
    world.issue("carol", "gone", json!({"format": "cert"})).await;
    world.annotate("bob", "gone", names::REVOKE, "laptop stolen").await.unwrap();
    world.wait_for_phase("gone", Phase::Revoked).await;

    let controller = &world.stage.controller;
    let told = |request: &str| types(&lines(controller, &world.namespace), request);
    world.until("the last is told", || async { told("gone").len() == 3 }).await;
    assert_eq!(told("good"), ["request.created", "approval.requested", "approval.granted", "token.minted"]);
    assert_eq!(told("bad"), ["request.created", "approval.requested", "approval.denied"]);
    assert_eq!(told("gone"), ["request.created", "token.minted", "request.revoked"]);
    let all = lines(controller, &world.namespace);
    assert!(ids(&all).values().all(|count| *count == 1), "{all:#?}");
    let granted = &one(&all, "approval.granted", "good")["data"];
    assert_eq!((&granted["actor"], &granted["reason"]), (&json!("bob"), &json!("checked with alice")));
    let denied = &one(&all, "approval.denied", "bad")["data"];
    assert_eq!((&denied["actor"], &denied["reason"]), (&json!("frank"), &json!("called off")));
    let revoked = &one(&all, "request.revoked", "gone")["data"];
    assert_eq!((&revoked["actor"], &revoked["reason"]), (&json!("bob"), &json!("laptop stolen")));

    world.until("the replay is told", || async { types(&of_servers(&world), "good").len() == 2 }).await;
    let served = of_servers(&world);
    let delivered = one(&served, "cert.downloaded", "good");
    let receipt = world.receipt_of(&world.get("good").await).await.unwrap();
    assert_eq!(delivered["data"]["artifact_sha256"], receipt.spec.artifact.sha256);
    assert_eq!(delivered["data"]["approved_by"], json!(["bob"]));
    assert_eq!(one(&served, "token.reused", "good")["data"]["address"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_over_http_is_told_with_where_they_are_and_what_was_refused_too() {
    let world = World::new(Stage::shared().await, "called").await;
    world.policy("one", json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys"}})).await;
    let downloads = "certificates/api/downloads";
    let asked = world.post("alice", downloads, r#"{"format":"key","reason":"INC-4211"}"#).await;
    let request = asked.field("request");
    let early = world.post("alice", &format!("requests/{request}/token"), "").await;
    early.refused(403, "approval_required");
    world.wait_for_phase(&request, Phase::AwaitingApproval).await;
    let digest = world.get(&request).await.status.unwrap().review.unwrap().digest;
    let approve = |reason: &str| json!({"reason": reason, "digest": digest}).to_string();
    let own = world.post("alice", &format!("requests/{request}/approve"), &approve("mine")).await;
    own.refused(403, "forbidden");
    let vote = world.post("bob", &format!("requests/{request}/approve"), &approve("fine")).await;
    assert_eq!(vote.status, 200, "{}", vote.text());
    world.wait_for_phase(&request, Phase::Approved).await;
    let claimed = world.post("alice", &format!("requests/{request}/token"), "").await;
    assert_eq!(claimed.status, 201, "{}", claimed.text());
    world.post("carol", downloads, r#"{"format":"key"}"#).await.refused(403, "forbidden");

    let at_once = world.post("carol", downloads, r#"{"format":"cert"}"#).await;
    assert_eq!(at_once.status, 201, "{}", at_once.text());
    let at_once = at_once.field("request");

    let served = lines(&world.stage.servers[0], &world.namespace);
    let of_request = types(&served, &request);
    assert_eq!(
        of_request,
        ["api.called", "request.refused", "request.refused", "api.called", "token.minted"],
        "{served:#?}"
    );
    let actions: Vec<_> = served.iter().filter_map(|line| line["data"]["action"].as_str()).collect();
    assert_eq!(actions, ["create", "claim", "approve", "approve", "create", "create"]);
    let minted = &one(&served, "token.minted", &request)["data"];
    for (field, value) in [("actor", "alice"), ("address", "127.0.0.1"), ("delivery", "Claim")] {
        assert_eq!(minted[field], value, "{field}");
    }
    assert_eq!(minted["request_id"], claimed.header("x-request-id"));
    let is_hers = |line: &&Value| line["data"]["actor"] == "carol" && line["type"] == "request.refused";
    let refused = served.iter().find(is_hers).unwrap();
    assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("request.refused"), &json!("forbidden")));
    let controller = &world.stage.controller;
    let told = || types(&lines(controller, &world.namespace), &request);
    world.until("the vote is told", || async { told().len() == 3 }).await;
    assert_eq!(told(), ["request.created", "approval.requested", "approval.granted"], "and the claim by the server");
    // Whichever of the two was the first to write the status of a request has told that it was created.
    let all = || [lines(controller, &world.namespace), of_servers(&world)].concat();
    let of_both = || types(&all(), &at_once);
    world.until("all is told", || async { of_both().len() == 3 }).await;
    for kind in ["request.created", "api.called", "token.minted"] {
        one(&all(), kind, &at_once);
    }
}

#[derive(clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    audit: AuditArgs,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_is_known_by_the_certificates_of_the_flag_and_by_no_others() {
    let stage = Stage::shared().await;
    let world = World::new(stage, "sink").await;
    // Something that speaks TLS, and refuses a body that is none of its own with 400.
    let url = format!("{}/api/v1/downloads", stage.urls[0]);
    let others = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(others.path(), test_support::pki::Pki::new().root()).unwrap();
    let told = async |ca: &std::path::Path, series: &str| {
        let flags = ["x", "--audit-sink", &url, "--audit-sink-ca", ca.to_str().unwrap(), "--audit-sink-retry", "1s"];
        let (args, metrics) = (CommandLine::parse_from(flags).audit, Metrics::new("server"));
        let audit = Audit::start_with(std::io::sink(), &args, Source::default(), &metrics).unwrap();
        audit.begin("server", "a", Timestamp::now());
        world.until(series, || async { metrics.text().contains(series) }).await;
        metrics.text()
    };
    let refused = "certcourier_audit_dropped_total{outlet=\"sink\",reason=\"refused\"} 1";
    let known = told(&stage.ca(), refused).await;
    assert!(known.contains("certcourier_audit_sink_failures_total 0"), "{known}");
    let unknown = told(others.path(), "certcourier_audit_sink_failures_total 1").await;
    assert!(!unknown.contains("reason=\"refused\""), "{unknown}");
}
