//! The API server as certcourier uses it: each submodule is one kind of call, typed and bounded in time.
//!
//! Decides nothing: what it reads goes to `policy` and `lifecycle`, and what those decide comes back here to be written.
//! Called by the controller, the server and the plugin. The library of the same name is `::kube` in here.
//!
//! # Layout
//! - [`client`] connects, with `credentials`; [`clock`] keeps the API server's time; [`error`] says what a failed call means,
//!   [`kubeconfig`] what is wrong with one.
//! - [`lease`] elects the controller that acts.
//! - [`access`] asks what a stored requester may do now.
//! - [`secrets`] reads and writes single Secrets without ever logging them; [`material`] reads one environment,
//!   [`token_secret`] what the requester of a file has in theirs.
//! - [`facts`] gathers all that a decision depends on; [`policies`] reads the policies of a namespace and the operator's.
//! - [`together`] makes one call for all who wait for the same answer.
//! - [`guard`] looks at admission policies and CRDs, probes them, and keeps the record of it; [`mutations`] tells of what
//!   can change objects on their way, as it comes.
//! - [`receipts`] and [`status`] write the two things that must be written once; [`settle`] finds out what became of a write
//!   whose answer was lost; [`votes`] appends one; [`events`] tells people.

pub mod access;
pub mod client;
pub mod clock;
pub(crate) mod credentials;
pub mod error;
pub mod events;
pub mod facts;
#[cfg(test)]
mod fake;
pub mod guard;
pub mod kubeconfig;
pub mod lease;
pub mod material;
pub mod mutations;
pub mod policies;
pub mod receipts;
pub mod secrets;
pub mod settle;
pub mod status;
pub mod together;
pub mod token_secret;
pub mod votes;
