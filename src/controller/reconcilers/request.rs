//! DownloadRequests: observe, decide with `lifecycle::next`, act.
//!
//! A look at what the watches know costs little and mostly finds that nothing is to be done. Whatever would be changed
//! is decided again on Certificate, policies and rights as the API server has them at that moment, and written only onto
//! the very version of the request that it was decided on. Where there is a receipt, it alone decides.

mod grant;
mod mint;
mod observe;
mod sweep;
pub(crate) mod ttl;

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::api::words::{ConditionReason, ConditionType, EventReason, StallReason};
use crate::controller::{
    context::Context,
    watch::{
        reconcile::{Again, PassError},
        stores::Stores,
    },
};
use crate::{
    api::{DownloadRequest, DownloadRequestStatus, names},
    cluster::{
        error::{ApiError, Failure},
        events::{EventType, Note},
        policies::PolicyError,
        status::{self, Written},
    },
    lifecycle::{self, Step},
};
use mint::MintOutcome;
use observe::View;

/// How often a request may change under our hands within one look.
const ATTEMPTS: usize = 5;
/// How often a request's other metadata may change under our hands while one status is written.
const WRITES: usize = 25;
/// How often a new request looks for the Secret that it waits for.
const LOOK_FOR_SECRET: std::time::Duration = std::time::Duration::from_secs(1);

/// Brings one request as far as it can go now.
pub(crate) async fn reconcile(
    context: &Context,
    stores: &Stores,
    cached: &DownloadRequest,
) -> Result<Again, PassError> {
    if names::is_guard_probe(cached, &context.namespace) {
        return Ok(Again::OnChange);
    }
    if !context.audit_outbox.holds(cached) {
        let receipt = observe::receipt_of(stores, cached);
        if let Some(until) = lifecycle::rests_until(cached, receipt.as_ref(), context.clients.clock().now()) {
            return Ok(Again::At(until));
        }
    }
    if begun(cached) && !context.audit_outbox.holds(cached) {
        let known = observe::known(context, stores, cached)?;
        let now = context.clients.clock().second();
        let view = View::of(context, cached, known).await?;
        let step = view.decide(context, stores, cached, now);
        if step.status.is_none() && !step.sweep && !context.is_unswept(cached) {
            if cached.is_open() {
                return Ok(again(context, cached.status.as_ref(), step.wake_at, now));
            }
            if cached.metadata.deletion_timestamp.is_some() {
                // A finalizer holds it, whose owner must let it go.
                return Ok(Again::OnChange);
            }
            stores.over.request(cached);
            return Ok(Again::OnChange);
        }
    }
    // Boxed, because most looks end before it and need not carry its size.
    match Box::pin(advance(context, stores, cached)).await {
        Err(error) => stall_if_forbidden(context, cached, error).await,
        again => {
            // What was left of it to be told or removed is done.
            if lifecycle::finished_at(cached).is_some() {
                stores.over.request(cached);
            }
            again
        }
    }
}

/// A request without a status will certainly be changed.
fn begun(request: &DownloadRequest) -> bool {
    request.status.as_ref().is_some_and(|status| status.phase.is_some())
}

/// Decides on what the API server has now, acts, and writes; again if someone else was faster.
async fn advance(context: &Context, stores: &Stores, cached: &DownloadRequest) -> Result<Again, PassError> {
    let mut made: Option<Made> = None;
    for attempt in 0..ATTEMPTS {
        // The spec never changes, so its surroundings need not wait for the rest of the request.
        let surroundings = async { Ok(View::live(context, stores, cached).await?) };
        let request = async {
            let known = attempt == 0 && is_whole(cached) && !context.audit_outbox.holds(cached);
            Ok::<_, PassError>(if known { Some(cached.clone()) } else { current(context, cached).await? })
        };
        let (mut view, request) = tokio::try_join!(surroundings, request)?;
        let Some(request) = request else { return Ok(Again::OnChange) };
        view.ask_about_new_votes(context, &request).await?;
        let now = context.clients.clock().second();
        let step = view.decide(context, stores, &request, now);
        if made.is_some() && step.mint.is_none() {
            // What was issued on an older version of the request is no one's token.
            sweep::all_but_the_living(context, &request).await?;
        }
        match act(context, &request, step, &mut made, now).await? {
            Written::Done(again) => return Ok(again),
            Written::Conflict => context.counters.conflicts.inc(),
        };
    }
    Err(PassError::Restless)
}

/// Whether the watch keeps all of it that a decision rests on. What is decided on an older version is not written, since
/// the API server has a newer one.
fn is_whole(cached: &DownloadRequest) -> bool {
    lifecycle::finished_at(cached).is_none()
}

/// The request as the API server has it, unless it is gone, or another one of the same name.
async fn current(context: &Context, cached: &DownloadRequest) -> Result<Option<DownloadRequest>, ApiError> {
    let Some(found) = status::current(context.clients.reads(), cached).await? else {
        context.audit_outbox.nothing(cached);
        return Ok(None);
    };
    context.audit_outbox.settle(&context.audit, &found, context.clients.clock().now());
    Ok(Some(found))
}

/// A token that this look has issued, and that is in no status yet: its number, and what was made.
type Made = (i64, lifecycle::Minted);

/// Sweeps, issues, writes, tells. `Conflict`: nothing was written, because the request has changed.
async fn act(
    context: &Context,
    request: &DownloadRequest,
    mut step: Step,
    made: &mut Option<Made>,
    now: Timestamp,
) -> Result<Written<Again>, PassError> {
    let kept = made.take_if(|(generation, _)| step.mint.as_ref().is_some_and(|mint| mint.generation == *generation));
    let due = kept.is_none() && (step.sweep || context.is_unswept(request));
    let swept = if due { sweep::all(context, request).await } else { Ok(()) };
    context.remember_unswept(request, swept.is_err());
    let Some(mut status) = step.status.take() else {
        let again = again(context, request.status.as_ref(), step.wake_at, now);
        return swept.map(|()| Written::Done(again)).map_err(PassError::from);
    };
    if let Some(planned) = &step.mint {
        // Two tokens must not lie about: the new one waits until the old one is gone.
        swept?;
        let mint = match kept {
            Some((_, minted)) => MintOutcome::Minted(minted),
            None => mint::mint(context, request, planned).await?,
        };
        match mint {
            MintOutcome::Minted(minted) => {
                *made = Some((planned.generation, minted.clone()));
                *status = planned.complete(request, &status, minted);
                step.notes.push(issued(planned));
            }
            MintOutcome::Taken { why, message } => {
                *status = lifecycle::stall(request, &status, why, &message, now);
                step.notes.push(lifecycle::Note { reason: why.event(), message, warning: true });
            }
        }
        return write(context, request, *status, &step, now).await;
    }
    // A closed token must not live on because its Secret cannot be removed now; that is tried again.
    let written = write(context, request, *status, &step, now).await?;
    match (swept, &written) {
        (Err(error), Written::Done(_)) => Err(error.into()),
        _ => Ok(written),
    }
}

fn issued(planned: &lifecycle::TokenPlan) -> lifecycle::Note {
    lifecycle::Note {
        reason: EventReason::TokenIssued,
        message: format!(
            "token {} is in Secret {}, until {}",
            planned.generation,
            planned.secret_name.as_deref().unwrap_or_default(),
            planned.expires_at
        ),
        warning: false,
    }
}

/// When to look again, though no watch names the request: at the step's own time, and every now and then while it waits
/// for a Secret, which no watch sees.
fn again(
    context: &Context,
    status: Option<&DownloadRequestStatus>,
    wake_at: Option<Timestamp>,
    now: Timestamp,
) -> Again {
    let approved = status.and_then(|status| status.condition(ConditionType::Approved));
    let pause = if approved.is_some_and(|condition| {
        condition.status == "Unknown" && condition.reason == ConditionReason::WaitingForCertificate
    }) {
        Some(LOOK_FOR_SECRET)
    } else {
        let stalled = status.and_then(|status| status.condition_true(ConditionType::Stalled));
        stalled.map(|_| context.intervals.retry_interval.get())
    };
    match (pause, wake_at) {
        (Some(pause), Some(moment)) => Again::At(now.saturating_add(pause).map_or(moment, |soon| soon.min(moment))),
        (Some(pause), None) => Again::In(pause),
        (None, Some(moment)) => Again::At(moment),
        (None, None) => Again::OnChange,
    }
}

async fn write(
    context: &Context,
    request: &DownloadRequest,
    status: DownloadRequestStatus,
    step: &Step,
    now: Timestamp,
) -> Result<Written<Again>, PassError> {
    let again = again(context, Some(&status), step.wake_at, now);
    if request.status.as_ref() == Some(&status) {
        return Ok(Written::Done(again));
    }
    let minted = |status: Option<&DownloadRequestStatus>| {
        status.and_then(|status| status.token.as_ref()).map_or(0, |token| token.generation)
    };
    let changed = DownloadRequest { status: Some(status), ..request.clone() };
    match write_unless_changed(context, request, &changed).await? {
        Written::Conflict => Ok(Written::Conflict),
        Written::Done(_) => {
            // Nothing is awaited between the answer and this, so only a dying process can miss it.
            context.audit_outbox.settle(&context.audit, &changed, now);
            if minted(changed.status.as_ref()) > minted(request.status.as_ref()) {
                let spec = &request.spec;
                context.counters.mints.minted(spec.format, spec.delivery.unwrap_or_default());
            }
            tell(context, request, &step.notes).await;
            Ok(Written::Done(again))
        }
    }
}

/// Writes a status that was decided on `request`. A version that differs in nothing that decides is as good: who may change
/// a request's metadata could else keep it from ever having a status.
async fn write_unless_changed(
    context: &Context,
    request: &DownloadRequest,
    changed: &DownloadRequest,
) -> Result<Written<DownloadRequest>, ApiError> {
    let mut changed = changed.clone();
    for _ in 0..WRITES {
        context.audit_outbox.begin(request);
        if let Written::Done(written) = status::write(context.clients.writes(), &changed).await? {
            return Ok(Written::Done(written));
        }
        // It is known that nothing was written, also where the next call fails.
        context.audit_outbox.nothing(request);
        match current(context, request).await? {
            Some(newest) if decides_alike(request, &newest) => changed.metadata = newest.metadata,
            _ => return Ok(Written::Conflict),
        }
        context.counters.conflicts.inc();
    }
    Ok(Written::Conflict)
}

/// Whether everything that a decision is made on is the same in both: all but the metadata of others.
fn decides_alike(one: &DownloadRequest, other: &DownloadRequest) -> bool {
    let ours = |request: &DownloadRequest| {
        [names::MINT, names::REVOKE, names::REVOKED_BY].map(|key| request.annotations().get(key).cloned())
    };
    one.uid() == other.uid()
        && one.metadata.deletion_timestamp == other.metadata.deletion_timestamp
        && one.spec == other.spec
        && one.status == other.status
        && ours(one) == ours(other)
}

async fn tell(context: &Context, request: &DownloadRequest, notes: &[lifecycle::Note]) {
    for note in notes {
        // To the microsecond, not the status's second: Events are listed in the order of these times.
        let now = context.clients.clock().now();
        let name = request.name_any();
        tracing::info!(
            request.namespace = request.namespace(),
            request.name = name,
            reason = note.reason.name(),
            "DownloadRequest `{name}`: {}",
            note.message
        );
        let event_type = if note.warning { EventType::Warning } else { EventType::Normal };
        let note = Note { event_type, reason: note.reason, action: "Reconcile", text: note.message.clone() };
        context.events.tell(request, note, now).await;
    }
}

/// What the operator is not allowed to do is said in the request, where people look.
async fn stall_if_forbidden(context: &Context, cached: &DownloadRequest, error: PassError) -> Result<Again, PassError> {
    let (PassError::Api(cause) | PassError::Policy(PolicyError::Api(cause))) = &error else { return Err(error) };
    // What goes with its namespace has no use for words about rights.
    if cause.failure() != Failure::Forbidden || cause.ending_namespace().is_some() || !cached.is_open() {
        return Err(error);
    }
    let message =
        format!("the operator is not allowed to {cause}: {}; bind its ClusterRoles in this namespace", cause.cause());
    // If this cannot be written either, the log says it, and the next look tries again.
    if let Some(request) = current(context, cached).await? {
        let now = context.clients.clock().second();
        let base = request.status.clone().unwrap_or_default();
        let status = lifecycle::stall(&request, &base, StallReason::ApiForbidden, &message, now);
        let note = lifecycle::Note { reason: EventReason::ApiForbidden, message, warning: true };
        let step = Step { notes: vec![note], ..Step::default() };
        let _ = write(context, &request, status, &step, now).await;
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    /// One edit of a request.
    type Edit = fn(&mut DownloadRequest);

    #[test]
    fn only_metadata_that_decides_nothing_may_change_while_a_status_is_written() {
        let request: DownloadRequest = serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
            "metadata": {"name": "r", "namespace": "payments", "uid": "u", "resourceVersion": "7"},
            "spec": {"certificateRef": {"name": "api"}, "format": "key"}, "status": {"reason": "x"},
        }))
        .unwrap();
        let annotated = |request: &mut DownloadRequest, key: &str| {
            request.annotations_mut().insert(key.to_owned(), "1".to_owned());
        };
        let alike = |edit: &dyn Fn(&mut DownloadRequest)| {
            let mut other = request.clone();
            edit(&mut other);
            decides_alike(&request, &other)
        };
        assert!(alike(&|other| annotated(other, "example.com/churn")));
        assert!(alike(&|other| other.metadata.resource_version = Some("8".into())));
        for key in [names::MINT, names::REVOKE, names::REVOKED_BY] {
            assert!(!alike(&|other| annotated(other, key)), "{key}");
        }
        let edits: [Edit; 4] = [
            |other| other.metadata.uid = Some("v".into()),
            |other| other.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
            |other| other.spec.reason = Some("other".into()),
            |other| other.status = None,
        ];
        for (number, edit) in edits.iter().enumerate() {
            assert!(!alike(&edit), "edit {number}");
        }
    }
}
