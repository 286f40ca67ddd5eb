//! Approving, denying and revoking from the page of a request: the calls of the API, as the same caller.

use std::sync::Arc;

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;

use super::{
    page,
    review::{self, Notice, Seen},
    visitor::Visitor,
};
use crate::{
    api::{Decision, DownloadRequest},
    door::Door,
    lifecycle::{Ballot, GivenReason, LONGEST_REASON, NoReason},
    server::{
        api::requests::{revoke, votes},
        http::{
            error::{ErrorCode, ServerError},
            path::ObjectPath,
        },
        state::ServerState,
    },
};

/// What is sent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sent {
    decision: String,
    reason: String,
    digest: String,
    #[serde(flatten)]
    seen: SeenText,
}

/// What the page showed, as a form has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SeenText {
    round: String,
    fingerprints: String,
    policies: String,
    required: String,
}

impl SeenText {
    fn seen(self) -> Seen {
        Seen {
            round: self.round.parse().unwrap_or_default(),
            fingerprints: self.fingerprints,
            policies: self.policies,
            required: self.required.parse().unwrap_or_default(),
        }
    }
}

/// `POST /ui/projects/{project}/requests/{request}/vote`.
///
/// # Errors
/// What is no matter of this vote; a refusal of it is said on the request's page.
pub async fn cast(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    let sent: Sent = visitor.sent(&state, &headers, body).await?;
    let decision = match sent.decision.as_str() {
        "approve" => Decision::Approve,
        "deny" => Decision::Deny,
        _ => return Err(ServerError::new(ErrorCode::BadRequest, "choose to approve or to deny")),
    };
    let digest = Some(sent.digest.as_str()).filter(|digest| !digest.is_empty());
    let voted = match reason(&sent.reason) {
        // No one approves what they have not seen.
        Ok(_) if digest.is_none() && decision == Decision::Approve => Err(nothing_seen()),
        Ok(reason) => {
            let ballot = Ballot { decision, digest, spare: false };
            Box::pin(votes::vote(&state, &visitor.caller, &place, &ballot, &reason)).await
        }
        Err(refusal) => Err(refusal),
    };
    match voted {
        Ok(_) => Ok(page::lead(&format!("../{}?done={}", place.name, sent.decision))),
        Err(refusal) => {
            let Sent { reason, digest, seen, .. } = sent;
            let is_approval = decision == Decision::Approve;
            refused(&state, &visitor, &place, refusal, move |request, refusal| {
                let changed = request.review().filter(|review| is_approval && review.digest != digest);
                changes(changed.map(|review| seen.seen().changes(review)), refusal, reason)
            })
            .await
        }
    }
}

/// `POST /ui/projects/{project}/requests/{request}/revoke`.
///
/// # Errors
/// What is no matter of this revocation.
pub async fn end(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    let sent: Sent = visitor.sent(&state, &headers, body).await?;
    let ended = match reason(&sent.reason) {
        Ok(reason) => Box::pin(revoke::revoke(&state, &visitor.caller, &place, &reason)).await,
        Err(refusal) => Err(refusal),
    };
    match ended {
        Ok(_) => Ok(page::lead(&format!("../{}?done=revoke", place.name))),
        Err(refusal) => {
            let reason = sent.reason;
            refused(&state, &visitor, &place, refusal, move |_, refusal| changes(None, refusal, reason)).await
        }
    }
}

/// The request's page as it is now, with the refusal. Of one that says nothing of this request there is a page of its
/// own.
async fn refused(
    state: &Arc<ServerState>,
    visitor: &Visitor,
    place: &ObjectPath,
    refusal: ServerError,
    notice: impl FnOnce(&DownloadRequest, &ServerError) -> Notice,
) -> Result<Response, ServerError> {
    let code = refusal.code();
    let elsewhere = [ErrorCode::Unauthorized, ErrorCode::RateLimited, ErrorCode::InternalError, ErrorCode::NotFound];
    if elsewhere.contains(&code) {
        return Err(refusal);
    }
    review::answer(state, visitor, place, code.status(), |request| notice(request, &refusal)).await
}

fn changes(changes: Option<Vec<String>>, refusal: &ServerError, reason: String) -> Notice {
    match changes {
        Some(changes) => {
            let text = "What is under review has changed since you looked, so your approval was not cast. Read it \
                        again, then vote on it as it is now.";
            Notice { tone: "warn", text: text.to_owned(), changes, reason }
        }
        None => Notice { tone: "bad", text: refusal.description_at(Door::Plugin), changes: Vec::new(), reason },
    }
}

fn nothing_seen() -> ServerError {
    ServerError::new(ErrorCode::BadRequest, "nothing was under review when you looked, so nothing was approved")
}

fn reason(text: &str) -> Result<GivenReason, ServerError> {
    GivenReason::new(text).map_err(|wrong| match wrong {
        NoReason::Empty => ServerError::new(ErrorCode::ReasonRequired, "say why: the reason goes on record"),
        NoReason::TooLong => {
            ServerError::new(ErrorCode::BadRequest, format!("the reason is longer than {LONGEST_REASON} characters"))
        }
    })
}
