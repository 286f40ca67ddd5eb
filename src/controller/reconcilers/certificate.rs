//! Certificates: what each environment's Secret holds, as status and condition Ready.
//!
//! Secrets are read by name and never watched, so every Certificate is reconciled again after an interval; sooner where
//! something is missing, because the person who fixes it, or a tool that has just asked for the Secret, waits for
//! Ready. The status is written only when it changes.

mod findings;

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::controller::{
    args::Intervals,
    certificate_reads::Due,
    context::Context,
    watch::reconcile::{AFTER_CONFLICT, Again, PassError},
};
use crate::{
    api::{
        Certificate, CertificateStatus, Environment, condition,
        words::{ConditionType, EventReason},
    },
    cluster::{
        error::{ApiError, Failure},
        events::{EventType, Note},
        material::{self, Parts, ReadError},
        status::{self, Written},
    },
};
use findings::{Finding, status_of};

/// Observes every environment, and writes what was found.
pub(crate) async fn reconcile(context: &Context, certificate: &Certificate) -> Result<Again, PassError> {
    if certificate.metadata.deletion_timestamp.is_some() {
        return Ok(Again::OnChange);
    }
    let every = certificate.status.as_ref().map_or(Duration::ZERO, |status| pause(status, &context.intervals));
    let due = context.certificate_reads.due(certificate, every, Instant::now());
    if let Due::In(rest) = due {
        return Ok(Again::In(rest));
    }
    let _place = context.certificate_reads.place(due).await;
    let namespace = certificate.metadata.namespace.clone().unwrap_or_default();
    let environments = &certificate.spec.environments;
    let read = environments.iter().map(|environment| observe(context, &namespace, environment));
    let found = join_all(read).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    context.certificate_reads.read(certificate, Instant::now());
    let now = context.clients.clock().second();
    let status = status_of(certificate, &found, now);
    let interval = Again::In(pause(&status, &context.intervals));
    if certificate.status.as_ref() == Some(&status) {
        return Ok(interval);
    }
    let changed = Certificate { status: Some(status), ..certificate.clone() };
    match status::write(context.clients.writes(), &changed).await? {
        Written::Conflict => {
            context.counters.conflicts.inc();
            Ok(Again::In(AFTER_CONFLICT))
        }
        Written::Done(_) => {
            if let Some(note) = note(certificate.status.as_ref(), changed.status.as_ref()) {
                context.events.tell(certificate, note, now).await;
            }
            Ok(interval)
        }
    }
}

/// How long a Certificate with this status is left alone.
fn pause(status: &CertificateStatus, intervals: &Intervals) -> Duration {
    let usable = condition::find_true(&status.conditions, ConditionType::Ready).is_some();
    let whole = intervals.certificate_interval.get();
    if usable { whole } else { intervals.retry_interval.get().min(whole) }
}

async fn observe(context: &Context, namespace: &str, environment: &Environment) -> Result<Finding, ApiError> {
    match material::read(context.clients.reads(), namespace, environment, Parts::Everything).await {
        Ok(material) => Ok(Finding::Material(Box::new(material))),
        Err(ReadError::Problem(problem)) => Ok(Finding::Problem(problem)),
        Err(ReadError::Api(error)) if error.failure() == Failure::Forbidden => Ok(Finding::Forbidden(error.cause())),
        Err(ReadError::Api(error)) => Err(error),
    }
}

/// An Event when Ready says something else than before.
fn note(before: Option<&CertificateStatus>, after: Option<&CertificateStatus>) -> Option<Note<'static>> {
    let ready =
        |status: Option<&CertificateStatus>| condition::find(&status?.conditions, ConditionType::Ready).cloned();
    let (before, after) = (ready(before), ready(after)?);
    if before.is_some_and(|before| before.status == after.status && before.message == after.message) {
        return None;
    }
    let usable = after.status == "True";
    Some(Note {
        event_type: if usable { EventType::Normal } else { EventType::Warning },
        reason: if usable { EventReason::Usable } else { EventReason::Unusable },
        action: "Inspect",
        text: after.message,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use jiff::Timestamp;

    use super::*;
    use crate::{
        api::{condition::ConditionStatus, words::ConditionReason},
        controller::ControllerArgs,
        lifecycle::set_condition,
    };

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        controller: ControllerArgs,
    }

    fn pauses(flags: &[&str], ready: ConditionStatus) -> Duration {
        let line = Line::parse_from(["certcourier"].iter().chain(flags));
        let mut status = CertificateStatus::default();
        set_condition(&mut status.conditions, ConditionType::Ready, ready, "", None, Timestamp::UNIX_EPOCH);
        pause(&status, &line.controller.intervals)
    }

    #[test]
    fn a_secret_that_is_missing_is_looked_for_soon_and_one_that_is_there_seldom() {
        assert_eq!(pauses(&[], ConditionStatus::True(ConditionReason::Usable)), Duration::from_mins(10));
        assert_eq!(pauses(&[], ConditionStatus::False(ConditionReason::Unusable)), Duration::from_secs(30));
        assert_eq!(
            pauses(&["--certificate-interval", "5s"], ConditionStatus::False(ConditionReason::Unusable)),
            Duration::from_secs(5)
        );
    }
}
