//! certcourier: takes certificates out of a Kubernetes cluster under policy, with approval, through a single-use link,
//! on the record. `docs/architecture.md` shows the layers.
//!
//! The pure core is in crates of its own, which Cargo keeps free of a runtime and of the Kubernetes client. What is here
//! observes and acts: the four programs, and the edges that they share.

pub mod audit;
mod browser;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod doctor;
mod external_url;
pub mod manifests;
pub mod metrics;
pub mod net;
pub mod plugin;
mod process;
mod randomness;
pub mod render;
pub mod server;
mod special_file;
pub mod telemetry;
mod transport;

pub use certcourier_api as api;
pub use certcourier_core::{admission, door, guard, lifecycle, policy, redact, token};

use certcourier_api::text;
use certcourier_bundle::hex;
