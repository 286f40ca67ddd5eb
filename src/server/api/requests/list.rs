//! `GET …/requests`: the requests of a project, by page.

use std::sync::Arc;

use axum::extract::{Query, State, rejection::QueryRejection};
use kube::{Api, core::DeserializeGuard};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{PhaseName, RequestView, get::HINT};
use crate::api::{DownloadRequest, Phase};
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
pub struct RequestQuery {
    /// Items of a page, 1 to 500. Default: 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `continue` of the page before.
    pub r#continue: Option<String>,
    /// Name of the Certificate.
    pub certificate: Option<String>,
    /// The phases of the requests, such as `AwaitingApproval`.
    #[param(value_type = Option<PhaseName>, inline)]
    pub phase: Option<String>,
    /// User name of the requester.
    pub requester: Option<String>,
    /// Created at this moment (RFC 3339) or later.
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Created before this moment (RFC 3339).
    #[param(format = DateTime)]
    pub until: Option<String>,
}

/// List requests.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/requests",
    tag = "requests",
    params(("project" = String, Path, description = "Namespace"), RequestQuery),
    responses((status = 200, description = "A page of requests", body = Page<RequestView>)),
    extensions(("x-kubernetes-rights" = json!(["list downloadrequests"]))),
)]
pub async fn list_requests(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    query: Result<Query<RequestQuery>, QueryRejection>,
) -> Result<Json<Page<RequestView>>, ServerError> {
    let query = pagination::query(query)?;
    let listing = Listing::new(query.limit, query.r#continue)?
        .field("spec.certificateRef.name", query.certificate.as_deref())
        .field("spec.requestedBy.username", query.requester.as_deref())
        .field("status.phase", query.phase.as_deref().map(known_phase).transpose()?)
        .period(Period::new(query.since.as_deref(), query.until.as_deref())?);
    let api: Api<DeserializeGuard<DownloadRequest>> = Api::namespaced(caller.client, &place.project);
    let now = state.clients.clock().now();
    let view = |request| RequestView::of(&request, now);
    Ok(Json(pagination::list(&api, listing, pagination::created, HINT, view).await?))
}

fn known_phase(text: &str) -> Result<&str, ServerError> {
    let names = Phase::ALL.map(Phase::name);
    if names.contains(&text) {
        return Ok(text);
    }
    Err(bad_request(format!("phase is not known: write one of {}", names.join(", "))))
}
