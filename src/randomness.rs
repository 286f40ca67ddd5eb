//! The operating system's random numbers, for the bundle crate, which makes none of its own.

use certcourier_bundle::{Randomness, RandomnessError};

/// Fills a buffer with the operating system's random numbers.
///
/// # Errors
/// [`RandomnessError`] when there are none.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), RandomnessError> {
    getrandom::fill(buffer).map_err(RandomnessError::new)
}

/// The operating system's generator.
pub(crate) struct OperatingSystem;

impl Randomness for OperatingSystem {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
        fill(buffer)
    }
}
