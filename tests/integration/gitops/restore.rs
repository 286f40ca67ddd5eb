//! What Velero and its like do: objects read, written back later by a ServiceAccount that may do everything.

use certcourier::api::{Certificate, CertificatePolicy, DownloadRequest, Phase, names};
use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_support::{
    namespace::Kind,
    stage::Stage,
    world::{World, condition, message, words},
};

use super::{may, tool};

/// What a restore creates of an object: name, labels, annotations and content; neither uid nor owner nor status.
fn restored<K>(object: &K) -> K
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(object).unwrap();
    value.as_object_mut().unwrap().remove("status");
    let metadata = value["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| ["name", "labels", "annotations"].contains(&field.as_str()));
    serde_json::from_value(value).unwrap()
}

async fn remove<K: Kind>(world: &World<'_>, name: &str) {
    world.delete::<K>(name).await;
    world.wait_gone::<K>(name).await;
}

fn is_excluded<K: Resource>(object: &K) -> bool {
    object.labels().get(names::VELERO_EXCLUDE).is_some_and(|value| value == "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_request_does_nothing_whatever_status_is_restored_with_it() {
    let world = World::new(Stage::shared().await, "restored").await;
    world.policy("all", json!({"allowKeyExport": "Always"})).await;
    let velero = tool(&world, "velero", &["cluster-admin"]).await;
    may(&world, &velero, "update", "downloadrequests.certcourier.io/status").await;
    let open = world.issue("carol", "open", json!({"format": "cert"})).await;
    let key = world.issue("alice", "key", json!({"format": "key"})).await;
    let used = world.issue("carol", "used", json!({"format": "cert"})).await;
    assert_eq!(world.redeem(&used).await.status, 200);
    world.wait_finished("used").await;

    // The backup: nothing that holds a live link, or lets anybody read one, is in it.
    let secret = names::token_secret("open");
    let (secrets, roles): (Api<Secret>, Api<Role>) = (world.api(), world.api());
    let bindings: Api<RoleBinding> = world.api();
    let token_secret = secrets.get(&secret).await.unwrap();
    assert!(is_excluded(&token_secret));
    let open_request = world.get("open").await;
    let reader = open_request.status.as_ref().unwrap().token.as_ref().unwrap().reader_name.clone().unwrap();
    assert!(is_excluded(&roles.get(&reader).await.unwrap()));
    assert!(is_excluded(&bindings.get(&reader).await.unwrap()));
    let backup = [open_request, world.get("key").await, world.get("used").await];
    let receipt = world.receipts().await.remove(0);

    for name in ["open", "key", "used"] {
        remove::<DownloadRequest>(&world, name).await;
    }
    let requests: Api<DownloadRequest> = Api::namespaced(velero.client.clone(), &world.namespace);
    for object in &backup {
        let name = object.name_any();
        let made = requests.create(&PostParams::default(), &restored(object)).await.unwrap();
        // Whoever restores is the requester now: nobody else can be written.
        assert!(made.spec.requested_by.unwrap().username.ends_with(":velero"));
        let (phase, now) = world.wait_finished(&name).await;
        let status = now.status.as_ref().unwrap();
        let why = if name == "key" { "UnattendedKeyDenied" } else { "DeadlineRequired" };
        assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some(why)), "{name}");
        assert!(message(status, "Finished").contains("spec.deadline"), "{status:?}");

        // `--restore-status downloadrequests` puts the old status over it.
        let mut with_status = now.clone();
        with_status.status.clone_from(&object.status);
        let refused = requests.replace_status(&name, &PostParams::default(), &with_status).await.unwrap_err();
        let text = words(&refused);
        assert!(text.contains("approvers must be people") || text.contains("approvals"), "{name}: {text}");
        let after = world.get(&name).await;
        assert_eq!(after.status, now.status, "{name}");
        assert_eq!(condition(after.status.as_ref().unwrap(), "Finished"), "True/Failed");
        assert!(secrets.get_opt(&names::token_secret(&name)).await.unwrap().is_none());
    }
    for token in [&open, &key, &used] {
        assert_eq!(world.redeem(token).await.json("error"), "token_unknown");
    }

    // A token Secret that was backed up all the same, and the record, are not written by anybody else.
    let as_velero: Api<Secret> = Api::namespaced(velero.client.clone(), &world.namespace);
    let refused = as_velero.create(&PostParams::default(), &restored(&token_secret)).await.unwrap_err();
    assert!(words(&refused).contains("only the certcourier controller creates"), "{refused}");
    remove_is_refused_and_so_is_a_restore(&world, &velero.client, &receipt).await;
}

async fn remove_is_refused_and_so_is_a_restore(
    world: &World<'_>,
    velero: &kube::Client,
    receipt: &certcourier::api::DownloadReceipt,
) {
    let receipts: Api<certcourier::api::DownloadReceipt> = Api::namespaced(velero.clone(), &world.namespace);
    let refused = receipts.delete(&receipt.name_any(), &DeleteParams::default()).await.unwrap_err();
    assert!(words(&refused).contains("only the certcourier controller deletes"), "{refused}");
    let mut copy = restored(receipt);
    copy.metadata.name = Some("r-restored".to_owned());
    let refused = receipts.create(&PostParams::default(), &copy).await.unwrap_err();
    assert!(words(&refused).contains("only the certcourier server creates receipts"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_policies_come_back_from_a_restore_as_they_were() {
    let world = World::new(Stage::shared().await, "catalogue-back").await;
    world.policy("strict", json!({"allowedFormats": ["cert"], "receiptRetention": "48h"})).await;
    let velero = tool(&world, "velero", &["cluster-admin"]).await;
    may(&world, &velero, "get", "secrets").await;
    let certificate = world.api::<Certificate>().get("api").await.unwrap();
    let policy = world.api::<CertificatePolicy>().get("strict").await.unwrap();
    remove::<Certificate>(&world, "api").await;
    remove::<CertificatePolicy>(&world, "strict").await;
    let client = velero.client.clone();
    let certificates: Api<Certificate> = Api::namespaced(client.clone(), &world.namespace);
    let policies: Api<CertificatePolicy> = Api::namespaced(client, &world.namespace);
    policies.create(&PostParams::default(), &restored(&policy)).await.unwrap();
    certificates.create(&PostParams::default(), &restored(&certificate)).await.unwrap();
    world
        .until("it is looked at", || async {
            let status = world.api::<Certificate>().get("api").await.unwrap().status.unwrap_or_default();
            status.conditions.iter().any(|condition| condition.status == "True")
        })
        .await;
    let back: Value = serde_json::to_value(world.api::<CertificatePolicy>().get("strict").await.unwrap().spec).unwrap();
    assert_eq!(back, serde_json::to_value(&policy.spec).unwrap());
    let token = world.issue("carol", "after", json!({"format": "cert"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_restored_before_its_deadline_is_the_restorers_own() {
    let world = World::new(Stage::shared().await, "restored-early").await;
    world.policy("all", json!({"allowKeyExport": "Always"})).await;
    let velero = tool(&world, "velero", &["cluster-admin"]).await;
    may(&world, &velero, "create", "downloadrequests.certcourier.io").await;
    let deadline = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let requests: Api<DownloadRequest> = Api::namespaced(velero.client.clone(), &world.namespace);
    for (name, format, phase) in [("cert", "cert", Phase::TokenIssued), ("key", "key", Phase::Failed)] {
        let old = world.issue("alice", name, json!({"format": format, "deadline": deadline})).await;
        let request = world.get(name).await;
        remove::<DownloadRequest>(&world, name).await;
        requests.create(&PostParams::default(), &restored(&request)).await.unwrap();
        world.wait_for_phase(name, phase).await;
        assert_eq!(world.redeem(&old).await.json("error"), "token_unknown", "{name}");
        let by_alice = world.token_part("alice", name, "token").await.unwrap_err();
        assert!(words(&by_alice).contains("cannot get resource"), "{by_alice}");
    }
}
