//! The way in, on top of [`crate::net`]: the certificate, who it is that asks, how often and how much at the same time.
//!
//! # Layout
//! - [`tls`] serves a certificate and reloads it; [`self_signed`] makes one.
//! - [`client_address`] is where a request comes from; [`rate_limit`], [`recently_valid`] and [`in_flight`] are its limits.

pub mod client_address;
pub(crate) mod in_flight;
pub mod rate_limit;
pub(crate) mod recently_valid;
pub mod self_signed;
pub mod tls;
