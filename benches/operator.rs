//! `cargo bench --bench operator`: the operator against bare clients that make the same API calls, on one API server, in
//! one run. Prints one table; each row is a ratio of two things measured side by side.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a benchmark ends with the first surprise")]

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use certcourier::api::{DownloadRequest, Phase};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api, ResourceExt,
    api::{PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use test_support::{
    stage::{SYSTEM, Settings, Stage},
    world::World,
};

/// Requests for the latency of a mint.
const MINTS: u32 = 200;
/// Requests that wait while memory is measured.
const WAITING: u32 = 2000;

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    // The operator leaves the namespace of the echo alone.
    // One person asks for everything.
    let crowd = ["--max-open-requests", "1000000"].map(str::to_owned);
    let settings = Settings {
        controller: [vec!["--watch-namespaces".into(), "bench".into()], crowd.to_vec()].concat(),
        server: crowd.to_vec(),
        ..Settings::default()
    };
    let stage = Stage::own(settings).await;
    stage.plane.admin_kubectl().check(["create", "namespace", "bench"]).await.unwrap();
    let world = World::settle(&stage, "bench".into()).await;
    world.furnish().await;
    println!("{:<58} {:>12} {:>12} {:>7}", "", "certcourier", "bare client", "ratio");
    idle(&stage);
    mints(&world).await;
    writes(&world).await;
    memory(&stage, &world).await;
}

fn row(what: &str, ours: f64, bare: f64, unit: &str) {
    println!("{what:<58} {:>12} {:>12} {:>7.2}", format!("{ours:.1} {unit}"), format!("{bare:.1} {unit}"), ours / bare);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Creates a request and waits, by watch, until its phase is `TokenIssued`. Milliseconds.
async fn create_and_wait(api: &Api<DownloadRequest>, name: &str) -> f64 {
    let request: DownloadRequest = serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name},
        "spec": {"certificateRef": {"name": "api"}, "format": "fullchain"},
    }))
    .unwrap();
    let start = Instant::now();
    let created = api.create(&PostParams::default(), &request).await.unwrap();
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let events = api.watch(&params, &created.resource_version().unwrap()).await.unwrap();
    tokio::pin!(events);
    while let Some(event) = events.try_next().await.unwrap() {
        if let WatchEvent::Modified(request) = event
            && request.status.is_some_and(|status| status.phase == Some(Phase::TokenIssued))
        {
            return start.elapsed().as_secs_f64() * 1000.0;
        }
    }
    panic!("the watch ended")
}

/// The same person, the same waiting; once the operator mints, once somebody only echoes the phase into the status.
async fn mints(world: &World<'_>) {
    let carol = world.person("carol").await.client;
    let requests: Api<DownloadRequest> = Api::namespaced(carol.clone(), &world.namespace);
    let elsewhere = echo_namespace(world).await;
    let echoes: Api<DownloadRequest> = Api::namespaced(carol, &elsewhere);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for number in 0..MINTS {
        ours.push(create_and_wait(&requests, &format!("mint{number}")).await);
        bare.push(create_and_wait(&echoes, &format!("echo{number}")).await);
    }
    row("create → TokenIssued, p50 (bare: create → watch → status)", median(ours), median(bare), "ms");
}

/// A namespace that the operator does not watch, where the same kind of client waits for somebody who only writes a phase.
async fn echo_namespace(world: &World<'_>) -> String {
    let plane = &world.stage.plane;
    let namespace = plane.namespace("echo").await.unwrap();
    let kubectl = plane.admin_kubectl();
    kubectl
        .check([
            "--namespace",
            &namespace,
            "create",
            "rolebinding",
            "carol",
            "--clusterrole=certcourier-downloader",
            "--user=carol",
        ])
        .await
        .unwrap();
    let operator = plane.service_account(SYSTEM, "controller", &[]).await.unwrap();
    let api: Api<DownloadRequest> = Api::namespaced(operator.client, &namespace);
    tokio::spawn(async move {
        let events = api.watch(&WatchParams::default().timeout(290), "0").await.unwrap();
        tokio::pin!(events);
        while let Ok(Some(event)) = events.try_next().await {
            if let WatchEvent::Added(mut request) = event {
                let status = request.status.get_or_insert_default();
                status.phase = Some(Phase::TokenIssued);
                let _ = api.replace_status(&request.name_any(), &PostParams::default(), &request).await;
            }
        }
    });
    namespace
}

/// API writes of the operator's identities for one request, from the API server's audit log.
async fn writes(world: &World<'_>) {
    let before = operator_writes(world);
    let token = world.issue("carol", "counted", json!({"format": "fullchain"})).await;
    let minted = operator_writes(world);
    assert_eq!(world.redeem(&token).await.status, 200);
    world.wait_finished("counted").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let redeemed = operator_writes(world);
    println!("API writes per mint:       {}", difference(&before, &minted));
    println!("API writes per redemption: {}", difference(&minted, &redeemed));
}

fn operator_writes(world: &World<'_>) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for event in world.stage.plane.audit_events().unwrap() {
        let ours = event.user().starts_with(&format!("system:serviceaccount:{SYSTEM}:"));
        if ours && !matches!(event.verb(), "get" | "list" | "watch") && event.resource() != "leases" {
            *counts.entry(format!("{} {}", event.verb(), event.resource())).or_default() += 1;
        }
    }
    counts
}

fn difference(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> String {
    let counts: Vec<(String, i64)> = after
        .iter()
        .map(|(what, count)| (what.clone(), count - before.get(what).copied().unwrap_or_default()))
        .filter(|(_, count)| *count > 0)
        .collect();
    let total: i64 = counts.iter().map(|(_, count)| count).sum();
    let parts: Vec<String> = counts.iter().map(|(what, count)| format!("{count} × {what}")).collect();
    format!("{total} ({})", parts.join(", "))
}

fn idle(stage: &Stage) {
    println!(
        "resident memory idle: controller {} MiB, server {} MiB",
        rss(stage.controller.id()),
        rss(stage.servers[0].id())
    );
}

async fn memory(stage: &Stage, world: &World<'_>) {
    let carol = world.person("carol").await.client;
    let requests: Api<DownloadRequest> = Api::namespaced(carol, &world.namespace);
    let start = Instant::now();
    stream::iter(0..WAITING)
        .map(|number| {
            let requests = requests.clone();
            async move { create_and_wait(&requests, &format!("w{number}")).await }
        })
        .buffer_unordered(16)
        .collect::<Vec<f64>>()
        .await;
    println!(
        "{WAITING} requests, 16 at a time: {:.0} mints/s; then resident: controller {} MiB, server {} MiB",
        f64::from(WAITING) / start.elapsed().as_secs_f64(),
        rss(stage.controller.id()),
        rss(stage.servers[0].id())
    );
}

/// Resident memory of a process in MiB.
fn rss(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
