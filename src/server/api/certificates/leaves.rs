//! The public parts of all environments of a Certificate.

use std::sync::Arc;

use certcourier_bundle::{Artifact, Material, RenderOptions};
use kube::ResourceExt as _;

use crate::{
    api::{Certificate, Format},
    server::{http::error::ServerError, state::ServerState},
};

/// The environments of a Certificate, and their material.
pub struct Leaves {
    /// The Certificate.
    pub certificate: Certificate,
    /// Names of its environments.
    pub environments: Vec<String>,
    /// Their material, in that order.
    pub materials: Arc<[Material]>,
}

/// Makes the ZIP of all leaves, for which no token was used.
///
/// # Errors
/// [`ServerError`] that names the environments and the cause.
pub async fn leaves_of(state: &ServerState, leaves: &Leaves) -> Result<Artifact, ServerError> {
    let options = RenderOptions::new(leaves.certificate.name_any());
    let (environments, materials) = (leaves.environments.clone(), Arc::clone(&leaves.materials));
    let format = Format::DerZip;
    let turn = state.renders.turn(state.deliveries.decision_timeout.get()).await?;
    turn.render(format, environments, materials, options).await
}
