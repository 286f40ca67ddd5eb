//! What is applied to a cluster before the operator runs: CRDs, roles and their bindings, admission policies.
//!
//! Builds and prints them; talks to no cluster. Called by `certcourier crds` and `certcourier manifests`, and by tests.

mod command;
mod crds;
mod yaml;

pub use command::{CrdsArgs, print_crds};
pub use crds::crds;
