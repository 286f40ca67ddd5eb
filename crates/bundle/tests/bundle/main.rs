//! The crate through its public interface: material as the world has it in, files that others read out.

#![expect(clippy::expect_used, clippy::panic, reason = "a fixture that cannot be made fails the test")]

mod archives;
mod chains;
mod errors;
mod keys;
mod material;
mod pkcs12;
mod pki;
mod properties;
mod purity;
mod text;
