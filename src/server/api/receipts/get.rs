//! `GET …/receipts/{id}`: one receipt, as the caller may see it.

use std::sync::Arc;

use axum::extract::State;
use kube::Api;

use super::{HINT, ReceiptView};
use crate::server::http::json::Json;
use crate::server::{
    auth::caller::Caller,
    http::{
        error::ServerError,
        path::ObjectPath,
        refusal::{self, not_there},
    },
    state::ServerState,
};
use crate::{api::DownloadReceipt, cluster::error::During as _, door::Listed};

/// Get a receipt.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/receipts/{id}",
    tag = "receipts",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("id" = String, Path, description = "Name of the receipt, `r-…`"),
    ),
    responses((status = 200, description = "The receipt", body = ReceiptView)),
    extensions(("x-kubernetes-rights" = json!(["get downloadreceipts"]))),
)]
pub async fn get_receipt(
    State(_): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
) -> Result<Json<ReceiptView>, ServerError> {
    let ObjectPath { project, name } = &place;
    let api: Api<DownloadReceipt> = Api::namespaced(caller.client, project);
    let found = api.get_opt(name).await.during("read", || format!("DownloadReceipt {project}/{name}"));
    let found = found.map_err(|error| refusal::passed_through(error, HINT))?;
    found.as_ref().map(ReceiptView::of).map(Json).ok_or_else(|| not_there(Listed::Receipts, &place))
}
