//! Appends a vote to a request, with the voter's own rights: once, onto the request that it was decided on, and never
//! without knowing what became of it.

use std::{future::Future, time::Duration};

use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    error::{ApiError, During as _, Failure},
    settle::{self, Patience, Update},
    status::current,
};
use crate::{
    api::{Approval, DownloadRequest, Requester},
    lifecycle::{self, Altered, Ballot, GivenReason, VoteRefusal, same_person},
};

/// Others vote, and the controller counts: so often the request may change before a vote gets in.
const ATTEMPTS: usize = 8;
/// The pause between two looks at a request that has no review yet.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Who votes, and how they call the API server.
#[derive(Clone, Copy)]
pub struct Voter<'a> {
    /// The voter.
    pub who: &'a Requester,
    /// Reads with their rights.
    pub reads: &'a Client,
    /// Writes with their rights, and never repeats a call by itself.
    pub writes: &'a Client,
    /// How long to find out what became of a vote whose answer was lost.
    pub patience: Patience,
}

/// Why a vote was not cast, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum VoteError {
    /// It would not be one, on the request as it is now.
    #[error("the vote is refused: {refusal:?}")]
    Refused {
        /// Why.
        refusal: VoteRefusal,
        /// The request as it is now.
        request: Box<DownloadRequest>,
    },
    /// The API server stored something else.
    #[error(transparent)]
    Altered(Altered),
    /// The API server refuses it, or has too much to do.
    #[error(transparent)]
    Api(ApiError),
    /// The API server does not answer, so it is not known whether the vote was cast.
    #[error("whether the vote was cast is not known")]
    Unknown(#[source] ApiError),
    /// The request was deleted meanwhile.
    #[error("the request was deleted")]
    Gone,
    /// The request changed each time that the vote was written.
    #[error("the request keeps changing")]
    Restless,
}

/// Appends the vote for this ballot to `request`, which is the request as the voter was shown it. Where others were faster
/// it is read and decided again, so a vote is cast only while the rule still allows it.
///
/// # Errors
/// [`VoteError`]; nothing was written unless it is `Altered` or `Unknown`.
pub async fn append(
    voter: Voter<'_>,
    mut request: DownloadRequest,
    ballot: &Ballot<'_>,
    reason: &GivenReason,
) -> Result<DownloadRequest, VoteError> {
    for _ in 0..ATTEMPTS {
        let sent = match lifecycle::vote(&request, voter.who, ballot, reason) {
            Ok(vote) => vote,
            Err(refusal) => return Err(VoteError::Refused { refusal, request: Box::new(request) }),
        };
        let ended = match patch(voter.writes, &request, &sent, &PatchParams::default()).await {
            Ok(changed) => Update::Ours(changed),
            Err(error) => match error.failure() {
                Failure::Conflict => {
                    let found = current(voter.reads, &request).await.map_err(VoteError::Api)?;
                    found.map_or(Update::Gone, Update::Changed)
                }
                // No answer, or one of a server in trouble: the vote may have been cast anyway.
                Failure::Unavailable => settle(voter, &request).await.ok_or(VoteError::Unknown(error))?,
                _ => return Err(VoteError::Api(error)),
            },
        };
        match ended {
            Update::Ours(changed) => {
                let before = lifecycle::cast(&request);
                return lifecycle::read_back(&changed, before, &sent).map(|()| changed).map_err(VoteError::Altered);
            }
            Update::Changed(found) => request = found,
            Update::Gone => return Err(VoteError::Gone),
        }
    }
    Err(VoteError::Restless)
}

/// A vote of the voter's that was not there before is ours, even one that was changed during admission.
async fn settle(voter: Voter<'_>, before: &DownloadRequest) -> Option<Update<DownloadRequest>> {
    let known = lifecycle::cast(before);
    let is_ours = |found: &DownloadRequest| {
        let fresh = lifecycle::cast(found).iter().filter(|vote| !known.contains(vote));
        fresh.into_iter().any(|vote| same_person(&vote.username, &voter.who.username))
    };
    settle::update(voter.reads, before, voter.patience, is_ours).await
}

/// Has the API server refuse a vote without casting it: what RBAC and admission say of it.
///
/// # Errors
/// [`ApiError`] when it would be refused, or the API server does not answer.
pub async fn rehearse(voter: Voter<'_>, request: &DownloadRequest, vote: &Approval) -> Result<(), ApiError> {
    let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
    patch(voter.writes, request, vote, &dry_run).await.map(|_| ())
}

async fn patch(
    client: &Client,
    request: &DownloadRequest,
    vote: &Approval,
    params: &PatchParams,
) -> Result<DownloadRequest, ApiError> {
    let (namespace, name) = (request.namespace().unwrap_or_default(), request.name_any());
    let what = || format!("DownloadRequest {namespace}/{name}");
    let operations = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": request.resource_version()},
        {"op": "add", "path": "/status/approvals/-", "value": vote},
    ]);
    let operations = serde_json::from_value(operations).map_err(kube::Error::SerdeError).during("vote on", what)?;
    let api: Api<DownloadRequest> = Api::namespaced(client.clone(), &namespace);
    api.patch_status(&name, params, &Patch::<DownloadRequest>::Json(operations)).await.during("vote on", what)
}

/// The request once there is something to vote on, or it has ended. `None`: the controller has not picked it up within
/// `limit`.
///
/// # Errors
/// That of `read`.
pub async fn under_review<E, F>(limit: Duration, mut read: impl FnMut() -> F) -> Result<Option<DownloadRequest>, E>
where
    F: Future<Output = Result<DownloadRequest, E>>,
{
    let looking = async {
        loop {
            let request = read().await?;
            if lifecycle::is_reviewed(&request) {
                return Ok(Some(request));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(limit, looking).await.unwrap_or(Ok(None))
}

#[cfg(test)]
mod tests;
