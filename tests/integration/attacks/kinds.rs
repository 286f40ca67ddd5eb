//! Somebody edits a CRD, for a moment or for longer: what is forged meanwhile yields no key, and the guard names the CRD.

use std::{collections::BTreeMap, process::Command};

use certcourier::{
    admission::{
        name::{CERTIFICATES, RECEIPTS, REQUESTS},
        refused_by,
    },
    api::{Certificate, DownloadReceipt, DownloadRequest, Phase, names::CRDS},
    cluster::guard,
    guard::Kind,
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use test_support::{
    program::binary,
    stage::{Settings, Stage},
    waiting::until,
    world::words,
};

use super::super::guard::Siege;

const OFF: &str = r#"[{"op": "remove", "path": "/spec/versions/0/subresources"}]"#;

/// Whoever may patch CRDs, for a moment.
struct Editor<'a>(&'a Siege<'a>);

impl Editor<'_> {
    async fn edit(&self, crd: &str, operations: &str) {
        let kubectl = self.0.stage.plane.admin_kubectl();
        kubectl.check(["patch", "crd", crd, "--type=json", "-p", operations]).await.unwrap();
    }

    /// As the guard tells people to.
    async fn put_back(&self) {
        let printed = Command::new(binary("certcourier")).arg("crds").output().unwrap();
        let crds = String::from_utf8(printed.stdout).unwrap();
        self.0.stage.plane.admin_kubectl().check_with(["replace", "-f", "-"], &crds).await.unwrap();
    }

    async fn epoch(&self) -> String {
        guard::live(&self.0.world.admin).await.unwrap().epoch()
    }
}

fn votes_of(request: &DownloadRequest) -> usize {
    request.status.iter().flat_map(|status| status.approvals.iter().flatten()).count()
}

fn votes(digest: &str) -> Value {
    let vote = |who: &str| json!({"username": who, "digest": digest, "decision": "Approve", "reason": "never said"});
    json!({"status": {"approvals": [vote("bob"), vote("frank")]}})
}

/// Writes status through the main resource until a policy refuses that: while the API server still has the subresource
/// it drops the status without a word.
async fn refused<K>(api: &Api<K>, name: &str, status: &Value, is_forged: impl Fn(&K) -> bool) -> String
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    until("the subresource is off, and a policy refuses", async || {
        match api.patch(name, &PatchParams::default(), &Patch::Merge(status)).await {
            Ok(stored) if is_forged(&stored) => panic!("it was written: {stored:?}"),
            Ok(_) => Err("the status was dropped"),
            Err(error) => Ok(words(&error)),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_not_written_through_the_main_resource_whatever_the_crd_says() {
    let stage = Stage::own(Settings::default()).await;
    let siege = Siege::of(&stage, "kinds").await;
    let two = json!({"certificates": ["api"], "approval": {"requiredFor": "Keys", "approvals": 2}});
    siege.world.policy("two", two).await;
    votes_receipts_and_findings_are_forged_while_the_subresource_is_off(&siege).await;
    votes_are_forged_while_the_policy_only_audits(&siege).await;
    a_crd_that_turns_objects_round_on_reading_is_named(&siege).await;
    an_edit_that_decides_nothing_begins_an_epoch_all_the_same(&siege).await;
}

async fn votes_receipts_and_findings_are_forged_while_the_subresource_is_off(siege: &Siege<'_>) {
    let (world, editor) = (&siege.world, Editor(siege));
    let before = siege.stage.guard().await;
    world.request("alice", "reviewed", json!({"format": "key"})).await;
    let reviewed = world.wait_for_phase("reviewed", Phase::AwaitingApproval).await;
    let digest = reviewed.status.unwrap().review.unwrap().digest;
    world.request("carol", "crashed", json!({"format": "cert"})).await;
    let epoch = editor.epoch().await;

    for crd in ["downloadrequests", "downloadreceipts", "certificates"] {
        editor.edit(&format!("{crd}.certcourier.io"), OFF).await;
    }
    let by = |client: Client| Api::<DownloadRequest>::namespaced(client, &world.namespace);
    let carol = by(world.person("carol").await.client);
    let is_voted = |request: &DownloadRequest| votes_of(request) > 0;
    let mut said = vec![(REQUESTS, refused(&carol, "reviewed", &votes(&digest), is_voted).await)];
    let mut made: DownloadRequest = world.get("crashed").await;
    made.metadata = serde_json::from_value(json!({"name": "born-approved"})).unwrap();
    made.spec.requested_by = Some(guard::own_user(&world.person("carol").await.client).await.unwrap());
    made.status.get_or_insert_default().phase = Some(Phase::TokenIssued);
    said.push((REQUESTS, words(&carol.create(&PostParams::default(), &made).await.unwrap_err())));
    let receipt = world.begin_delivery("crashed", jiff::Timestamp::now()).await;
    let delivered = json!({"status": {"outcome": "Delivered"}});
    let has_outcome =
        |receipt: &DownloadReceipt| receipt.status.as_ref().is_some_and(|status| status.outcome.is_some());
    said.push((RECEIPTS, refused(&world.api(), &receipt, &delivered, has_outcome).await));
    let dave = Api::<Certificate>::namespaced(world.person("dave").await.client, &world.namespace);
    let findings = json!({"status": {"observedGeneration": 7000}});
    let is_found = |certificate: &Certificate| {
        certificate.status.as_ref().is_some_and(|status| status.observed_generation == Some(7000))
    };
    said.push((CERTIFICATES, refused(&dave, "api", &findings, is_found).await));
    for (policy, words) in said {
        assert_eq!(refused_by(&words), Some(policy), "{words}");
        assert!(words.contains("status is written through the status subresource only"), "{words}");
    }
    siege.until_broken("CrdChanged", "subresource status is off").await;

    editor.put_back().await;
    assert_ne!(editor.epoch().await, epoch, "no policy was touched, so the CRDs alone begin the epoch");
    let after = siege.until_intact_again(&before).await;
    assert_ne!(before["epoch"], after["epoch"]);
    siege.epoch_changed("reviewed").await;
}

/// With the rule out of the way the votes are written. They are void.
async fn votes_are_forged_while_the_policy_only_audits(siege: &Siege<'_>) {
    let (world, editor) = (&siege.world, Editor(siege));
    let before = siege.stage.guard().await;
    world.request("alice", "forged", json!({"format": "key"})).await;
    let forged = world.wait_for_phase("forged", Phase::AwaitingApproval).await;
    let digest = forged.status.unwrap().review.unwrap().digest;
    siege.audits(REQUESTS).await;
    editor.edit(CRDS[2], OFF).await;
    let carol = Api::<DownloadRequest>::namespaced(world.person("carol").await.client, &world.namespace);
    let written = || async {
        let patched = carol.patch("forged", &PatchParams::default(), &Patch::Merge(votes(&digest))).await;
        patched.is_ok_and(|request| votes_of(&request) == 2)
    };
    world.until("the votes are forged", written).await;
    editor.put_back().await;
    siege.put_all_back().await;
    siege.until_intact_again(&before).await;
    siege.epoch_changed("forged").await;
    assert_eq!(votes_of(&world.get("forged").await), 2, "they are there, and nobody counts them");
    assert!(siege.told().await.iter().any(|event| event.starts_with("GuardBroken") && event.contains("CrdChanged")));
}

async fn a_crd_that_turns_objects_round_on_reading_is_named(siege: &Siege<'_>) {
    let (world, editor) = (&siege.world, Editor(siege));
    let before = siege.stage.guard().await;
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
    let always =
        json!([{"op": "add", "path": format!("{schema}/spec/properties/allowKeyExport/default"), "value": "Always"}]);
    editor.edit("certificatepolicies.certcourier.io", &always.to_string()).await;
    siege.until_broken("CrdChanged", "the schema has a different `default` for spec.allowKeyExport").await;
    world.request("alice", "held", json!({"format": "key"})).await;
    siege.a_public_file_leaves("public").await;

    editor.put_back().await;
    let hook = json!([{"op": "add", "path": "/spec/conversion", "value": {"strategy": "Webhook",
        "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/"}}}}]);
    editor.edit("downloadrequests.certcourier.io", &hook.to_string()).await;
    siege.until_broken("CrdChanged", "spec.conversion.strategy is Webhook").await;
    editor.put_back().await;
    siege.until_intact_again(&before).await;
    siege.epoch_changed("held").await;
}

async fn an_edit_that_decides_nothing_begins_an_epoch_all_the_same(siege: &Siege<'_>) {
    let before: BTreeMap<String, String> = siege.stage.guard().await;
    let columns = r#"[{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns"}]"#;
    Editor(siege).edit("certificates.certcourier.io", columns).await;
    let after = siege.until_intact_again(&before).await;
    assert_ne!(before["epoch"], after["epoch"]);
    let crd = siege.api(Kind::Crd).get("certificates.certcourier.io").await.unwrap();
    assert!(
        crd.data["spec"]["versions"][0]
            .get("additionalPrinterColumns")
            .is_none_or(|columns| columns[0]["name"] == "Age")
    );
}
