//! Until when a round of review waits for people, and whom to ask: one rule for the expiry, and for what everyone is told.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::draft::{Draft, after};
use crate::{
    api::{Review, words::ConditionType::Approved},
    policy::Grant,
};

/// When a round of review ends without enough approvals: `pendingTTL` after it began to wait, and never after the
/// deadline. Where no policy can be read, `promised` holds: what people were told.
#[must_use]
pub fn review_end(
    waits_since: Timestamp,
    pending_ttl: Option<std::time::Duration>,
    promised: Option<Timestamp>,
    deadline: Option<Timestamp>,
) -> Timestamp {
    let pending = pending_ttl.map(|ttl| after(waits_since, ttl)).or(promised).unwrap_or(Timestamp::MAX);
    deadline.map_or(pending, |deadline| pending.min(deadline))
}

/// The same of the request at hand. A round waits from its beginning, or from when approvals that it had turned out to
/// be missing.
pub(super) fn end_of_review(draft: &Draft<'_>, grant: Option<&Grant>) -> Timestamp {
    let review = draft.status.review.as_ref();
    let opened = review.map_or(draft.created(), |review| review.opened_at.0);
    let waits = draft.status.condition(Approved).filter(|condition| condition.status == "False");
    let since = waits.map_or(opened, |condition| condition.last_transition_time.0.max(opened));
    let promised = review.and_then(|review| review.expires_at.as_ref()).map(|time| time.0);
    let ttl = grant.map(|grant| grant.effective.pending_ttl.value.get());
    review_end(since, ttl, promised, deadline(draft))
}

fn deadline(draft: &Draft<'_>) -> Option<Timestamp> {
    draft.request().spec.deadline.as_ref().map(|deadline| deadline.0)
}

/// Writes into the review until when it waits and whom to ask, from now on (`since` now), or as before.
pub(super) fn begin(draft: &mut Draft<'_>, grant: &Grant) {
    let end = review_end(draft.now, Some(grant.effective.pending_ttl.value.get()), None, deadline(draft));
    set(draft, Some(end), grant);
}

/// The same of a round that waits already; whether that has changed anything.
pub(super) fn go_on(draft: &mut Draft<'_>, grant: &Grant) -> bool {
    let before = draft.status.review.clone();
    let end = end_of_review(draft, Some(grant));
    set(draft, Some(end), grant);
    before != draft.status.review
}

/// No one is waited for.
pub(super) fn end(draft: &mut Draft<'_>) {
    if let Some(review) = &mut draft.status.review {
        review.expires_at = None;
        review.contacts.clear();
    }
}

fn set(draft: &mut Draft<'_>, end: Option<Timestamp>, grant: &Grant) {
    let contacts = grant.effective.contacts_for(draft.request().spec.format);
    if let Some(review) = &mut draft.status.review {
        review.expires_at = end.filter(|end| *end < Timestamp::MAX).map(Time);
        review.contacts = contacts;
    }
}

/// Until when, which role, with which command, and whom to ask: in words for every reader, behind what is waited for.
pub(super) fn in_words(review: &Review, (namespace, name): (&str, &str)) -> String {
    let until = review.expires_at.as_ref().map(|end| format!(", until {}", end.0)).unwrap_or_default();
    let ask = match review.contacts.as_slice() {
        [] => String::new(),
        contacts => format!("; to ask one: {}", contacts.join(", ")),
    };
    format!(
        "{until}; an approver (ClusterRole certcourier-approver) runs: kubectl certcourier approve {name} -n {namespace}{ask}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_ends_by_its_ttl_and_never_after_the_deadline_nor_later_than_was_said() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let ttl = |seconds: u64| Some(std::time::Duration::from_secs(seconds));
        for (since, ttl, promised, deadline, end) in [
            (100, ttl(60), None, None, at(160)),
            (100, ttl(60), Some(at(500)), None, at(160)),
            (100, ttl(60), None, Some(at(130)), at(130)),
            (100, ttl(60), None, Some(at(900)), at(160)),
            (100, None, Some(at(150)), None, at(150)),
            (100, None, Some(at(150)), Some(at(120)), at(120)),
            (100, None, None, Some(at(120)), at(120)),
            (100, None, None, None, Timestamp::MAX),
            (100, ttl(u64::MAX), None, None, Timestamp::MAX),
        ] {
            assert_eq!(
                review_end(at(since), ttl, promised, deadline),
                end,
                "{since} {ttl:?} {promised:?} {deadline:?}"
            );
        }
    }
}
