//! What the tests of the plugin do beside running it.

use certcourier::api::{Decision, DownloadRequest};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use test_support::world::World;

/// The name of the one request there is.
pub async fn only_request(world: &World<'_>) -> String {
    let requests = world
        .until("there is a request", async || {
            let requests = world.api::<DownloadRequest>().list(&ListParams::default()).await.unwrap().items;
            (!requests.is_empty()).then_some(requests)
        })
        .await;
    assert_eq!(requests.len(), 1, "{requests:#?}");
    requests[0].metadata.name.clone().unwrap()
}

pub async fn request_count(world: &World<'_>) -> usize {
    world.api::<DownloadRequest>().list(&ListParams::default()).await.unwrap().items.len()
}

/// A vote, as the API server takes it.
pub async fn vote(world: &World<'_>, person: &str, request: &str, decision: Decision) {
    let digest = world.get(request).await.status.unwrap().review.unwrap().digest;
    let vote = json!([{"op": "add", "path": "/status/approvals/-", "value":
        {"username": person, "digest": digest, "decision": decision, "reason": "asked alice"}}]);
    let requests: Api<DownloadRequest> = Api::namespaced(world.person(person).await.client, &world.namespace);
    let patch = Patch::Json::<()>(serde_json::from_value(vote).unwrap());
    requests.patch_status(request, &PatchParams::default(), &patch).await.unwrap();
}

/// Keys may leave when two people agree.
pub async fn keys_with_two_approvals(world: &World<'_>) {
    let two = json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 2}});
    world.policy("two", two).await;
}

/// Keys may leave.
pub async fn keys_allowed(world: &World<'_>) {
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
}
