//! `POST …/requests/{request}/deny`: one denial ends a request.

use std::sync::Arc;

use axum::{body::Body, extract::State, http::HeaderMap};

use super::{
    RequestView,
    votes::{EXAMPLE, given, vote},
};
use crate::server::http::json::Json;
use crate::server::{
    api::json_body,
    auth::caller::Caller,
    http::{error::ServerError, path::ObjectPath},
    state::ServerState,
};
use crate::{
    api::{Decision, http::DenyBody},
    lifecycle::Ballot,
};

/// Deny a request.
///
/// One denial ends a request, also after others have approved it and while its token is valid.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/requests/{request}/deny",
    tag = "requests",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("request" = String, Path, description = "Name of the request"),
    ),
    request_body(content = DenyBody, description = "Any Content-Type"),
    responses(
        (status = 200, description = "The request with the vote; its phase follows", body = RequestView),
        (status = 409, description = "`request_closed`, `write_altered`"),
        (status = 422, description = "`reason_required`"),
    ),
    extensions(("x-kubernetes-rights" = json!([
        "get downloadrequests", "patch downloadrequests/status", "approve certificates"
    ]))),
)]
pub async fn deny_request(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    let DenyBody { reason, digest } = json_body::read(&state, &headers, body, EXAMPLE).await?;
    let reason = given(reason.as_deref(), EXAMPLE)?;
    let digest = digest.filter(|digest| !digest.is_empty());
    let ballot = Ballot { decision: Decision::Deny, digest: digest.as_deref(), spare: true };
    vote(&state, &caller, &place, &ballot, &reason).await
}
