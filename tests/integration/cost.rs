//! What the life of a request costs the API server, from its creation to its end, by the API server's own audit log.

use serde_json::json;
use test_support::{
    stage::{SYSTEM, Stage},
    world::World,
};

/// Calls of the operator in a namespace. Left out: Events, reviews (they name no namespace), and what the Certificate costs,
/// whose Secret is read every few seconds here.
struct Calls {
    writes: Vec<String>,
    others: Vec<String>,
}

fn calls(world: &World<'_>) -> Calls {
    let operator = ["controller", "server"].map(|name| format!("system:serviceaccount:{SYSTEM}:{name}"));
    let mut calls = Calls { writes: Vec::new(), others: Vec::new() };
    for event in world.stage.plane.audit_events().unwrap() {
        if event.namespace() != world.namespace || !operator.iter().any(|user| user == event.user()) {
            continue;
        }
        let by = event.user().rsplit(':').next().unwrap_or_default();
        let call = format!("{by} {} {} {}", event.verb(), event.resource(), event.name());
        let of_certificate =
            by == "controller" && ["secrets", "certificates/status"].contains(&event.resource().as_str());
        if event.resource() == "events" || (of_certificate && (event.name() == "api-tls" || event.name() == "api")) {
            continue;
        }
        let is_write = matches!(event.verb(), "create" | "update" | "patch" | "delete");
        if is_write { calls.writes.push(call) } else { calls.others.push(call) }
    }
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_with_a_secret_costs_ten_writes_and_nine_reads() {
    let world = World::new(Stage::shared().await, "cost-secret").await;
    let token = world.issue("carol", "full", json!({"format": "fullchain"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    world.wait_finished("full").await;
    world.until("its last call is in the log", || async { calls(&world).writes.len() >= 10 }).await;
    let Calls { writes, others } = calls(&world);
    // Secret, Role, RoleBinding, status; receipt, outcome; the three again; status. One more where a busy machine tells of the
    // use before the outcome is known.
    assert!(writes.len() <= 11, "{writes:#?}");
    // Certificate and policies twice (the Secret's own read is the Certificate's too), Secret, and the request before and after
    // its receipt.
    assert!(others.len() <= 9, "{others:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_over_http_costs_four_writes_and_nine_reads() {
    let world = World::new(Stage::shared().await, "cost-claim").await;
    let minted = world.post("carol", "certificates/api/downloads", r#"{"format":"fullchain"}"#).await;
    assert_eq!(minted.status, 201, "{}", minted.text());
    assert_eq!(world.redeem(&minted.field("token")).await.status, 200);
    world.wait_finished(&minted.field("request")).await;
    world.until("its last call is in the log", || async { calls(&world).writes.len() >= 4 }).await;
    let Calls { writes, others } = calls(&world);
    assert!(writes.len() <= 5, "{writes:#?}");
    assert!(others.len() <= 9, "{others:#?}");
}
