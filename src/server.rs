//! `certcourier server`: the HTTP API that issues and uses tokens. Any number of replicas; each can be killed at any
//! moment.
//!
//! Handlers read as: extract, decide, fetch, render, record, respond. A request's status is written in a claim alone,
//! and the controller is never called: both meet at the API server.
//!
//! # Layout
//! - [`args`] the flags, [`run`](run()) the process, [`state`] what handlers share, `router` the routes.
//! - [`net`] the way in; [`http`] what every route shares; `auth` who asks.
//! - [`downloads`] from token to file; `api` what callers do with their own Kubernetes token.
//! - `ui` the web page, and [`session`], its sealed cookies; [`of_one`] makes its pages in the process of who looks.
//! - [`guard`]: whether a key may be released, as far as the admission policies are concerned.

mod api;
pub mod args;
mod auth;
pub mod downloads;
pub mod guard;
pub mod http;
pub mod metrics;
pub mod net;
pub mod of_one;
pub mod oidc;
mod readiness;
mod renders;
mod router;
mod run;
pub mod session;
pub mod state;
mod ui;

pub use crate::net::{connection, listener, open_files};
pub use args::ServerArgs;
pub use router::{openapi_document, router};
pub use run::run;
pub use state::ServerState;
