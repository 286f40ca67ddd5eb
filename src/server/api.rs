//! What people and programs do with their own Kubernetes bearer token: mint, claim, approve, deny, revoke, look.
//!
//! The caller's token goes to the API server for everything that is done on the caller's behalf, so RBAC, admission and
//! the cluster's audit log see the person. The operator's own rights are used for two things only, and only after the
//! API server has said that this caller may have them done: to gather the facts of a decision, and to write a claimed
//! token.
//!
//! # Layout
//! As the paths: [`certificates`], [`requests`] and [`receipts`] each say what is shown of one, and have a file for each
//! thing that can be done with it. [`json_body`] reads JSON, [`pagination`] lists by page, [`audit`] tells what happened.

mod audit;
pub(super) mod certificates;
mod json_body;
pub(super) mod pagination;
pub(super) mod receipts;
pub(super) mod requests;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    http::route::{documented, without_slash},
    state::ServerState,
};

/// The routes that take a Kubernetes bearer token.
pub(super) fn routes() -> OpenApiRouter<Arc<ServerState>> {
    OpenApiRouter::default()
        .routes(documented("POST", routes!(certificates::mint::mint_download)))
        .routes(documented("POST", routes!(requests::claim::claim_token)))
        .routes(documented("POST", routes!(requests::approve::approve_request)))
        .routes(documented("POST", routes!(requests::deny::deny_request)))
        .routes(documented("POST", routes!(requests::revoke::revoke_request)))
        .routes(documented("GET", routes!(certificates::list::list_certificates)))
        .routes(documented("GET", routes!(certificates::get::get_certificate)))
        .routes(documented("GET", routes!(certificates::timeline::get_timeline)))
        .routes(documented("GET", routes!(requests::list::list_requests)))
        .routes(documented("GET", routes!(requests::get::get_request)))
        .routes(documented("GET", routes!(receipts::list::list_receipts)))
        .routes(documented("GET", routes!(receipts::get::get_receipt)))
        .routes(documented("GET", routes!(certificates::export::export_certificate)))
        .routes(documented("GET", without_slash(routes!(certificates::export::export_certificate))))
}
