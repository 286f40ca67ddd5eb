//! certcourier: takes certificates out of a Kubernetes cluster under policy, with approval, through a single-use link,
//! on the record. `docs/architecture.md` says how the layers stand on each other.

pub mod admission;
pub mod api;
pub mod audit;
pub mod cli;
pub mod controller;
pub mod doctor;
mod external_url;
pub mod guard;
mod hex;
pub mod kube;
pub mod lifecycle;
pub mod manifests;
pub mod metrics;
pub mod net;
pub mod plugin;
pub mod policy;
mod randomness;
pub mod redact;
pub mod render;
pub mod server;
pub mod telemetry;
mod text;
pub mod token;
