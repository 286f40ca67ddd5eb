//! The operating system's generator.

use super::http::error::ServerError;

/// Fills a buffer.
///
/// # Errors
/// An internal error where the system has no randomness: nothing is issued without.
pub fn fill(buffer: &mut [u8]) -> Result<(), ServerError> {
    getrandom::fill(buffer).map_err(|error| ServerError::internal().caused_by(error))
}
