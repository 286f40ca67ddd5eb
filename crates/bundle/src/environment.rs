//! Material of a named environment, and the error that names the environment.

use crate::material::{Limits, Material, MaterialError, RawMaterial};

/// Checked material and the environment that it belongs to.
#[derive(Clone, Copy)]
pub struct EnvironmentMaterial<'a> {
    /// The environment's name, a DNS label.
    pub environment: &'a str,
    /// Its material.
    pub material: &'a Material,
}

/// The material of one environment cannot be used. The text ends in the cause, so that there is no
/// source to print after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment `{environment}`: {cause}")]
pub struct EnvironmentError {
    /// The environment.
    pub environment: String,
    /// What is wrong with its material.
    pub cause: MaterialError,
}

/// [`Material::parse`] for one environment of several: a failure says whose it is.
///
/// # Errors
/// [`EnvironmentError`] if the certificate file or the private key cannot be used.
pub fn parse_environment(
    environment: &str,
    raw: &RawMaterial<'_>,
    limits: &Limits,
) -> Result<Material, EnvironmentError> {
    Material::parse(raw, limits).map_err(|cause| EnvironmentError { environment: environment.to_owned(), cause })
}
