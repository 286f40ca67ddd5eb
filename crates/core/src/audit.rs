//! What the audit record says: one fact for each thing that happened, in the form of `CloudEvents` 1.0 (structured mode).
//!
//! Pure; where the lines go is up to the programs. docs/audit.md lists every type.
//!
//! # Layout
//! - [`Kind`] is the closed list of types; [`Fact`] is what a line is made of.
//! - [`request`] reads facts from a request's status, for the controller; [`delivery`] and [`call`] are what happens in the
//!   server; [`guard`] is what the guard finds.

pub mod call;
pub mod delivery;
mod fact;
pub mod guard;
mod kind;
pub mod request;

pub use fact::{Data, Fact, Source, started};
pub use kind::Kind;

#[cfg(test)]
mod tests;
