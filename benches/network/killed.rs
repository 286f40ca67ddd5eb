//! 2,000 tokens, 50 callers at a time, and every 2 s one of two replicas is killed with SIGKILL and started again.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use certcourier::api::Outcome;
use futures::{StreamExt, stream};
use test_cluster::Signal;
use test_support::world::World;

use super::{Table, tokens};

const TOKENS: usize = 2000;
const CALLERS: usize = 50;
const PERIOD: Duration = Duration::from_secs(2);

/// What happened to the calls.
#[derive(Default)]
struct Seen {
    whole_files: AtomicUsize,
    /// For each token.
    deliveries: Vec<AtomicUsize>,
    broken_connections: AtomicUsize,
    unavailable: AtomicUsize,
    other: AtomicUsize,
}

pub async fn run(world: &World<'_>, table: &mut Table) {
    let before = world.receipts().await.len();
    let tokens = tokens(world, "killed", TOKENS).await;
    let seen = Seen { deliveries: (0..TOKENS).map(|_| AtomicUsize::new(0)).collect(), ..Seen::default() };
    let (over, kills) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Each token is presented twice at the same time, once to each replica, until it is known to be used.
    let calling = async {
        stream::iter(0..TOKENS * 2)
            .for_each_concurrent(CALLERS, |call| present(world, call % 2, &tokens[call / 2], call / 2, &seen))
            .await;
        over.store(true, Ordering::SeqCst);
    };
    let killing = async {
        for replica in [0, 1].into_iter().cycle() {
            tokio::time::sleep(PERIOD).await;
            if over.load(Ordering::SeqCst) {
                return;
            }
            world.stage.servers[replica].signal(Signal::Kill);
            kills.fetch_add(1, Ordering::SeqCst);
            world.stage.servers[replica].start_and_wait().await;
        }
    };
    tokio::join!(calling, killing);
    report(world, before, &seen, kills.into_inner(), table).await;
}

async fn present(world: &World<'_>, replica: usize, token: &str, number: usize, seen: &Seen) {
    let url = format!("{}/api/v1/downloads/{token}", world.stage.urls[replica]);
    loop {
        let answer = match world.http().get(&url).send().await {
            Ok(answer) if answer.status() == 200 => {
                seen.deliveries[number].fetch_add(1, Ordering::SeqCst);
                if answer.bytes().await.is_ok_and(|bytes| bytes == world.leaf.chain().as_bytes()) {
                    seen.whole_files.fetch_add(1, Ordering::SeqCst);
                }
                return;
            }
            answer => answer,
        };
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(410) => return,
            Ok(503) => seen.unavailable.fetch_add(1, Ordering::SeqCst),
            Ok(_) => seen.other.fetch_add(1, Ordering::SeqCst),
            Err(_) => seen.broken_connections.fetch_add(1, Ordering::SeqCst),
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn report(world: &World<'_>, before: usize, seen: &Seen, kills: usize, table: &mut Table) {
    let settled = async || {
        let receipts = world.receipts().await;
        let outcomes: Vec<Option<Outcome>> =
            receipts.iter().map(|receipt| receipt.status.as_ref().and_then(|status| status.outcome)).collect();
        let count = |outcome| outcomes.iter().filter(|found| **found == outcome).count();
        (receipts.len(), count(Some(Outcome::Aborted)), count(Some(Outcome::Unknown)), count(None))
    };
    // The controller calls Unknown what a killed server could not finish.
    let (mut receipts, mut aborted, mut unknown, mut open) = settled().await;
    for _ in 0..60 {
        if open == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        (receipts, aborted, unknown, open) = settled().await;
    }
    let twice = seen.deliveries.iter().filter(|count| count.load(Ordering::SeqCst) > 1).count();
    let load = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    table.fact(
        &format!("{TOKENS} tokens, {CALLERS} callers at a time, a replica killed every {} s", PERIOD.as_secs()),
        &format!(
            "whole files {}, receipts {}, of these Aborted {aborted}, Unknown {unknown}, open {open}; double deliveries \
             {twice}; kills {kills}; connections broken {}, answers 503 {}, others {}",
            load(&seen.whole_files),
            receipts - before,
            load(&seen.broken_connections),
            load(&seen.unavailable),
            load(&seen.other)
        ),
    );
}
