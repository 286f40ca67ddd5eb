//! `certcourier server`: the HTTP API that mints and redeems tokens. Any number of replicas; each can be killed at any moment.
//!
//! Handlers read as: extract, decide, fetch, render, record, respond. A request's status is written in a claim alone, and
//! the controller is never called: both meet at the API server.
//!
//! # Layout
//! - [`args`] the flags; [`crate::net`], [`tls`] and [`self_signed`] the way in; [`exchange`] what surrounds every request.
//! - [`router`] the routes; [`downloads`] theirs; [`error`] the one kind of refusal.
//! - [`api`] what callers do with their own Kubernetes token.
//! - [`redemption`] the pipeline from token to receipt; [`delivery`] the file on its way and its outcome.
//! - [`guard`]: whether a key may leave, as far as the admission policies are concerned.
//! - [`client_address`], [`rate_limit`], `lately`, `in_flight`: who asks, how often, and how much at the same time; `pace`
//!   keeps time from telling what words do not.

mod api;
pub mod args;
mod body;
pub mod client_address;
pub mod delivery;
pub mod downloads;
pub mod error;
pub mod exchange;
pub mod guard;
mod headers;
mod identity;
mod in_flight;
mod lately;
mod leftover;
pub mod metrics;
mod openapi;
mod pace;
mod randomness;
pub mod rate_limit;
mod readiness;
pub mod redemption;
pub mod request_id;
mod router;
mod run;
pub mod self_signed;
pub mod state;
pub mod tls;

pub use crate::net::{connection, descriptors, listener};
pub use args::ServerArgs;
pub use openapi::document as openapi_document;
pub use router::router;
pub use run::run;
pub use state::ServerState;
