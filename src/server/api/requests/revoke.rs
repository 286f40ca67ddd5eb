//! `POST …/requests/{request}/revoke`: a request ends before it has delivered. The annotation is written with the caller's
//! own token, so that admission decides whose it is.

use std::sync::Arc;

use axum::{body::Body, extract::State, http::HeaderMap};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    RequestView,
    votes::{EXAMPLE, given},
};
use crate::server::http::json::Json;
use crate::server::{
    api::{audit::Witness, json_body},
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        path::ObjectPath,
        refusal,
    },
    state::ServerState,
};
use crate::{
    api::{
        DownloadRequest, Phase, Requester,
        http::RevokeBody,
        names::{REVOKE, REVOKED_BY},
    },
    audit::call::Action,
    cluster::error::During as _,
    lifecycle::{self, GivenReason},
};

const HINT: &str = "ask for a role that may patch downloadrequests.certcourier.io there, such as certcourier-approver";

/// Revoke a request.
///
/// Its token stops working with this call; the request's phase follows. It cannot be undone.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/requests/{request}/revoke",
    tag = "requests",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("request" = String, Path, description = "Name of the request"),
    ),
    request_body(content = RevokeBody, description = "Any Content-Type"),
    responses(
        (status = 200, description = "The request; its phase follows", body = RequestView),
        (status = 409, description = "`request_closed`, `write_altered`"),
        (status = 422, description = "`reason_required`"),
    ),
    extensions(("x-kubernetes-rights" = json!(["patch downloadrequests"]))),
)]
pub async fn revoke_request(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    let body: RevokeBody = json_body::read(&state, &headers, body, EXAMPLE).await?;
    let reason = given(body.reason.as_deref(), EXAMPLE)?;
    revoke(&state, &caller, &place, &reason).await
}

/// Revokes a request as this caller.
///
/// # Errors
/// What RBAC or admission refuses; [`ErrorCode::RequestClosed`] where there is nothing left to revoke.
pub async fn revoke(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    reason: &GivenReason,
) -> Result<Json<RequestView>, ServerError> {
    let who = caller.identity(state).await?;
    let witness = Witness::new(state, caller, &who);
    let reason = reason.as_str();
    let revoked = withdraw(caller, place, &who, reason).await;
    let request = revoked.inspect_err(|refusal| witness.refused_at(place, Action::Revoke, refusal))?;
    witness.revoked(&request, reason);
    Ok(Json(RequestView::of(&request, state.clients.clock().now())))
}

async fn withdraw(
    caller: &Caller,
    place: &ObjectPath,
    who: &Requester,
    reason: &str,
) -> Result<DownloadRequest, ServerError> {
    let patch = json!({"metadata": {"annotations": {REVOKE: reason, REVOKED_BY: who.username}}});
    let api: Api<DownloadRequest> = Api::namespaced(caller.client.clone(), &place.project);
    let patched = api.patch(&place.name, &PatchParams::default(), &Patch::Merge(patch)).await;
    let what = || format!("DownloadRequest {}/{}", place.project, place.name);
    let request = patched.during("revoke", what).map_err(|error| refusal::passed_through(error, HINT))?;
    let phase = request.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
    if !phase.is_open() && phase != Phase::Revoked {
        let words = format!("the request is closed ({}): there is nothing left to revoke", phase.name());
        return Err(ServerError::new(ErrorCode::RequestClosed, words));
    }
    lifecycle::withdrawn(&request, reason).map_err(|altered| refusal::of_altered(&altered, place))?;
    Ok(request)
}
