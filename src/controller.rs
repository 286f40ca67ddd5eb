//! `certcourier controller`: the leader observes, decides and acts; the other replicas wait to take over.
//!
//! Reconcile reads as three verbs: observe the cluster, decide with pure functions (`lifecycle`, `policy`), act with
//! guarded writes. No state is kept that a restart could lose. Delivers nothing: that is the server's.
//!
//! # Layout
//! - [`args`] is the command line; [`run`] the process: election, probes, shutdown.
//! - [`watch`] leads from a change to a reconcile; [`reconcilers`] are the three.
//! - [`guard`] watches over the admission policies.
//! - [`grants`] knows who may read which token Secret, and sweeps what deleted requests left behind.
//! - [`open_requests`] knows who has how many open requests; [`archive`] has a few words of what is over, and knows whose
//!   are too many; [`public_endpoint`] knows where people reach the server.
//! - [`certificate_reads`] knows when the Secrets of each Certificate are due to be read.
//! - [`audit_outbox`] sees to it that what a write made true is told; [`gauges`] and [`metrics`] count.

mod archive;
pub mod args;
mod audit_outbox;
mod certificate_reads;
mod context;

#[cfg(test)]
mod fixtures;
mod gauges;
mod grants;
mod guard;
mod metrics;
mod open_requests;
mod public_endpoint;
mod reconcilers;
mod run;
mod watch;

pub use args::ControllerArgs;
pub use run::run;
