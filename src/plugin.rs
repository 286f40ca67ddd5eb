//! `kubectl certcourier`: the plugin, for people.
//!
//! Whatever it does, it does with the rights of the user who runs it: through the Kubernetes API with the credentials
//! of their kubeconfig, and through certcourier's HTTP API with their bearer token. It decides nothing; what it cannot
//! do it says, with what to do instead.
//!
//! # Layout
//! - [`cli`] is the table of commands, [`global`] the flags that each has, [`values`] checks what is typed and [`usage`]
//!   says what is wrong with it; [`commands`] has a file for each: an `Args` struct and `run(&Ctx, &Args)`. [`request`] is what several of them do with a request.
//! - [`connect`] reads the kubeconfig; [`client`] reaches certcourier's HTTP API, wherever it is; [`context`] is what
//!   every command has: clients, namespace, styles; [`watch`] shows what changes.
//! - [`error`] is what a command ends with, and the exit code; [`print`] prints. [`complete`] completes in the shell, asked by its
//!   [`scripts`].

mod cli;
mod client;
mod commands;
mod complete;
mod connect;
mod context;
mod error;
mod global;
mod print;
mod request;
mod run;
mod scripts;
mod usage;
mod values;
mod watch;

pub use run::run;
