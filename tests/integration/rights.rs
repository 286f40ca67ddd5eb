//! The operator's rights are exactly what it uses: nothing that it asks for is forbidden, nothing that it may is unused.
//!
//! The API server's audit log tells which role allowed each call. The operator has rights in one listed namespace and in
//! its own, so that no right of one role hides behind the same right of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use certcourier::api::{DownloadReceipt, DownloadRequest, Phase, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_cluster::audit::Event;
use test_support::{
    stage::{self, SYSTEM, Settings, Stage},
    waiting::{Wait, wanted},
    world::World,
};

const WATCHED: &str = "rights";
/// Where RBAC is asked without a call of its own: what the probes of the guard grant or ask for. Each is taken away in
/// `what_only_admission_asks_for_is_needed_by_the_guard`.
const FELT: [(&str, &str); 2] = [("get", "secrets"), ("download", "certificates")];

/// One verb on one resource that a role of the operator allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    /// `ClusterRole certcourier-controller`, as the audit log names it.
    role: String,
    user: String,
    verb: String,
    group: String,
    resource: String,
    /// Empty: every name.
    names: Vec<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, user, verb, group, resource, names } = self;
        write!(f, "{role}: {verb} {resource}.{group} {names:?} for {user}")
    }
}

/// Every right of the operator, as `certcourier manifests` gives it.
fn granted() -> BTreeSet<Right> {
    let list: Value =
        serde_json::from_str(&stage::manifests(&[WATCHED.to_owned()], "json", &["--tls-self-signed", "--ui"])).unwrap();
    let objects = list["items"].as_array().unwrap();
    let of_kind = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).collect::<Vec<_>>();
    let mut rules: BTreeMap<String, Vec<PolicyRule>> = BTreeMap::new();
    for kind in ["Role", "ClusterRole"] {
        for role in of_kind(kind) {
            let name = format!("{kind} {}", role["metadata"]["name"].as_str().unwrap());
            rules.insert(name, serde_json::from_value(role["rules"].clone()).unwrap());
        }
    }
    let mut rights = BTreeSet::new();
    for binding in of_kind("RoleBinding").into_iter().chain(of_kind("ClusterRoleBinding")) {
        let reference = &binding["roleRef"];
        let role = format!("{} {}", reference["kind"].as_str().unwrap(), reference["name"].as_str().unwrap());
        for subject in binding["subjects"].as_array().unwrap() {
            let user = format!("system:serviceaccount:{SYSTEM}:{}", subject["name"].as_str().unwrap());
            for rule in &rules[&role] {
                rights.extend(each(&role, &user, rule));
            }
        }
    }
    rights
}

fn each(by: &str, user: &str, rule: &PolicyRule) -> Vec<Right> {
    let all = |texts: &Option<Vec<String>>| texts.clone().unwrap_or_default();
    let mut rights = Vec::new();
    for group in all(&rule.api_groups) {
        for resource in all(&rule.resources) {
            for verb in &rule.verbs {
                rights.push(Right {
                    role: by.to_owned(),
                    user: user.to_owned(),
                    verb: verb.clone(),
                    group: group.clone(),
                    resource: resource.clone(),
                    names: all(&rule.resource_names),
                });
            }
        }
    }
    rights
}

impl Right {
    /// Whether this right allowed that call.
    fn allowed(&self, event: &Event) -> bool {
        let json = event.json();
        let group = json.pointer("/objectRef/apiGroup").and_then(Value::as_str).unwrap_or_default();
        let reason = json.pointer("/annotations/authorization.k8s.io~1reason").and_then(Value::as_str);
        let (kind, name) = self.role.split_once(' ').unwrap();
        reason.is_some_and(|reason| reason.contains(&format!(" of {kind} \"{name}\" to ")))
            && event.user() == self.user
            && event.verb() == self.verb
            && group == self.group
            && event.resource() == self.resource
            && (self.names.is_empty() || self.names.iter().any(|name| name == event.name()))
    }

    fn is_of_mutating_policies(&self) -> bool {
        self.verb == "watch" && self.resource.starts_with("mutatingadmissionpolic")
    }

    fn is_felt(&self) -> bool {
        self.names == [names::GUARD] && FELT.contains(&(self.verb.as_str(), self.resource.as_str()))
    }
}

/// What the operator's programs have asked so far; the test itself acts as the server once.
fn asked(stage: &Stage) -> Vec<Event> {
    let users = ["controller", "server"].map(|name| format!("system:serviceaccount:{SYSTEM}:{name}"));
    let own = |event: &Event| {
        let agent = event.json()["userAgent"].as_str().unwrap_or_default();
        users.iter().any(|user| user == event.user()) && agent.starts_with("certcourier/")
    };
    stage.plane.audit_events().unwrap().filter(own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_right_is_used_and_none_is_missing() {
    let settings = Settings { watch: vec![WATCHED.to_owned()], self_signed: true, ..Settings::default() };
    let stage = Stage::own(settings).await;
    let world = World::settle(&stage, WATCHED.to_owned()).await;
    world.furnish().await;
    a_token_is_minted_again_and_redeemed(&world).await;
    a_token_is_withdrawn(&world).await;
    a_key_leaves(&world).await;
    a_token_is_minted_over_http(&world).await;
    someone_signs_in_on_the_web_page(&world).await;
    a_receipt_without_outcome_runs_out(&world).await;
    finished_requests_go(&world).await;

    // A watch is in the audit log once it has ended. Kubernetes before 1.36 has no such policies to watch.
    let stamped = test_support::stage::stamps(&stage.plane);
    stage.controller.stop();
    // The audit log is a little behind, and the guard looks at its own pace.
    let unused = async || {
        let events = asked(&stage);
        let unused: Vec<String> = granted()
            .into_iter()
            .filter(|right| !right.is_felt() && (stamped || !right.is_of_mutating_policies()))
            .filter(|right| !events.iter().any(|event| right.allowed(event)))
            .map(|right| right.to_string())
            .collect();
        wanted(unused, Vec::is_empty)
    };
    Wait::usual().every(Duration::from_millis(200)).until("no right is unused", unused).await;
    let mut seen = BTreeSet::new();
    for event in asked(&stage) {
        assert_ne!(event.decision(), "forbid", "{}", event.json());
        let listed = event.resource() == "secrets" && matches!(event.verb(), "list" | "watch" | "deletecollection");
        assert!(!listed, "{}", event.json());
        seen.insert(format!("{} {} {}", event.user(), event.verb(), event.resource()));
    }
    // Both were looked at, and doing their work.
    for call in ["controller create secrets", "server create downloadreceipts"] {
        assert!(seen.contains(&format!("system:serviceaccount:{SYSTEM}:{call}")), "{seen:#?}");
    }
    stage.controller.start_and_wait().await;
    what_only_admission_asks_for_is_needed_by_the_guard(&world).await;
}

async fn a_token_is_minted_again_and_redeemed(world: &World<'_>) {
    let first = world.issue("carol", "twice", json!({"format": "cert"})).await;
    world.annotate("carol", "twice", names::MINT, "1").await.unwrap();
    let again = |status: &certcourier::api::DownloadRequestStatus| {
        status.phase == Some(Phase::TokenIssued) && status.token.as_ref().is_some_and(|token| token.generation == 2)
    };
    world.wait("twice", "minted again", again).await;
    assert_eq!(world.redeem(&first).await.json("error"), "token_replaced");
    let token = world.token_part("carol", "twice", "token").await.unwrap();
    assert_eq!(world.redeem(&token).await.status, 200);
    assert_eq!(world.redeem(&token).await.json("error"), "token_used");
    assert_eq!(world.wait_finished("twice").await.0, Phase::Consumed);
}

async fn a_token_is_withdrawn(world: &World<'_>) {
    world.issue("carol", "withdrawn", json!({"format": "cert"})).await;
    world.annotate("bob", "withdrawn", names::REVOKE, "laptop stolen").await.unwrap();
    world.wait_for_phase("withdrawn", Phase::Revoked).await;
    world.until("swept", || async { world.readers().await.is_empty() }).await;
}

/// The server writes the token into the status.
async fn a_token_is_minted_over_http(world: &World<'_>) {
    let minted = world.post("carol", "certificates/api/downloads", r#"{"format":"cert"}"#).await;
    assert_eq!(minted.status, 201, "{}", minted.text());
}

/// The server reads the key of its sessions, and writes the first one.
async fn someone_signs_in_on_the_web_page(world: &World<'_>) {
    let token = world.person("carol").await.token;
    let sign_in = world.stage.http().post(format!("{}/ui/sign-in", world.stage.urls[0]));
    let answer = world.fetch(sign_in.form(&[("token", token.as_str())])).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
}

/// Servers look at the admission policies for keys alone.
async fn a_key_leaves(world: &World<'_>) {
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let token = world.issue("alice", "key", json!({"format": "key"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
}

/// A server that died between receipt and outcome, a year ago.
async fn a_receipt_without_outcome_runs_out(world: &World<'_>) {
    world.request("carol", "crashed", json!({"format": "cert"})).await;
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 365);
    let name = world.begin_delivery("crashed", long_ago).await;
    world
        .wait("crashed", "finished", |status| {
            status.conditions.iter().any(|condition| {
                condition.type_ == "Finished" && condition.status == "True" && condition.reason == "Unknown"
            })
        })
        .await;
    let mine: Api<DownloadReceipt> = world.api();
    world.until("the receipt is gone", || async { mine.get_opt(&name).await.unwrap().is_none() }).await;
}

async fn finished_requests_go(world: &World<'_>) {
    world.policy("keys", json!({"allowKeyExport": "Always", "finishedRequestTTL": "1s"})).await;
    let requests: Api<DownloadRequest> = world.api();
    for name in ["twice", "withdrawn", "key", "crashed"] {
        world.until("it is gone", || async { requests.get_opt(name).await.unwrap().is_none() }).await;
    }
}

/// The probes of the guard have to get past RBAC to meet the policy; without these rights they do not.
async fn what_only_admission_asks_for_is_needed_by_the_guard(world: &World<'_>) {
    let kubectl = world.stage.plane.admin_kubectl();
    let roles: Api<Role> = Api::namespaced(world.admin.clone(), SYSTEM);
    let whole = roles.get("certcourier-controller").await.unwrap();
    let state = || async {
        let path = ["-n", SYSTEM, "get", "configmap", names::GUARD, "-o", "jsonpath={.data.state}"];
        kubectl.check(path).await.unwrap().stdout
    };
    world.until("the guard says Intact", || async { state().await == "Intact" }).await;
    for (verb, resource) in FELT {
        let mut without = whole.rules.clone().unwrap();
        let before = without.len();
        without.retain(|rule| {
            let is_it = rule.verbs == [verb]
                && rule.resources.as_deref() == Some(&[resource.to_owned()])
                && rule.resource_names.as_deref() == Some(&[names::GUARD.to_owned()]);
            !is_it
        });
        assert_eq!(without.len() + 1, before, "{verb} {resource}");
        change(&roles, &without).await;
        // The request that the status policy is probed on is made once: only its making needs the verb.
        let request: Api<DownloadRequest> = Api::namespaced(world.admin.clone(), SYSTEM);
        let _ = request.delete(names::GUARD, &DeleteParams::default()).await;
        world.until("the guard says Broken", || async { state().await == "Broken" }).await;
        change(&roles, whole.rules.as_deref().unwrap()).await;
        world.until("the guard says Intact again", || async { state().await == "Intact" }).await;
    }
}

async fn change(roles: &Api<Role>, given: &[PolicyRule]) {
    let patch = Patch::Merge(json!({"rules": given}));
    roles.patch("certcourier-controller", &PatchParams::default(), &patch).await.unwrap();
}
