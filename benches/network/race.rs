//! 64 callers for each of 200 tokens, on two replicas.

use std::collections::BTreeMap;

use futures::future::join_all;
use test_support::world::World;

use super::{Table, tokens};

const TOKENS: usize = 200;
const CALLERS: usize = 64;

pub async fn run(world: &World<'_>, table: &mut Table) {
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    let (mut none, mut several) = (0, 0);
    for token in tokens(world, "race", TOKENS).await {
        let statuses = join_all((0..CALLERS).map(|caller| {
            let token = &token;
            async move { world.redeem_at(caller % 2, token).await.status }
        }))
        .await;
        match statuses.iter().filter(|status| **status == 200).count() {
            0 => none += 1,
            1 => {}
            _ => several += 1,
        }
        for status in statuses {
            *answers.entry(status).or_default() += 1;
        }
    }
    let failures: usize = answers.range(500..).map(|(_, count)| count).sum();
    table.fact(
        &format!("race, {CALLERS} callers for each of {TOKENS} tokens on two replicas"),
        &format!("answers {answers:?}, tokens with several winners {several}, with none {none}, 5xx {failures}"),
    );
}
