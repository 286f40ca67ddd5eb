//! The web page's pages, made in the process of the one person who looks at them.
//!
//! Who has a client certificate proves who they are to the API server, and to no server in between. So their own process
//! makes the pages, with the code that makes the server's: every call to the API server is theirs, and it decides. There
//! is no session and no operator's right here; a file comes from the server, for the token in the person's own Secret.

mod person;

use std::sync::Arc;

use axum::Router;
use clap::{
    Args as _, Command, FromArgMatches as _,
    builder::{OsStr, Resettable},
};

pub use self::person::{OfOne, SaidServer};
use super::{args::ServerArgs, router, state::ServerState};
use crate::{cluster::client::Clients, metrics::Metrics};

/// The pages of the person whose clients these are. Needs a tokio runtime.
///
/// # Errors
/// When the server's own defaults cannot be read, which never happens.
pub fn pages(clients: Clients, of_one: OfOne) -> Result<Router, clap::Error> {
    let state = ServerState::new(&defaults()?, clients, None, &Metrics::new("server"));
    Ok(router::pages_of_one(Arc::new(state.of_one(of_one))))
}

/// Every flag at its default. The environment is not the server's: it says nothing here.
fn defaults() -> Result<ServerArgs, clap::Error> {
    let unset = |argument: clap::Arg| argument.env(Resettable::<OsStr>::Reset);
    let command = ServerArgs::augment_args(Command::new("pages").no_binary_name(true)).mut_args(unset);
    ServerArgs::from_arg_matches(&command.try_get_matches_from(["--insecure-http"])?)
}
