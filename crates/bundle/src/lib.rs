//! Turns certificate material into the file a person asked for.
//!
//! Bytes, options and randomness go in; bytes, a file name and a content type come out. The crate
//! knows nothing of Kubernetes, opens no file, reads no clock and makes no random number: the caller
//! hands those in, so the same input gives the same bytes. Callers are the server, the controller
//! (facts for a Certificate's status) and the command `certcourier render`.
//!
//! # Layout
//!
//! - [`Material::parse`] reads PEM, checks it and puts the chain in order.
//! - [`render()`] makes one [`Artifact`] of one [`Format`].
//! - [`file_name()`], [`content_disposition`] and [`content_digest`] describe it to an HTTP client.

#![deny(missing_docs)]

mod delivery;
mod der_writer;
mod environment;
mod file_name;
mod format;
pub mod hex;
mod material;
mod passphrase;
mod pem;
mod pkcs12;
mod randomness;
mod render;
#[cfg(feature = "schema")]
mod schema;
mod timestamp;
mod word_list;
mod zip_writer;

pub use delivery::{content_digest, content_disposition};
pub use environment::{EnvironmentError, EnvironmentMaterial, parse_environment};
pub use file_name::file_name;
pub use format::{Format, UnknownFormat};
pub use material::{
    CertificateError, ChainError, KeyMatch, LeafFacts, Limits, Material, MaterialError, MaterialReason, Misfit, Part,
    PrivateKeyError, RawMaterial,
};
pub use passphrase::{LONGEST_PASSPHRASE, Passphrase, PassphraseError, generate_passphrase};
pub use pkcs12::{Pkcs12Options, Pkcs12OptionsError, Pkcs12Profile, UnknownPkcs12Profile};
pub use randomness::{Randomness, RandomnessError};
pub use render::{Artifact, PemOrder, RenderError, RenderOptions, UnknownPemOrder, render};
