//! `cargo bench --bench network`: downloads by many, by force, and beside others who do as much, in one run. Prints one
//! table; each row with a ratio compares two things measured side by side.
//!
//! `BAO=/path/to/bao` adds the comparison with `OpenBao`; `make bench` sets it. A word after `--` runs the part of that
//! name alone: race, killed, redemptions, processor.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark ends with the first surprise"
)]

mod bao;
mod bare;
mod killed;
mod processor;
mod race;
mod redemptions;

use std::time::Instant;

use futures::{StreamExt, stream};
use serde_json::json;
use test_support::{
    stage::{Settings, Stage},
    world::World,
};

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.iter().any(|word| word == "--list") {
        return;
    }
    if words.first().is_some_and(|word| word == bare::WORD) {
        return bare::serve(&words[1..]).await;
    }
    let wanted = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    // One person asks for everything.
    let crowd = vec!["--max-open-requests".to_owned(), "1000000".to_owned()];
    let settings = Settings { fsync: true, controller: crowd.clone(), server: crowd, ..Settings::default() };
    let stage = Stage::own(settings).await;
    let world = World::new(&stage, "bench").await;
    world.policy("hours", json!({"token": {"ttl": "1h", "maxTTL": "1h"}})).await;
    let mut table = Table::default();
    if wanted("race") {
        race::run(&world, &mut table).await;
    }
    if wanted("redemptions") {
        redemptions::run(&world, &mut table).await;
    }
    if wanted("processor") {
        processor::run(&world, &mut table).await;
    }
    if wanted("killed") {
        killed::run(&world, &mut table).await;
    }
    table.print();
}

/// What was found, printed at the end.
#[derive(Default)]
pub struct Table(Vec<String>);

impl Table {
    /// A fact, without anything beside it.
    pub fn fact(&mut self, what: &str, found: &str) {
        self.add(format!("{what}: {found}"));
    }

    /// Two figures and their ratio.
    pub fn row(&mut self, what: &str, ours: f64, whose: &str, theirs: f64, unit: &str) {
        let ratio = ours / theirs;
        let (ours, theirs) = (format!("{ours:.2} {unit}"), format!("{theirs:.2} {unit}"));
        self.add(format!("{what:<44} certcourier {ours:>12}   {whose:<14} {theirs:>12}   ratio {ratio:.2}"));
    }

    fn add(&mut self, line: String) {
        eprintln!("… {line}");
        self.0.push(line);
    }

    fn print(&self) {
        println!("\n{}", self.0.join("\n"));
    }
}

/// Tokens of so many requests, for the file `fullchain`.
pub async fn tokens(world: &World<'_>, prefix: &str, count: usize) -> Vec<String> {
    let began = Instant::now();
    let issued = stream::iter(0..count)
        .map(|number| async move {
            world.issue("carol", &format!("{prefix}-{number}"), json!({"format": "fullchain"})).await
        })
        .buffered(16)
        .collect()
        .await;
    eprintln!("… {count} tokens in {:.0} s", began.elapsed().as_secs_f64());
    issued
}

/// The value that so many percent do not exceed.
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
