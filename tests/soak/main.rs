//! One hostile address, with thousands of connections of each kind, while people go on working: they do not notice.
//!
//! Loopback alone, a few seconds for each kind, and a binary of its own, so that it disturbs no other test.

#![cfg(test)]

mod honest;
mod hostile;

use std::time::Duration;

use certcourier::server::open_files;
use test_support::{
    stage::{Server, Stage},
    world::World,
};
use tokio::time::Instant;

use self::hostile::{Hostile, KINDS};

/// Connections of each kind.
const CONNECTIONS: usize = 2000;
/// How long each kind goes on.
const PHASE: Duration = Duration::from_secs(3);
/// What an honest call may take. Where the machine is slower than that without anybody hostile: three times as much as
/// then.
const LIMIT: Duration = Duration::from_secs(2);
/// What the server may use of memory meanwhile, in MiB; half of what the chart gives it.
const MOST_MEMORY_MIB: u64 = 256;

/// The limits that a server has where nobody says anything; the other tests' servers have others.
const DEFAULTS: [[&str; 2]; 12] = [
    ["--rate-per-address", "20"],
    ["--rate-burst", "60"],
    ["--rate-malformed", "5"],
    ["--rate-lookups", "500"],
    ["--rate-per-person", "10"],
    ["--rate-person-burst", "30"],
    ["--rate-connections", "50"],
    ["--max-connections-per-address", "128"],
    ["--max-streams-per-address", "256"],
    ["--max-requests-per-address", "64"],
    ["--max-requests-per-person", "32"],
    ["--max-deliveries-each", "32"],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_address_with_thousands_of_connections_of_each_kind_keeps_nobody_out() {
    // This process holds the other ends.
    assert!(open_files::places(2500) >= 2500, "raise the limit of open files for this test: ulimit -n 4096");
    let world = World::new(Stage::shared().await, "soak").await;
    let server = world.stage.another_server(None, DEFAULTS.as_flattened()).await;
    let people = honest::people(&world, &server).await;

    let alone = people.work_until(Instant::now() + Duration::from_secs(3), LIMIT * 5).await;
    assert_eq!(alone.failures, Vec::<String>::new(), "without anybody hostile");
    let limit = LIMIT.max(alone.slowest * 3);

    let hostile = Hostile::new(&world, &server);
    let (mut calls, mut failures) = (0, Vec::new());
    for kind in KINDS {
        let end = Instant::now() + PHASE;
        let (tried, work) = tokio::join!(hostile.connect(kind, CONNECTIONS, end), people.work_until(end, limit));
        let (failed, all) = (work.failures.len(), work.calls);
        eprintln!("{kind:?}: {tried} connections; {failed} of {all} calls failed, the slowest took {:?}", work.slowest);
        assert!(tried >= CONNECTIONS, "{kind:?}: only {tried} connections were tried");
        // A single call that failed is for the sum of all to judge.
        assert!(all > 0 && failed <= 1, "{kind:?}: {failed} of {all} calls failed: {:#?}", work.failures);
        calls += all;
        failures.extend(work.failures);
    }
    assert!(failures.len() * 100 <= calls, "{} of {calls} calls failed: {failures:#?}", failures.len());
    let text = metrics(&server).await;
    for why in ["evicted", "rate"] {
        let series = format!("certcourier_connections_ended_total{{why=\"{why}\"}}");
        assert!(text.contains(&series), "no {series} in {text}");
    }
    let limited = |tier: &str| text.contains(&format!("certcourier_rate_limited_total{{tier=\"{tier}\"}}"));
    assert!(limited("malformed"), "{text}");
    // A busy machine refuses guesses that come at once before it has time for so many that they come too often.
    assert!(limited("address") || limited("at_once"), "{text}");
    let used = memory_mib(server.program.id());
    eprintln!("the server has {used} MiB");
    assert!(used < MOST_MEMORY_MIB, "{used} MiB");
}

async fn metrics(server: &Server) -> String {
    let url = format!("http://{}/metrics", server.program.probe());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.unwrap().text().await.unwrap()
}

/// The most that a process has had in memory.
fn memory_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
