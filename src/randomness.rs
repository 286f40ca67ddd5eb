//! The operating system's random numbers, for the bundle crate, which makes none of its own.

use certcourier_bundle::{Randomness, RandomnessError};

/// The operating system's generator.
pub(crate) struct OperatingSystem;

impl Randomness for OperatingSystem {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
        getrandom::fill(buffer).map_err(RandomnessError::new)
    }
}
