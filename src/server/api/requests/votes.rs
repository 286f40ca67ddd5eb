//! People agree, refuse, or withdraw. The vote and the annotation are written with the caller's own token, so that
//! admission decides whose they are and whether they count.

use std::{sync::Arc, time::Duration};

use axum::{Json, body::Body, extract::State, http::HeaderMap};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

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
        refusal::{self, READ_AGAIN, SOON},
    },
    state::ServerState,
};
use crate::{
    api::{
        Decision, DownloadRequest, Phase, Requester,
        http::{ApproveBody, DenyBody, RevokeBody},
        names::{REVOKE, REVOKED_BY},
    },
    audit::call::Action,
    cluster::{
        error::During as _,
        settle::Patience,
        votes::{self, VoteError, Voter},
    },
    lifecycle::{self, Ballot, GivenReason, NoReason, VoteRefusal},
};

/// How long a new request may take until there is something to vote on.
const FIRST_LOOK: Duration = Duration::from_secs(2);
const VOTE_HINT: &str = "ask for ClusterRole certcourier-approver there";
const REVOKE_HINT: &str =
    "ask for a role that may patch downloadrequests.certcourier.io there, such as certcourier-approver";
const EXAMPLE: &str = r#"{"reason":"INC-4211"}"#;
const APPROVE_EXAMPLE: &str = r#"{"digest":"…","reason":"INC-4211"}"#;

/// Approve a request.
///
/// The vote counts once, for what was under review when you looked: `digest` says what that was. Nobody approves their own
/// request, and programs do not vote.
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
    let reason = given(reason.as_deref(), APPROVE_EXAMPLE)?;
    let digest = digest.filter(|digest| !digest.is_empty()).ok_or_else(|| no_digest(&place))?;
    let ballot = Ballot { decision: Decision::Approve, digest: Some(&digest), spare: true };
    vote(&state, &caller, &place, &ballot, &reason).await
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
    let reason = given(reason.as_deref(), EXAMPLE)?;
    let digest = digest.filter(|digest| !digest.is_empty());
    let ballot = Ballot { decision: Decision::Deny, digest: digest.as_deref(), spare: true };
    vote(&state, &caller, &place, &ballot, &reason).await
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
    let reason = reason.as_str();
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
    lifecycle::withdrawn(&request, reason).map_err(|altered| refusal::of_altered(&altered, place))?;
    Ok(request)
}

async fn vote(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &Place,
    ballot: &Ballot<'_>,
    reason: &GivenReason,
) -> Result<Json<RequestView>, ServerError> {
    let (who, under_review) = tokio::join!(caller.identity(state), request_under_review(caller, place));
    let who = who?;
    let witness = Witness::new(state, caller, &who);
    let patience = Patience { limit: state.deliveries.receipt_timeout.get(), pause: READ_AGAIN };
    let voter = Voter { who: &who, reads: &caller.client, writes: &caller.client, patience };
    let voted = match under_review {
        Ok(request) => cast(voter, place, request, ballot, reason).await,
        Err(refusal) => Err(refusal),
    };
    let action = audit::vote(ballot.decision);
    let (request, is_new) = voted.inspect_err(|refusal| witness.refused_at(place, action, refusal))?;
    if is_new {
        witness.voted(&request, ballot.decision, reason.as_str());
    }
    Ok(Json(RequestView::of(&request, state.clients.clock().now())))
}

/// The request with the vote, and whether it was not there before: to vote the same twice is to have voted, because a
/// client that lost the answer may ask again.
async fn cast(
    voter: Voter<'_>,
    place: &Place,
    request: DownloadRequest,
    ballot: &Ballot<'_>,
    reason: &GivenReason,
) -> Result<(DownloadRequest, bool), ServerError> {
    let (refusal, request) = match votes::append(voter, request, ballot, reason).await {
        Ok(voted) => return Ok((voted, true)),
        Err(VoteError::Refused { refusal, request }) => (refusal, *request),
        Err(VoteError::Altered(altered)) => return Err(refusal::of_altered(&altered, place)),
        Err(VoteError::Api(error)) => return Err(refusal::passed_through(error, VOTE_HINT)),
        Err(VoteError::Unknown(error)) => return Err(unknown().caused_by(error)),
        Err(VoteError::Gone) => return Err(gone()),
        Err(VoteError::Restless) => return Err(kept_changing()),
    };
    match (refusal, ballot.decision) {
        (VoteRefusal::AlreadyApproved, Decision::Approve) | (VoteRefusal::AlreadyDenied, Decision::Deny) => {
            Ok((request, false))
        }
        (VoteRefusal::Closed(phase), _) => Err(closed(phase)),
        _ => {
            // RBAC and admission refuse it too, and say to whom: those words come first.
            let vote = lifecycle::entry(&request, voter.who, ballot, reason);
            let rehearsed = votes::rehearse(voter, &request, &vote).await;
            Err(rehearsed.map_or_else(|error| refusal::passed_through(error, VOTE_HINT), |()| refused(refusal)))
        }
    }
}

/// In our own words, where the API server would have let the vote pass.
fn refused(refusal: VoteRefusal) -> ServerError {
    let (code, words) = match refusal {
        VoteRefusal::Closed(phase) => return closed(phase),
        VoteRefusal::SystemUser => (ErrorCode::Forbidden, "approvers are people: a ServiceAccount cannot vote"),
        VoteRefusal::OwnRequest => (ErrorCode::Forbidden, "no self-approval: another person must vote"),
        VoteRefusal::AlreadyApproved => (ErrorCode::BadRequest, "you have approved this request already"),
        VoteRefusal::AlreadyDenied => (ErrorCode::RequestClosed, "you have denied this request, which ends it"),
        VoteRefusal::NothingToApprove => (ErrorCode::BadRequest, "there is nothing to approve yet: try again later"),
        VoteRefusal::NotAwaited(_) => (ErrorCode::BadRequest, "this request does not wait for an approval"),
        VoteRefusal::OtherReview => {
            (ErrorCode::BadRequest, "`digest` is not for what is under review now: look at the request again")
        }
    };
    ServerError::new(code, words)
}

/// The request once the controller has opened a review of it.
async fn request_under_review(caller: &Caller, place: &Place) -> Result<DownloadRequest, ServerError> {
    let found = votes::under_review(FIRST_LOOK, || request_as(caller, place)).await?;
    found.ok_or_else(not_looked_at)
}

fn closed(phase: Phase) -> ServerError {
    let words = format!("the request is closed ({}): a vote changes nothing any more", phase.name());
    ServerError::new(ErrorCode::RequestClosed, words)
}

fn gone() -> ServerError {
    ServerError::new(ErrorCode::RequestClosed, "the request was deleted meanwhile: there is nothing left to vote on")
}

fn kept_changing() -> ServerError {
    let words = "the request kept changing while your vote was written, so it was not cast: vote again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}

fn unknown() -> ServerError {
    let words = "whether your vote was cast is not known, because the API server does not answer: vote again, the same \
                 vote counts once";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}

/// Nobody approves what they have not looked at.
fn no_digest(place: &Place) -> ServerError {
    let words = format!(
        "say what you approve: field `digest` is approval.digest in the answer of GET /api/v1/projects/{}/requests/{} \
         (status.review.digest of the DownloadRequest). Look at that first; the approval counts for it and nothing else",
        place.project, place.name
    );
    bad_request(words)
}

/// A reason that says something.
fn given(reason: Option<&str>, example: &str) -> Result<GivenReason, ServerError> {
    GivenReason::new(reason.unwrap_or_default()).map_err(|wrong| match wrong {
        NoReason::Empty => {
            let words = format!("say why, it goes on record: -d '{example}'");
            ServerError::new(ErrorCode::ReasonRequired, words)
        }
        NoReason::TooLong => bad_request("the reason is longer than 1,024 characters"),
    })
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
