//! People approve, deny or revoke. The vote and the annotation are written with the caller's own token, so that
//! admission decides whose they are and whether they count.

use std::{sync::Arc, time::Duration};

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{RequestView, claim::request_as};
use crate::server::{
    api::{
        audit::{self, Witness},
        json_body::{self, bad_request},
    },
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        path::Place,
        refusal::{self, SOON},
    },
    state::ServerState,
};
use crate::{
    api::{
        Approval, Decision, DownloadRequest, Phase, Requester,
        names::{REVOKE, REVOKED_BY},
    },
    audit::call::Action,
    cluster::error::During as _,
    lifecycle,
};

/// How long a new request may take until there is something to vote on.
const FIRST_LOOK: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const VOTE_HINT: &str = "ask for ClusterRole certcourier-approver there";
const REVOKE_HINT: &str =
    "ask for a role that may patch downloadrequests.certcourier.io there, such as certcourier-approver";
const EXAMPLE: &str = r#"{"reason":"INC-4211"}"#;
const APPROVE_EXAMPLE: &str = r#"{"digest":"…","reason":"INC-4211"}"#;

/// An approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"digest": "5f3c…", "reason": "INC-4211, checked with alice"}))]
pub struct ApproveBody {
    /// Why; it goes into the receipt.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    reason: Option<String>,
    /// `approval.digest` of the request as you saw it: the approval counts for that and nothing else.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(required = true, value_type = String, min_length = 1, max_length = 64)]
    digest: Option<String>,
}

/// A denial.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "no change request for this"}))]
pub struct DenyBody {
    /// Why; it goes on record.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    reason: Option<String>,
    /// `approval.digest` of the request as you saw it. A denial ends the request with any, and without one.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(max_length = 64)]
    digest: Option<String>,
}

/// A revocation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "laptop stolen"}))]
pub struct RevokeBody {
    /// Why.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    reason: Option<String>,
}

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
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    let ApproveBody { reason, digest } = json_body::read(&state, &headers, body, APPROVE_EXAMPLE).await?;
    let reason = given(reason.as_deref(), APPROVE_EXAMPLE)?.to_owned();
    let digest = digest.filter(|digest| !digest.is_empty()).ok_or_else(|| no_digest(&place))?;
    vote(&state, &caller, &place, Vote { digest: Some(digest), decision: Decision::Approve, reason }).await
}

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
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    let DenyBody { reason, digest } = json_body::read(&state, &headers, body, EXAMPLE).await?;
    let reason = given(reason.as_deref(), EXAMPLE)?.to_owned();
    let digest = digest.filter(|digest| !digest.is_empty());
    vote(&state, &caller, &place, Vote { digest, decision: Decision::Deny, reason }).await
}

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
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequestView>, ServerError> {
    let body: RevokeBody = json_body::read(&state, &headers, body, EXAMPLE).await?;
    let reason = given(body.reason.as_deref(), EXAMPLE)?;
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
        let words = format!("the request is closed ({}): there is nothing left to revoke", phase.name());
        return Err(ServerError::new(ErrorCode::RequestClosed, words));
    }
    lifecycle::withdrawn(&request, reason).map_err(|altered| refusal::of_altered(&altered, place))?;
    Ok(request)
}

/// A vote to be cast; without a digest for what is under review now.
struct Vote {
    digest: Option<String>,
    decision: Decision,
    reason: String,
}

async fn vote(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &Place,
    vote: Vote,
) -> Result<Json<RequestView>, ServerError> {
    let (who, under_review) = tokio::join!(caller.identity(state), request_under_review(caller, place));
    let who = who?;
    let witness = Witness::new(state, caller, &who);
    let voted = match under_review {
        Ok(request) => cast(caller, place, &who, request, &vote).await,
        Err(refusal) => Err(refusal),
    };
    let action = audit::vote(vote.decision);
    let (request, is_new) = voted.inspect_err(|refusal| witness.refused_at(place, action, refusal))?;
    if is_new {
        witness.voted(&request, vote.decision, &vote.reason);
    }
    Ok(Json(RequestView::of(&request, state.clients.clock().now())))
}

/// The request with the vote, and whether it was not there before.
async fn cast(
    caller: &Caller,
    place: &Place,
    who: &Requester,
    request: DownloadRequest,
    vote: &Vote,
) -> Result<(DownloadRequest, bool), ServerError> {
    let digest = vote.digest.clone().unwrap_or_else(|| current_digest(&request));
    let before = request.status.as_ref().and_then(|status| status.approvals.as_deref()).unwrap_or_default();
    if has_voted(before, who, &digest, vote.decision) {
        return Ok((request, false));
    }
    let sent = lifecycle::ballot(who, &digest, vote.decision, &vote.reason);
    let patch = json!([{"op": "add", "path": "/status/approvals/-", "value": sent}]);
    let patch = serde_json::from_value(patch).map_err(|error| ServerError::internal().caused_by(error))?;
    let patch = Patch::<DownloadRequest>::Json(patch);
    let patched = as_caller(caller, place).patch_status(&place.name, &PatchParams::default(), &patch).await;
    let voted =
        patched.during("vote on", || described(place)).map_err(|error| refusal::passed_through(error, VOTE_HINT))?;
    lifecycle::read_back(&voted, before, &sent).map_err(|altered| refusal::of_altered(&altered, place))?;
    Ok((voted, true))
}

/// A person who votes the same twice has voted: a client that lost the answer may ask again.
fn has_voted(votes: &[Approval], who: &Requester, digest: &str, decision: Decision) -> bool {
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
    let words = format!("the request is closed ({}): it takes no more votes", phase.name());
    Err(ServerError::new(ErrorCode::RequestClosed, words))
}

fn current_digest(request: &DownloadRequest) -> String {
    let review = request.status.as_ref().and_then(|status| status.review.as_ref());
    review.map(|review| review.digest.clone()).unwrap_or_default()
}

/// No one approves what they have not read.
fn no_digest(place: &Place) -> ServerError {
    let words = format!(
        "say what you approve: field `digest` is approval.digest in the answer of GET /api/v1/projects/{}/requests/{} \
         (status.review.digest of the DownloadRequest). Read that first; the approval counts for it and nothing else",
        place.project, place.name
    );
    bad_request(words)
}

/// A reason that says something.
fn given<'a>(reason: Option<&'a str>, example: &str) -> Result<&'a str, ServerError> {
    match reason.unwrap_or_default().trim() {
        "" => {
            let words = format!("say why, it goes on record: -d '{example}'");
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
    let words = "the controller has not picked up this request yet, so there is nothing to vote on: try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}
