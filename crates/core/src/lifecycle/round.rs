//! One round of review: what people vote about, how many have, and when the next one begins.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Guard, Material, draft::Draft, review::digest, votes::Tally, waiting};
use crate::{
    api::{
        Phase, Review, TokenEnd,
        condition::ConditionStatus::{False, True},
        words::{
            ConditionReason,
            ConditionType::{Approved, TokenIssued},
            EventReason,
        },
    },
    policy::Grant,
};

/// Opens a round of review, or finds that none is needed.
pub(super) fn open_review(draft: &mut Draft<'_>, grant: &Grant, round: i32) {
    let fingerprints = match &draft.seen.material {
        Material::Usable { fingerprints } => fingerprints.clone(),
        _ => Vec::new(),
    };
    let epoch = epoch(draft).map(str::to_owned);
    draft.status.review = Some(Review {
        digest: digest(draft.request(), round, &fingerprints, &grant.effective.granting(), epoch.as_deref()),
        round,
        opened_at: Time(draft.now),
        fingerprints,
        policies: grant.effective.policy_names(),
        approvals: Tally { required: grant.approvals, ..Tally::default() }.in_status(),
        expires_at: None,
        contacts: Vec::new(),
        approved_at: None,
        epoch,
    });
    // A missing list is made here, so that people can append to it with a JSON patch.
    draft.status.approvals.get_or_insert_default();
    if grant.approvals == 0 {
        draft.status.phase = Some(Phase::Approved);
        draft.condition(Approved, True(ConditionReason::NotRequired), "no policy requires an approval");
    } else {
        draft.status.phase = Some(Phase::AwaitingApproval);
        waiting::begin(draft, grant);
        let message = awaited(draft, &Tally { required: grant.approvals, ..Tally::default() });
        draft.condition(Approved, False(ConditionReason::AwaitingApproval), message.as_str());
        draft.condition(TokenIssued, False(ConditionReason::NotYet), "waiting for approval");
        draft.note(EventReason::ApprovalRequested, message, false);
    }
}

/// What the round in the making waits for, in words.
fn awaited(draft: &Draft<'_>, tally: &Tally<'_>) -> String {
    draft.status.review.as_ref().map(|review| tally.in_words(draft.request(), review)).unwrap_or_default()
}

/// The guard's epoch as of now; while it is not known, the one under review stays.
fn epoch<'a>(draft: &'a Draft<'_>) -> Option<&'a str> {
    match &draft.seen.guard {
        Guard::Intact { epoch, .. } => Some(epoch),
        Guard::Unwatched | Guard::Broken { .. } => draft.status.review.as_ref()?.epoch.as_deref(),
    }
}

/// Compares what was reviewed with what is there now, and counts the votes for it.
pub(super) fn review_again(draft: &mut Draft<'_>, grant: &Grant, fingerprints: &[String]) {
    let Some(review) = draft.status.review.clone() else {
        // A status without its review was not written by us: begin again, with nothing granted.
        draft.end_token(TokenEnd::ReviewChanged);
        return open_review(draft, grant, 1);
    };
    let involved = grant.approvals > 0 || review.approvals.required > 0;
    if !involved {
        return;
    }
    let now = digest(draft.request(), review.round, fingerprints, &grant.effective.granting(), epoch(draft));
    if now != review.digest {
        return change_review(draft, grant, &review);
    }
    let votes = draft.status.approvals.clone().unwrap_or_default();
    let of = (review.digest.as_str(), draft.request().requester());
    recount(draft, grant, &review, &Tally::count(&votes, of, grant.approvals, &draft.seen.approvers));
}

/// What the votes for the same review come to now.
fn recount(draft: &mut Draft<'_>, grant: &Grant, before: &Review, tally: &Tally<'_>) {
    let approvals = tally.in_status();
    let more = approvals.given > before.approvals.given;
    let newly_lapsed = approvals.lapsed.iter().any(|name| !before.approvals.lapsed.contains(name));
    let other_terms = draft.phase() == Phase::AwaitingApproval && waiting::go_on(draft, grant);
    let changed = other_terms || approvals != before.approvals;
    let message = awaited(draft, tally);
    if newly_lapsed {
        draft.note(EventReason::ApprovalLapsed, message.as_str(), true);
    }
    if let Some(review) = &mut draft.status.review {
        review.approvals = approvals;
    }
    match (draft.phase(), tally.is_enough()) {
        (Phase::AwaitingApproval, true) => {
            if let Some(review) = &mut draft.status.review {
                review.approved_at = Some(Time(draft.now));
            }
            waiting::end(draft);
            draft.status.phase = Some(Phase::Approved);
            let message = format!("approved by {}", tally.by().join(", "));
            draft.condition(Approved, True(ConditionReason::ByPeople), message.as_str());
            draft.note(EventReason::Approved, message, false);
        }
        (Phase::AwaitingApproval, false) => {
            if more {
                draft.note(EventReason::ApprovalGranted, message.as_str(), false);
            }
            let stays =
                draft.status.condition(Approved).is_some_and(|found| found.reason == ConditionReason::ReviewChanged);
            if changed || !stays {
                draft.condition(Approved, False(ConditionReason::AwaitingApproval), message);
            }
        }
        (_, true) => {}
        (_, false) => miss_approvals(draft, grant, tally),
    }
}

/// It was approved, and the votes for that are not there any more: someone who voted may no longer approve, or it was
/// approved on paper. People get the full time to vote again.
fn miss_approvals(draft: &mut Draft<'_>, grant: &Grant, tally: &Tally<'_>) {
    draft.end_token(TokenEnd::ApprovalMissing);
    draft.status.phase = Some(Phase::AwaitingApproval);
    if let Some(review) = &mut draft.status.review {
        review.approved_at = None;
    }
    waiting::begin(draft, grant);
    let message = awaited(draft, tally);
    draft.condition(Approved, False(ConditionReason::AwaitingApproval), message);
    draft.condition(TokenIssued, False(ConditionReason::NotYet), "waiting for approval");
}

/// What was reviewed is no longer what would be delivered: earlier votes are void, visibly.
fn change_review(draft: &mut Draft<'_>, grant: &Grant, before: &Review) {
    draft.end_token(TokenEnd::ReviewChanged);
    open_review(draft, grant, before.round.saturating_add(1));
    let what = match (&draft.seen.material, &draft.seen.guard) {
        (Material::Usable { fingerprints }, _) if *fingerprints != before.fingerprints => "the certificate",
        (_, Guard::Intact { epoch, .. }) if Some(epoch) != before.epoch.as_ref() => "the admission policies",
        _ => "a policy",
    };
    let mut message = format!("{what} changed since round {}; earlier votes are void", before.round);
    if draft.phase() == Phase::AwaitingApproval {
        let waits = awaited(draft, &Tally { required: grant.approvals, ..Tally::default() });
        message = format!("{message}: {waits}");
        draft.condition(Approved, False(ConditionReason::ReviewChanged), message.as_str());
    }
    draft.note(EventReason::ReviewChanged, message, true);
}
