//! What a request's status tells its writer, the controller. Pure.
//!
//! Each fact is in the status that makes it true, and has an id made from it. So a write tells exactly what is in
//! the status after it and did not before; a writer that is not sure whether a write came through compares again; and a
//! new leader that may have to emit again what the previous one did not emit uses the same ids.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    fact::{Data, Fact, about, cut, moment, subject_of},
    kind::Kind,
};
use crate::api::{
    Decision, Delivery, DownloadRequest, DownloadRequestStatus, Phase, Review, names,
    words::{ConditionReason, ConditionType},
};

/// The facts that came about between two versions of a request, oldest first. `now` is for those whose time the status
/// does not keep.
#[must_use]
pub fn between(before: &DownloadRequest, after: &DownloadRequest, now: Timestamp) -> Vec<Fact> {
    let known: BTreeSet<Option<String>> = all(before, now).into_iter().map(|fact| fact.id).collect();
    all(after, now).into_iter().filter(|fact| !known.contains(&fact.id)).collect()
}

/// The facts of a request that came about at `moment` or later. Votes but the last have no time of their own, and are
/// told with the last.
#[must_use]
pub fn since(request: &DownloadRequest, moment: Timestamp) -> Vec<Fact> {
    all(request, Timestamp::MIN).into_iter().filter(|fact| fact.time >= moment).collect()
}

/// A request is gone. The object does not say who deleted it; admission has let through only those who may. `beyond`: so
/// many newer finished requests of its requester were kept, and it was one too many.
#[must_use]
pub fn deleted(request: &DownloadRequest, beyond: Option<u32>, now: Timestamp) -> Fact {
    let phase = request.phase();
    let message = if phase.is_open() {
        format!("it was open ({}): its votes and its token went with it", phase.name())
    } else {
        let why = beyond.map(|most| {
            format!("; its requester has {most} newer finished requests here, the maximum (--max-finished-requests)")
        });
        format!("it was over ({}){}", phase.name(), why.unwrap_or_default())
    };
    let data = Data { message: Some(message), ..about(request) };
    let uid = request.uid_text();
    let time = request.metadata.deletion_timestamp.as_ref().map_or(now, |time| time.0);
    Fact {
        kind: Kind::RequestDeleted,
        id: Some(format!("{uid}/deleted")),
        time,
        subject: subject_of(request),
        data: data.into(),
    }
}

/// Everything that the status tells.
fn all(request: &DownloadRequest, now: Timestamp) -> Vec<Fact> {
    let Some(status) = request.status.as_ref() else { return Vec::new() };
    let Some(phase) = status.phase else { return Vec::new() };
    let teller = Teller { request, status, now };
    let mut facts = vec![teller.created()];
    if let Some(review) = &status.review {
        teller.review(review, &mut facts);
    }
    facts.extend(teller.minted());
    facts.extend(teller.token_expired());
    facts.extend(teller.ended_before_use(phase));
    facts.extend(teller.ended(phase));
    facts
}

struct Teller<'a> {
    request: &'a DownloadRequest,
    status: &'a DownloadRequestStatus,
    now: Timestamp,
}

impl Teller<'_> {
    fn fact(&self, kind: Kind, what: &str, time: Option<Timestamp>, data: Data) -> Fact {
        let uid = self.request.uid_text();
        Fact {
            kind,
            id: Some(format!("{uid}/{what}")),
            time: time.unwrap_or(self.now),
            subject: subject_of(self.request),
            data: data.into(),
        }
    }

    fn data(&self) -> Data {
        about(self.request)
    }

    fn created(&self) -> Fact {
        let time = self.request.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let spec = &self.request.spec;
        let data = Data {
            reason: spec.reason.as_deref().map(cut),
            delivery: Some(spec.delivery.unwrap_or_default().name()),
            ..self.data()
        };
        self.fact(Kind::RequestCreated, "created", time, data)
    }

    fn review(&self, review: &Review, facts: &mut Vec<Fact>) {
        let Review { round, approvals, .. } = review;
        let data = || Data {
            round: Some(*round),
            review_digest: Some(review.digest.clone()),
            approvals_required: Some(approvals.required),
            ..self.data()
        };
        if approvals.required > 0 {
            let asked = Data {
                reason: self.request.spec.reason.as_deref().map(cut),
                fingerprints: review.fingerprints.clone(),
                policies: review.policies.clone(),
                ..data()
            };
            let opened = Some(review.opened_at.0);
            facts.push(self.fact(Kind::ApprovalRequested, &format!("review/{round}"), opened, asked));
        }
        let votes = self.status.votes();
        for (given, voter) in (1..).zip(&approvals.by) {
            let vote = votes.iter().find(|vote| {
                vote.username == *voter && vote.digest == review.digest && vote.decision == Decision::Approve
            });
            let granted = Data {
                actor: Some(voter.clone()),
                reason: vote.map(|vote| cut(&vote.reason)),
                approvals_given: Some(given),
                ..data()
            };
            let approved = review.approved_at.as_ref().map(|time| time.0);
            facts.push(self.fact(Kind::ApprovalGranted, &format!("review/{round}/granted/{voter}"), approved, granted));
        }
    }

    /// A claimed token is told by the server that wrote it.
    fn minted(&self) -> Option<Fact> {
        let token = self.status.token.as_ref()?;
        (self.request.delivery() == Delivery::Secret).then(|| {
            let data = Data {
                generation: Some(token.generation),
                delivery: Some(Delivery::Secret.name()),
                expires_at: token.expires_at.as_ref().map(|time| moment(time.0)),
                ..self.data()
            };
            let issued = token.issued_at.as_ref().map(|time| time.0);
            self.fact(Kind::TokenMinted, &format!("token/{}", token.generation), issued, data)
        })
    }

    fn token_expired(&self) -> Option<Fact> {
        let condition = self
            .status
            .condition(ConditionType::TokenIssued)
            .filter(|condition| condition.status == "False" && condition.reason == ConditionReason::TokenExpired)?;
        let generation = self.status.token.as_ref()?.generation;
        let data = Data { generation: Some(generation), ..self.data() };
        let time = Some(condition.last_transition_time.0);
        Some(self.fact(Kind::TokenExpired, &format!("token/{generation}/expired"), time, data))
    }

    /// A denial or revocation of a request whose delivery had begun: it is told though the delivery won.
    fn ended_before_use(&self, phase: Phase) -> Option<Fact> {
        if phase != Phase::Consumed {
            return None;
        }
        let approved = self.status.condition(ConditionType::Approved);
        if approved.is_some_and(|approved| approved.reason == ConditionReason::Denied) {
            return self.ended(Phase::Denied);
        }
        self.request.annotation(names::REVOKE).and_then(|_| self.ended(Phase::Revoked))
    }

    /// A consumed request is told by its delivery.
    fn ended(&self, phase: Phase) -> Option<Fact> {
        let finished = self.status.condition_true(ConditionType::Finished);
        let message = finished.map(|condition| cut(&condition.message));
        let (kind, data) = match phase {
            Phase::Denied => {
                let vote = self.status.votes().iter().find(|vote| vote.decision == Decision::Deny);
                let review = self.status.review.as_ref();
                let data = Data {
                    actor: vote.map(|vote| vote.username.clone()),
                    reason: vote.map(|vote| cut(&vote.reason)),
                    round: review.map(|review| review.round),
                    review_digest: vote.map(|vote| vote.digest.clone()),
                    ..self.data()
                };
                (Kind::ApprovalDenied, data)
            }
            Phase::Revoked => {
                let annotation = |key| self.request.annotation(key).map(cut);
                let (actor, reason) = (annotation(names::REVOKED_BY), annotation(names::REVOKE));
                // Without one it was deleted, and a finalizer holds it.
                (Kind::RequestRevoked, Data { actor, reason: reason.or(message), ..self.data() })
            }
            Phase::Expired => (Kind::RequestExpired, Data { message, ..self.data() }),
            Phase::Failed => (Kind::RequestFailed, Data { code: self.status.reason.clone(), message, ..self.data() }),
            _ => return None,
        };
        let time = finished.map(|condition| condition.last_transition_time.0);
        Some(self.fact(kind, phase.name(), time, data))
    }
}

#[cfg(test)]
mod tests;
