//! `GET …/receipts/{id}`: one receipt, as the caller may see it.

use std::sync::Arc;

use axum::{Json, extract::State};
use kube::Api;

use super::{HINT, ReceiptView};
use crate::server::{
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        path::ObjectPath,
        refusal,
    },
    state::ServerState,
};
use crate::{api::DownloadReceipt, cluster::error::During as _};

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
    found.as_ref().map(ReceiptView::of).map(Json).ok_or_else(|| {
        let words = format!(
            "there is no receipt `{name}` in project {project}; /api/v1/projects/{project}/receipts lists those there are"
        );
        ServerError::new(ErrorCode::NotFound, words)
    })
}
