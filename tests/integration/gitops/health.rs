//! Every phase, made live, as kstatus (Flux) and our scripts for Argo CD judge it.

use std::collections::BTreeMap;

use certcourier::api::{Certificate, DownloadRequest, DownloadRequestStatus, Phase, names};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use test_support::{
    stage::Stage,
    world::{World, condition},
};

use super::judge::{judge, scripts};

/// Objects as the API server has them, each under a word of what it is.
#[derive(Default)]
struct Specimens(Vec<(&'static str, Value)>);

impl Specimens {
    /// Takes the object as it is now; with every field, as tools that know no types see it.
    async fn take(&mut self, world: &World<'_>, what: &'static str, kind: &str, name: &str) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("certcourier.io", "v1alpha1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
        self.0.push((what, serde_json::to_value(api.get(name).await.unwrap()).unwrap()));
    }

    /// Takes what was seen a moment ago, and may be something else by now.
    fn keep(&mut self, what: &'static str, request: &DownloadRequest) {
        self.0.push((what, serde_json::to_value(request).unwrap()));
    }

    async fn request(&mut self, world: &World<'_>, what: &'static str, name: &str) {
        self.take(world, what, "DownloadRequest", name).await;
    }

    /// `what: kstatus, health`, for each.
    async fn verdicts(&self, scripts: &BTreeMap<String, String>) -> Vec<String> {
        let objects: Vec<Value> = self.0.iter().map(|(_, object)| object.clone()).collect();
        let verdicts = judge(scripts, &objects).await;
        for ((what, object), verdict) in self.0.iter().zip(&verdicts) {
            // Somebody who looks at the tool learns why without kubectl.
            let said = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
            let said = said.filter_map(|condition| condition["message"].as_str()).filter(|text| !text.is_empty());
            let mut said = said.peekable();
            let told = if verdict.kstatus == "Failed" { &verdict.kstatus_message } else { &verdict.health_message };
            let judged =
                !verdict.health.is_empty() && said.peek().is_some() && told != "certcourier has not picked it up yet";
            assert!(!judged || said.any(|message| told.ends_with(message)), "{what}: {verdict:?} of {object:#}");
        }
        let line = |((what, _), verdict): (&(&'static str, Value), &super::judge::Verdict)| {
            format!("{what}: {}, {}", verdict.kstatus, verdict.health)
        };
        self.0.iter().zip(&verdicts).map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_any_phase_neither_fails_nor_holds_up_a_sync_unless_something_is_broken() {
    let world = World::new(Stage::shared().await, "judged").await;
    let scripts = scripts(&world).await;
    world
        .policy("keys", json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 1}}))
        .await;
    let mut seen = Specimens::default();
    let cert = || json!({"format": "cert"});

    // Open ones.
    world.request("carol", "early", json!({"format": "cert", "certificateRef": {"name": "absent"}})).await;
    let waiting = |s: &DownloadRequestStatus| condition(s, "Approved") == "Unknown/WaitingForCertificate";
    seen.keep("Pending", &world.wait("early", "waiting", waiting).await);
    world.request("alice", "asked", json!({"format": "key"})).await;
    world.wait_for_phase("asked", Phase::AwaitingApproval).await;
    seen.request(&world, "AwaitingApproval", "asked").await;
    world.request("carol", "claimed", json!({"format": "cert", "delivery": "Claim"})).await;
    world.wait_for_phase("claimed", Phase::Approved).await;
    seen.request(&world, "Approved, to be claimed", "claimed").await;
    world.issue("carol", "lapsed", json!({"format": "cert", "tokenTTL": "1s"})).await;
    world.wait("lapsed", "expired", |s| condition(s, "TokenIssued") == "False/TokenExpired").await;
    seen.request(&world, "Approved, its token expired", "lapsed").await;
    let token = world.issue("carol", "issued", cert()).await;
    seen.request(&world, "TokenIssued", "issued").await;

    // Something is in the way, and stays there until somebody mends it.
    world.raw_secret("taken-download-token", "Opaque", &[("keep", "me")]).await;
    world.request("carol", "taken", cert()).await;
    world.wait("taken", "stalled", |s| condition(s, "Stalled") == "True/SecretNameTaken").await;
    seen.request(&world, "Stalled", "taken").await;

    // Finished ones.
    assert_eq!(world.redeem(&token).await.status, 200);
    world.wait_finished("issued").await;
    seen.request(&world, "Consumed", "issued").await;
    world.annotate("bob", "lapsed", names::REVOKE, "enough").await.unwrap();
    world.wait_for_phase("lapsed", Phase::Revoked).await;
    seen.request(&world, "Revoked", "lapsed").await;
    deny(&world, "asked").await;
    world.wait_for_phase("asked", Phase::Denied).await;
    seen.request(&world, "Denied", "asked").await;
    let deadline = (Timestamp::now() + SignedDuration::from_secs(4)).to_string();
    world.request("carol", "over", json!({"format": "cert", "deadline": deadline})).await;
    world.wait_for_phase("over", Phase::Expired).await;
    seen.request(&world, "Expired", "over").await;
    world.wait_for_phase("early", Phase::Failed).await;
    seen.request(&world, "Failed", "early").await;

    // Handed over, and its server has not said yet how that ended.
    world.begin_delivery("claimed", Timestamp::now()).await;
    seen.keep("Consumed, under way", &world.wait_for_phase("claimed", Phase::Consumed).await);
    // And one that no controller has ever seen.
    let mut new = seen.0[0].1.clone();
    new.as_object_mut().unwrap().remove("status");
    seen.0.push(("new", new));

    assert_eq!(
        seen.verdicts(&scripts).await,
        [
            "Pending: Current, Progressing",
            "AwaitingApproval: Current, Healthy",
            "Approved, to be claimed: Current, Healthy",
            "Approved, its token expired: Current, Healthy",
            "TokenIssued: Current, Healthy",
            "Stalled: Failed, Degraded",
            "Consumed: Current, Healthy",
            "Revoked: Current, Healthy",
            "Denied: Current, Healthy",
            "Expired: Current, Healthy",
            "Failed: Current, Healthy",
            "Consumed, under way: Current, Progressing",
            "new: Current, Progressing",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_waited_for_and_its_policies_and_receipts_are_there_at_once() {
    let world = World::new(Stage::shared().await, "ready").await;
    let scripts = scripts(&world).await;
    let mut seen = Specimens::default();
    let ready = async |name: &str, wanted: &str| {
        let api: Api<Certificate> = world.api();
        world
            .until(wanted, || async {
                let status = api.get(name).await.unwrap().status.unwrap_or_default();
                status.conditions.iter().any(|condition| condition.status == wanted)
            })
            .await;
    };
    ready("api", "True").await;
    seen.take(&world, "usable", "Certificate", "api").await;
    world.certificate("early", &[("production", "not-issued-yet")]).await;
    ready("early", "False").await;
    seen.take(&world, "no Secret yet", "Certificate", "early").await;
    world.raw_secret("broken-tls", "kubernetes.io/tls", &[("tls.crt", "no certificate"), ("tls.key", "no key")]).await;
    world.certificate("broken", &[("production", "broken-tls"), ("staging", "not-issued-yet")]).await;
    ready("broken", "False").await;
    seen.take(&world, "unusable", "Certificate", "broken").await;
    let mut changed = seen.0[0].1.clone();
    changed["metadata"]["generation"] = json!(2);
    seen.0.push(("changed", changed));
    world.policy("all", json!({"approval": {"requiredFor": "None"}})).await;
    seen.take(&world, "policy", "CertificatePolicy", "all").await;
    let token = world.issue("carol", "one", json!({"format": "cert"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    let receipt = world.receipts().await.remove(0).name_any();
    seen.take(&world, "receipt", "DownloadReceipt", &receipt).await;
    assert_eq!(
        seen.verdicts(&scripts).await,
        [
            "usable: Current, Healthy",
            "no Secret yet: InProgress, Progressing",
            "unusable: InProgress, Degraded",
            "changed: InProgress, Progressing",
            // Without a script Argo CD does not judge it.
            "policy: Current, ",
            "receipt: Current, ",
        ]
    );
}

async fn deny(world: &World<'_>, name: &str) {
    let client = world.person("frank").await.client;
    let api: Api<DynamicObject> = Api::namespaced_with(
        client,
        &world.namespace,
        &ApiResource::from_gvk(&GroupVersionKind::gvk("certcourier.io", "v1alpha1", "DownloadRequest")),
    );
    let patch = serde_json::from_value(json!([{"op": "add", "path": "/status/approvals/-", "value":
        {"username": "frank", "digest": "any", "decision": "Deny", "reason": "called off"}}]))
    .unwrap();
    api.patch_status(name, &PatchParams::default(), &Patch::<Value>::Json(patch)).await.unwrap();
}
