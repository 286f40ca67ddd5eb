//! What people and programs do with their own Kubernetes bearer token: mint, claim, approve, deny, revoke, look.
//!
//! The caller's token goes to the API server for everything that is done on the caller's behalf, so RBAC, admission and
//! the cluster's audit log see the person. The operator's own rights are used for two things only, and only after the API
//! server has said that this caller may have them done: to gather the facts of a decision, and to write a claimed token.
//!
//! # Layout
//! - [`caller`] who calls and what they may; [`place`] what a path names; [`refusal`] the API server's refusals in HTTP.
//! - [`body`] reads JSON; [`record`] tells what happened.
//! - [`mint`] asks for a file; [`claim`] takes its token.

mod body;
mod caller;
mod claim;
mod mint;
mod place;
mod record;
mod refusal;

use std::sync::Arc;

use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use super::{router::only, state::ServerState};

/// The routes that take a Kubernetes bearer token.
pub(super) fn routes() -> OpenApiRouter<Arc<ServerState>> {
    OpenApiRouter::default()
        .routes(routes!(mint::mint_download).map(|methods| only("POST", methods)))
        .routes(routes!(claim::claim_token).map(|methods| only("POST", methods)))
}
