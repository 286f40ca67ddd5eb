//! One file for each command: an `Args` struct that clap fills, and `run(&Ctx, &Args)`.

pub mod claim;
pub mod download;
pub mod list;
pub mod receipts;
pub mod request;
pub mod revoke;
pub mod wait;
