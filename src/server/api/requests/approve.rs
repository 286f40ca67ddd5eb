//! `POST …/requests/{request}/approve`: a person approves what they saw of a request.

use std::sync::Arc;

use axum::{body::Body, extract::State, http::HeaderMap};

use super::{
    RequestView,
    votes::{given, vote},
};
use crate::server::http::json::Json;
use crate::server::{
    api::json_body::{self, bad_request},
    auth::caller::Caller,
    http::{error::ServerError, path::ObjectPath},
    state::ServerState,
};
use crate::{
    api::{Decision, http::ApproveBody},
    lifecycle::Ballot,
};

const EXAMPLE: &str = r#"{"digest":"…","reason":"INC-4211"}"#;

/// Approve a request.
///
/// The vote counts once, for what was under review when you read it: `digest` says what that was. No one approves their
/// own request, and programs do not vote.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/requests/{request}/approve",
    tag = "requests",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("request" = String, Path, description = "Name of the request"),
    ),
    request_body(content = ApproveBody, description = "Any Content-Type"),
    responses(
        (status = 200, description = "The request with the vote", body = RequestView),
        (status = 409, description = "`request_closed`, `write_altered`"),
        (status = 422, description = "`reason_required`"),
    ),
    extensions(("x-kubernetes-rights" = json!([
        "get downloadrequests", "patch downloadrequests/status", "approve certificates"
    ]))),
)]
pub async fn approve_request(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    let ApproveBody { reason, digest } = json_body::read(&state, &headers, body, EXAMPLE).await?;
    let reason = given(reason.as_deref(), EXAMPLE)?;
    let digest = digest.filter(|digest| !digest.is_empty()).ok_or_else(|| no_digest(&place))?;
    let ballot = Ballot { decision: Decision::Approve, digest: Some(&digest), spare: true };
    vote(&state, &caller, &place, &ballot, &reason).await
}

/// No one approves what they have not read.
fn no_digest(place: &ObjectPath) -> ServerError {
    let words = format!(
        "say what you approve: field `digest` is approval.digest in the answer of GET /api/v1/projects/{}/requests/{} \
         (status.review.digest of the DownloadRequest). Read that first; the approval counts for it and nothing else",
        place.project, place.name
    );
    bad_request(words)
}
