//! What people and programs do with their own Kubernetes bearer token: mint, claim, approve, deny, revoke, look.
//!
//! The caller's token goes to the API server for everything that is done on the caller's behalf, so RBAC, admission and
//! the cluster's audit log see the person. The operator's own rights are used for two things only, and only after the
//! API server has said that this caller may have them done: to gather the facts of a decision, and to write a claimed
//! token.
//!
//! # Layout
//! - [`caller`] who calls and what they may; [`path`] what a path names; [`refusal`] the API server's refusals in HTTP.
//! - [`json_body`] reads JSON; [`audit`] tells what happened.
//! - [`mint`] asks for a file; [`claim`] claims its token; [`votes`] approve, deny and revoke.
//! - [`certificates`], [`requests`], [`receipts`] and [`timeline`] look, [`pagination`] by page; [`export`] is an older
//!   API's route.

mod audit;
mod certificates;
mod json_body;
mod pagination;
mod receipts;

mod requests;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    certificates::{export, mint, timeline},
    requests::{claim, votes},
};
use super::{http::route::documented, state::ServerState};

pub(super) use certificates::mint::FormatName;

/// The routes that take a Kubernetes bearer token.
pub(super) fn routes() -> OpenApiRouter<Arc<ServerState>> {
    OpenApiRouter::default()
        .routes(documented("POST", routes!(mint::mint_download)))
        .routes(documented("POST", routes!(claim::claim_token)))
        .routes(documented("POST", routes!(votes::approve_request)))
        .routes(documented("POST", routes!(votes::deny_request)))
        .routes(documented("POST", routes!(votes::revoke_request)))
        .routes(documented("GET", routes!(certificates::list_certificates)))
        .routes(documented("GET", routes!(certificates::get_certificate)))
        .routes(documented("GET", routes!(timeline::get_timeline)))
        .routes(documented("GET", routes!(requests::list_requests)))
        .routes(documented("GET", routes!(requests::get_request)))
        .routes(documented("GET", routes!(receipts::list_receipts)))
        .routes(documented("GET", routes!(receipts::get_receipt)))
        .routes(documented("GET", routes!(export::export_certificate)))
        .routes(documented("GET", routes!(export::export_certificate_without_slash)))
}
