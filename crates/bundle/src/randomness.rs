//! Randomness as an argument: this crate makes none of its own.

use std::error::Error;

/// A source of unpredictable bytes, handed in by the caller.
///
/// In production it is the operating system's generator; in tests a fixed sequence, so that the
/// same input gives the same file.
pub trait Randomness {
    /// Fills the whole buffer.
    ///
    /// # Errors
    /// [`RandomnessError`] if the source cannot give that many bytes; nothing may be rendered then.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError>;
}

/// The source of randomness failed.
#[derive(Debug, thiserror::Error)]
#[error("the source of random numbers failed: try again; if it keeps failing, check the machine")]
pub struct RandomnessError {
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RandomnessError {
    /// A failure with its cause, such as the error of `getrandom`.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()) }
    }

    /// A source that answers, but never with a usable byte.
    pub(crate) fn stuck() -> Self {
        Self { source: None }
    }
}
