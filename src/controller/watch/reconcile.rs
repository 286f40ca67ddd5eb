//! One look at one object: bounded in number, timed, counted, and what its failure means for the next look.

use std::{sync::Arc, time::Duration};

use futures::future::OptionFuture;
use jiff::Timestamp;
use kube::{Resource, ResourceExt as _, core::DeserializeGuard, runtime::controller::Action};
use tokio::time::Instant;

use crate::controller::{
    context::Context,
    metrics::{Ending, Kind},
    public_endpoint::CaError,
};
use crate::{
    cluster::{
        error::{ApiError, Failure, in_one_line},
        policies::PolicyError,
    },
    token::PrepareError,
};

/// Timers fire a little late rather than a little early, so that one look is enough.
const LATENESS: Duration = Duration::from_millis(20);
/// What changes only when someone acts is reconciled this often anyway, in case an event was lost.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// After a write that lost against another one: the news of that other one are on their way.
pub(crate) const AFTER_CONFLICT: Duration = Duration::from_millis(500);

/// After someone's right to read a Secret was removed: each API server learns of that from its own watch.
const AFTER_REMOVAL: Duration = Duration::from_secs(1);

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// When something changes.
    OnChange,
    /// At this moment, API-server time.
    At(Timestamp),
    /// After this time.
    In(Duration),
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error("the operating system gave no random numbers")]
    Randomness(#[from] certcourier_bundle::RandomnessError),
    #[error("prepare the token")]
    Prepare(#[from] PrepareError),
    #[error(
        "a right to read the token Secret of this name, left over from a deleted request, was removed a moment ago"
    )]
    Lingering,
    #[error("it changed each time before the decision could be written")]
    Restless,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Trying again will do, each time a little later.
    Retry,
    /// Someone else has to do something first, or the API server asks for time.
    Wait(Duration),
    /// Trying again changes nothing before the object changes.
    Permanent,
}

impl PassError {
    /// `patience`: how long to wait for people.
    pub(crate) fn class(&self, patience: Duration) -> Class {
        let failure = match self {
            Self::Api(error) | Self::Policy(PolicyError::Api(error)) | Self::Ca(CaError::Api(error)) => error.failure(),
            Self::Policy(PolicyError::Unreadable { .. }) => return Class::Wait(patience),
            Self::Ca(_) | Self::Randomness(_) | Self::Prepare(PrepareError::Randomness(_)) | Self::Restless => {
                return Class::Retry;
            }
            Self::Lingering => return Class::Wait(AFTER_REMOVAL),
            Self::Prepare(PrepareError::Seal(_)) => return Class::Permanent,
        };
        match failure {
            Failure::NotFound | Failure::Conflict | Failure::Unavailable | Failure::Throttled(None) => Class::Retry,
            Failure::Forbidden => Class::Wait(patience),
            Failure::Throttled(Some(pause)) => Class::Wait(pause),
            Failure::Invalid => Class::Permanent,
        }
    }
}

/// Looks at an object, if it can be read at all, and says when to look again.
pub(crate) async fn look<K, Work>(
    context: Arc<Context>,
    kind: Kind,
    object: Arc<DeserializeGuard<K>>,
    work: Work,
) -> Action
where
    K: Resource<DynamicType = ()>,
    Work: AsyncFnOnce(&Context, &K) -> Result<Again, PassError>,
{
    let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let started = Instant::now();
    let readable = match &object.0 {
        Ok(readable) => readable,
        Err(unreadable) => {
            tracing::warn!(kind = kind.name(), object = name, error = %unreadable, "`{name}` cannot be read by this version and is left alone");
            context.counters.pass(kind, Ending::Unreadable, started.elapsed());
            return Action::await_change();
        }
    };
    let key = format!("{} {name}", kind.name());
    // Certificates have places of their own: no request waits behind them.
    let permit: OptionFuture<_> = (kind != Kind::Certificate).then(|| context.permits.acquire()).into();
    let _permit = permit.await;
    let result = work(&context, readable).await;
    let (ending, action) = match result {
        Ok(again) => {
            context.succeeded(&key);
            (Ending::Done, action(again, context.clients.clock().now()))
        }
        Err(error) => failed(&context, kind, &name, &key, &error),
    };
    context.counters.pass(kind, ending, started.elapsed());
    action
}

fn action(again: Again, now: Timestamp) -> Action {
    let pause = match again {
        Again::OnChange => return Action::await_change(),
        Again::At(moment) => Duration::try_from(moment.duration_since(now)).unwrap_or_default(),
        Again::In(pause) => pause,
    };
    Action::requeue(pause.saturating_add(LATENESS).min(LONGEST_SLEEP))
}

fn failed(context: &Context, kind: Kind, name: &str, key: &str, error: &PassError) -> (Ending, Action) {
    let class = error.class(context.intervals.retry_interval.get());
    let (ending, pause) = match class {
        Class::Retry => (Ending::Retry, Some(context.pause_after_failure(key))),
        Class::Wait(pause) => (Ending::Wait, Some(pause)),
        Class::Permanent => (Ending::Permanent, None),
    };
    tracing::warn!(
        kind = kind.name(),
        object = name,
        error = in_one_line(error),
        retry_after_ms = pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        "`{name}` could not be reconciled"
    );
    (ending, pause.map_or_else(Action::await_change, Action::requeue))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answered(code: u16) -> PassError {
        let status = Status { code, message: "no".to_owned(), ..Status::default() };
        ApiError { action: "read", object: "Secret a/b".to_owned(), source: kube::Error::Api(Box::new(status)) }.into()
    }

    #[test]
    fn failures_are_retried_waited_out_or_left() {
        let patience = Duration::from_secs(30);
        for (error, class) in [
            (answered(404), Class::Retry),
            (answered(409), Class::Retry),
            (answered(429), Class::Retry),
            (answered(500), Class::Retry),
            (answered(403), Class::Wait(patience)),
            (answered(422), Class::Permanent),
            (PassError::Restless, Class::Retry),
            (PassError::Lingering, Class::Wait(AFTER_REMOVAL)),
        ] {
            assert_eq!(error.class(patience), class, "{}", in_one_line(&error));
        }
    }

    #[test]
    fn timers_fire_late_rather_than_early_and_are_never_far_away() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (again, pause) in [
            (Again::OnChange, None),
            (Again::At(now + jiff::SignedDuration::from_secs(5)), Some(Duration::from_millis(5020))),
            (Again::At(now - jiff::SignedDuration::from_secs(5)), Some(LATENESS)),
            (Again::At(Timestamp::MAX), Some(LONGEST_SLEEP)),
            (Again::In(Duration::from_secs(1)), Some(Duration::from_millis(1020))),
        ] {
            assert_eq!(action(again, now), pause.map_or_else(Action::await_change, Action::requeue), "{again:?}");
        }
    }
}
