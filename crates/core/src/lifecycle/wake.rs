//! When to look at a request again while nothing happens to it.

use super::{
    draft::{Draft, after},
    waiting::end_of_review,
};
use crate::{
    api::{Phase, Review},
    policy::Grant,
};

/// How often those who have voted are asked about while nothing else happens.
const ASK_APPROVERS_AGAIN: std::time::Duration = std::time::Duration::from_mins(5);

/// No watch tells when a person gains or loses a right, so every voter's right is checked again.
pub(super) fn ask_approvers_again(draft: &mut Draft<'_>) {
    let counts = |review: &Review| review.approvals.given > 0 || !review.approvals.lapsed.is_empty();
    if draft.status.review.as_ref().is_some_and(counts) {
        draft.wake(after(draft.now, ASK_APPROVERS_AGAIN));
    }
}

/// When the request ends by itself, its token does, or those who voted are asked about again.
pub(super) fn wake_for_end(draft: &mut Draft<'_>, grant: Option<&Grant>) {
    ask_approvers_again(draft);
    let end = draft.end_of_use(grant.map(|grant| &grant.effective));
    draft.wake(end);
    if draft.phase() == Phase::TokenIssued
        && let Some(at) = draft.status.token.as_ref().and_then(|token| token.expires_at.as_ref())
    {
        let at = at.0;
        draft.wake(at);
    }
    if draft.phase() == Phase::AwaitingApproval {
        let pending = end_of_review(draft, grant);
        draft.wake(pending);
    }
}
