//! The guard, against people who may change admission policies: whatever they do, no key leaves that was not asked for
//! and agreed to while the policies stood. These tests have control planes of their own, which they break.

use std::collections::BTreeMap;

use certcourier::{
    admission::name::{CERTIFICATES, REQUESTS, TOKENS, VOTES},
    api::{Phase, names},
    guard::Kind,
};
use k8s_openapi::api::{
    events::v1::Event,
    rbac::v1::{PolicyRule, Role},
};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_support::{
    stage::{self, SYSTEM, Settings, Stage},
    world::{World, condition, message},
};

/// What an administrator of the cluster can do.
pub struct Siege<'a> {
    pub stage: &'a Stage,
    pub world: World<'a>,
}

impl<'a> Siege<'a> {
    pub async fn of(stage: &'a Stage, what: &str) -> Self {
        let world = World::new(stage, what).await;
        world.policy("keys", json!({"allowKeyExport": "Always"})).await;
        Self { stage, world }
    }

    pub fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let group = kind.group();
        let resource = ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{group}/v1"),
            kind: kind.name().to_owned(),
            plural: kind.plural().to_owned(),
        };
        Api::all_with(self.world.admin.clone(), &resource)
    }

    pub async fn merge(&self, kind: Kind, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api(kind).patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub async fn delete(&self, kind: Kind, name: &str) {
        self.api(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn audits(&self, name: &str) {
        self.merge(Kind::Binding, name, json!({"validationActions": ["Audit"]})).await;
    }

    /// Applies what `certcourier manifests` prints, those of these names.
    pub async fn put_back(&self, wanted: impl Fn(&str, &str) -> bool) {
        let stamp: &[&str] = if stage::stamps(&self.stage.plane) { &[] } else { &["--stamp", "never"] };
        let mut list: Value = serde_json::from_str(&stage::manifests(&[], "json", stamp)).unwrap();
        list["items"].as_array_mut().unwrap().retain(|object| {
            object["apiVersion"] == "admissionregistration.k8s.io/v1"
                && wanted(object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
        });
        self.stage.plane.admin_kubectl().apply(&list.to_string()).await.unwrap();
    }

    pub async fn put_all_back(&self) {
        self.put_back(|_, _| true).await;
    }

    /// Until the guard has found this, in these words.
    pub async fn until_broken(&self, reason: &str, words: &str) {
        let seen = || async {
            let record = self.stage.guard().await;
            let is = |key: &str, value: &str| record.get(key).is_some_and(|found| found == value);
            is("state", "Broken") && is("reason", reason) && record["message"].contains(words)
        };
        self.world.until(&format!("the guard says {reason}: {words}"), seen).await;
    }

    pub async fn until_intact_again(&self, before: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let changed = || async { self.stage.guard().await.get("since") != before.get("since") };
        self.world.until("another epoch has begun", changed).await;
        self.stage.wait_for_guard().await;
        self.stage.guard().await
    }

    /// alice gets a key, all the way.
    pub async fn a_key_leaves(&self, name: &str) {
        let token = self.world.issue("alice", name, json!({"format": "key"})).await;
        let answer = self.world.redeem(&token).await;
        assert_eq!((answer.status, answer.text()), (200, self.world.leaf.key.clone()), "{name}");
    }

    /// carol gets a public file, all the way.
    pub async fn a_public_file_leaves(&self, name: &str) {
        let token = self.world.issue("carol", name, json!({"format": "cert"})).await;
        let answer = self.world.redeem_at(1, &token).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }

    /// Both servers refuse this token for the guard's sake, in these words.
    pub async fn no_key_leaves(&self, token: &str, words: &str) {
        for server in [0, 1] {
            let answer = self.world.redeem_at(server, token).await;
            assert_eq!((answer.status, answer.json("error").as_str()), (503, "guard_failed"), "{}", answer.text());
            assert!(answer.text().contains(words), "{words}: {}", answer.text());
        }
    }

    pub async fn epoch_changed(&self, name: &str) {
        let (phase, request) = self.world.wait_finished(name).await;
        let status = request.status.as_ref().unwrap();
        assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some("EpochChanged")), "{name}");
        assert!(message(status, "Finished").contains("create it again"), "{}", message(status, "Finished"));
        assert!(self.world.receipt_of(&request).await.is_none(), "{name}");
    }

    /// Lines of a program's metrics that begin so.
    pub async fn metric(&self, program: &stage::Program, name: &str) -> Vec<String> {
        let answer = self.stage.http().get(format!("http://{}/metrics", program.probe())).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    pub async fn told(&self) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.world.admin.clone(), SYSTEM);
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.into_iter().map(|event| format!("{} {}", event.reason.unwrap(), event.note.unwrap())).collect()
    }
}

/// What the controller has told the audit record of the guard.
fn audited(siege: &Siege<'_>) -> Vec<Value> {
    let of_guard = |line: &Value| line["type"].as_str().unwrap().starts_with("guard.");
    super::audit::lines(&siege.stage.controller, SYSTEM).into_iter().filter(of_guard).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_anything_is_wrong_with_a_policy_no_key_leaves_and_public_files_do() {
    let stage = Stage::own(Settings::default()).await;
    let siege = Siege::of(&stage, "siege").await;
    siege.a_key_leaves("first").await;
    every_way_to_break_a_policy_is_seen(&siege).await;
    a_probe_that_something_else_refuses_proves_nothing(&siege).await;
    a_record_that_is_gone_begins_a_new_epoch(&siege).await;
    let before = audited(&siege);
    assert_eq!((&before[0]["type"], &before[1]["type"]), (&json!("guard.intact"), &json!("guard.failed")));
    assert_eq!(before.last().unwrap()["type"], "guard.intact");
    a_restart_begins_none(&siege).await;
    assert_eq!(audited(&siege), before, "and tells nothing new");
}

async fn every_way_to_break_a_policy_is_seen(siege: &Siege<'_>) {
    let world = &siege.world;
    let before = siege.stage.guard().await;
    // Good, and not used before the policies break.
    let token = world.issue("alice", "early", json!({"format": "key"})).await;
    assert_eq!(
        siege.metric(&siege.stage.controller, "certcourier_guard_intact").await,
        ["certcourier_guard_intact 1.0"]
    );

    siege.delete(Kind::Binding, VOTES).await;
    siege.no_key_leaves(&token, "there is no ValidatingAdmissionPolicyBinding").await;
    siege.until_broken("Missing", VOTES).await;
    world.request("alice", "meanwhile", json!({"format": "key"})).await;
    let held = world.wait("meanwhile", "held back", |s| condition(s, "TokenIssued") == "False/GuardFailed").await;
    let words = message(held.status.as_ref().unwrap(), "TokenIssued");
    assert!(words.contains("apply again what `certcourier manifests` prints"), "{words}");
    siege.a_public_file_leaves("public-0").await;
    assert_eq!(
        siege.metric(&siege.stage.controller, "certcourier_guard_intact").await,
        ["certcourier_guard_intact 0.0"]
    );
    let told = siege.told().await;
    assert!(told.iter().any(|event| event.starts_with("GuardBroken no key is released")), "{told:#?}");
    let record = audited(siege);
    assert_eq!(record.last().unwrap()["type"], "guard.failed", "{record:#?}");
    assert!(record.last().unwrap()["data"]["message"].as_str().unwrap().contains(VOTES), "{record:#?}");

    // Each fault is there before the last one is mended: at no moment do all policies stand, so that no new epoch begins
    // in which the token would be refused for another reason.
    siege.audits(REQUESTS).await;
    siege.put_back(|kind, name| (kind, name) == (Kind::Binding.name(), VOTES)).await;
    siege.no_key_leaves(&token, "lack Deny").await;
    siege.until_broken("NotDenying", REQUESTS).await;

    siege.delete(Kind::Policy, TOKENS).await;
    siege.put_back(|kind, name| (kind, name) == (Kind::Binding.name(), REQUESTS)).await;
    siege.no_key_leaves(&token, "there is no ValidatingAdmissionPolicy ").await;
    siege.until_broken("Missing", TOKENS).await;
    siege.a_public_file_leaves("public-1").await;

    let votes = siege.api(Kind::Policy).get(VOTES).await.unwrap();
    let mut rules = votes.data["spec"]["validations"].clone();
    rules[1]["expression"] = json!("true");
    siege.merge(Kind::Policy, VOTES, json!({"validations": rules})).await;
    siege.put_back(|kind, name| (kind, name) == (Kind::Policy.name(), TOKENS)).await;
    siege.no_key_leaves(&token, "is not what this version of certcourier applies").await;
    siege.until_broken("Changed", VOTES).await;

    // What somebody else added stays when ours is applied over it: that does not make it ours.
    let exempt = json!([{"name": "not-mallory", "expression": "request.userInfo.username != 'mallory'"}]);
    siege.merge(Kind::Policy, CERTIFICATES, json!({"matchConditions": exempt})).await;
    siege.put_all_back().await;
    siege.until_broken("Changed", CERTIFICATES).await;
    let kept = siege.api(Kind::Policy).get(CERTIFICATES).await.unwrap();
    assert_eq!(kept.data["spec"]["matchConditions"][0]["name"], "not-mallory");
    siege.no_key_leaves(&token, "delete it").await;
    siege.a_public_file_leaves("public-2").await;
    siege.delete(Kind::Policy, CERTIFICATES).await;
    siege.put_all_back().await;

    let after = siege.until_intact_again(&before).await;
    assert_ne!(before["epoch"], after["epoch"]);
    siege.epoch_changed("early").await;
    siege.epoch_changed("meanwhile").await;
    assert_eq!(world.redeem(&token).await.json("error"), "token_revoked");
    siege.a_key_leaves("after").await;
    let told = siege.told().await;
    assert!(told.iter().any(|event| event.starts_with("GuardIntact the admission policies are in force")), "{told:#?}");
}

/// Somebody tidied the operator's roles: RBAC refuses before any policy is asked.
async fn a_probe_that_something_else_refuses_proves_nothing(siege: &Siege<'_>) {
    let world = &siege.world;
    let before = siege.stage.guard().await;
    let token = world.issue("alice", "tidied", json!({"format": "key"})).await;
    let roles: Api<Role> = Api::namespaced(world.admin.clone(), SYSTEM);
    let whole = roles.get("certcourier-controller").await.unwrap().rules.unwrap();
    let creates = |rule: &&PolicyRule| {
        rule.verbs == ["create"] && rule.resources.iter().flatten().any(|resource| resource == "downloadrequests")
    };
    let without: Vec<_> = whole.iter().filter(|rule| !creates(rule)).cloned().collect();
    assert_eq!(without.len() + 1, whole.len());
    let change = |given: Vec<_>| {
        let (roles, patch) = (roles.clone(), Patch::Merge(json!({"rules": given})));
        async move { roles.patch("certcourier-controller", &PatchParams::default(), &patch).await.map(drop) }
    };
    change(without).await.unwrap();
    siege.until_broken("ForeignRefusal", "cannot create resource").await;
    siege.no_key_leaves(&token, "refused by something else").await;
    siege.a_public_file_leaves("public-3").await;
    change(whole).await.unwrap();
    // Of the same objects, and yet another epoch: nobody knows what the policies let through meanwhile.
    let after = siege.until_intact_again(&before).await;
    assert_eq!(before["epoch"], after["epoch"]);
    siege.epoch_changed("tidied").await;
}

async fn a_record_that_is_gone_begins_a_new_epoch(siege: &Siege<'_>) {
    let before = siege.stage.guard().await;
    siege.world.issue("alice", "on-record", json!({"format": "key"})).await;
    let kubectl = siege.stage.plane.admin_kubectl();
    let delete = ["-n", SYSTEM, "delete", "configmap", names::GUARD];
    let refused = kubectl.run(delete).await.unwrap();
    assert!(refused.stderr.contains("only the certcourier controller writes"), "{}", refused.stderr);
    let data = json!({"data": {"since": "2020-01-01T00:00:00Z"}}).to_string();
    let forged = kubectl.run(["-n", SYSTEM, "patch", "configmap", names::GUARD, "--type=merge", "-p", &data]).await;
    assert!(forged.unwrap().stderr.contains("only the certcourier controller writes"));
    let as_kubernetes = ["--as=system:serviceaccount:kube-system:namespace-controller"];
    kubectl.check(delete.into_iter().chain(as_kubernetes)).await.unwrap();
    let after = siege.until_intact_again(&before).await;
    assert_eq!(before["epoch"], after["epoch"]);
    siege.epoch_changed("on-record").await;
}

async fn a_restart_begins_none(siege: &Siege<'_>) {
    let before = siege.stage.guard().await;
    let token = siege.world.issue("alice", "patient", json!({"format": "key"})).await;
    let second = siege.stage.another_controller().await;
    second.start_and_wait().await;
    assert!(siege.metric(&second, "certcourier_guard_intact").await.is_empty(), "a replica that does not lead");
    siege.stage.controller.stop();
    siege
        .world
        .until("the other one leads", || async {
            siege.metric(&second, "certcourier_guard_intact").await == ["certcourier_guard_intact 1.0"]
        })
        .await;
    second.stop();
    siege.stage.servers[0].stop();
    siege.stage.servers[0].start_and_wait().await;
    siege.stage.controller.start_and_wait().await;
    let after = siege.stage.guard().await;
    assert_eq!((&before["epoch"], &before["since"]), (&after["epoch"], &after["since"]));
    assert_eq!(siege.world.redeem(&token).await.text(), siege.world.leaf.key);
}
