//! The state table.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Guard, Material, Observed, Step,
    draft::{Draft, after},
    mint::{expire_token, use_approval},
    review::digest,
    votes::Tally,
};
use crate::{
    api::{
        Decision as Vote, Delivery, DownloadRequest, Outcome, Phase, ReceiptReference, Review, TokenEnd,
        condition::{APPROVED, FINISHED, TOKEN_ISSUED, reason},
        names,
    },
    policy::{Decision, Grant, Reason, holds_key},
};

/// How often those who have voted are asked about while nothing else happens.
const ASK_APPROVERS_AGAIN: std::time::Duration = std::time::Duration::from_mins(5);

/// Decides the next step of one request. Pure and idempotent: on the status it returned, with nothing else changed, it
/// returns no further change.
#[must_use]
pub fn next(seen: &Observed<'_>, now: Timestamp) -> Step {
    let mut draft = Draft::new(seen, now);
    if seen.request.metadata.deletion_timestamp.is_some() {
        return Step::default();
    }
    if let Some(receipt) = &seen.receipt {
        consume(&mut draft, &receipt.name, receipt.outcome, receipt.bytes_sent);
        return draft.finish();
    }
    if !draft.phase().is_open() {
        return Step::default();
    }
    if !ended_by_people(&mut draft) && !ended_by_epoch(&mut draft) && !ended_by_number(&mut draft) {
        if draft.phase() == Phase::Pending {
            begin(&mut draft);
        } else {
            proceed(&mut draft);
        }
    }
    draft.finish()
}

/// The receipt wins over everything, closed phases included.
fn consume(draft: &mut Draft<'_>, receipt: &str, outcome: Option<Outcome>, bytes_sent: Option<i64>) {
    draft.end_token(TokenEnd::Used);
    if draft.phase() != Phase::Consumed {
        draft.status.phase = Some(Phase::Consumed);
        draft.status.reason = None;
        draft.note("Consumed", format!("the token was used; receipt {receipt}"), false);
    }
    draft.status.receipt_ref.get_or_insert_with(|| ReceiptReference { name: receipt.to_owned() });
    draft.condition(TOKEN_ISSUED, ("False", reason::CLOSED), "the token was used");
    let bytes = bytes_sent.map(|bytes| format!(" ({bytes} bytes sent)")).unwrap_or_default();
    let finished = match outcome {
        None => (("False", reason::OPEN), format!("the delivery is in progress; receipt {receipt}")),
        Some(Outcome::Delivered) => (("True", reason::DELIVERED), format!("delivered{bytes}; receipt {receipt}")),
        Some(Outcome::Aborted) => (
            ("True", reason::ABORTED),
            format!("the client disconnected before the end{bytes}; receipt {receipt}. Create another request"),
        ),
        Some(Outcome::Unknown) => (
            ("True", reason::UNKNOWN),
            format!(
                "the server stopped before it could say whether all of it arrived; receipt {receipt}. Create another \
                 request if the file is missing"
            ),
        ),
    };
    draft.condition(FINISHED, finished.0, finished.1);
    draft.clear_stall();
}

/// Revocation by anyone who may, and any Deny whatever its digest.
fn ended_by_people(draft: &mut Draft<'_>) -> bool {
    if let Some(why) = draft.annotation(names::REVOKE) {
        let by = draft.annotation(names::REVOKED_BY).map(|who| format!(" by {who}")).unwrap_or_default();
        let message = format!("revoked{by}: {why}");
        draft.close(Phase::Revoked, reason::REVOKED, &message);
        return true;
    }
    let votes = draft.status.approvals.clone().unwrap_or_default();
    if let Some(vote) = votes.iter().find(|vote| vote.decision == Vote::Deny) {
        let message = format!("denied by {}: {}", vote.username, vote.reason);
        draft.condition(APPROVED, ("False", reason::DENIED), message.as_str());
        draft.close(Phase::Denied, reason::DENIED, &message);
        return true;
    }
    false
}

/// A request for a key that was created before the guard stood may be forged.
fn ended_by_epoch(draft: &mut Draft<'_>) -> bool {
    if let Guard::Intact { since, .. } = &draft.seen.guard
        && holds_key(draft.request().spec.format)
        && draft.created() <= *since
    {
        let message = format!(
            "the admission policies changed or were not proven to be in force until {since}, after this request was \
             created; create it again"
        );
        draft.fail("EpochChanged", &message);
        return true;
    }
    false
}

/// One requester's requests must not fill the operator's memory: the oldest stay. A request of the HTTP API is there with
/// its token already when it is first counted.
fn ended_by_number(draft: &mut Draft<'_>) -> bool {
    let most = draft.seen.settings.max_open_requests;
    let is_new =
        draft.phase() == Phase::Pending || draft.request().spec.delivery.unwrap_or_default() == Delivery::Claim;
    if draft.seen.ahead < most || !is_new {
        return false;
    }
    let message = too_many_open(requester(draft.request()), most);
    draft.fail("TooManyOpenRequests", &message);
    true
}

/// That one requester has as many open requests as they may, and what to do.
#[must_use]
pub fn too_many_open(requester: &str, most: usize) -> String {
    format!(
        "{requester} has {most} open requests in this namespace already, the maximum (--max-open-requests); use or \
         revoke some (kubectl certcourier list requests --mine --open), then ask again"
    )
}

/// New → `Approved`, `AwaitingApproval` or `Failed`; or it waits for its Certificate.
fn begin(draft: &mut Draft<'_>) {
    draft.status.phase = Some(Phase::Pending);
    if let Some(Decision::Refuse(reasons)) = &draft.seen.decision {
        let (word, message) = in_words(reasons);
        return draft.fail(word, &message);
    }
    match &draft.seen.material {
        Material::Missing { word, message } => {
            let until = after(draft.created(), draft.seen.settings.certificate_wait);
            if draft.now >= until {
                return draft.fail(word, message);
            }
            draft.condition(APPROVED, ("Unknown", reason::WAITING_FOR_CERTIFICATE), message.as_str());
            draft.condition(TOKEN_ISSUED, ("False", reason::NOT_YET), "waiting for the certificate");
            draft.condition(FINISHED, ("False", reason::OPEN), "waiting for the certificate");
            draft.wake(until);
        }
        Material::Unusable { word, message } => draft.fail(word, message),
        Material::Usable { .. } => {
            if let Some(Decision::Grant(grant)) = &draft.seen.decision {
                draft.condition(FINISHED, ("False", reason::OPEN), "not delivered yet");
                open_review(draft, grant, 1);
                // The operator may have been away for longer than the request was good for.
                if expired(draft, Some(grant)) {
                    return;
                }
                if draft.phase() == Phase::Approved {
                    use_approval(draft, grant);
                } else {
                    wait_for_people(draft, grant);
                }
            }
        }
    }
}

/// Refusals in words: the first one's word, and all their sentences.
pub(super) fn in_words(reasons: &[Reason]) -> (&'static str, String) {
    let sentences: Vec<String> = reasons.iter().map(Reason::to_string).collect();
    (reasons.first().map_or("PolicyRefused", Reason::word), sentences.join("; "))
}

/// `AwaitingApproval`, `Approved` and `TokenIssued`.
fn proceed(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    if let Some(Decision::Refuse(reasons)) = &seen.decision {
        let (word, message) = in_words(reasons);
        return draft.fail("PolicyRefused", &format!("{word}: {message}"));
    }
    let grant = match &seen.decision {
        Some(Decision::Grant(grant)) => Some(grant.as_ref()),
        _ => None,
    };
    if expired(draft, grant) {
        return;
    }
    match (&seen.material, grant) {
        (Material::Usable { fingerprints }, Some(grant)) => {
            draft.clear_stall_of(reason::MATERIAL_UNUSABLE);
            review_again(draft, grant, fingerprints);
            // Without an approval the validity counts from the creation: it may be over in a new round.
            if expired(draft, Some(grant)) {
                return;
            }
            expire_token(draft);
            if matches!(draft.phase(), Phase::Approved | Phase::TokenIssued) {
                use_approval(draft, grant);
            } else {
                wait_for_people(draft, grant);
            }
        }
        (Material::Missing { message, .. } | Material::Unusable { message, .. }, _) => {
            expire_token(draft);
            draft.stall(reason::MATERIAL_UNUSABLE, message);
            wake_for_end(draft, grant);
        }
        (Material::Usable { .. }, None) => wake_for_end(draft, grant),
    }
}

/// Whether the time of the request is over.
fn expired(draft: &mut Draft<'_>, grant: Option<&Grant>) -> bool {
    let message = if draft.phase() == Phase::AwaitingApproval {
        let deadline = draft.request().spec.deadline.as_ref().is_some_and(|deadline| draft.now >= deadline.0);
        let pending = pending_until(draft, grant);
        if draft.now >= pending {
            format!(
                "not enough people approved by {pending} (pendingTTL); create another request and tell the approvers"
            )
        } else if deadline {
            "not enough people approved before its deadline; create another request".to_owned()
        } else {
            return false;
        }
    } else {
        let end = draft.end_of_use(grant.map(|grant| &grant.effective));
        if draft.now < end {
            return false;
        }
        format!("not used until {end} (validity or deadline); create another request")
    };
    draft.close(Phase::Expired, reason::EXPIRED, &message);
    true
}

/// People have this long, from the beginning of the round, or from when approvals that it had turned out to be missing.
fn pending_until(draft: &Draft<'_>, grant: Option<&Grant>) -> Timestamp {
    let opened = draft.status.review.as_ref().map_or(draft.created(), |review| review.opened_at.0);
    let waits = draft.status.conditions.iter().find(|c| c.type_ == APPROVED && c.status == "False");
    let since = waits.map_or(opened, |condition| condition.last_transition_time.0.max(opened));
    grant.map_or(Timestamp::MAX, |grant| after(since, grant.effective.pending_ttl.value.get()))
}

/// Opens a round of review, or finds that none is needed.
fn open_review(draft: &mut Draft<'_>, grant: &Grant, round: i32) {
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
        approved_at: None,
        epoch,
    });
    // A missing list is made here, so that people can append to it with a JSON patch.
    draft.status.approvals.get_or_insert_default();
    if grant.approvals == 0 {
        draft.status.phase = Some(Phase::Approved);
        draft.condition(APPROVED, ("True", reason::NOT_REQUIRED), "no policy requires an approval");
    } else {
        draft.status.phase = Some(Phase::AwaitingApproval);
        let message = Tally { required: grant.approvals, ..Tally::default() }.in_words(draft.request());
        draft.condition(APPROVED, ("False", reason::AWAITING_APPROVAL), message.as_str());
        draft.condition(TOKEN_ISSUED, ("False", reason::NOT_YET), "waiting for approval");
        draft.note("ApprovalRequested", message, false);
    }
}

/// The guard's epoch as of now; while it is not known, the one under review stays.
fn epoch<'a>(draft: &'a Draft<'_>) -> Option<&'a str> {
    match &draft.seen.guard {
        Guard::Intact { epoch, .. } => Some(epoch),
        Guard::Unwatched | Guard::Broken { .. } => draft.status.review.as_ref()?.epoch.as_deref(),
    }
}

/// The requester's user name.
pub(super) fn requester(request: &DownloadRequest) -> &str {
    request.spec.requested_by.as_ref().map_or("", |by| by.username.as_str())
}

/// Compares what was reviewed with what is there now, and counts the votes for it.
fn review_again(draft: &mut Draft<'_>, grant: &Grant, fingerprints: &[String]) {
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
    let of = (review.digest.as_str(), requester(draft.request()));
    recount(draft, &review, &Tally::count(&votes, of, grant.approvals, &draft.seen.approvers));
}

/// What the votes for the same review come to now.
fn recount(draft: &mut Draft<'_>, before: &Review, tally: &Tally<'_>) {
    let approvals = tally.in_status();
    let (more, changed) = (approvals.given > before.approvals.given, approvals != before.approvals);
    let newly_lapsed = approvals.lapsed.iter().any(|name| !before.approvals.lapsed.contains(name));
    let message = tally.in_words(draft.request());
    if newly_lapsed {
        draft.note("ApprovalLapsed", message.as_str(), true);
    }
    if let Some(review) = &mut draft.status.review {
        review.approvals = approvals;
    }
    match (draft.phase(), tally.is_enough()) {
        (Phase::AwaitingApproval, true) => {
            if let Some(review) = &mut draft.status.review {
                review.approved_at = Some(Time(draft.now));
            }
            draft.status.phase = Some(Phase::Approved);
            let message = format!("approved by {}", tally.by().join(", "));
            draft.condition(APPROVED, ("True", reason::BY_PEOPLE), message.as_str());
            draft.note("Approved", message, false);
        }
        (Phase::AwaitingApproval, false) => {
            if more {
                draft.note("ApprovalGranted", message.as_str(), false);
            }
            let stays =
                draft.status.conditions.iter().any(|c| c.type_ == APPROVED && c.reason == reason::REVIEW_CHANGED);
            if changed || !stays {
                draft.condition(APPROVED, ("False", reason::AWAITING_APPROVAL), message);
            }
        }
        (_, true) => {}
        (_, false) => miss_approvals(draft, &message),
    }
}

/// It was approved, and the votes for that are not there any more: someone who voted may no longer approve, or it was
/// approved on paper. People get the full time to vote again.
fn miss_approvals(draft: &mut Draft<'_>, message: &str) {
    draft.end_token(TokenEnd::ApprovalMissing);
    draft.status.phase = Some(Phase::AwaitingApproval);
    if let Some(review) = &mut draft.status.review {
        review.approved_at = None;
    }
    draft.condition(APPROVED, ("False", reason::AWAITING_APPROVAL), message);
    draft.condition(TOKEN_ISSUED, ("False", reason::NOT_YET), "waiting for approval");
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
    let message = format!("{what} changed since round {}; earlier votes are void", before.round);
    if draft.phase() == Phase::AwaitingApproval {
        draft.condition(APPROVED, ("False", reason::REVIEW_CHANGED), message.as_str());
    }
    draft.note(reason::REVIEW_CHANGED, message, true);
}

/// `AwaitingApproval`: look again when its time is over.
fn wait_for_people(draft: &mut Draft<'_>, grant: &Grant) {
    ask_approvers_again(draft);
    let pending = pending_until(draft, Some(grant));
    draft.wake(pending);
    if let Some(deadline) = &draft.request().spec.deadline {
        draft.wake(deadline.0);
    }
}

/// No watch tells when a person gains or loses a right, so every voter's right is checked again.
fn ask_approvers_again(draft: &mut Draft<'_>) {
    let counts = |review: &Review| review.approvals.given > 0 || !review.approvals.lapsed.is_empty();
    if draft.status.review.as_ref().is_some_and(counts) {
        draft.wake(after(draft.now, ASK_APPROVERS_AGAIN));
    }
}

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
        let pending = pending_until(draft, grant);
        draft.wake(pending);
    }
}
