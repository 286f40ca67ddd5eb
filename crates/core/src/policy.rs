//! Who may have what: policies merge to the strictest, and one function decides for every door.
//!
//! Pure: no I/O, no clock, no randomness. The doors gather [`Facts`] and call [`decide`].

mod decision;
mod merge;
mod pattern;

pub use decision::{Access, Decision, Facts, Grant, Passphrase, Reason, decide, is_unattended};
pub use merge::{Effective, NamedPolicy, Source, Sourced, merge};
pub use pattern::{can_match_certificate, can_match_environment};

use crate::api::Format;

/// Formats that hold no key. The list is closed: whatever is not on it counts as holding one.
#[must_use]
pub const fn is_public(format: Format) -> bool {
    matches!(format, Format::Cert | Format::Chain | Format::Fullchain | Format::Ca | Format::Der | Format::DerZip)
}

/// Whether a file of this format holds the private key.
#[must_use]
pub const fn holds_key(format: Format) -> bool {
    !is_public(format)
}

/// Whether a file of this format is encrypted under a passphrase.
#[must_use]
pub const fn needs_passphrase(format: Format) -> bool {
    matches!(format, Format::Pkcs12 | Format::Zip)
}

/// The verb on `certificates.certcourier.io/NAME` that a requester of this format needs.
#[must_use]
pub const fn verb(format: Format) -> &'static str {
    if is_public(format) { "download" } else { "exportkey" }
}

#[cfg(test)]
pub(crate) mod test_facts;
