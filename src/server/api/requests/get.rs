//! `GET …/requests/{request}`: one request, as the caller may see it.

use std::sync::Arc;

use axum::extract::State;
use kube::Api;

use super::RequestView;
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
use crate::{api::DownloadRequest, cluster::error::During as _, door::Listed};

/// What to ask for where requests cannot be read.
pub const HINT: &str = "ask for a role that may read downloadrequests.certcourier.io there, such as certcourier-viewer";

/// Get a request.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/requests/{request}",
    tag = "requests",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("request" = String, Path, description = "Name of the request"),
    ),
    responses((status = 200, description = "The request", body = RequestView)),
    extensions(("x-kubernetes-rights" = json!(["get downloadrequests"]))),
)]
pub async fn get_request(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
) -> Result<Json<RequestView>, ServerError> {
    let request = request_as(&caller, &place).await?;
    Ok(Json(RequestView::of(&request, state.clients.clock().now())))
}

/// The request, read as the caller.
///
/// # Errors
/// What the API server refuses them; [`ErrorCode::NotFound`] where there is none.
pub async fn request_as(caller: &Caller, place: &ObjectPath) -> Result<DownloadRequest, ServerError> {
    let ObjectPath { project, name } = place;
    let requests: Api<DownloadRequest> = Api::namespaced(caller.client.clone(), project);
    let found = requests.get_opt(name).await.during("read", || format!("DownloadRequest {project}/{name}"));
    found.map_err(|error| refusal::passed_through(error, HINT))?.ok_or_else(|| not_there(Listed::Requests, place))
}
