//! Who may have what: policies merge to the strictest, and one function decides for every door.
//!
//! Pure: no I/O, no clock, no randomness. The doors gather [`Facts`] and call [`decide`].

mod decision;
mod merge;
mod pattern;

pub use decision::{Access, Decision, Facts, Grant, Passphrase, Reason, all_reasons, decide, is_unattended, role_with};
pub use merge::{Effective, NamedPolicy, Source, Sourced, merge};
pub use pattern::{can_match_certificate, can_match_environment};

use crate::api::Format;

/// The verb on `certificates.certcourier.io/NAME` that a requester of this format needs.
#[must_use]
pub const fn verb(format: Format) -> &'static str {
    if format.is_public() { "download" } else { "exportkey" }
}

#[cfg(test)]
pub(crate) mod test_facts;
