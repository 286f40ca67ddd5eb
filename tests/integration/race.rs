//! Many at once: one token, one delivery, whatever the number of servers.

use std::collections::BTreeMap;

use certcourier::api::{Outcome, Phase, names};
use futures::future::join_all;
use serde_json::json;
use test_support::{stage::Stage, world::World};

/// Callers for each token.
const CALLERS: usize = 64;
/// Tokens that are raced for.
const TOKENS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_callers_on_two_servers_get_exactly_one_file_for_each_of_twenty_tokens() {
    let world = World::new(Stage::shared().await, "race").await;
    for number in 0..TOKENS {
        let name = format!("r{number}");
        let token = world.issue("carol", &name, json!({"format": "fullchain"})).await;
        let answers = join_all((0..CALLERS).map(|caller| world.redeem_at(caller % 2, &token))).await;
        let mut seen: BTreeMap<(u16, String), usize> = BTreeMap::new();
        for answer in &answers {
            let code = if answer.status == 200 { String::new() } else { answer.json("error") };
            *seen.entry((answer.status, code)).or_default() += 1;
        }
        let expected = BTreeMap::from([((200, String::new()), 1), ((410, "token_used".to_owned()), CALLERS - 1)]);
        assert_eq!(seen, expected, "token {number}");
        let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
        assert_eq!(winner.text(), world.leaf.chain());
        let (phase, request) = world.wait_finished(&name).await;
        assert_eq!(phase, Phase::Consumed);
        let receipt = world.receipt_of(&request).await.unwrap();
        assert_eq!(receipt.status.unwrap().outcome, Some(Outcome::Delivered));
    }
    assert_eq!(world.receipts().await.len(), TOKENS);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_minted_anew_meanwhile_still_deliver_once_between_them() {
    let world = World::new(Stage::shared().await, "remint").await;
    for number in 0..5 {
        let name = format!("m{number}");
        let mut tokens = vec![world.issue("carol", &name, json!({"format": "cert"})).await];
        for mint in 1..=3 {
            let value = mint.to_string();
            world.annotate("carol", &name, names::MINT, &value).await.unwrap();
            world
                .wait(&name, "minted anew", |status| {
                    status.token.as_ref().is_some_and(|token| token.observed_mint.as_deref() == Some(&value))
                })
                .await;
            tokens.push(world.token_part("carol", &name, "token").await.unwrap());
        }
        // The fourth mint happens while all four tokens are presented.
        let annotate = world.annotate("carol", &name, names::MINT, "4");
        let calls = join_all((0..32).map(|caller| world.redeem_at(caller % 2, &tokens[caller % tokens.len()])));
        let (annotated, answers) = tokio::join!(annotate, calls);
        annotated.unwrap();
        let delivered = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(delivered <= 1, "{delivered} deliveries");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(answer.status, 410, "{}", answer.text());
        }
        let request = world.get(&name).await;
        assert_eq!(usize::from(world.receipt_of(&request).await.is_some()), delivered);
    }
}
