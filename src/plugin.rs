//! `kubectl certcourier`: the plugin, for people.
//!
//! Whatever it does, it does with the rights of whoever runs it: through the Kubernetes API with the credentials of their
//! kubeconfig, and through certcourier's HTTP API with their bearer token. It decides nothing; what it cannot do it says,
//! with what to do instead.
//!
//! # Layout
//! - [`cli`] is what is typed, and the table of commands; [`commands`] has a file for each: an `Args` struct and
//!   `run(&Ctx, &Args)`.
//! - [`connect`] reads the kubeconfig, [`proxy`] the environment; [`context`] is what every command has: clients, namespace, styles.
//! - [`ask`] is what is asked for, [`create`] asks through the Kubernetes API, [`follow`] waits for a request, [`token`] takes
//!   its token, [`passphrase`] and [`target`] are what a file needs on this side.
//! - [`server`] reaches certcourier's HTTP API, wherever it is.
//! - [`complete`] completes in the shell.
//! - [`review`] says what is under review; [`ballot`] votes on it, [`confirm`] asks before.
//! - [`error`] is what a command ends with, and the exit code; [`output`], [`table`], [`page`] and [`style`] print.

mod ask;
mod ballot;
mod cli;
mod commands;
mod complete;
mod confirm;
mod connect;
mod context;
mod create;
mod error;
mod follow;
mod output;
mod page;
mod passphrase;
mod proxy;
mod review;
mod run;
mod server;
mod style;
mod table;
mod target;
mod token;

pub use run::run;
