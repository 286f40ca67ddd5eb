//! When a token is due, what it is like, and what the conditions say of it.

use jiff::Timestamp;

use super::{
    Guard, MOST_TOKENS, TokenPlan,
    draft::{Draft, after, clear_stall, set_condition},
    wake::wake_for_end,
};
use crate::{
    api::{
        Delivery, DownloadRequest, DownloadRequestStatus, Phase, TokenEnd,
        condition::ConditionStatus::{False, True},
        names,
        words::{
            ConditionReason,
            ConditionType::{Stalled, TokenIssued},
            EventReason, StallReason,
        },
    },
    door::{Door, TokenOf},
    policy::{Decision, Grant},
};

/// A token whose time is over. Until when another can be had, its message says.
pub(super) fn expire_token(draft: &mut Draft<'_>) {
    let expiry = draft.status.token.as_ref().and_then(|token| token.expires_at.as_ref()).map(|time| time.0);
    let alive = draft.status.token.as_ref().is_some_and(|token| token.hash.is_some());
    if draft.phase() != Phase::TokenIssued || (alive && expiry.is_some_and(|at| draft.now < at)) {
        return;
    }
    draft.end_token(TokenEnd::Expired);
    draft.status.phase = Some(Phase::Approved);
    let grant = match &draft.seen.decision {
        Some(Decision::Grant(grant)) => Some(&grant.effective),
        _ => None,
    };
    let until = draft.end_of_use(grant);
    if let Some(minted) = all_minted(draft) {
        let message = format!("the token expired; {}", enough(minted, Door::Object));
        draft.condition(TokenIssued, False(ConditionReason::TokenExpired), message.as_str());
        return draft.note(EventReason::TokenExpired, message, false);
    }
    let how = Door::Object.another_token(&TokenOf::of(draft.request()));
    let message = format!("the token expired; until {until} you can get another with: {how}");
    draft.condition(TokenIssued, False(ConditionReason::TokenExpired), message.as_str());
    draft.note(EventReason::TokenExpired, message, false);
}

/// `Approved` or `TokenIssued`: mint where a token is due, and look again when the next time is over.
pub(super) fn use_approval(draft: &mut Draft<'_>, grant: &Grant) {
    wake_for_end(draft, Some(grant));
    if draft.request().delivery() == Delivery::Claim {
        if draft.status.token.as_ref().is_none_or(|token| token.generation == 0) || !token_of_this_round(draft) {
            let how = Door::Object.another_token(&TokenOf::of(draft.request()));
            let message = format!("claim the token with your own bearer token: {how}");
            draft.condition(TokenIssued, False(ConditionReason::AwaitingClaim), message);
        }
        return;
    }
    let asked = mint_asked(draft);
    let observed = draft.status.token.as_ref().and_then(|token| token.observed_mint.as_ref());
    if token_of_this_round(draft) && asked.as_ref().is_none_or(|asked| observed == Some(asked)) {
        return;
    }
    if let Some(minted) = all_minted(draft) {
        return say_enough(draft, minted);
    }
    if let Some(mint) = plan_mint(draft, grant) {
        draft.wake(mint.expires_at);
        draft.step.mint = Some(mint);
    }
}

/// How many tokens were issued, where that is as many as there may be in one round.
pub(super) fn all_minted(draft: &Draft<'_>) -> Option<i64> {
    let generation = draft.status.token.as_ref().map(|token| token.generation)?;
    (generation >= MOST_TOKENS && token_of_this_round(draft)).then_some(generation)
}

/// Why no other token is issued, and what to do.
pub(super) fn enough(minted: i64, door: Door) -> String {
    let again = door.another_request();
    format!("this request has had {minted} tokens, and no more are issued for it: {again}")
}

/// Another token was asked for, and there is none: said once, beside the token that is still alive.
fn say_enough(draft: &mut Draft<'_>, minted: i64) {
    let Some(issued) = draft.status.condition_true(TokenIssued).cloned() else { return };
    let reason = ConditionReason::of_name(&issued.reason).unwrap_or(ConditionReason::Minted);
    let words = enough(minted, Door::Object);
    if !issued.message.ends_with(&words) {
        draft.condition(TokenIssued, True(reason), format!("{}; {words}", issued.message));
        draft.note(EventReason::NoMoreTokens, words, true);
    }
}

/// The value of the mint annotation. The schema bounds what is kept of it; a longer one is compared by its beginning.
fn mint_asked(draft: &Draft<'_>) -> Option<String> {
    draft.annotation(names::MINT).filter(|value| !value.is_empty()).map(|value| value.chars().take(1024).collect())
}

fn token_of_this_round(draft: &Draft<'_>) -> bool {
    match (&draft.status.token, &draft.status.review) {
        (Some(token), Some(review)) => {
            // One that ended because approvals were missing was of this round, and another is due once they are there.
            let missed = token.hash.is_none()
                && token.previous.last().is_some_and(|ended| ended.why == TokenEnd::ApprovalMissing);
            token.round == review.round && !missed
        }
        _ => false,
    }
}

/// The next token, unless the guard forbids it.
pub(super) fn plan_mint(draft: &mut Draft<'_>, grant: &Grant) -> Option<TokenPlan> {
    if let Guard::Broken { reason: why } = &draft.seen.guard
        && draft.request().spec.format.holds_key()
    {
        if draft.phase() != Phase::TokenIssued {
            let message = format!(
                "no key is released while the admission policies are not proven to be in force: {why}; retrying"
            );
            draft.condition(TokenIssued, False(ConditionReason::GuardFailed), message);
        }
        return None;
    }
    let by_secret = draft.request().delivery() == Delivery::Secret;
    let end = draft.end_of_use(Some(&grant.effective));
    Some(TokenPlan {
        generation: draft.status.token.as_ref().map_or(0, |token| token.generation) + 1,
        round: draft.status.review.as_ref().map_or(1, |review| review.round),
        issued_at: draft.now,
        expires_at: after(draft.now, grant.token_ttl.get()).min(end),
        observed_mint: mint_asked(draft),
        secret_name: by_secret.then(|| names::token_secret(draft.name())),
        external_url: draft.seen.settings.external_url,
    })
}

/// What the conditions say once a token was issued.
pub(super) fn minted(status: &mut DownloadRequestStatus, request: &DownloadRequest, mint: &TokenPlan) {
    status.phase = Some(Phase::TokenIssued);
    let until = mint.expires_at;
    let (why, message) = match &mint.secret_name {
        Some(secret) if mint.external_url => (
            ConditionReason::Minted,
            format!("read the link from Secret {secret}, key url; it works once, until {until}"),
        ),
        Some(secret) => (
            ConditionReason::NoExternalUrl,
            format!(
                "the token is in Secret {secret}, until {until}; the operator knows no external URL, so use `kubectl \
                 certcourier claim`, or have --external-url set"
            ),
        ),
        None => (ConditionReason::Minted, format!("claimed; the token works once, until {until}")),
    };
    let generation = request.metadata.generation;
    let now = mint.issued_at;
    set_condition(&mut status.conditions, TokenIssued, True(why), &message, generation, now);
    clear_stall(status, generation, now);
}

/// Writes into a status that something of this name is in the way, or that the API server forbids what is needed.
#[must_use]
pub fn stall(
    request: &DownloadRequest,
    base: &DownloadRequestStatus,
    why: StallReason,
    message: &str,
    now: Timestamp,
) -> DownloadRequestStatus {
    let mut status = base.clone();
    set_condition(&mut status.conditions, Stalled, True(why.condition()), message, request.metadata.generation, now);
    status
}
