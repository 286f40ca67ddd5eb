//! Stealing a token through the rights by which its requester reads it.

use certcourier::api::{DownloadRequest, Phase, names};
use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy},
};
use serde_json::{Value, json};
use test_support::{
    stage::Stage,
    waiting::wanted,
    world::{World, words},
};

use super::request;

const RBAC: &str = "rbac.authorization.k8s.io";

fn user(name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": "User", "name": name})
}

fn role(metadata: &Value) -> Role {
    serde_json::from_value(json!({"metadata": metadata, "rules": []})).unwrap()
}

fn binding(metadata: &Value, role: &str) -> RoleBinding {
    serde_json::from_value(json!({
        "metadata": metadata, "subjects": [user("mallory"), user("alice")],
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
    }))
    .unwrap()
}

/// mallory's client: she may create and delete Roles and RoleBindings and look at requests, and read no Secret.
async fn mallory(world: &World<'_>) -> Client {
    let allowed = json!([
        {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["get", "list", "create", "delete"]},
        {"apiGroups": ["certcourier.io"], "resources": ["downloadrequests"], "verbs": ["get", "list"]},
    ]);
    let manager = serde_json::from_value(json!({"metadata": {"name": "rbac-manager"}, "rules": allowed})).unwrap();
    world.api::<Role>().create(&PostParams::default(), &manager).await.unwrap();
    let bound = json!({
        "metadata": {"name": "rbac-manager"}, "subjects": [user("mallory")],
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "rbac-manager"},
    });
    let bound = serde_json::from_value(bound).unwrap();
    world.api::<RoleBinding>().create(&PostParams::default(), &bound).await.unwrap();
    let client = world.person("mallory").await.client;
    let roles: Api<Role> = Api::namespaced(client.clone(), &world.namespace);
    world.until("mallory may list Roles", || async { roles.list(&ListParams::default()).await.is_ok() }).await;
    client
}

/// An empty Role, a binding of it as soon as RBAC knows the Role, and the Role deleted.
async fn dangling(world: &World<'_>, client: &Client, name: &str, to: &str) {
    let roles: Api<Role> = Api::namespaced(client.clone(), &world.namespace);
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), &world.namespace);
    roles.create(&PostParams::default(), &role(&json!({"name": to}))).await.unwrap();
    let made = binding(&json!({"name": name}), to);
    world.until("bound", || async { bindings.create(&PostParams::default(), &made).await.is_ok() }).await;
    roles.delete(to, &DeleteParams::default()).await.unwrap();
}

async fn vote(world: &World<'_>, who: &str, name: &str) {
    let digest = world.get(name).await.status.unwrap().review.unwrap().digest;
    let api: Api<DownloadRequest> = Api::namespaced(world.person(who).await.client, &world.namespace);
    let patch = json!([{"op": "add", "path": "/status/approvals/-", "value":
        {"username": who, "digest": digest, "decision": "Approve", "reason": "in good faith"}}]);
    let patch = Patch::<DownloadRequest>::Json(serde_json::from_value(patch).unwrap());
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

/// The finding: an approved key went to whoever had prepared a RoleBinding for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_approved_key_reaches_nobody_who_prepared_roles_and_bindings() {
    let world = World::new(Stage::shared().await, "squat").await;
    let two = json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 2}});
    world.policy("two", two).await;
    let client = mallory(&world).await;
    // Before the request exists.
    dangling(&world, &client, "innocent", &names::token_secret("key")).await;
    let asked = request(&world, "alice", "key", json!({"format": "key"})).await;
    world.wait_for_phase("key", Phase::AwaitingApproval).await;

    // With label and owner, while it is under review: the API server refuses.
    let (roles, bindings): (Api<Role>, Api<RoleBinding>) =
        (Api::namespaced(client.clone(), &world.namespace), Api::namespaced(client.clone(), &world.namespace));
    roles.create(&PostParams::default(), &role(&json!({"name": "mine"}))).await.unwrap();
    let metadata = json!({
        "name": names::token_secret("key"), "labels": {names::TOKEN: "1"},
        "ownerReferences": [{"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "name": "key",
            "uid": asked.metadata.uid}],
    });
    let squat = binding(&metadata, "mine");
    let refused = world
        .until("RBAC knows the Role", async || {
            let refused = words(&bindings.create(&PostParams::default(), &squat).await.unwrap_err());
            wanted(refused, |refused| !refused.contains("not found"))
        })
        .await;
    assert!(
        refused.contains("token-readers.certcourier.io") && refused.contains("only the certcourier controller"),
        "{refused}"
    );
    let refused = words(&roles.create(&PostParams::default(), &role(&metadata)).await.unwrap_err());
    assert!(refused.contains("token-readers.certcourier.io"), "{refused}");

    vote(&world, "bob", "key").await;
    vote(&world, "frank", "key").await;
    let issued = world.wait_for_phase("key", Phase::TokenIssued).await;
    let secrets: Api<Secret> = Api::namespaced(client, &world.namespace);
    let stolen = words(&secrets.get(&names::token_secret("key")).await.unwrap_err());
    assert!(stolen.contains("cannot get resource \"secrets\""), "{stolen}");

    // Now that the Role exists, its name helps nobody either.
    let reader = issued.status.unwrap().token.unwrap().reader_name.unwrap();
    let late =
        words(&bindings.create(&PostParams::default(), &binding(&json!({"name": "late"}), &reader)).await.unwrap_err());
    assert!(late.contains("not currently held"), "{late}");
    let token = world.token_part("alice", "key", "token").await.unwrap();
    assert_eq!(world.redeem(&token).await.text(), world.leaf.key);
}

/// The finding: `--cascade=orphan` left carol the right to read whatever came under that name later.
#[tokio::test(flavor = "multi_thread")]
async fn a_requester_keeps_no_right_to_the_next_token_of_that_name() {
    let world = World::new(Stage::shared().await, "orphan").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    request(&world, "carol", "api-key", json!({"format": "cert"})).await;
    let issued = world.wait_for_phase("api-key", Phase::TokenIssued).await;
    let carol = world.person("carol").await.client;
    let requests: Api<DownloadRequest> = Api::namespaced(carol.clone(), &world.namespace);
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    let refused = words(&requests.delete("api-key", &orphan).await.unwrap_err());
    assert!(refused.contains("delete it without --cascade=orphan"), "{refused}");

    // While she may read the token, Kubernetes would let her write that right into a Role of her own.
    let allowed = json!([{"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["create"]}]);
    let manager = serde_json::from_value(json!({"metadata": {"name": "carol-rbac"}, "rules": allowed})).unwrap();
    world.api::<Role>().create(&PostParams::default(), &manager).await.unwrap();
    let mut bound = binding(&json!({"name": "carol-rbac"}), "carol-rbac");
    bound.subjects.as_mut().unwrap()[0].name = "carol".to_owned();
    world.api::<RoleBinding>().create(&PostParams::default(), &bound).await.unwrap();
    let (roles, bindings): (Api<Role>, Api<RoleBinding>) =
        (Api::namespaced(carol.clone(), &world.namespace), Api::namespaced(carol, &world.namespace));
    let probe = PostParams { dry_run: true, ..PostParams::default() };
    world
        .until("carol may make Roles", || async { roles.create(&probe, &role(&json!({"name": "x"}))).await.is_ok() })
        .await;
    let mut keeps = role(&json!({"name": "keeps"}));
    keeps.rules = serde_json::from_value(json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"],
        "resourceNames": [names::token_secret("api-key")]}]))
    .unwrap();
    let refused = words(&roles.create(&PostParams::default(), &keeps).await.unwrap_err());
    assert!(refused.contains("token-readers.certcourier.io"), "{refused}");
    let reader = issued.status.unwrap().token.unwrap().reader_name.unwrap();
    let shared = binding(&json!({"name": "shared"}), &reader);
    let refused = words(&bindings.create(&PostParams::default(), &shared).await.unwrap_err());
    assert!(refused.contains("token-readers.certcourier.io"), "{refused}");

    requests.delete("api-key", &DeleteParams::default()).await.unwrap();
    request(&world, "alice", "api-key", json!({"format": "key"})).await;
    world.wait_for_phase("api-key", Phase::TokenIssued).await;
    let stolen = words(&world.token_part("carol", "api-key", "token").await.unwrap_err());
    assert!(stolen.contains("cannot get resource \"secrets\""), "{stolen}");
    world.token_part("alice", "api-key", "token").await.unwrap();
}
