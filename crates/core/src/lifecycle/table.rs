//! The state table.

use jiff::Timestamp;

use super::{
    Guard, Material, Observed, ReceiptSeen, Step,
    draft::{Draft, Ending, after},
    mint::{expire_token, use_approval},
    round::{open_review, review_again},
    waiting,
    wake::{ask_approvers_again, wake_for_end},
};
use crate::{
    api::{
        Decision as Vote, Delivery, Outcome, Phase, ReceiptReference, TokenEnd,
        condition::ConditionStatus::{False, True, Unknown},
        names,
        words::{
            ConditionReason,
            ConditionType::{Approved, Finished, TokenIssued},
            EventReason, FailureReason, StallReason,
        },
    },
    door::Door,
    policy::{Decision, Grant, Reason, all_reasons},
};

/// Decides the next step of one request. Pure and idempotent: on the status it returned, with nothing else changed, it
/// returns no further change.
#[must_use]
pub fn next(seen: &Observed<'_>, now: Timestamp) -> Step {
    let mut draft = Draft::new(seen, now);
    if let Some(receipt) = &seen.receipt {
        settle(&mut draft, receipt);
        return draft.finish();
    }
    if !draft.phase().is_open() {
        return Step::default();
    }
    let ended = ended_by_people(&mut draft)
        || ended_by_deletion(&mut draft)
        || ended_by_epoch(&mut draft)
        || ended_by_number(&mut draft);
    if !ended {
        if draft.phase() == Phase::Pending {
            begin(&mut draft);
        } else {
            proceed(&mut draft);
        }
    }
    draft.finish()
}

/// A delivery wins over everything, closed phases included. While nothing is known to have left, a request that was
/// ended stays so: the server looks again after it has created the receipt, and stops what was ended before.
fn settle(draft: &mut Draft<'_>, receipt: &ReceiptSeen) {
    if draft.phase().is_open() && !ended_by_people(draft) {
        ended_by_deletion(draft);
    }
    let ended = !draft.phase().is_open() && draft.phase() != Phase::Consumed;
    if ended && receipt.nothing_left() {
        name_receipt(draft, &receipt.name);
    } else {
        consume(draft, &receipt.name, receipt.outcome, receipt.bytes_sent);
    }
}

fn name_receipt(draft: &mut Draft<'_>, receipt: &str) {
    draft.status.receipt_ref.get_or_insert_with(|| ReceiptReference { name: receipt.to_owned() });
}

fn consume(draft: &mut Draft<'_>, receipt: &str, outcome: Option<Outcome>, bytes_sent: Option<i64>) {
    draft.end_token(TokenEnd::Used);
    if draft.phase() != Phase::Consumed {
        draft.status.phase = Some(Phase::Consumed);
        draft.status.reason = None;
        draft.note(EventReason::Consumed, format!("the token was used; receipt {receipt}"), false);
    }
    name_receipt(draft, receipt);
    draft.condition(TokenIssued, False(ConditionReason::Closed), "the token was used");
    let bytes = bytes_sent.map(|bytes| format!(" ({bytes} bytes sent)")).unwrap_or_default();
    let finished = match outcome {
        None => (False(ConditionReason::Open), format!("the delivery is in progress; receipt {receipt}")),
        Some(Outcome::Delivered) => (True(ConditionReason::Delivered), format!("delivered{bytes}; receipt {receipt}")),
        Some(Outcome::Aborted) if bytes_sent == Some(0) => (
            True(ConditionReason::Aborted),
            format!("it ended before the first byte was sent; receipt {receipt}. Create another request"),
        ),
        Some(Outcome::Aborted) => (
            True(ConditionReason::Aborted),
            format!("the client disconnected before the end{bytes}; receipt {receipt}. Create another request"),
        ),
        Some(Outcome::Unknown) => (
            True(ConditionReason::Unknown),
            format!(
                "the server stopped before it could say whether all of it arrived; receipt {receipt}. Create another \
                 request if the file is missing"
            ),
        ),
    };
    draft.condition(Finished, finished.0, finished.1);
    draft.clear_stall();
}

/// Revocation by anyone who may, and any Deny whatever its digest.
fn ended_by_people(draft: &mut Draft<'_>) -> bool {
    if let Some(why) = draft.annotation(names::REVOKE) {
        let by = draft.annotation(names::REVOKED_BY).map(|who| format!(" by {who}")).unwrap_or_default();
        let message = format!("revoked{by}: {why}");
        draft.close(Ending::Revoked, &message);
        return true;
    }
    if let Some(vote) = draft.status.votes().iter().find(|vote| vote.decision == Vote::Deny) {
        let message = format!("denied by {}: {}", vote.username, vote.reason);
        draft.condition(Approved, False(ConditionReason::Denied), message.as_str());
        draft.close(Ending::Denied, &message);
        return true;
    }
    false
}

/// A request that is being deleted, while a finalizer holds it: nothing is delivered for it any more.
fn ended_by_deletion(draft: &mut Draft<'_>) -> bool {
    if draft.request().metadata.deletion_timestamp.is_none() {
        return false;
    }
    draft.close(Ending::Revoked, "deleted while it was open: a finalizer holds what is left of it");
    true
}

/// A request for a key that was created before the admission policies were proven to be in force may be forged.
fn ended_by_epoch(draft: &mut Draft<'_>) -> bool {
    if let Guard::Intact { since, .. } = &draft.seen.guard
        && draft.request().spec.format.holds_key()
        && draft.created() <= *since
    {
        let message = format!(
            "the admission policies changed or were not proven to be in force until {since}, after this request was \
             created; create it again"
        );
        draft.fail(FailureReason::EpochChanged, &message);
        return true;
    }
    false
}

/// One requester's requests must not fill the operator's memory: the oldest stay. A request of the HTTP API is there with
/// its token already when it is first counted.
fn ended_by_number(draft: &mut Draft<'_>) -> bool {
    let most = draft.seen.settings.max_open_requests;
    let is_new = draft.phase() == Phase::Pending || draft.request().delivery() == Delivery::Claim;
    if draft.seen.ahead < most || !is_new {
        return false;
    }
    let message = too_many_open(draft.request().requester(), most);
    draft.fail(FailureReason::TooManyOpenRequests, &message);
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
        let (reason, message) = in_words(reasons);
        return draft.fail(reason, &message);
    }
    match &draft.seen.material {
        Material::Missing { problem, message } => {
            let until = after(draft.created(), draft.seen.settings.certificate_wait);
            if draft.now >= until {
                return draft.fail(FailureReason::Material(*problem), message);
            }
            draft.condition(Approved, Unknown(ConditionReason::WaitingForCertificate), message.as_str());
            draft.condition(TokenIssued, False(ConditionReason::NotYet), "waiting for the certificate");
            draft.condition(Finished, False(ConditionReason::Open), "waiting for the certificate");
            draft.wake(until);
        }
        Material::Unusable { problem, message } => draft.fail(FailureReason::Material(*problem), message),
        Material::Usable { .. } => {
            if let Some(Decision::Grant(grant)) = &draft.seen.decision {
                draft.condition(Finished, False(ConditionReason::Open), "not delivered yet");
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

/// Refusals: the reason of the first one, and all their sentences.
pub(super) fn in_words(reasons: &[Reason]) -> (FailureReason, String) {
    let first = reasons.first().map_or(FailureReason::PolicyRefused, |reason| FailureReason::Refused(reason.kind()));
    (first, all_reasons(reasons, Door::Object))
}

/// `AwaitingApproval`, `Approved` and `TokenIssued`.
fn proceed(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    if let Some(Decision::Refuse(reasons)) = &seen.decision {
        let (reason, message) = in_words(reasons);
        return draft.fail(FailureReason::PolicyRefused, &format!("{reason}: {message}"));
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
            draft.clear_stall_of(StallReason::MaterialUnusable);
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
            draft.stall(StallReason::MaterialUnusable, message);
            wake_for_end(draft, grant);
        }
        (Material::Usable { .. }, None) => wake_for_end(draft, grant),
    }
}

/// Whether the time of the request is over.
fn expired(draft: &mut Draft<'_>, grant: Option<&Grant>) -> bool {
    let message = if draft.phase() == Phase::AwaitingApproval {
        let end = waiting::end_of_review(draft, grant);
        if draft.now < end {
            return false;
        }
        if draft.request().spec.deadline.as_ref().is_some_and(|deadline| deadline.0 == end) {
            "not enough people approved before its deadline; create another request".to_owned()
        } else {
            format!("not enough people approved by {end} (pendingTTL); create another request and tell the approvers")
        }
    } else {
        let end = draft.end_of_use(grant.map(|grant| &grant.effective));
        if draft.now < end {
            return false;
        }
        format!("not used until {end} (validity or deadline); create another request")
    };
    draft.close(Ending::Expired, &message);
    true
}

/// `AwaitingApproval`: look again when its time is over.
fn wait_for_people(draft: &mut Draft<'_>, grant: &Grant) {
    ask_approvers_again(draft);
    let end = waiting::end_of_review(draft, Some(grant));
    draft.wake(end);
}
