//! docs/approvals.md: "this command always ends".

use certcourier::api::{Phase, names};
use serde_json::json;
use test_support::{
    stage::Stage,
    world::{World, condition},
};

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_finished_ends_in_every_outcome() {
    let world = World::new(Stage::shared().await, "outcomes").await;
    world.policy("all", json!({"approval": {"requiredFor": "None"}})).await;
    let alice = world.person("alice").await;
    let wait = async |request: &str| {
        let request = format!("dlr/{request}");
        let wait = ["--namespace", &world.namespace, "wait", &request, "--for=condition=Finished", "--timeout=20s"];
        let ended = alice.run(wait).await.unwrap();
        assert!(ended.succeeded(), "{ended:?}");
    };
    let token = world.issue("carol", "consumed", json!({"format": "cert"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    world.issue("carol", "revoked", json!({"format": "cert"})).await;
    world.annotate("bob", "revoked", names::REVOKE, "enough").await.unwrap();
    world.request("alice", "failed", json!({"format": "key"})).await;
    let deadline = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4)).to_string();
    world.request("carol", "expired", json!({"format": "cert", "deadline": deadline})).await;
    for (name, phase, reason) in [
        ("consumed", Phase::Consumed, "True/Delivered"),
        ("revoked", Phase::Revoked, "True/Revoked"),
        ("failed", Phase::Failed, "True/Failed"),
        ("expired", Phase::Expired, "True/Expired"),
    ] {
        wait(name).await;
        let status = world.get(name).await.status.unwrap();
        assert_eq!((status.phase, condition(&status, "Finished").as_str()), (Some(phase), reason), "{name}");
    }
}
