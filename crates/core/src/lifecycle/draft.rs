//! A status in the making: what was, what will be, and what else to do.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Note, Observed, Step, remember};
use crate::{
    api::{
        DownloadRequest, DownloadRequestStatus, Phase, TokenEnd,
        condition::{
            ConditionStatus::{self, False, True},
            MAX_MESSAGE_CHARS,
        },
        words::{
            ConditionReason,
            ConditionType::{self, Approved, Finished, Stalled, TokenIssued},
            EventReason, FailureReason, StallReason,
        },
    },
    policy::Effective,
    text,
};

/// Sets one condition. Its transition time changes only with its status, and the list keeps its order.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: ConditionType,
    value: ConditionStatus,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    // It repeats what people wrote, and others read it at a terminal.
    let mut message = text::shown(message).into_owned();
    // Hundreds of policies may be named in one message; what the schema refuses would stop the request for good.
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
        message.truncate(end);
    }
    let since = conditions
        .iter()
        .find(|condition| condition.type_ == kind && condition.status == value.name())
        .map_or(Time(now), |condition| condition.last_transition_time.clone());
    conditions.retain(|condition| condition.type_ != kind);
    conditions.push(Condition {
        type_: kind.name().to_owned(),
        status: value.name().to_owned(),
        reason: value.reason().name().to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: since,
    });
    // The same order each time, so that a status reads the same; what another version wrote comes last.
    conditions
        .sort_by_key(|condition| ConditionType::of_name(&condition.type_).map_or(usize::MAX, |kind| kind as usize));
}

/// Says that nothing stops the request any more, where something did.
pub(super) fn clear_stall(status: &mut DownloadRequestStatus, generation: Option<i64>, now: Timestamp) {
    if status.condition_true(Stalled).is_some() {
        let value = False(ConditionReason::NotStalled);
        set_condition(&mut status.conditions, Stalled, value, "nothing blocks it any more", generation, now);
    }
}

/// How a request ends without a delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Denied,
    Expired,
    Revoked,
    Failed,
}

impl Ending {
    const fn phase(self) -> Phase {
        match self {
            Self::Denied => Phase::Denied,
            Self::Expired => Phase::Expired,
            Self::Revoked => Phase::Revoked,
            Self::Failed => Phase::Failed,
        }
    }

    const fn reason(self) -> ConditionReason {
        match self {
            Self::Denied => ConditionReason::Denied,
            Self::Expired => ConditionReason::Expired,
            Self::Revoked => ConditionReason::Revoked,
            Self::Failed => ConditionReason::Failed,
        }
    }

    const fn event(self) -> EventReason {
        match self {
            Self::Denied => EventReason::Denied,
            Self::Expired => EventReason::Expired,
            Self::Revoked => EventReason::Revoked,
            Self::Failed => EventReason::Failed,
        }
    }
}

/// The status that a step works on.
pub(super) struct Draft<'a> {
    pub(super) seen: &'a Observed<'a>,
    pub(super) now: Timestamp,
    pub(super) status: DownloadRequestStatus,
    pub(super) step: Step,
}

impl<'a> Draft<'a> {
    pub(super) fn new(seen: &'a Observed<'a>, now: Timestamp) -> Self {
        let mut status = seen.request.status.clone().unwrap_or_default();
        status.observed_generation = seen.request.metadata.generation;
        Self { seen, now, status, step: Step::default() }
    }

    pub(super) fn request(&self) -> &'a DownloadRequest {
        self.seen.request
    }

    pub(super) fn phase(&self) -> Phase {
        self.status.phase()
    }

    pub(super) fn name(&self) -> &'a str {
        self.request().key().name
    }

    /// When the request was created, as the API server says; now, for one that was never written.
    pub(super) fn created(&self) -> Timestamp {
        self.request().created().unwrap_or(self.now)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.request().annotation(key)
    }

    pub(super) fn condition(&mut self, kind: ConditionType, value: ConditionStatus, message: impl Into<String>) {
        let generation = self.request().metadata.generation;
        set_condition(&mut self.status.conditions, kind, value, &message.into(), generation, self.now);
    }

    pub(super) fn note(&mut self, reason: EventReason, message: impl Into<String>, warning: bool) {
        let message: String = message.into();
        let message = text::shown(&message).into_owned();
        self.step.notes.push(Note { reason, message, warning });
    }

    pub(super) fn wake(&mut self, at: Timestamp) {
        self.step.wake_at = Some(self.step.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// The token, if there is one, stops working with this status; what holds it is removed.
    pub(super) fn end_token(&mut self, why: TokenEnd) {
        let now = self.now;
        let Some(token) = &mut self.status.token else { return };
        if let Some(hash) = token.hash.take() {
            remember(&mut token.previous, hash, why, now);
        }
        token.sealed_passphrase = None;
        token.reader_name = None;
        if token.secret_name.take().is_some() {
            self.step.sweep = true;
        }
    }

    /// Ends the request for good, without a delivery.
    pub(super) fn close(&mut self, ending: Ending, message: &str) {
        self.end_token(if ending == Ending::Expired { TokenEnd::Expired } else { TokenEnd::Closed });
        self.status.phase = Some(ending.phase());
        self.condition(TokenIssued, False(ConditionReason::Closed), "the request is closed");
        self.condition(Finished, True(ending.reason()), message);
        self.clear_stall();
        self.note(ending.event(), message, ending != Ending::Revoked);
    }

    /// Ends the request because something is wrong with it.
    pub(super) fn fail(&mut self, reason: FailureReason, message: &str) {
        self.status.reason = Some(reason.name().to_owned());
        let full = format!("{reason}: {message}");
        self.condition(Approved, False(ConditionReason::Refused), full.as_str());
        self.close(Ending::Failed, &full);
    }

    pub(super) fn stall(&mut self, why: StallReason, message: &str) {
        let already = self.stalled_for().is_some_and(|reason| reason == why.name());
        self.condition(Stalled, True(why.condition()), message);
        if !already {
            self.note(why.event(), message, true);
        }
    }

    /// Why it is stalled, if it is.
    fn stalled_for(&self) -> Option<&str> {
        self.status.condition_true(Stalled).map(|condition| condition.reason.as_str())
    }

    pub(super) fn clear_stall(&mut self) {
        let generation = self.request().metadata.generation;
        clear_stall(&mut self.status, generation, self.now);
    }

    /// Clears a stall for this reason; what a mint stumbled over is cleared by the next mint that goes through.
    pub(super) fn clear_stall_of(&mut self, why: StallReason) {
        if self.stalled_for().is_some_and(|reason| reason == why.name()) {
            self.clear_stall();
        }
    }

    /// The end of the time in which the request can be used: its validity, counted from the approval or else from its
    /// creation, and its deadline.
    pub(super) fn end_of_use(&self, effective: Option<&Effective>) -> Timestamp {
        // Where no policy can be read (the Certificate is gone), the longest that any policy may say.
        const LONGEST: std::time::Duration = std::time::Duration::from_hours(720);
        let validity = effective.map_or(LONGEST, |effective| effective.validity.value.get());
        let approved = self.status.review.as_ref().and_then(|review| review.approved_at.as_ref());
        let end = after(approved.map_or(self.created(), |time| time.0), validity);
        self.request().spec.deadline.as_ref().map_or(end, |deadline| end.min(deadline.0))
    }

    /// The step, with the status left out where it is right as it is.
    pub(super) fn finish(mut self) -> Step {
        if self.step.mint.is_some() || self.seen.request.status.as_ref() != Some(&self.status) {
            self.step.status = Some(Box::new(self.status));
        }
        self.step
    }
}

/// A moment later by `span`; the end of time where that is beyond it.
pub(super) fn after(start: Timestamp, span: std::time::Duration) -> Timestamp {
    start.saturating_add(span).unwrap_or(Timestamp::MAX)
}
