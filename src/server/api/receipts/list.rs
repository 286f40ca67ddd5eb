//! `GET …/receipts`: the receipts of a project, by page.

use std::sync::Arc;

use axum::extract::{Query, State, rejection::QueryRejection};
use kube::{Api, core::DeserializeGuard};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{HINT, ReceiptView};
use crate::api::DownloadReceipt;
use crate::server::http::json::Json;
use crate::server::{
    api::{
        json_body::bad_request,
        pagination::{self, Listing, Page, Period},
    },
    auth::caller::Caller,
    http::{error::ServerError, path::ObjectPath},
    state::ServerState,
};

/// Pages and filters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptQuery {
    /// Items of a page, 1 to 500. Default: 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `continue` of the page before.
    pub r#continue: Option<String>,
    /// Name of the Certificate.
    pub certificate: Option<String>,
    /// User name of the requester.
    pub requester: Option<String>,
    /// Name of the request.
    pub request: Option<String>,
    /// `Delivered`, `Aborted` or `Unknown`.
    #[param(pattern = "^(Delivered|Aborted|Unknown)$")]
    pub outcome: Option<String>,
    /// Consumed at this moment (RFC 3339) or later.
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Consumed before this moment (RFC 3339).
    #[param(format = DateTime)]
    pub until: Option<String>,
}

/// List receipts.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/receipts",
    tag = "receipts",
    params(("project" = String, Path, description = "Namespace"), ReceiptQuery),
    responses((status = 200, description = "A page of receipts", body = Page<ReceiptView>)),
    extensions(("x-kubernetes-rights" = json!(["list downloadreceipts"]))),
)]
pub async fn list_receipts(
    State(_): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    query: Result<Query<ReceiptQuery>, QueryRejection>,
) -> Result<Json<Page<ReceiptView>>, ServerError> {
    let query = pagination::query(query)?;
    let listing = Listing::new(query.limit, query.r#continue)?
        .field("spec.certificateRef.name", query.certificate.as_deref())
        .field("spec.requestedBy.username", query.requester.as_deref())
        .field("spec.requestRef.name", query.request.as_deref())
        .field("status.outcome", query.outcome.as_deref().map(known_outcome).transpose()?)
        .period(Period::new(query.since.as_deref(), query.until.as_deref())?);
    let api: Api<DeserializeGuard<DownloadReceipt>> = Api::namespaced(caller.client, &place.project);
    Ok(Json(
        pagination::list(
            &api,
            listing,
            |receipt| receipt.spec.consumed_at.0,
            HINT,
            |receipt| ReceiptView::of(&receipt),
        )
        .await?,
    ))
}

fn known_outcome(text: &str) -> Result<&str, ServerError> {
    if ["Delivered", "Aborted", "Unknown"].contains(&text) {
        return Ok(text);
    }
    Err(bad_request("outcome is not known: write Delivered, Aborted or Unknown"))
}
