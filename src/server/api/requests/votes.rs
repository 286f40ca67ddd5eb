//! What approve and deny share: the vote is written with the caller's own token, so that admission decides whose it is and
//! whether it counts.

use std::{sync::Arc, time::Duration};

use super::{RequestView, get::request_as};
use crate::server::http::json::Json;
use crate::server::{
    api::{
        audit::{self, Witness},
        json_body::bad_request,
    },
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        path::ObjectPath,
        refusal::{self, READ_AGAIN, SOON},
    },
    state::ServerState,
};
use crate::{
    api::{Decision, DownloadRequest, Phase},
    cluster::{
        settle::Patience,
        votes::{self, VoteError, Voter},
    },
    lifecycle::{self, Ballot, GivenReason, NoReason, VoteRefusal},
};

/// How long a new request may take until there is something to vote on.
const FIRST_LOOK: Duration = Duration::from_secs(2);
const HINT: &str = "ask for ClusterRole certcourier-approver there";
/// The body of a denial and of a revocation.
pub const EXAMPLE: &str = r#"{"reason":"INC-4211"}"#;

/// Casts a vote as the caller, and answers with the request that holds it.
///
/// # Errors
/// What the rule, RBAC or admission refuses; [`ErrorCode::Unavailable`] when it is not known whether it was cast.
pub async fn vote(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    ballot: &Ballot<'_>,
    reason: &GivenReason,
) -> Result<Json<RequestView>, ServerError> {
    let (who, under_review) = tokio::join!(caller.identity(state), request_under_review(caller, place));
    let who = who?;
    let witness = Witness::new(state, caller, &who);
    let patience = Patience { limit: state.deliveries.receipt_timeout.get(), pause: READ_AGAIN };
    let voter = Voter { who: &who, reads: &caller.client, writes: &caller.client, patience };
    let ended = match under_review {
        Ok(request) => cast(voter, place, request, ballot, reason).await,
        Err(refusal) => Err(refusal),
    };
    let action = audit::vote(ballot.decision);
    let (request, is_new) = ended.inspect_err(|refusal| witness.refused_at(place, action, refusal))?;
    if is_new {
        witness.voted(&request, ballot.decision, reason.as_str());
    }
    Ok(Json(RequestView::of(&request, state.clients.clock().now())))
}

/// The request with the vote, and whether it was not there before: to vote the same twice is to have voted, because a
/// client that lost the answer may ask again.
async fn cast(
    voter: Voter<'_>,
    place: &ObjectPath,
    request: DownloadRequest,
    ballot: &Ballot<'_>,
    reason: &GivenReason,
) -> Result<(DownloadRequest, bool), ServerError> {
    let (refusal, request) = match votes::append(voter, request, ballot, reason).await {
        Ok(request) => return Ok((request, true)),
        Err(VoteError::Refused { refusal, request }) => (refusal, *request),
        Err(VoteError::Altered(altered)) => return Err(refusal::of_altered(&altered, place)),
        Err(VoteError::Api(error)) => return Err(refusal::passed_through(error, HINT)),
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
            Err(rehearsed.map_or_else(|error| refusal::passed_through(error, HINT), |()| refused(refusal)))
        }
    }
}

/// Why a vote would not be one, in our own words.
pub fn refused(refusal: VoteRefusal) -> ServerError {
    let (code, words) = match refusal {
        VoteRefusal::Closed(phase) => return closed(phase),
        VoteRefusal::SystemUser => (ErrorCode::Forbidden, "approvers are people: a ServiceAccount cannot vote"),
        VoteRefusal::OwnRequest => (ErrorCode::Forbidden, "no self-approval: another person must vote"),
        VoteRefusal::AlreadyApproved => (ErrorCode::BadRequest, "you have approved this request already"),
        VoteRefusal::AlreadyDenied => (ErrorCode::RequestClosed, "you have denied this request, which ends it"),
        VoteRefusal::NothingToApprove => (ErrorCode::BadRequest, "there is nothing to approve yet: try again later"),
        VoteRefusal::NotAwaited(_) => (ErrorCode::BadRequest, "this request does not wait for an approval"),
        VoteRefusal::OtherReview => {
            (ErrorCode::BadRequest, "`digest` is not for what is under review now: read the request again")
        }
    };
    ServerError::new(code, words)
}

/// The request once the controller has opened a review of it.
async fn request_under_review(caller: &Caller, place: &ObjectPath) -> Result<DownloadRequest, ServerError> {
    let found = votes::under_review(FIRST_LOOK, || request_as(caller, place)).await?;
    found.ok_or_else(not_looked_at)
}

fn closed(phase: Phase) -> ServerError {
    let words = format!("the request is closed ({}): it takes no more votes", phase.name());
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

/// A reason that says something.
///
/// # Errors
/// [`ErrorCode::ReasonRequired`] where there is none; `example` is what to write.
pub fn given(reason: Option<&str>, example: &str) -> Result<GivenReason, ServerError> {
    GivenReason::new(reason.unwrap_or_default()).map_err(|wrong| match wrong {
        NoReason::Empty => {
            let words = format!("say why, it goes on record: -d '{example}'");
            ServerError::new(ErrorCode::ReasonRequired, words)
        }
        NoReason::TooLong => bad_request("the reason is longer than 1,024 characters"),
    })
}

fn not_looked_at() -> ServerError {
    let words = "the controller has not picked up this request yet, so there is nothing to vote on: try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}
