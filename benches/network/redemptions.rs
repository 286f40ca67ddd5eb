//! Redemptions per second and their slowest percent, beside a bare client that makes the same API calls, and beside
//! `OpenBao`, which unwraps as many bytes from a token of its own.

use std::time::{Duration, Instant};

use certcourier::api::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{authorization::v1::SubjectAccessReview, core::v1::Secret, events::v1::Event};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::json;
use test_support::{
    stage::SYSTEM,
    waiting::{Wait, wanted},
    world::World,
};

use super::{Table, bao::Bao, percentile, tokens};

/// Tokens for each number of callers.
const TOKENS: usize = 400;
/// Callers at a time.
const CALLERS: [usize; 3] = [1, 16, 64];

/// What one side did.
struct Measured {
    per_second: f64,
    p99_ms: f64,
}

pub async fn run(world: &World<'_>, table: &mut Table) {
    let bao = Bao::start(world.stage).await;
    // What the controller does about each receipt comes on top, for both sides: neither is measured with it.
    for callers in CALLERS {
        let tokens = tokens(world, &format!("at{callers}"), TOKENS).await;
        let request = world.get(&format!("at{callers}-0")).await;
        world.stage.controller.stop();
        let ours = measure(callers, tokens.len(), |number| {
            let token = &tokens[number];
            async move { assert_eq!(world.redeem(token).await.status, 200) }
        })
        .await;
        outcomes(world).await;
        let client = world.stage.plane.service_account(SYSTEM, "server", &[]).await.unwrap().client;
        let bare = measure(callers, TOKENS, |number| {
            same_calls(client.clone(), world, &request, format!("bare-{callers}-{number}"))
        })
        .await;
        outcomes(world).await;
        rows(table, callers, &ours, "bare client", &bare);
        if let Some(bao) = &bao {
            let wrapped = bao.wrap(TOKENS, &world.leaf.chain()).await;
            let theirs = measure(callers, TOKENS, |number| bao.unwrap(&wrapped[number])).await;
            rows(table, callers, &ours, "OpenBao unwrap", &theirs);
        }
        world.stage.controller.start_and_wait().await;
    }
}

fn rows(table: &mut Table, callers: usize, ours: &Measured, whose: &str, theirs: &Measured) {
    table.row(&format!("redemptions, {callers} callers"), ours.per_second, whose, theirs.per_second, "/s");
    table.row(&format!("p99 of a redemption, {callers} callers"), ours.p99_ms, whose, theirs.p99_ms, "ms");
}

async fn measure<F: Future<Output = ()>>(callers: usize, count: usize, call: impl Fn(usize) -> F) -> Measured {
    let began = Instant::now();
    let mut took: Vec<f64> = stream::iter(0..count)
        .map(|number| {
            let call = call(number);
            async move {
                let began = Instant::now();
                call.await;
                began.elapsed().as_secs_f64() * 1000.0
            }
        })
        .buffer_unordered(callers)
        .collect()
        .await;
    Measured { per_second: count as f64 / began.elapsed().as_secs_f64(), p99_ms: percentile(&mut took, 99) }
}

/// Waits until every receipt has its outcome, so that nothing of one side runs into the other's time.
pub async fn outcomes(world: &World<'_>) {
    let open = async || {
        let receipts = world.receipts().await;
        wanted(receipts.iter().filter(|receipt| receipt.status.is_none()).count(), |open| *open == 0)
    };
    let wait = Wait::at_most(Duration::from_mins(2)).every(Duration::from_millis(100));
    wait.until("every receipt has its outcome", open).await;
}

/// What the server asks the API server for, in the same order and as much side by side, and nothing else. Like there,
/// the answer does not wait for outcome and Event.
async fn same_calls(client: Client, world: &World<'_>, request: &DownloadRequest, receipt: String) {
    let namespace = world.namespace.as_str();
    Api::<DownloadRequest>::namespaced(client.clone(), namespace).get(&request.name_any()).await.unwrap();
    let certificates: Api<Certificate> = Api::namespaced(client.clone(), namespace);
    let policies: Api<CertificatePolicy> = Api::namespaced(client.clone(), namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let receipts: Api<DownloadReceipt> = Api::namespaced(client.clone(), namespace);
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {"user": "carol", "resourceAttributes": {
        "group": "certcourier.io", "resource": "certificates", "verb": "download", "namespace": namespace, "name": "api"}}}))
    .unwrap();
    let certificate = async {
        certificates.get("api").await.unwrap();
        secrets.get("api-tls").await.unwrap();
    };
    let (parameters, list) = (PostParams::default(), ListParams::default());
    let ((), listed, reviewed, found) = tokio::join!(
        certificate,
        policies.list(&list),
        reviews.create(&parameters, &review),
        receipts.get_opt(&receipt)
    );
    assert!(listed.is_ok() && reviewed.is_ok() && found.unwrap().is_none());
    let now = Timestamp::now();
    let object: DownloadReceipt = serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt", "metadata": {"name": receipt},
        "spec": {"requestRef": {"name": request.name_any(), "uid": receipt}, "certificateRef": {"name": "api"},
            "format": "fullchain", "attemptId": "bare", "artifact": {"sha256": "0", "bytes": 1}, "fingerprints": [],
            "consumedAt": now, "retainUntil": now + SignedDuration::from_hours(24)},
    }))
    .unwrap();
    let created = receipts.create(&parameters, &object).await.unwrap();
    tokio::spawn(afterwards(client, namespace.to_owned(), created));
}

async fn afterwards(client: Client, namespace: String, mut receipt: DownloadReceipt) {
    let now = Timestamp::now();
    let (parameters, name) = (PostParams::default(), receipt.name_any());
    let receipts: Api<DownloadReceipt> = Api::namespaced(client.clone(), &namespace);
    receipt.status = serde_json::from_value(json!({"outcome": "Delivered", "bytesSent": 1, "finishedAt": now})).ok();
    receipts.replace_status(&name, &parameters, &receipt).await.unwrap();
    let event: Event = serde_json::from_value(json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
        "eventTime": now.strftime("%FT%T.%6fZ").to_string(), "reportingController": "certcourier.io/bench",
        "reportingInstance": "bare", "action": "Download", "reason": "CertDownloaded", "type": "Normal",
        "note": "as many bytes as there are in the words of the server, about an environment and a receipt, r-0123456789",
        "regarding": {"apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate", "name": "api", "namespace": namespace},
    }))
    .unwrap();
    let _ = Api::<Event>::namespaced(client, &namespace).create(&parameters, &event).await;
}
