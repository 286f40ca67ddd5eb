//! Why a file cannot be made, each with what to do about it.

use crate::format::Format;
use crate::material::{ChainError, MaterialError, MaterialReason};
use crate::pkcs12::Pkcs12OptionsError;
use crate::randomness::RandomnessError;

/// Why a file cannot be made. Never says anything about the content of a key or passphrase.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A format for one environment was given none, or several.
    #[error("format `{format}` takes exactly one environment, but {given} were given: choose one, or use `der-zip`")]
    NotOneEnvironment {
        /// The format.
        format: Format,
        /// How many there were.
        given: usize,
    },
    /// `der-zip` was given no environment.
    #[error("there is no environment to put into the ZIP file: add one to the certificate")]
    NoEnvironment,
    /// Two environments would get the same file name.
    #[error("environments `{first}` and `{second}` would both be stored as `{name}`: rename one of them")]
    NameClash {
        /// One environment.
        first: String,
        /// The other one.
        second: String,
        /// The name, compared without regard to case.
        name: String,
    },
    /// The format holds a key and there is none.
    #[error("format `{format}` holds the private key, and there is none (tls.key): add it, or ask for `fullchain`")]
    NoPrivateKey {
        /// The format.
        format: Format,
    },
    /// The key is another certificate's.
    #[error(
        "the private key (tls.key) does not belong to the certificate `{subject}`: store the two that belong \
         together; files without a key can still be downloaded"
    )]
    KeyMismatch {
        /// The leaf's subject.
        subject: String,
    },
    /// Whether the key is the leaf's cannot be told.
    #[error("cannot verify that the private key belongs to the certificate: {why}")]
    KeyUnverifiable {
        /// What cannot be checked, and what to do.
        why: String,
    },
    /// The certificates are not one chain.
    #[error(transparent)]
    BrokenChain(#[from] ChainError),
    /// `chain` without an intermediate.
    #[error(
        "there is no intermediate certificate in tls.crt, so `chain` would be empty: ask for `cert` or `fullchain`"
    )]
    EmptyChain,
    /// `ca` without `ca.crt`.
    #[error("there is no ca.crt, so `ca` would be empty: add it, or ask for `fullchain`")]
    NoCa,
    /// `ca.crt` cannot be read.
    #[error(transparent)]
    Ca(MaterialError),
    /// The format needs a passphrase and there is none.
    #[error("format `{format}` needs a passphrase: give one")]
    PassphraseMissing {
        /// The format.
        format: Format,
    },
    /// The options of the PKCS#12 file cannot be used.
    #[error(transparent)]
    Pkcs12Options(#[from] Pkcs12OptionsError),
    /// The ZIP file would be too large.
    #[error("the ZIP file would have more than 65535 entries or 4 GiB: ask for environments one by one")]
    TooLarge,
    /// The manifest cannot be written, which no input is known to cause.
    #[error("write MANIFEST.json: report this as a bug, and ask for the files one by one")]
    Manifest(#[source] serde_json::Error),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
}

impl RenderError {
    /// A short constant for conditions, metrics and tests.
    #[must_use]
    pub fn reason(&self) -> MaterialReason {
        match self {
            Self::NotOneEnvironment { .. } => MaterialReason::NotOneEnvironment,
            Self::NoEnvironment => MaterialReason::NoEnvironment,
            Self::NameClash { .. } => MaterialReason::NameClash,
            Self::NoPrivateKey { .. } => MaterialReason::NoPrivateKey,
            Self::KeyMismatch { .. } => MaterialReason::KeyMismatch,
            Self::KeyUnverifiable { .. } => MaterialReason::KeyUnverifiable,
            Self::BrokenChain(_) => MaterialReason::BrokenChain,
            Self::EmptyChain => MaterialReason::EmptyChain,
            Self::NoCa => MaterialReason::NoCa,
            Self::Ca(error) => error.reason(),
            Self::PassphraseMissing { .. } => MaterialReason::PassphraseMissing,
            Self::Pkcs12Options(_) => MaterialReason::Pkcs12Options,
            Self::TooLarge => MaterialReason::TooLarge,
            Self::Manifest(_) => MaterialReason::Manifest,
            Self::Randomness(_) => MaterialReason::Randomness,
        }
    }
}
