//! `certcourier server`: the HTTP API that redeems tokens. Any number of replicas; each can be killed at any moment.
//!
//! Handlers read as: extract, decide, fetch, render, record, respond. Nothing here writes a request's status, and the
//! controller is never called: both meet at the API server.
//!
//! # Layout
//! - [`args`] the flags; [`listener`], [`connection`] and [`tls`] the way in; [`exchange`] what surrounds every request.
//! - [`router`] the routes; [`downloads`] theirs; [`error`] the one kind of refusal.
//! - [`client_address`] and [`rate_limit`]: who asks, and how often.

pub mod args;
mod body;
pub mod client_address;
pub mod connection;
pub mod downloads;
pub mod error;
pub mod exchange;
mod headers;
pub mod listener;
pub mod metrics;
pub mod rate_limit;
pub mod request_id;
mod router;
pub mod state;
pub mod tls;

pub use args::ServerArgs;
pub use router::router;
pub use state::ServerState;
