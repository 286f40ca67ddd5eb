//! What several commands do with a request: ask for a file, wait for it, take its token, write the file, review, vote.
//!
//! # Layout
//! - [`choose`] is which requests a command works on.
//! - [`args`] is what is asked for; [`create`] asks through the Kubernetes API; [`wait`] waits and says what for, in the
//!   words of [`waiting`].
//! - [`token`] takes the token; [`passphrase`] and [`output_file`] are what the file needs on this side.
//! - [`review`] says what is under review; [`vote`] votes on it; [`ended`] says what to do when nothing came of it.

pub(crate) mod args;
pub(crate) mod choose;
pub(crate) mod create;
pub(crate) mod ended;
pub(crate) mod output_file;
pub(crate) mod passphrase;
pub(crate) mod review;
pub(crate) mod token;
pub(crate) mod vote;
pub(crate) mod wait;
pub(crate) mod waiting;
