//! Somebody has the API server change votes on their way: what may do so is named, and voids what was open.

use std::collections::BTreeMap;

use certcourier::{admission::name::STAMP, api::DownloadRequest, guard::Kind};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_support::stage::{self, Settings, Stage};

use super::super::guard::Siege;

/// Meets every kind of the namespaces with a label that none has, and leads nowhere.
fn everything(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": name},
        "webhooks": [{
            "name": "everything.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "failurePolicy": "Ignore", "clientConfig": {"url": "https://127.0.0.1:1/"},
            "namespaceSelector": {"matchLabels": {"mutated": "yes"}},
            "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"],
                "scope": "Namespaced"}],
        }],
    })
}

/// Turns whatever frank votes into an Approve.
fn turns_votes() -> String {
    let expression = "[JSONPatch{op: 'replace', path: '/status/approvals/' + string(size(object.status.approvals) - 1) + \
                      '/decision', value: 'Approve'}]";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "turn"},
        "spec": {
            "failurePolicy": "Ignore", "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [{"apiGroups": ["certcourier.io"], "apiVersions": ["*"],
                "operations": ["UPDATE"], "resources": ["downloadrequests/status"]}]},
            "matchConditions": [{"name": "frank", "expression": "request.userInfo.username == 'frank'"}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "turn"}, "spec": {"policyName": "turn"},
    });
    format!("{policy}\n---\n{binding}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_change_votes_on_their_way_is_named_and_begins_an_epoch() {
    let stage = Stage::own(Settings::default()).await;
    let siege = Siege::of(&stage, "mutators").await;
    approvals(&siege).await;
    siege.world.certificate("web", &[("production", "api-tls")]).await;
    a_webhook_for_everything_is_reported_and_keys_go_on(&siege).await;
    a_webhook_that_was_there_for_a_moment_voids_what_was_open(&siege).await;
    if stage::stamps(&siege.stage.plane) {
        a_policy_turns_a_deny_into_an_approve(&siege).await;
        siege.delete(Kind::Stamp, "turn").await;
        siege.delete(Kind::StampBinding, "turn").await;
        a_policy_under_the_stamps_name_voids_what_was_open(&siege).await;
    }
}

/// One must approve a key of api, so that a request stays open.
async fn approvals(siege: &Siege<'_>) {
    let one = json!({"certificates": ["api"], "approval": {"requiredFor": "Keys", "approvals": 1}});
    siege.world.policy("one", one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_by_while_no_controller_led_voids_what_was_open_and_a_quiet_change_of_leaders_does_not() {
    let stage = Stage::own(Settings::default()).await;
    let siege = Siege::of(&stage, "leaders").await;
    approvals(&siege).await;
    let before = siege.stage.guard().await;
    siege.world.request("alice", "open", json!({"format": "key"})).await;
    // Nobody leads for a moment, and nothing comes by.
    siege.stage.controller.stop();
    siege.stage.controller.start_and_wait().await;
    let quiet = two_looks_later(&siege).await;
    assert_eq!((&quiet["epoch"], &quiet["since"]), (&before["epoch"], &before["since"]));
    assert!(quiet["watched"].contains("MutatingWebhookConfiguration="), "{quiet:?}");

    siege.stage.controller.stop();
    apply(&siege, &everything("gone")).await;
    siege.delete(Kind::Webhooks, "gone").await;
    siege.stage.controller.start_and_wait().await;
    let after = siege.until_intact_again(&before).await;
    assert_eq!(before["epoch"], after["epoch"]);
    siege.epoch_changed("open").await;
    let told = siege.told().await;
    assert!(told.iter().any(|event| event.starts_with("GuardMutators") && event.contains("`gone`")), "{told:#?}");
}

/// Where no stamp is installed: the live objects before and after are the same.
async fn a_policy_under_the_stamps_name_voids_what_was_open(siege: &Siege<'_>) {
    let before = siege.stage.guard().await;
    siege.delete(Kind::StampBinding, STAMP).await;
    siege.delete(Kind::Stamp, STAMP).await;
    let without = siege.until_intact_again(&before).await;
    super::request(&siege.world, "alice", "flipped", json!({"format": "key"})).await;
    let flip = turns_votes().replace("\"turn\"", &format!("\"{STAMP}\""));
    siege.stage.plane.admin_kubectl().apply(&flip).await.unwrap();
    siege.delete(Kind::StampBinding, STAMP).await;
    siege.delete(Kind::Stamp, STAMP).await;
    let after = siege.until_intact_again(&without).await;
    assert_eq!(without["epoch"], after["epoch"]);
    siege.epoch_changed("flipped").await;
    assert!(siege.told().await.iter().any(|event| event.starts_with("GuardMutators") && event.contains(STAMP)));
}

/// alice gets a key that nobody else has to agree to.
async fn a_key_leaves(siege: &Siege<'_>, name: &str) {
    let token = siege.world.issue("alice", name, json!({"certificateRef": {"name": "web"}, "format": "key"})).await;
    assert_eq!(siege.world.redeem(&token).await.text(), siege.world.leaf.key, "{name}");
}

async fn apply(siege: &Siege<'_>, object: &Value) {
    siege.stage.plane.admin_kubectl().apply(&object.to_string()).await.unwrap();
}

async fn a_webhook_for_everything_is_reported_and_keys_go_on(siege: &Siege<'_>) {
    let before = siege.stage.guard().await;
    assert!(!before.contains_key("mutators"), "{before:?}");
    siege.world.request("alice", "open", json!({"format": "key"})).await;
    apply(siege, &everything("theirs")).await;
    let named = siege.until_intact_again(&before).await;
    assert_ne!(named["epoch"], before["epoch"]);
    assert!(named["mutators"].starts_with("MutatingWebhookConfiguration `theirs` (certificates, "), "{named:?}");
    siege.epoch_changed("open").await;
    a_key_leaves(siege, "with-webhook").await;
    let told = siege.told().await;
    let names_it =
        |event: &String| event.starts_with("GuardMutators can change requests") && event.contains("`theirs`");
    assert!(told.iter().any(names_it), "{told:#?}");

    // A certificate is renewed: the API server counts it, and the guard does not.
    let generation = || async { siege.api(Kind::Webhooks).get("theirs").await.unwrap().metadata.generation.unwrap() };
    let renewed = generation().await;
    let bundle =
        json!({"webhooks": [{"name": "everything.example.com", "clientConfig": {"caBundle": ca_bundle(siege)}}]})
            .to_string();
    let kubectl = siege.stage.plane.admin_kubectl();
    let patch = ["patch", "mutatingwebhookconfiguration", "theirs", "--type=strategic", "-p", &bundle];
    kubectl.check(patch).await.unwrap();
    assert!(generation().await > renewed);
    let after = two_looks_later(siege).await;
    assert_eq!((&after["epoch"], &after["since"]), (&named["epoch"], &named["since"]));

    kubectl.check(["delete", "mutatingwebhookconfiguration", "theirs"]).await.unwrap();
    let gone = siege.until_intact_again(&named).await;
    assert!(!gone.contains_key("mutators"), "{gone:?}");
    a_key_leaves(siege, "without-webhook").await;
}

/// A webhook configuration accepts only certificates here.
fn ca_bundle(siege: &Siege<'_>) -> String {
    let bundle = k8s_openapi::ByteString(siege.stage.pki.root().as_bytes().to_vec());
    serde_json::to_value(&bundle).unwrap().as_str().unwrap().to_owned()
}

async fn two_looks_later(siege: &Siege<'_>) -> BTreeMap<String, String> {
    for _ in 0..2 {
        let probed = siege.stage.guard().await["probedAt"].clone();
        let again = || async { siege.stage.guard().await["probedAt"] != probed };
        siege.world.until("the controller has looked again", again).await;
    }
    siege.stage.guard().await
}

/// Between two looks: the live objects are what they were.
async fn a_webhook_that_was_there_for_a_moment_voids_what_was_open(siege: &Siege<'_>) {
    let before = siege.stage.guard().await;
    siege.world.request("alice", "meanwhile", json!({"format": "key"})).await;
    apply(siege, &everything("gone")).await;
    siege.delete(Kind::Webhooks, "gone").await;
    let after = siege.until_intact_again(&before).await;
    assert_eq!(before["epoch"], after["epoch"]);
    siege.epoch_changed("meanwhile").await;
    let told = siege.told().await;
    assert!(told.iter().any(|event| event.starts_with("GuardMutators") && event.contains("`gone`")), "{told:#?}");
}

async fn a_policy_turns_a_deny_into_an_approve(siege: &Siege<'_>) {
    let world = &siege.world;
    let before = siege.stage.guard().await;
    world.request("alice", "denied", json!({"format": "key"})).await;
    let digest = world.wait("denied", "under review", |status| status.review.is_some()).await.status.unwrap().review;
    let digest = digest.unwrap().digest;
    siege.stage.plane.admin_kubectl().apply(&turns_votes()).await.unwrap();
    let frank = Api::<DownloadRequest>::namespaced(world.person("frank").await.client, &world.namespace);
    let no =
        json!({"status": {"approvals": [{"username": "frank", "digest": digest, "decision": "Deny", "reason": "NO"}]}});
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let turned = || async {
        let closed = world.get("denied").await.status.is_some_and(|status| status.reason.is_some());
        let voted = frank.patch_status("denied", &dry, &Patch::Merge(&no)).await;
        closed || voted.is_ok_and(|request| format!("{:?}", request.status.unwrap().approvals).contains("Approve"))
    };
    world.until("frank's Deny is turned into an Approve, or the guard was faster", turned).await;
    let _ = frank.patch_status("denied", &PatchParams::default(), &Patch::Merge(&no)).await;
    let after = siege.until_intact_again(&before).await;
    assert_ne!(before["epoch"], after["epoch"]);
    assert_eq!(after["mutators"], "MutatingAdmissionPolicy `turn` (downloadrequests/status)");
    siege.epoch_changed("denied").await;
    let ours = siege.api(Kind::Stamp).list(&ListParams::default()).await.unwrap();
    assert!(ours.iter().any(|policy| policy.name_any() != "turn"), "the stamp is there, and nobody minds it");
    assert!(siege.told().await.iter().any(|event| event.contains("MutatingAdmissionPolicy `turn`")));
}
