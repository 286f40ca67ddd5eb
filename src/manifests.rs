//! What is applied to a cluster before the operator runs: CRDs, roles and their bindings, admission policies.
//!
//! Builds and prints them; talks to no cluster. Called by `certcourier crds` and `certcourier manifests`, and by tests.

mod command;
mod crds;
mod install;
mod operator_roles;
mod people_roles;
mod rights;
mod yaml;

pub use command::{CrdsArgs, ManifestsArgs, print_crds, print_manifests};
pub use crds::crds;
pub use install::{Installation, objects};

#[cfg(test)]
mod tests;
