//! `make dev` itself: what it says, that one runs at a time, and that it leaves nothing.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use test_support::shell::end_within;

use super::stage::{Folder, READY, Stage};

const LIMIT: Duration = Duration::from_mins(4);

/// Runs a command at a terminal, types Ctrl-C once it shows these words, and prints what the terminal shows.
const TERMINAL: &str = r#"
import os, pty, signal, sys, time
words, command = sys.argv[1].encode(), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
signal.alarm(200)
shown, typed = b"", False
while True:
    try:
        read = os.read(terminal, 65536)
    except OSError:
        break
    if not read:
        break
    shown += read
    if not typed and words in shown:
        typed = True
        os.write(terminal, b"\x03")
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn make_dev_says_what_it_does_and_ends_well_with_ctrl_c() {
    let folder = Folder::new();
    let mut python = folder.command("python3");
    // Everything is built: a test runs within one build already.
    python.args(["-c", TERMINAL, "Ctrl-C stops everything", "make", "--old-file=build", "dev"]);
    let ended = end_within(LIMIT, python).await;
    let shown = ended.ok();
    let order = ["starting the control plane", "admission policies and roles", "certificates", "controller and server"];
    let places: Vec<_> =
        order.iter().map(|words| shown.find(words).unwrap_or_else(|| panic!("{words}: {shown}"))).collect();
    assert!(places.is_sorted() && places.last() < shown.find(READY).as_ref(), "{shown}");
    assert!(!shown.contains("Error") && !shown.contains("***"), "{shown}");
    assert_eq!(folder.left(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn make_dev_that_is_told_to_end_while_it_starts_leaves_nothing() {
    let mut stage = Stage::start();
    stage.until_it_says("starting controller and server").await;
    assert_eq!(stage.terminate().await, Some(0), "{}", stage.said);
    assert_eq!(stage.folder.left(), Vec::<String>::new());
}

/// Also what is private on a stage is private; asked here, where one runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_make_dev_is_refused_and_the_first_goes_on() {
    let mut stage = Stage::start();
    stage.until_it_says("preparing certcourier").await;
    let again = end_within(LIMIT, stage.folder.command("demo/dev.sh")).await;
    assert!(again.failed(1).contains("`make dev` is already running here: use it with `. .dev/env`"), "{again:?}");
    stage.until_it_says(READY).await;
    let mode = |name: &str| fs::metadata(stage.folder.dev().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("env"), mode("")), (0o600, 0o700));
    assert_eq!(stage.terminate().await, Some(0), "{}", stage.said);
    assert_eq!(stage.folder.left(), Vec::<String>::new());
}
