//! The operating system's generator.

use certcourier_bundle::{Randomness, RandomnessError};

use super::error::ServerError;

/// For the bundle, which has none of its own.
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
        getrandom::fill(buffer).map_err(RandomnessError::new)
    }
}

/// Fills a buffer.
///
/// # Errors
/// An internal error where the system has no randomness: nothing is minted without.
pub fn fill(buffer: &mut [u8]) -> Result<(), ServerError> {
    getrandom::fill(buffer).map_err(|error| ServerError::internal().caused_by(error))
}
