//! What is told of a token that is presented: audit record, Event, metric.

use std::{sync::Arc, time::Instant};

use super::{Redeemer, too_slow};
use crate::api::words::EventReason;
use crate::server::{
    http::{
        error::{ErrorCode, ServerError},
        refusal::SOON,
        request_id::RequestId,
    },
    state::ServerState,
};
use crate::{
    api::{DownloadReceipt, DownloadRequest},
    audit::{NotConfirmed, delivery},
    cluster::events::{EventType, Note},
};

/// Where a token was presented from.
pub struct Presented {
    address: String,
    request_id: RequestId,
}

impl Presented {
    /// As far as the redeemer is known.
    pub fn of(redeemer: &Redeemer) -> Self {
        Self { address: redeemer.client.to_string(), request_id: redeemer.request_id.clone() }
    }

    fn told(&self) -> delivery::Presented<'_> {
        delivery::Presented { address: &self.address, request_id: self.request_id.as_str() }
    }
}

/// A token of this request was refused. Not told: tokens of nothing, how someone asked, and trouble that passes.
pub fn refused(state: &Arc<ServerState>, request: &DownloadRequest, presented: &Presented, refusal: &ServerError) {
    let used = refusal.code() == ErrorCode::TokenUsed;
    if used {
        state.metrics.replayed();
    }
    if !refusal.code().is_decision() {
        return;
    }
    let description = refusal.description();
    let why = (refusal.code().name(), description.as_str());
    let fact = delivery::refused(request, why, used, presented.told(), state.clients.clock().now());
    let is_new = state.audit.tell_once(&fact);
    if used && is_new {
        note_replay(Arc::clone(state), request.clone(), presented.address.clone());
    }
}

/// One Event for each request and hour, however often and from wherever its token comes again.
fn note_replay(state: Arc<ServerState>, request: DownloadRequest, address: String) {
    let tasks = state.tasks.clone();
    tasks.spawn(async move {
        let text = format!(
            "its token was presented again after it was used, from {address}; if that was not a retry by the \
             requester, someone else has the link (further attempts: audit record, token.reused)"
        );
        let note = Note { event_type: EventType::Warning, reason: EventReason::TokenReused, action: "Redeem", text };
        let now = state.clients.clock().now();
        state.events.tell_once(&request, note, EventReason::TokenReused.name(), now).await;
    });
}

/// That the audit sink accepts facts, where it must before a key is released; checked first, because it costs nothing.
///
/// # Errors
/// [`ErrorCode::AuditFailed`] while it is not; the token stays valid.
pub fn can_be_heard(state: &ServerState, request: &DownloadRequest) -> Result<(), ServerError> {
    if request.spec.format.holds_key() {
        state.audit.lets_keys_leave().map_err(|error| unheard(&error))
    } else {
        Ok(())
    }
}

fn unheard(unheard: &NotConfirmed) -> ServerError {
    let words = format!("{unheard}; nothing was delivered and the token is still valid: try again later");
    ServerError::new(ErrorCode::AuditFailed, words).retry_after(SOON)
}

/// Where the audit sink must have a fact before a key is released: emits it, and waits until the sink has accepted it.
///
/// # Errors
/// [`ErrorCode::AuditFailed`] when it was not, [`ErrorCode::Unavailable`] when that took too long; the token stays
/// valid.
pub async fn announce(
    state: &ServerState,
    reading_since: Instant,
    receipt: &DownloadReceipt,
    redeemer: &Redeemer,
) -> Result<(), ServerError> {
    if !receipt.spec.format.holds_key() {
        return Ok(());
    }
    let limit = state.deliveries.decision_timeout.get();
    let presented = Presented::of(redeemer);
    let fact = delivery::releasing(receipt, presented.told(), state.clients.clock().now());
    let confirmed = state.audit.emit_and_confirm(&fact, limit.saturating_sub(reading_since.elapsed())).await;
    confirmed.map_err(|error| unheard(&error))?;
    if reading_since.elapsed() > limit { Err(too_slow()) } else { Ok(()) }
}
