//! Crashes between any two steps, two replicas, and a leader that comes back too late.

use certcourier::{
    api::{DownloadRequest, DownloadRequestStatus, Phase, names},
    cluster::status::{self, Written},
    token::Token,
};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::Secret,
    rbac::v1::{Role, RoleBinding},
};
use serde_json::{Value, json};
use test_support::{
    people::{binding, role_ref, user},
    request::{self, generation, hash, phase, reader},
};

use crate::world::{World, owned};

const SECRET: &str = "full-download-token";

/// A token Secret as a controller that crashed would have left it.
async fn left_behind(world: &World, request: &DownloadRequest, generation: i64, url: bool) -> Token {
    let token = Token::mint(&world.namespace, "full", &[7; 32]);
    let mut content = json!({"token": token.expose()});
    if url {
        content["url"] = Value::from(format!("https://certs.example.com/api/v1/downloads/{}", token.expose()));
    }
    let mut metadata = owned(request, SECRET);
    metadata["labels"][names::TOKEN] = json!(generation.to_string());
    world
        .create::<Secret>(json!({"metadata": metadata, "type": "Opaque", "immutable": true, "stringData": content}))
        .await;
    token
}

/// Nobody knows who made it or has read it, however well it looks: without admission policies anybody can make one.
#[tokio::test]
async fn a_secret_left_by_a_crash_is_replaced_and_its_token_never_works() {
    for (generation, url) in [(1, true), (1, false), (2, true)] {
        let world = World::new("failover").await;
        world.furnish().await;
        world.people().await;
        let request = world.request("full", "fullchain", json!({})).await;
        let left = left_behind(&world, &request, generation, url).await;
        let _controller = world.controller(&[]).await;
        let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
        assert_ne!(hash(&issued), Some(left.hash()), "generation {generation}, url {url}");
        let token = Token::parse(&world.token_secret("full", "token").await.unwrap()).unwrap();
        assert_eq!(Some(token.hash()), hash(&issued), "Secret and status are of one token");
        assert_eq!(request::generation(&issued), 1);
    }
}

/// What a crash leaves at each step: a Secret; a Role too; a RoleBinding too. The status says nothing yet.
#[tokio::test]
async fn a_mint_that_crashed_anywhere_is_made_anew_and_leaves_one_right_to_read() {
    for (steps, withdrawn) in [(1, false), (2, false), (3, false), (3, true)] {
        let world = World::new("failover").await;
        world.furnish().await;
        world.people().await;
        let request = world.request("full", "fullchain", json!({})).await;
        let left = left_behind(&world, &request, 1, true).await;
        let name = names::token_reader(&[7; 16]);
        let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get"]}]);
        if steps > 1 {
            world.create::<Role>(json!({"metadata": owned(&request, &name), "rules": rules})).await;
        }
        if steps > 2 {
            let metadata = owned(&request, &name);
            let binding = binding("RoleBinding", &metadata, &role_ref("Role", &name), &[user("carol")]);
            world.create::<RoleBinding>(binding).await;
        }
        if withdrawn {
            let revoke = json!({"metadata": {"annotations": {names::REVOKE: "never mind"}}});
            world.merge::<DownloadRequest>("full", revoke).await;
            let _controller = world.controller(&[("--sweep-interval", "1s")]).await;
            world.wait_for_phase("full", Phase::Revoked).await;
            world.until("swept", async || world.readers().await.is_empty()).await;
            continue;
        }
        let _controller = world.controller(&[]).await;
        let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
        assert_ne!(hash(&issued), Some(left.hash()), "after {steps} steps");
        assert_eq!(world.readers().await, [reader(&issued)], "after {steps} steps");
        assert_ne!(reader(&issued), name);
    }
}

#[tokio::test]
async fn killed_again_and_again_it_still_ends_with_one_token_for_each_request() {
    let world = World::new("failover").await;
    world.furnish().await;
    world.people().await;
    for number in 0..12 {
        world.request(&format!("r{number}"), "fullchain", json!({})).await;
    }
    // Each controller is killed a little later after it began to act.
    for pause_ms in [0, 15, 30, 45, 60, 90] {
        let controller = world.controller(&[]).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        controller.kill().await;
    }
    let _controller = world.controller(&[]).await;
    for number in 0..12 {
        let name = format!("r{number}");
        let issued = world.wait_for_phase(&name, Phase::TokenIssued).await;
        let token = Token::parse(&world.token_secret(&name, "token").await.unwrap()).unwrap();
        assert_eq!(Some(token.hash()), hash(&issued), "{name}");
    }
}

#[tokio::test]
async fn the_second_replica_takes_over_at_once_after_a_graceful_end() {
    let world = World::new("failover").await;
    world.furnish().await;
    world.people().await;
    let first = world.controller(&[("--lease-duration", "30s")]).await;
    let second = world.waiting_controller(&[("--lease-duration", "6s")]).await;
    second.says("takes part in the election").await;
    assert!(!second.log().contains("this replica leads"));
    let lease = world.api::<Lease>().get("certcourier-controller").await.unwrap();
    assert!(lease.spec.unwrap().holder_identity.is_some());
    assert_eq!(first.terminate().await, 0);
    second.says("this replica leads").await;
    world.request("full", "fullchain", json!({})).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_eq!(second.terminate().await, 0);
    let lease = world.api::<Lease>().get("certcourier-controller").await.unwrap();
    assert_eq!(lease.spec.unwrap().holder_identity, None);
}

#[tokio::test]
async fn the_second_replica_takes_over_when_the_first_one_dies() {
    let world = World::new("failover").await;
    let first = world.controller(&[]).await;
    let second = world.waiting_controller(&[]).await;
    second.says("takes part in the election").await;
    first.kill().await;
    second.says("this replica leads").await;
}

#[tokio::test]
async fn a_leader_whose_lease_is_taken_stops_acting() {
    let world = World::new("failover").await;
    world.furnish().await;
    world.people().await;
    let controller = world.controller(&[]).await;
    let taken = json!({"spec": {
        "holderIdentity": "somebody-else", "leaseDurationSeconds": 600,
        "renewTime": "2126-01-01T00:00:00.000000Z",
    }});
    world.merge::<Lease>("certcourier-controller", taken).await;
    controller.says("no longer leads").await;
    world.request("full", "fullchain", json!({})).await;
    // Longer than everything that a leader does at an interval.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(world.get("full").await.status.is_none());
    world.merge::<Lease>("certcourier-controller", json!({"spec": {"holderIdentity": null}})).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
}

#[tokio::test]
async fn a_delayed_write_of_an_old_leader_changes_nothing() {
    let world = World::new("failover").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[]).await;
    let new = world.request("full", "fullchain", json!({})).await;
    let first = world.wait_for_phase("full", Phase::TokenIssued).await;
    world.merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::MINT: "2"}}})).await;
    let second = world.wait("full", "minted again", |status| generation(status) == 2).await;
    for old in [new, first] {
        let late = DownloadRequest { status: Some(DownloadRequestStatus::default()), ..old };
        assert!(matches!(status::write(&world.admin, &late).await.unwrap(), Written::Conflict));
    }
    let mut unguarded = second.clone();
    unguarded.metadata.resource_version = None;
    assert!(matches!(status::write(&world.admin, &unguarded).await.unwrap(), Written::Conflict));
    let now = world.get("full").await;
    assert_eq!((hash(&now), phase(&now)), (hash(&second), Phase::TokenIssued));
}

#[tokio::test]
async fn a_request_made_again_under_the_same_name_is_another_one() {
    let world = World::new("failover").await;
    world.furnish().await;
    world.people().await;
    let _controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    let first = world.wait_for_phase("full", Phase::TokenIssued).await;
    world.delete::<DownloadRequest>("full").await;
    world.request("full", "fullchain", json!({})).await;
    let second = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_ne!(hash(&first), hash(&second));
    assert_eq!(generation(&second), 1);
    let token = Token::parse(&world.token_secret("full", "token").await.unwrap()).unwrap();
    assert_eq!(Some(token.hash()), hash(&second));
}
