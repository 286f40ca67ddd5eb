//! A status in the making: what was, what shall be, and what else is to be done.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Note, Observed, Step, remember};
use crate::{
    api::{
        DownloadRequest, DownloadRequestStatus, Phase, TokenEnd,
        condition::{APPROVED, FINISHED, MAX_MESSAGE_CHARS, STALLED, TOKEN_ISSUED, reason},
        condition_rank,
    },
    policy::Effective,
    text,
};

/// Sets one condition. Its transition time changes only with its status, and the list keeps its order.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    (status, reason): (&str, &str),
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
        .find(|condition| condition.type_ == kind && condition.status == status)
        .map_or(Time(now), |condition| condition.last_transition_time.clone());
    conditions.retain(|condition| condition.type_ != kind);
    conditions.push(Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: since,
    });
    conditions.sort_by_key(|condition| condition_rank(&condition.type_));
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
        self.status.phase.unwrap_or_default()
    }

    pub(super) fn name(&self) -> &'a str {
        self.request().metadata.name.as_deref().unwrap_or_default()
    }

    /// When the request was created, as the API server says; now, for one that was never written.
    pub(super) fn created(&self) -> Timestamp {
        self.request().metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.request().metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(super) fn condition(&mut self, kind: &str, value: (&str, &str), message: impl Into<String>) {
        let generation = self.request().metadata.generation;
        set_condition(&mut self.status.conditions, kind, value, &message.into(), generation, self.now);
    }

    pub(super) fn note(&mut self, reason: &'static str, message: impl Into<String>, warning: bool) {
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

    /// Ends the request for good.
    pub(super) fn close(&mut self, phase: Phase, why: &'static str, message: &str) {
        let end = if phase == Phase::Expired { TokenEnd::Expired } else { TokenEnd::Closed };
        self.end_token(end);
        self.status.phase = Some(phase);
        self.condition(TOKEN_ISSUED, ("False", reason::CLOSED), "the request is closed");
        self.condition(FINISHED, ("True", why), message);
        self.clear_stall();
        self.note(why, message, !matches!(phase, Phase::Consumed | Phase::Revoked));
    }

    /// Ends the request because something is wrong with it; `word` says what.
    pub(super) fn fail(&mut self, word: &str, message: &str) {
        self.status.reason = Some(word.to_owned());
        let full = format!("{word}: {message}");
        self.condition(APPROVED, ("False", reason::REFUSED), full.as_str());
        self.close(Phase::Failed, reason::FAILED, &full);
    }

    pub(super) fn stall(&mut self, why: &'static str, message: &str) {
        let already =
            self.status.conditions.iter().any(|c| c.type_ == STALLED && c.status == "True" && c.reason == why);
        self.condition(STALLED, ("True", why), message);
        if !already {
            self.note(why, message, true);
        }
    }

    pub(super) fn clear_stall(&mut self) {
        let stalled = self.status.conditions.iter().find(|c| c.type_ == STALLED && c.status == "True");
        if let Some(why) = stalled.map(|condition| condition.reason.clone()) {
            self.clear_stall_of(&why);
        }
    }

    /// Clears a stall for this reason; what a mint stumbled over is cleared by the next mint that goes through.
    pub(super) fn clear_stall_of(&mut self, why: &str) {
        if self.status.conditions.iter().any(|c| c.type_ == STALLED && c.status == "True" && c.reason == why) {
            self.condition(STALLED, ("False", reason::NOT_STALLED), "nothing blocks it any more");
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
