//! People agree, refuse, or withdraw. The vote and the annotation are written with the caller's own token, so that
//! admission decides whose they are and whether they count.

use std::{sync::Arc, time::Duration};

use ::kube::{
    Api,
    api::{Patch, PatchParams},
};
use axum::{Json, body::Body, extract::State, http::HeaderMap};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        error::{ErrorCode, ServerError},
        state::ServerState,
    },
    body::{self, bad_request},
    caller::Caller,
    claim::request_as,
    place::Place,
    record::{self, Witness},
    refusal::{self, SOON},
    requests::RequestView,
};
use crate::{
    api::{
        Decision, DownloadRequest, Phase, Requester,
        names::{REVOKE, REVOKED_BY},
    },
    audit::call::Action,
    kube::error::During as _,
};

/// How long a new request may take until there is something to vote on.
const FIRST_LOOK: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const VOTE_HINT: &str = "ask for ClusterRole certcourier-approver there";
const REVOKE_HINT: &str =
    "ask for a role that may patch downloadrequests.certcourier.io there, such as certcourier-approver";
const EXAMPLE: &str = r#"{"reason":"INC-4211"}"#;

/// A vote.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "INC-4211, checked with alice"}))]
pub struct VoteBody {
    /// Why; it goes into the receipt.
    #[serde(default, deserialize_with = "body::text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    reason: Option<String>,
    /// `approval.digest` of the request as you saw it: the vote counts for that and nothing else. Omitted: for what is
    /// under review now.
    #[serde(default, deserialize_with = "body::text")]
    #[schema(max_length = 64)]
    digest: Option<String>,
}

/// A withdrawal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "laptop stolen"}))]
pub struct RevokeBody {
    /// Why.
    #[serde(default, deserialize_with = "body::text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    reason: Option<String>,
}

/// Approve a request.
///
/// The vote counts for what is under review now, once. Nobody approves their own request, and programs do not vote.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/requests/{request}/approve",
    tag = "requests",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("request" = String, Path, description = "Name of the request"),
    ),
    request_body(content = VoteBody, description = "Any Content-Type"),
    responses(
        (status = 200, description = "The request with the vote", body = RequestView),
        (status = 409, description = "`request_closed`"),
        (status = 422, description = "`reason_required`"),
    ),
    extensions(("x-kubernetes-rights" = json!([
        "get downloadrequests", "patch downloadrequests/status", "approve certificates"
    ]))),
)]
pub async fn approve_request(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    vote(&state, &caller, &place, body::read(&state, &headers, body, EXAMPLE).await?, Decision::Approve).await
}

/// Deny a request.
///
/// One denial ends a request, also after others have approved it and while its token lives.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/requests/{request}/deny",
    tag = "requests",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("request" = String, Path, description = "Name of the request"),
    ),
    request_body(content = VoteBody, description = "Any Content-Type"),
    responses(
        (status = 200, description = "The request with the vote; its phase follows", body = RequestView),
        (status = 409, description = "`request_closed`"),
        (status = 422, description = "`reason_required`"),
    ),
    extensions(("x-kubernetes-rights" = json!([
        "get downloadrequests", "patch downloadrequests/status", "approve certificates"
    ]))),
)]
pub async fn deny_request(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    vote(&state, &caller, &place, body::read(&state, &headers, body, EXAMPLE).await?, Decision::Deny).await
}

/// Withdraw a request.
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
        (status = 409, description = "`request_closed`"),
        (status = 422, description = "`reason_required`"),
    ),
    extensions(("x-kubernetes-rights" = json!(["patch downloadrequests"]))),
)]
pub async fn revoke_request(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    let body: RevokeBody = body::read(&state, &headers, body, r#"{"reason":"laptop stolen"}"#).await?;
    let reason = given(body.reason.as_deref())?;
    let who = caller.identity(&state).await?;
    let witness = Witness::new(&state, &caller, &who);
    let revoked = withdraw(&caller, &place, &who, reason).await;
    let request = revoked.inspect_err(|refusal| witness.refused_at(&place, Action::Revoke, refusal))?;
    witness.revoked(&request, reason);
    Ok(Json(RequestView::of(&request, state.clients.clock().now())))
}

async fn withdraw(
    caller: &Caller,
    place: &Place,
    who: &Requester,
    reason: &str,
) -> Result<DownloadRequest, ServerError> {
    let patch = json!({"metadata": {"annotations": {REVOKE: reason, REVOKED_BY: who.username}}});
    let api = as_caller(caller, place);
    let patched = api.patch(&place.name, &PatchParams::default(), &Patch::Merge(patch)).await;
    let request =
        patched.during("revoke", || described(place)).map_err(|error| refusal::passed_through(error, REVOKE_HINT))?;
    let phase = request.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
    if !phase.is_open() && phase != Phase::Revoked {
        let words = format!("the request is closed ({}): there is nothing left to withdraw", phase.name());
        return Err(ServerError::new(ErrorCode::RequestClosed, words));
    }
    Ok(request)
}

async fn vote(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &Place,
    body: VoteBody,
    decision: Decision,
) -> Result<Json<RequestView>, ServerError> {
    let reason = given(body.reason.as_deref())?.to_owned();
    let (who, under_review) = tokio::join!(caller.identity(state), request_under_review(caller, place));
    let who = who?;
    let witness = Witness::new(state, caller, &who);
    let voted = match under_review {
        Ok(request) => {
            cast(caller, place, &who, request, Vote { digest: body.digest, decision, reason: &reason }).await
        }
        Err(refusal) => Err(refusal),
    };
    let (request, is_new) = voted.inspect_err(|refusal| witness.refused_at(place, record::vote(decision), refusal))?;
    if is_new {
        witness.voted(&request, decision, &reason);
    }
    Ok(Json(RequestView::of(&request, state.clients.clock().now())))
}

/// A vote to be cast; without a digest for what is under review now.
struct Vote<'a> {
    digest: Option<String>,
    decision: Decision,
    reason: &'a str,
}

/// The request with the vote, and whether it was not there before.
async fn cast(
    caller: &Caller,
    place: &Place,
    who: &Requester,
    request: DownloadRequest,
    Vote { digest, decision, reason }: Vote<'_>,
) -> Result<(DownloadRequest, bool), ServerError> {
    let digest = digest.unwrap_or_else(|| current_digest(&request));
    if !has_voted(&request, who, &digest, decision) {
        let value = json!({"username": who.username, "digest": digest, "decision": decision, "reason": reason});
        let patch = json!([{"op": "add", "path": "/status/approvals/-", "value": value}]);
        let patch = serde_json::from_value(patch).map_err(|error| ServerError::internal().caused_by(error))?;
        let api = as_caller(caller, place);
        let patch = Patch::<DownloadRequest>::Json(patch);
        let patched = api.patch_status(&place.name, &PatchParams::default(), &patch).await;
        let request = patched
            .during("vote on", || described(place))
            .map_err(|error| refusal::passed_through(error, VOTE_HINT))?;
        return Ok((request, true));
    }
    Ok((request, false))
}

/// Whoever votes the same twice has voted: a client that lost the answer may ask again.
fn has_voted(request: &DownloadRequest, who: &Requester, digest: &str, decision: Decision) -> bool {
    let votes = request.status.as_ref().and_then(|status| status.approvals.as_deref()).unwrap_or_default();
    votes.iter().any(|vote| vote.username == who.username && vote.digest == digest && vote.decision == decision)
}

/// The request once the controller has opened a review of it.
async fn request_under_review(caller: &Caller, place: &Place) -> Result<DownloadRequest, ServerError> {
    let waiting = async {
        loop {
            let request = request_as(caller, place).await?;
            let status = request.status.clone().unwrap_or_default();
            if !status.phase.unwrap_or_default().is_open() || status.approvals.is_some() {
                return Ok(request);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let request = tokio::time::timeout(FIRST_LOOK, waiting).await.unwrap_or_else(|_| Err(not_looked_at()))?;
    let phase = request.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
    if phase.is_open() {
        return Ok(request);
    }
    let words = format!("the request is closed ({}): a vote changes nothing any more", phase.name());
    Err(ServerError::new(ErrorCode::RequestClosed, words))
}

fn current_digest(request: &DownloadRequest) -> String {
    let review = request.status.as_ref().and_then(|status| status.review.as_ref());
    review.map(|review| review.digest.clone()).unwrap_or_default()
}

/// A reason that says something.
fn given(reason: Option<&str>) -> Result<&str, ServerError> {
    match reason.unwrap_or_default().trim() {
        "" => {
            let words = format!("say why, it goes on record: -d '{EXAMPLE}'");
            Err(ServerError::new(ErrorCode::ReasonRequired, words))
        }
        reason if reason.chars().count() > 1024 => Err(bad_request("the reason is longer than 1,024 characters")),
        reason => Ok(reason),
    }
}

fn as_caller(caller: &Caller, place: &Place) -> Api<DownloadRequest> {
    Api::namespaced(caller.client.clone(), &place.project)
}

fn described(place: &Place) -> String {
    format!("DownloadRequest {}/{}", place.project, place.name)
}

fn not_looked_at() -> ServerError {
    let words = "the controller has not looked at this request yet, so there is nothing to vote on: try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}
