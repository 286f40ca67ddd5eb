//! What the tests and benchmarks of certcourier share. A test binary says here what it has of its own alone.
//!
//! # Layout
//! - [`people`]: who has which role; [`pki`]: authorities and leaves.
//! - [`namespace`]: a namespace as its administrator sees it, whatever runs in it; [`request`] and [`receipt`] read and make
//!   its objects.
//! - [`stage`]: the operator as processes with its manifests applied ([`program`], [`install`]); [`world`]: a namespace on
//!   a stage.
//! - [`shell`] and [`curl`]: commands as people run them.
//! - [`page`]: the blocks of a page.
//! - [`fault_proxy`]: an API server that loses, delays and refuses.
//! - [`canaries`]: what is secret, written down to be searched for.
//! - [`waiting`]: the one way to wait.
//!
//! Only tests use it, and a test fails by panicking.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "the names say it, and a test reads the code"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod canaries;
pub mod curl;
pub mod fault_proxy;
pub mod install;
pub mod namespace;
pub mod page;
pub mod people;
pub mod pki;
pub mod program;
pub mod receipt;
pub mod request;
pub mod shell;
pub mod stage;
pub mod world;

use std::path::PathBuf;

use jiff::Timestamp;
use test_cluster::Options;
pub use test_cluster::waiting;

/// A file of the repository, or a folder.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap().join(path)
}

/// Waits until the clock shows another second: objects hold whole ones, and what is created within one is in no order.
pub async fn next_second() {
    let second = Timestamp::now().as_second();
    waiting::until("the next second", async || Timestamp::now().as_second() != second).await;
}

/// A control plane that has certcourier's kinds before kube-controller-manager starts: it looks for new ones only every
/// half minute, and what it does not know it does not collect.
pub fn with_kinds() -> Options {
    Options::default().apply(repository("crds"))
}
