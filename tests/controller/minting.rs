//! From a new request to a token that its requester, and nobody else, can read.

use certcourier::{
    api::{DownloadRequest, Phase, names},
    token::Token,
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    rbac::v1::{Role, RoleBinding},
};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use test_support::request::{condition, generation, hash, message, phase, reader};

use crate::world::{World, may_get};

const SECRET: &str = "full-download-token";

#[tokio::test]
async fn the_requester_reads_the_token_and_nobody_reads_anything_else() {
    let world = World::new("minting").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[]).await;
    let request = world.request("full", "fullchain", json!({})).await;
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;

    let token = world.token_secret("full", "token").await.unwrap();
    let parsed = Token::parse(&token).unwrap();
    assert_eq!((parsed.namespace(), parsed.request()), (world.namespace.as_str(), "full"));
    assert_eq!(hash(&issued), Some(parsed.hash()));
    let url = format!("https://certs.example.com/api/v1/downloads/{token}");
    assert_eq!(world.token_secret("full", "url").await, Some(url));
    assert_eq!(condition(&issued, "TokenIssued"), "True/Minted", "{}", message(&issued, "TokenIssued"));
    assert_eq!(condition(&issued, "Approved"), "True/NotRequired");
    assert_eq!(condition(&issued, "Finished"), "False/Open");

    let secret = world.api::<Secret>().get(SECRET).await.unwrap();
    assert_eq!(secret.labels()[names::TOKEN], "1");
    assert_eq!(secret.labels()[names::VELERO_EXCLUDE], "true");
    let owner = &secret.owner_references()[0];
    assert_eq!((owner.uid.as_str(), owner.block_owner_deletion), (request.uid().unwrap().as_str(), None));

    assert!(may_get(&world, "carol", SECRET).await);
    assert!(!may_get(&world, "carol", "api-tls").await);
    assert!(!may_get(&world, "mallory", SECRET).await);

    // What is owned goes with its owner, also in the foreground.
    let foreground = kube::api::DeleteParams::foreground();
    world.api::<DownloadRequest>().delete("full", &foreground).await.unwrap();
    world.wait_gone::<DownloadRequest>("full").await;
    world.wait_gone::<Secret>(SECRET).await;
    world.wait_gone::<RoleBinding>(&reader(&issued)).await;
}

#[tokio::test]
async fn nothing_is_granted_to_somebody_who_may_read_secrets_anyway() {
    let world = World::new("minting").await;
    world.furnish().await;
    world.people().await;
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    world.create::<Role>(json!({"metadata": {"name": "reader"}, "rules": rules})).await;
    world.bind("reader", "carol").await;
    let _controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_eq!(world.readers().await, Vec::<String>::new());
    assert_eq!(issued.status.unwrap().token.unwrap().reader_name, None);
}

#[tokio::test]
async fn a_service_account_reads_its_token_through_a_binding_of_its_kind() {
    let world = World::new("minting").await;
    world.furnish().await;
    let account = world.plane.service_account(&world.namespace, "deployer", &[]).await.unwrap();
    world.people().await;
    let subjects = json!([{"kind": "ServiceAccount", "name": "deployer", "namespace": world.namespace}]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "carol"});
    world.create::<RoleBinding>(json!({"metadata": {"name": "d"}, "roleRef": role, "subjects": subjects})).await;
    let _controller = world.controller(&[]).await;
    let deadline = (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5)).to_string();
    world.request_by(&account.name, "full", "fullchain", json!({"deadline": deadline})).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
    assert!(Api::<Secret>::namespaced(account.client, &world.namespace).get(SECRET).await.is_ok());

    world.request_by(&account.name, "forever", "fullchain", json!({})).await;
    let failed = world.wait_for_phase("forever", Phase::Failed).await;
    assert_eq!(failed.status.unwrap().reason.as_deref(), Some("DeadlineRequired"));
}

#[tokio::test]
async fn another_value_of_the_annotation_mints_another_token() {
    let world = World::new("minting").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    let first = world.wait_for_phase("full", Phase::TokenIssued).await;
    world.merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::MINT: "again"}}})).await;
    let second = world.wait("full", "minted again", |status| generation(status) == 2).await;
    assert_ne!(hash(&first), hash(&second));
    let previous = &second.status.as_ref().unwrap().token.as_ref().unwrap().previous;
    assert_eq!(Some(previous[0].hash.clone()), hash(&first));
    let token = Token::parse(&world.token_secret("full", "token").await.unwrap()).unwrap();
    assert_eq!(Some(token.hash()), hash(&second));
    assert_eq!(world.api::<Secret>().get(SECRET).await.unwrap().labels()[names::TOKEN], "2");
    assert!(may_get(&world, "carol", SECRET).await);

    // The same value again asks for nothing.
    world.merge::<DownloadRequest>("full", json!({"metadata": {"labels": {"touched": "yes"}}})).await;
    world.merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::MINT: "third"}}})).await;
    world.wait("full", "minted a third time", |status| generation(status) == 3).await;
}

#[tokio::test]
async fn what_is_somebody_elses_is_never_touched() {
    let world = World::new("minting").await;
    world.furnish().await;
    world.people().await;
    let foreign = json!({"metadata": {"name": SECRET, "labels": {names::TOKEN: "1"}}, "stringData": {"mine": "yes"}});
    let secret: Secret = world.create(foreign).await;
    let _controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    let stalled = world.wait("full", "stalled", |status| condition(status, "Stalled") == "True/SecretNameTaken").await;
    assert!(hash(&stalled).is_none());
    let message = message(&stalled, "Stalled");
    assert!(message.contains(SECRET) && message.contains("rename or delete it"), "{message}");
    let kept = world.api::<Secret>().get(SECRET).await.unwrap();
    assert_eq!((kept.uid(), kept.data), (secret.uid(), secret.data));

    world.delete::<Secret>(SECRET).await;
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_eq!(condition(&issued, "Stalled"), "False/NotStalled");
    assert!(may_get(&world, "carol", SECRET).await);
}

#[tokio::test]
async fn without_an_external_url_the_secret_has_no_link_and_the_condition_says_what_to_do() {
    let world = World::new("minting").await;
    world.furnish().await;
    world.people().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "allowedFormats: [cert, fullchain]\n").unwrap();
    let path = file.path().to_string_lossy();
    let _controller = world.controller(&[("--external-url", ""), ("--cluster-policy", &path)]).await;
    world.request("full", "fullchain", json!({})).await;
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_eq!(condition(&issued, "TokenIssued"), "True/NoExternalURL", "{}", message(&issued, "TokenIssued"));
    assert_eq!(world.token_secret("full", "url").await, None);

    // The cluster policy is in force.
    world.request("chain", "chain", json!({})).await;
    let failed = world.wait_for_phase("chain", Phase::Failed).await;
    assert!(message(&failed, "Finished").contains("policy (operator)"), "{}", condition(&failed, "Finished"));
}

#[tokio::test]
async fn without_admission_policies_the_guard_says_so_public_formats_go_on_and_its_own_request_is_left_alone() {
    let world = World::new("minting").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[]).await;
    world.request(names::GUARD, "fullchain", json!({})).await;
    world.request("full", "fullchain", json!({})).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
    assert!(world.get(names::GUARD).await.status.is_none());

    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    world.request_by("alice", "key", "key", json!({})).await;
    let held = world.wait("key", "held back", |status| condition(status, "TokenIssued") == "False/GuardFailed").await;
    assert_eq!((phase(&held), hash(&held)), (Phase::Approved, None));
    let message = message(&held, "TokenIssued");
    assert!(message.contains("there is no ValidatingAdmissionPolicy") && message.contains("apply again"), "{message}");
    let record = world.api::<ConfigMap>().get(names::GUARD).await.unwrap().data.unwrap();
    assert_eq!((record["state"].as_str(), record["reason"].as_str()), ("Broken", "Missing"));
}
