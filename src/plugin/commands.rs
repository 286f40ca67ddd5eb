//! One file for each command: an `Args` struct that clap fills, and `run(&Ctx, &Args)`.

pub mod adopt;
pub mod approve;
pub mod check;
pub mod claim;
pub mod deny;
pub mod describe;
pub mod doctor;
pub mod download;
pub mod inbox;
pub mod inspect;
pub mod list;
pub mod policy;
pub mod receipts;
pub mod request;
pub mod revoke;
pub mod version;
pub mod wait;
pub mod web;
