//! What changes between the mint of a reviewed request and its download. The controller is stopped meanwhile, so the
//! server alone decides, and each cause has its own code.

use certcourier::api::{DownloadRequest, Phase};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_support::{
    stage::{Settings, Stage},
    world::World,
};

async fn vote(world: &World<'_>, who: &str, name: &str, decision: &str) {
    let api: Api<DownloadRequest> = Api::namespaced(world.person(who).await.client, &world.namespace);
    let digest = world.get(name).await.status.unwrap().review.unwrap().digest;
    let value = json!({"username": who, "digest": digest, "decision": decision, "reason": "INC-4211"});
    let patch = serde_json::from_value(json!([{"op": "add", "path": "/status/approvals/-", "value": value}])).unwrap();
    api.patch_status(name, &PatchParams::default(), &Patch::<DownloadRequest>::Json(patch)).await.unwrap();
}

/// A key that bob agreed to, ready to be downloaded.
async fn reviewed(world: &World<'_>, name: &str) -> String {
    world.request("alice", name, json!({"format": "key"})).await;
    world.wait_for_phase(name, Phase::AwaitingApproval).await;
    vote(world, "bob", name, "Approve").await;
    world.wait_for_phase(name, Phase::TokenIssued).await;
    world.token_part("alice", name, "token").await.unwrap()
}

async fn refused(world: &World<'_>, token: &str, status: u16, code: &str, words: &str) {
    let answer = world.redeem(token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (status, code), "{}", answer.text());
    assert!(answer.text().contains(words), "{words}: {}", answer.text());
}

fn one(more: &Value) -> Value {
    let mut policy = json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 1}});
    for (field, value) in more.as_object().unwrap() {
        policy[field] = value.clone();
    }
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_after_the_mint_of_a_reviewed_request_stops_it_with_its_own_code() {
    let stage = Stage::own(Settings::default()).await;
    let world = World::new(&stage, "reviewed").await;
    world.policy("one", one(&json!({}))).await;
    let [denied, renewed, tightened, unbound, whole] = [
        reviewed(&world, "denied").await,
        reviewed(&world, "renewed").await,
        reviewed(&world, "tightened").await,
        reviewed(&world, "unbound").await,
        reviewed(&world, "whole").await,
    ];
    stage.controller.stop();

    vote(&world, "frank", "denied", "Deny").await;
    refused(&world, &denied, 410, "token_revoked", "Denied").await;

    world.secret("api-tls", &stage.pki.leaf("api.payments.example")).await;
    refused(&world, &renewed, 409, "certificate_changed", "round 2").await;
    world.secret("api-tls", &world.leaf).await;

    world.policy("one", one(&json!({"allowKeyExport": "Never"}))).await;
    refused(&world, &tightened, 403, "key_export_disabled", "allowKeyExport is Never").await;
    world.policy("one", one(&json!({"approval": {"requiredFor": "Keys", "approvals": 2}}))).await;
    refused(&world, &tightened, 409, "certificate_changed", "round 2").await;
    world.policy("one", one(&json!({}))).await;

    // All is as it was, and nothing was used up or given away.
    let answer = world.redeem(&whole).await;
    assert_eq!((answer.status, answer.text()), (200, world.leaf.key.clone()));

    let bindings: Api<RoleBinding> = world.api();
    let mut binding = bindings.get("alice").await.unwrap();
    bindings.delete("alice", &DeleteParams::default()).await.unwrap();
    let forbidden = || async { world.redeem(&unbound).await.json("error") == "forbidden" };
    world.until("the verb is gone", forbidden).await;
    refused(&world, &unbound, 403, "forbidden", "lacks verb `exportkey`").await;
    binding.metadata = kube::api::ObjectMeta { name: Some(binding.name_any()), ..Default::default() };
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    assert_eq!(world.receipts().await.len(), 1);
}
