//! The operator stopped, killed, restarted and doubled at awkward moments. These tests have an operator of their own.

use certcourier::api::{Phase, names};
use serde_json::json;
use test_cluster::Signal;
use test_support::{
    stage::{Settings, Stage},
    world::World,
};

use super::audit::{ids, lines, types};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_goes_on_where_it_was_after_a_restart_between_any_two_steps() {
    let stage = Stage::own(Settings::default()).await;
    let world = World::new(&stage, "restart").await;

    stage.controller.stop();
    world.request("carol", "steps", json!({"format": "cert", "tokenTTL": "4s"})).await;
    stage.controller.start_and_wait().await;
    world.wait_for_phase("steps", Phase::TokenIssued).await;
    let first = world.token_part("carol", "steps", "token").await.unwrap();

    stage.controller.stop();
    // Its time passes while nobody is there; the server refuses by it all the same.
    world.until("the token is refused", || async { world.status(&first).await.json("error") == "token_expired" }).await;
    assert_eq!(world.redeem(&first).await.json("error"), "token_expired");
    stage.controller.start_and_wait().await;
    world.wait_for_phase("steps", Phase::Approved).await;

    stage.controller.stop();
    world.annotate("carol", "steps", names::MINT, "again").await.unwrap();
    stage.controller.start_and_wait().await;
    world.wait_for_phase("steps", Phase::TokenIssued).await;
    let second = world.token_part("carol", "steps", "token").await.unwrap();

    stage.controller.stop();
    assert_eq!(world.redeem(&second).await.status, 200, "redemption needs no controller");
    stage.controller.start_and_wait().await;
    let (phase, request) = world.wait_finished("steps").await;
    assert_eq!(phase, Phase::Consumed);
    assert!(world.receipt_of(&request).await.is_some());
    // A leader that gave the Lease back has told everything; nothing is told twice.
    let told = lines(&stage.controller, &world.namespace);
    assert_eq!(types(&told, "steps"), ["request.created", "token.minted", "token.expired", "token.minted"]);
    assert!(ids(&told).values().all(|count| *count == 1), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_does_not_bring_a_replaced_token_back() {
    let stage = Stage::own(Settings::default()).await;
    let second = stage.another_controller().await;
    second.start_and_wait().await;
    let world = World::new(&stage, "leaders").await;
    let old = world.issue("carol", "twice", json!({"format": "cert"})).await;

    stage.controller.signal(Signal::Stop);
    world.annotate("carol", "twice", names::MINT, "1").await.unwrap();
    let minted = world
        .wait("twice", "minted by the other replica", |s| s.token.as_ref().is_some_and(|token| token.generation == 2))
        .await;
    stage.controller.signal(Signal::Continue);
    let new = world.token_part("carol", "twice", "token").await.unwrap();
    world.annotate("carol", "twice", "example.com/nudge", "1").await.unwrap();
    // The frozen one must notice that it lost the Lease; it ends, or stands by.
    world.until("one replica leads", || async { leaders(&stage, &second).await == 1 }).await;
    let now = world.get("twice").await.status.unwrap().token.unwrap();
    assert_eq!(now.hash, minted.status.unwrap().token.unwrap().hash);
    assert_eq!(world.redeem(&old).await.json("error"), "token_replaced");
    assert_eq!(world.redeem(&new).await.status, 200);
    // The one before went silent, so what it may not have told is told again, under the same ids.
    let (told, again) = (lines(&stage.controller, &world.namespace), lines(&second, &world.namespace));
    assert_eq!(types(&told, "twice")[..2], ["request.created", "token.minted"]);
    assert_eq!(types(&again, "twice")[..3], ["request.created", "token.minted", "token.minted"]);
    let (told, again) = (ids(&told), ids(&again));
    assert!(told.keys().all(|id| again.contains_key(id)), "{told:?} {again:?}");
}

/// How many of the two say that they lead.
async fn leaders(stage: &Stage, second: &test_support::stage::Program) -> usize {
    let mut count = 0;
    for program in [&stage.controller, second] {
        let answer = stage.http().get(format!("http://{}/metrics", program.probe())).send().await;
        if let Ok(answer) = answer {
            let text = answer.text().await.unwrap_or_default();
            count +=
                usize::from(text.lines().any(|line| line.starts_with("certcourier_leader") && line.ends_with(" 1")));
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_told_to_stop_finishes_what_it_began() {
    let stage = Stage::own(Settings::default()).await;
    let world = World::new(&stage, "drain").await;
    let mut tokens = Vec::new();
    for number in 0..8 {
        tokens.push(world.issue("carol", &format!("d{number}"), json!({"format": "cert"})).await);
    }
    let http = stage.http();
    let calls: Vec<_> = tokens
        .iter()
        .map(|token| {
            let request = http.get(format!("{}/api/v1/downloads/{token}", stage.urls[0]));
            tokio::spawn(async move {
                match request.send().await {
                    Ok(answer) if answer.status() == 200 => answer.bytes().await.map(|_| true),
                    Ok(_) => Ok(false),
                    Err(error) => Err(error),
                }
            })
        })
        .collect();
    stage.servers[0].stop();
    let mut delivered = 0;
    for call in calls {
        // A connection that was refused is no delivery; one that was begun must be whole.
        if call.await.unwrap().is_ok_and(|whole| whole) {
            delivered += 1;
        }
    }
    world
        .until("every receipt has its outcome", || async {
            let receipts = world.receipts().await;
            receipts.iter().filter(|receipt| receipt.status.as_ref().is_some_and(|s| s.outcome.is_some())).count()
                == receipts.len()
        })
        .await;
    let receipts = world.receipts().await;
    assert_eq!(receipts.len(), delivered, "as many receipts as whole files");
}
