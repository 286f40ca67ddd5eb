//! The way in: listeners that no client, and no single address, can fill. Both programs' ports are served here.
//!
//! # Layout
//! - [`listener`] accepts, and decides who gets a place; [`connection`] serves one, and knows when it has had its time.
//! - [`limits`] the flags; [`open_files`] what of them fits into the limit of open files.
//! - [`address`] what an address counts as; [`shares`] how much each gets at the same time; [`budget`] how often each may
//!   come.
//! - [`counters`] why connections were turned away or closed.

pub mod address;
pub mod budget;
pub mod connection;
pub mod counters;
pub mod limits;
pub mod listener;
pub mod open_files;
pub mod shares;

/// What a client reads that speaks plain HTTP to a port with TLS.
pub const SPEAKS_HTTPS: &str = "this port speaks HTTPS: use https://…";
