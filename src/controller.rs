//! `certcourier controller`: the leader observes, decides and acts; the other replicas wait to take over.
//!
//! Reconcile reads as three verbs: observe the cluster, decide with pure functions (`lifecycle`, `policy`), act with
//! guarded writes. No state is kept that a restart could lose. Delivers nothing: that is the server's.
//!
//! # Layout
//! - [`args`] is the command line; [`run`] the process: election, probes, shutdown.
//! - [`scope`] watches one namespace (or all) and queues what is to be looked at; [`pass`] bounds and classifies each look.
//! - [`guard`] watches over the admission policies.
//! - [`kept`] says what is remembered of an object's metadata; [`open`] who has how many open requests.
//! - [`grants`] knows who may read which token Secret, and sweeps what deleted requests left behind.
//! - [`untold`] sees to it that what a write made true is told; [`inventory`] counts what there is.
//! - [`certificate`], [`request`], [`receipt`] are the three reconcilers.

pub mod args;
mod certificate;
mod context;
mod counters;
mod external;
#[cfg(test)]
mod fixtures;
mod grants;
mod guard;
mod inventory;
mod kept;
mod open;
mod pass;
mod receipt;
mod request;
mod run;
mod scope;
mod untold;

pub use args::ControllerArgs;
pub use run::run;
