//! What others prepare before a token is minted, and what deleted requests leave behind: no right to read a token reaches
//! anybody but its requester. Without any admission policy: the controller alone must hold.

use certcourier::{
    api::{DownloadRequest, DownloadRequestStatus, Phase, names},
    token::Token,
};
use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams, PropagationPolicy},
};
use serde_json::{Value, json};
use test_support::{
    people::{RBAC, binding, role_ref, user},
    request::{condition, generation, hash, message, reader},
};

use crate::world::{World, may_get, owned};

const SECRET: &str = "full-download-token";

fn for_mallory_and_carol(metadata: &Value, role: &str) -> Value {
    binding("RoleBinding", metadata, &role_ref("Role", role), &[user("mallory"), user("carol")])
}

/// mallory's client: she may create and delete Roles and RoleBindings and look at requests, and read no Secret.
async fn mallory(world: &World) -> kube::Client {
    let allowed = json!([
        {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["get", "list", "create", "delete"]},
        {"apiGroups": ["certcourier.io"], "resources": ["downloadrequests"], "verbs": ["get", "list"]},
    ]);
    world.create::<Role>(json!({"metadata": {"name": "rbac-manager"}, "rules": allowed})).await;
    world.bind("rbac-manager", "mallory").await;
    let client = world.plane.person("mallory", &[]).await.unwrap().client;
    let roles: Api<Role> = Api::namespaced(client.clone(), &world.namespace);
    world.until("mallory may list Roles", async || roles.list(&ListParams::default()).await.is_ok()).await;
    client
}

/// Role, RoleBinding, and the Role deleted again: the binding dangles.
async fn dangling(world: &World, client: &kube::Client, metadata: &Value, role: &str) {
    let roles: Api<Role> = Api::namespaced(client.clone(), &world.namespace);
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), &world.namespace);
    let empty: Role = serde_json::from_value(json!({"metadata": {"name": role}, "rules": []})).unwrap();
    roles.create(&PostParams::default(), &empty).await.unwrap();
    let binding: RoleBinding = serde_json::from_value(for_mallory_and_carol(metadata, role)).unwrap();
    // RBAC has to know the Role before it lets anybody bind it.
    let bound = async || bindings.create(&PostParams::default(), &binding).await.is_ok();
    world.until("bound", bound).await;
    roles.delete(role, &DeleteParams::default()).await.unwrap();
}

/// Squat 3, 4 and 5, and a binding of any other name made before the request exists.
#[tokio::test]
async fn bindings_prepared_by_somebody_else_read_no_token() {
    let world = World::new("squatting").await;
    world.furnish().await;
    world.people().await;
    let mallory = mallory(&world).await;
    dangling(&world, &mallory, &json!({"name": "innocent"}), SECRET).await;
    let request = world.request("full", "fullchain", json!({})).await;
    dangling(&world, &mallory, &owned(&request, "squat3"), "anything").await;
    dangling(&world, &mallory, &owned(&request, SECRET), SECRET).await;
    // An empty Role of the old name with label and owner, which would have kept carol from reading.
    world.create::<Role>(json!({"metadata": owned(&request, SECRET), "rules": []})).await;

    let _controller = world.controller(&[]).await;
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert!(may_get(&world, "carol", SECRET).await);
    assert!(!may_get(&world, "mallory", SECRET).await);
    let binding = world.api::<RoleBinding>().get(&reader(&issued)).await.unwrap();
    assert_eq!(binding.subjects.unwrap().iter().map(|subject| subject.name.as_str()).collect::<Vec<_>>(), ["carol"]);
    let squats = world.api::<RoleBinding>().get(SECRET).await.unwrap();
    assert_eq!(squats.subjects.unwrap().len(), 2, "what is somebody else's is never touched");

    // Now that the Role can be known, mallory may not bind it.
    let bindings: Api<RoleBinding> = Api::namespaced(mallory, &world.namespace);
    let late = for_mallory_and_carol(&json!({"name": "late"}), &reader(&issued));
    let refused =
        bindings.create(&PostParams::default(), &serde_json::from_value(late).unwrap()).await.unwrap_err().to_string();
    assert!(refused.contains("attempting to grant RBAC permissions not currently held"), "{refused}");
}

/// The name of the Role was never said before, and is another one for each token.
#[tokio::test]
async fn each_token_has_a_role_of_a_new_random_name() {
    let world = World::new("squatting").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    let first = reader(&world.wait_for_phase("full", Phase::TokenIssued).await);
    assert!(names::is_token_reader(&first), "{first}");
    world.merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::MINT: "again"}}})).await;
    let again = world.wait("full", "minted again", |status| generation(status) == 2).await;
    assert_ne!(reader(&again), first);
    assert_eq!(world.readers().await, [reader(&again)]);
    assert!(may_get(&world, "carol", SECRET).await);
}

#[tokio::test]
async fn a_foreign_secret_with_label_and_owner_is_never_used_and_a_perfect_one_is_replaced() {
    let world = World::new("squatting").await;
    world.furnish().await;
    world.people().await;
    let mut known = Vec::new();
    for (name, more) in [("full", json!({"mine": "yes"})), ("exact", json!({}))] {
        let request = world.request(name, "fullchain", json!({})).await;
        // A token that mallory knows.
        let token = Token::mint(&world.namespace, name, &[1; 32]);
        let mut content = more;
        content["token"] = json!(token.expose());
        let metadata = owned(&request, &names::token_secret(name));
        world.create::<Secret>(json!({"metadata": metadata, "stringData": content})).await;
        known.push(token.hash());
    }
    let foreign = world.api::<Secret>().get(SECRET).await.unwrap();
    let _controller = world.controller(&[]).await;
    let stalled = world.wait("full", "stalled", |status| condition(status, "Stalled") == "True/SecretNameTaken").await;
    assert!(hash(&stalled).is_none(), "{}", message(&stalled, "Stalled"));
    assert_eq!(world.api::<Secret>().get(SECRET).await.unwrap().uid(), foreign.uid());
    world.delete::<Secret>(SECRET).await;
    for name in ["full", "exact"] {
        let issued = hash(&world.wait_for_phase(name, Phase::TokenIssued).await).unwrap();
        assert!(!known.contains(&issued), "{name}");
    }
}

/// Deletes a request so that its dependents stay without owner.
async fn orphan(world: &World, name: &str) {
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    world.api::<DownloadRequest>().delete(name, &orphan).await.unwrap();
    world.wait_gone::<DownloadRequest>(name).await;
}

/// carol's request is deleted with --cascade=orphan while no controller runs; alice asks under the same name. The
/// administrator may have deleted the Secret, as the finding has it.
#[tokio::test]
async fn a_right_that_an_orphaned_request_left_reads_no_later_token() {
    for secret_deleted in [true, false] {
        let world = World::new("squatting").await;
        world.furnish().await;
        world.people().await;
        // alice may read Secrets anyway, so that no Role is made for her.
        let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
        world.create::<Role>(json!({"metadata": {"name": "reads"}, "rules": rules})).await;
        world.bind("reads", "alice").await;
        let controller = world.controller(&[]).await;
        world.request("full", "fullchain", json!({})).await;
        let left = reader(&world.wait_for_phase("full", Phase::TokenIssued).await);
        controller.kill().await;
        orphan(&world, "full").await;
        assert!(may_get(&world, "carol", SECRET).await, "the orphan still grants");
        if secret_deleted {
            world.delete::<Secret>(SECRET).await;
        }
        world.request_by("alice", "full", "fullchain", json!({})).await;
        let _controller = world.controller(&[]).await;
        world.wait_for_phase("full", Phase::TokenIssued).await;
        assert!(may_get(&world, "alice", SECRET).await);
        assert!(!may_get(&world, "carol", SECRET).await, "secret deleted: {secret_deleted}");
        assert!(world.api::<Role>().get_opt(&left).await.unwrap().is_none());
    }
}

/// The same while one controller leads all the time: it knows what it made.
#[tokio::test]
async fn a_right_that_was_orphaned_a_moment_ago_reads_no_later_token() {
    let world = World::new("squatting").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[("--sweep-interval", "1h")]).await;
    world.request("full", "fullchain", json!({})).await;
    let left = reader(&world.wait_for_phase("full", Phase::TokenIssued).await);
    // Whether the right goes with the request, which is closed as soon as it is being deleted, or is left behind by who
    // was faster: neither reads what comes after.
    orphan(&world, "full").await;
    world.request_by("alice", "full", "fullchain", json!({})).await;
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_eq!(world.readers().await, [reader(&issued)]);
    assert!(world.api::<Role>().get_opt(&left).await.unwrap().is_none());
    assert!(may_get(&world, "alice", SECRET).await && !may_get(&world, "carol", SECRET).await);
}

/// A Role that bears our label and reads the Secret, and is not exactly as we make them, is left alone and stops the mint.
#[tokio::test]
async fn a_role_of_somebody_elses_that_reads_the_token_stops_the_mint() {
    let world = World::new("squatting").await;
    world.furnish().await;
    world.people().await;
    let request = world.request("full", "fullchain", json!({})).await;
    let rules =
        json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET, "x"], "verbs": ["get"]}]);
    let role: Role = world.create(json!({"metadata": owned(&request, "wide"), "rules": rules})).await;
    let _controller = world.controller(&[]).await;
    let readable = |status: &DownloadRequestStatus| condition(status, "Stalled") == "True/TokenReadableByOthers";
    let stalled = world.wait("full", "stalled", readable).await;
    let message = message(&stalled, "Stalled");
    assert!(message.contains("Role `wide`") && message.contains("delete it"), "{message}");
    assert!(world.api::<Secret>().get_opt(SECRET).await.unwrap().is_none());
    assert_eq!(world.api::<Role>().get("wide").await.unwrap().uid(), role.uid());
    world.delete::<Role>("wide").await;
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_eq!(condition(&issued, "Stalled"), "False/NotStalled");
}

#[tokio::test]
async fn what_deleted_requests_left_is_swept_after_a_restart_and_nothing_else() {
    let world = World::new("squatting").await;
    world.furnish().await;
    world.people().await;
    let controller = world.controller(&[]).await;
    for name in ["left", "stays"] {
        world.request(name, "fullchain", json!({})).await;
    }
    let left = reader(&world.wait_for_phase("left", Phase::TokenIssued).await);
    let stays = reader(&world.wait_for_phase("stays", Phase::TokenIssued).await);
    controller.kill().await;
    orphan(&world, "left").await;
    let gone = world.request("gone", "fullchain", json!({})).await;
    // Label and owner, and yet not as we make them.
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    world.create::<Role>(json!({"metadata": owned(&gone, "not-ours"), "rules": rules})).await;
    let binding = for_mallory_and_carol(&owned(&gone, &names::token_reader(&[9; 16])), "not-ours");
    world.create::<RoleBinding>(binding).await;
    let left_secret = names::token_secret("left");
    assert!(world.api::<Secret>().get_opt(&left_secret).await.unwrap().is_some());

    let _controller = world.controller(&[("--sweep-interval", "1s")]).await;
    world.wait_gone::<Role>(&left).await;
    world.wait_gone::<RoleBinding>(&left).await;
    world.wait_gone::<Secret>(&left_secret).await;
    world.wait_for_phase("gone", Phase::TokenIssued).await;
    assert!(world.readers().await.contains(&stays));
    for name in ["not-ours", &stays] {
        assert!(world.api::<Role>().get_opt(name).await.unwrap().is_some(), "{name}");
    }
    assert!(world.api::<RoleBinding>().get_opt(&names::token_reader(&[9; 16])).await.unwrap().is_some());
    assert!(may_get(&world, "carol", &names::token_secret("stays")).await);
}

/// Who may write mutating policies can put another person into the binding on its way, and the API server says nothing.
#[tokio::test]
async fn a_binding_that_is_changed_on_its_way_lets_nobody_read_and_is_reported() {
    let world = World::new("turned").await;
    world.furnish().await;
    world.people().await;
    let bindings: Api<RoleBinding> = world.api();
    let turned =
        Turned::new(&world, RBAC, "rolebindings", "op: 'replace', path: '/subjects/0/name', value: 'mallory'").await;
    let mut probe: RoleBinding =
        serde_json::from_value(for_mallory_and_carol(&json!({"name": "probe"}), "absent")).unwrap();
    probe.subjects.as_mut().unwrap().reverse();
    let dry = PostParams { dry_run: true, field_manager: None };
    let in_force = async || bindings.create(&dry, &probe).await.unwrap().subjects.unwrap()[0].name == "mallory";
    world.until("the mutating policy is in force", in_force).await;

    let _controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    let stalled =
        world.wait("full", "stalled", |status| condition(status, "Stalled") == "True/TokenReadableByOthers").await;
    let message = message(&stalled, "Stalled");
    assert!(
        message.starts_with("RoleBinding `certcourier-token-")
            && message.contains("was not stored as certcourier sent it"),
        "{message}"
    );
    assert_eq!(stalled.status.unwrap().token, None);
    world.until("nothing is left that lets anybody read", async || world.readers().await.is_empty()).await;
    assert!(!may_get(&world, "mallory", SECRET).await);

    turned.end(&world).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
}

/// A link that leads elsewhere carries the token there, and the requester's own credentials behind it.
#[tokio::test]
async fn a_secret_whose_link_is_changed_on_its_way_is_taken_back_and_reported() {
    let world = World::new("led-astray").await;
    world.furnish().await;
    world.people().await;
    // base64 of https://mallory.example/
    let elsewhere = "op: 'add', path: '/data/url', value: 'aHR0cHM6Ly9tYWxsb3J5LmV4YW1wbGUv'";
    let turned = Turned::new(&world, "", "secrets", elsewhere).await;
    let secrets: Api<Secret> = world.api();
    let probe: Secret =
        serde_json::from_value(json!({"metadata": {"name": "probe"}, "stringData": {"url": "https://honest.example"}}))
            .unwrap();
    let dry = PostParams { dry_run: true, field_manager: None };
    let in_force = async || {
        let stored = secrets.create(&dry, &probe).await.unwrap();
        stored.data.unwrap()["url"].0 == b"https://mallory.example/"
    };
    world.until("the mutating policy is in force", in_force).await;

    let _controller = world.controller(&[("--external-url", "https://certs.example.com")]).await;
    world.request("full", "fullchain", json!({})).await;
    let stalled =
        world.wait("full", "stalled", |status| condition(status, "Stalled") == "True/TokenReadableByOthers").await;
    let message = message(&stalled, "Stalled");
    assert!(
        message.starts_with("Secret `full-download-token`")
            && message.contains("was not stored as certcourier sent it"),
        "{message}"
    );
    assert_eq!(stalled.status.unwrap().token, None);
    let gone = async || secrets.get_opt("full-download-token").await.unwrap().is_none();
    world.until("the Secret is taken back", gone).await;

    turned.end(&world).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
}

/// A mutating policy that changes what is created in the namespace.
struct Turned;

impl Turned {
    async fn new(world: &World, group: &str, resource: &str, patch: &str) -> Self {
        let policy = json!({"name": world.namespace});
        let turner = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": policy, "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
                    "resourceRules": [{
                        "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource],
                    }],
                },
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": format!("[JSONPatch{{{patch}}}]")}}],
            }},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": policy,
                "spec": {"policyName": world.namespace}},
        ]});
        world.plane.admin_kubectl().run_with(["apply", "-f", "-"], &turner.to_string()).await.unwrap();
        Self
    }

    async fn end(self, world: &World) {
        for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
            world.plane.admin_kubectl().check(["delete", kind, world.namespace.as_str()]).await.unwrap();
        }
    }
}
