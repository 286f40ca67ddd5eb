//! What is applied to a cluster before the operator runs: CRDs, roles and their bindings, admission policies.
//!
//! Builds and prints them; talks to no cluster. Called by `certcourier crds` and `certcourier manifests`, and by tests.

mod chart;
mod command;
mod install;
mod operator_roles;
mod people_roles;
mod rights;
mod serving;
mod yaml;

pub use crate::api::crds;
pub use command::{ChartArgs, CrdsArgs, ManifestsArgs, print_crds, print_manifests, write_chart};
pub use install::{Installation, objects};
pub use serving::{serving_objects, session_objects};

/// The roles that only the operator is bound to.
pub const OPERATOR_ROLES: [&str; 7] = [
    operator_roles::CONTROLLER,
    operator_roles::SERVER,
    operator_roles::SYSTEM,
    operator_roles::GUARDING,
    crate::api::names::SERVING,
    crate::api::names::SESSION,
    serving::EXTERNAL_CA,
];

#[cfg(test)]
mod tests;
