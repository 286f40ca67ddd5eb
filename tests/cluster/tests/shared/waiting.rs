//! What the tests of the control plane share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Far above what anything here takes; only a failing test waits that long.
pub const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Asks until the answer is yes; fails the test, naming what it waited for, when the time is over.
pub async fn eventually(what: &str, ask: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !ask().await {
        assert!(start.elapsed() < LIMIT, "waited {} s until {what}", LIMIT.as_secs());
        tokio::time::sleep(POLL).await;
    }
}

/// Whether any process was called with this folder in its arguments; all programs of a control plane are.
pub fn processes_of(directory: &Path) -> Vec<String> {
    let needle = directory.to_string_lossy().into_owned();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|arguments| String::from_utf8_lossy(&arguments).replace('\0', " "))
        .filter(|arguments| arguments.contains(&needle))
        .collect()
}
