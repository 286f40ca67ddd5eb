//! What certcourier decides, and no more: who may have what ([`policy`]), where a request goes next ([`lifecycle`]), which
//! admission policies hold it ([`admission`]) and whether they still do ([`guard`]), what a token is ([`token`]), what
//! the audit record says ([`audit`]), and what each door calls things ([`door`]).
//!
//! Pure: facts, time and randomness are arguments, a closed answer comes out. There is no I/O, no runtime and no Kubernetes
//! client here; `tests/architecture` asks Cargo.

#![deny(missing_docs)]

pub mod admission;
pub mod audit;
pub mod door;
pub mod guard;
pub mod lifecycle;
pub mod policy;
pub mod token;

pub use certcourier_api::redact;

use certcourier_api::{self as api, text};
use certcourier_bundle::hex;
