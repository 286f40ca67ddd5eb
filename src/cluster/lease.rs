//! Leader election: the holder of a Lease acts, everyone else waits.
//!
//! Every write carries the resourceVersion of the Lease it was decided on, so two replicas cannot both take it. A
//! holder that cannot renew stops leading on its own, before anyone else may take the Lease: after two thirds of its
//! duration. The correctness of what the leader does must not rest on this: an old leader's delayed write has to fail
//! by itself.
//!
//! Not kube-lease-manager 0.13: it releases an expired Lease by an unguarded patch, which may erase a new holder, and
//! it goes on saying "leader" while the API server does not answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    client::Clients,
    clock::ApiClock,
    error::{ApiError, During as _, Failure, in_one_line},
};

/// Two replicas' ideas of the API server's time differ by at most this.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(3);

/// Which Lease, and for whom.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are; no other process may use the same.
    pub identity: String,
    /// How long the Lease is ours after a renewal; whole seconds.
    pub duration: Duration,
}

/// The state of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// It holds the Lease: it acts.
    Leading,
    /// Someone else does.
    Following,
    /// The API server has not said for so long that nothing is known.
    Unknown,
}

/// How the Lease came to its holder. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Inherited(Arc<AtomicBool>);

impl Inherited {
    /// Whether it was taken from a holder that went silent instead of giving it back.
    #[must_use]
    pub fn from_silence(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Takes part in an election until it is cancelled.
pub struct Election {
    api: Api<Lease>,
    clock: ApiClock,
    candidacy: Candidacy,
    seen: Option<Seen>,
    inherited: Inherited,
}

/// The Lease as it was when it last changed, and when that was noticed on this machine.
struct Seen {
    lease: Lease,
    noticed: Instant,
}

/// What to do about the Lease now.
#[derive(Debug, PartialEq, Eq)]
enum Move {
    Renew,
    Take,
    Wait,
}

impl Election {
    /// Nothing is called before [`Election::run`].
    #[must_use]
    pub fn new(clients: &Clients, candidacy: Candidacy) -> Self {
        let api = Api::namespaced(clients.writes().clone(), &candidacy.namespace);
        Self { api, clock: clients.clock().clone(), candidacy, seen: None, inherited: Inherited::default() }
    }

    /// How the Lease came to us, once it is ours.
    #[must_use]
    pub fn inherited(&self) -> Inherited {
        self.inherited.clone()
    }

    /// Campaigns, renews, and reports through `standing` whether we lead. When cancelled it releases the Lease.
    pub async fn run(mut self, standing: watch::Sender<Leadership>, cancelled: CancellationToken) {
        let pace = self.candidacy.duration / 3;
        let mut heard: Option<(Instant, bool)> = None;
        loop {
            let started = Instant::now();
            let step = tokio::time::timeout(pace, self.step());
            let outcome = tokio::select! {
                () = cancelled.cancelled() => break,
                outcome = step => outcome,
            };
            match outcome {
                Ok(Ok(ours)) => heard = Some((started, ours)),
                Ok(Err(error)) => {
                    tracing::warn!(error = in_one_line(&error), "the Lease could not be renewed or read");
                }
                Err(_) => tracing::warn!("the API server did not answer about the Lease in time"),
            }
            let now = stands(heard.map(|(at, ours)| (at.elapsed(), ours)), pace);
            if now == Leadership::Unknown {
                heard = None;
            }
            standing.send_if_modified(|before| std::mem::replace(before, now) != now);
            tokio::select! {
                () = cancelled.cancelled() => break,
                () = tokio::time::sleep(pace.saturating_sub(started.elapsed())) => {}
            }
        }
        standing.send_replace(Leadership::Following);
        self.release().await;
    }

    /// One look at the Lease and at most one write; whether it is ours now.
    async fn step(&mut self) -> Result<bool, ApiError> {
        let name = &self.candidacy.name;
        let object = || format!("Lease {}/{name}", self.candidacy.namespace);
        let Some(lease) = self.api.get_opt(name).await.during("read", object)? else {
            let created = self.api.create(&PostParams::default(), &self.mine(None)).await.during("create", object);
            return self.written(created);
        };
        let unchanged = |seen: &Seen| seen.lease.metadata.resource_version == lease.metadata.resource_version;
        let is_first = self.seen.is_none();
        let noticed = self.seen.as_ref().filter(|seen| unchanged(seen)).map_or_else(Instant::now, |seen| seen.noticed);
        self.seen = Some(Seen { lease: lease.clone(), noticed });
        match judge(&lease, &self.candidacy, noticed.elapsed(), self.clock.now()) {
            Move::Wait => Ok(false),
            taken @ (Move::Renew | Move::Take) => {
                if let Some(silent) = from_silence(&taken, &lease, is_first) {
                    self.inherited.0.store(silent, Ordering::Release);
                }
                let mine = self.mine(Some(lease));
                let replaced = self.api.replace(name, &PostParams::default(), &mine).await.during("renew", object);
                self.written(replaced)
            }
        }
    }

    fn written(&mut self, result: Result<Lease, ApiError>) -> Result<bool, ApiError> {
        match result {
            Ok(lease) => {
                self.seen = Some(Seen { lease, noticed: Instant::now() });
                Ok(true)
            }
            Err(error) if matches!(error.failure(), Failure::Conflict | Failure::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The Lease as ours from now on.
    fn mine(&self, old: Option<Lease>) -> Lease {
        let Candidacy { namespace, name, identity, duration } = &self.candidacy;
        let now = MicroTime(self.clock.now());
        let old = old.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let spec = old.spec.unwrap_or_default();
        let ours_before = spec.holder_identity.as_ref() == Some(identity);
        Lease {
            metadata: old.metadata,
            spec: Some(LeaseSpec {
                acquire_time: spec.acquire_time.filter(|_| ours_before).or_else(|| Some(now.clone())),
                lease_transitions: Some(spec.lease_transitions.unwrap_or(0) + i32::from(!ours_before)),
                holder_identity: Some(identity.clone()),
                renew_time: Some(now),
                lease_duration_seconds: Some(i32::try_from(duration.as_secs().max(1)).unwrap_or(i32::MAX)),
                ..spec
            }),
        }
    }

    /// Gives the Lease back, if it is ours, so that the next leader need not wait.
    async fn release(self) {
        let Some(Seen { mut lease, .. }) = self.seen else { return };
        let Some(spec) = lease.spec.as_mut() else { return };
        if spec.holder_identity.as_ref() != Some(&self.candidacy.identity) {
            return;
        }
        spec.holder_identity = None;
        spec.acquire_time = None;
        spec.renew_time = None;
        spec.lease_duration_seconds = None;
        if let Err(error) = self.api.replace(&self.candidacy.name, &PostParams::default(), &lease).await {
            tracing::info!(error = in_one_line(&error), "the Lease could not be released; it will expire");
        }
    }
}

/// What the last answer is worth: how long ago it was asked for, and whether the Lease was ours then.
fn stands(heard: Option<(Duration, bool)>, pace: Duration) -> Leadership {
    match heard {
        Some((ago, true)) if ago < pace * 2 => Leadership::Leading,
        Some((ago, false)) if ago < pace * 3 => Leadership::Following,
        _ => Leadership::Unknown,
    }
}

/// `unchanged_for`: how long this machine has seen the Lease as it is.
fn judge(lease: &Lease, candidacy: &Candidacy, unchanged_for: Duration, now: Timestamp) -> Move {
    let Some((spec, holder)) = lease.spec.as_ref().and_then(|spec| Some((spec, spec.holder_identity.as_deref()?)))
    else {
        return Move::Take;
    };
    if holder == candidacy.identity {
        return Move::Renew;
    }
    let given = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let duration = given.map_or(candidacy.duration, Duration::from_secs);
    let overdue = |renewed: &MicroTime| {
        let silent = now.duration_since(renewed.0);
        silent.is_positive() && silent.unsigned_abs() > duration + CLOCK_TOLERANCE
    };
    if holder.is_empty() || unchanged_for > duration || spec.renew_time.as_ref().is_none_or(overdue) {
        Move::Take
    } else {
        Move::Wait
    }
}

/// Whether a Lease that is taken, or found to be ours by a process that has only begun, was left without a word. `None`:
/// it has been ours before.
fn from_silence(taken: &Move, lease: &Lease, is_first: bool) -> Option<bool> {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    match taken {
        Move::Take => Some(holder.is_some_and(|holder| !holder.is_empty())),
        Move::Renew => is_first.then_some(true),
        Move::Wait => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn candidacy() -> Candidacy {
        Candidacy {
            namespace: "ns".to_owned(),
            name: "lease".to_owned(),
            identity: "me".to_owned(),
            duration: Duration::from_secs(15),
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn lease(holder: Option<&str>, renewed_seconds_ago: Option<i64>) -> Lease {
        let renew_time = renewed_seconds_ago.map(|ago| MicroTime(now() - SignedDuration::from_secs(ago)));
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            renew_time,
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        Lease { spec: Some(spec), ..Lease::default() }
    }

    #[test]
    fn a_lease_is_taken_only_when_nobody_holds_it_or_its_holder_is_silent() {
        let fresh = Duration::from_secs(1);
        for (lease, unchanged_for, expected) in [
            (Lease::default(), fresh, Move::Take),
            (lease(None, None), fresh, Move::Take),
            (lease(Some(""), Some(0)), fresh, Move::Take),
            (lease(Some("me"), Some(1)), fresh, Move::Renew),
            (lease(Some("other"), Some(1)), fresh, Move::Wait),
            (lease(Some("other"), Some(18)), fresh, Move::Wait),
            (lease(Some("other"), Some(19)), fresh, Move::Take),
            (lease(Some("other"), Some(-3600)), fresh, Move::Wait),
            (lease(Some("other"), Some(-3600)), Duration::from_secs(16), Move::Take),
            (lease(Some("other"), None), fresh, Move::Take),
        ] {
            assert_eq!(judge(&lease, &candidacy(), unchanged_for, now()), expected, "{lease:?}");
        }
    }

    #[test]
    fn a_leader_without_an_answer_stops_before_anybody_else_may_begin() {
        let pace = candidacy().duration / 3;
        for (heard, standing) in [
            (None, Leadership::Unknown),
            (Some((Duration::from_secs(9), true)), Leadership::Leading),
            (Some((Duration::from_secs(10), true)), Leadership::Unknown),
            (Some((Duration::from_secs(14), false)), Leadership::Following),
            (Some((Duration::from_secs(15), false)), Leadership::Unknown),
        ] {
            assert_eq!(stands(heard, pace), standing, "{heard:?}");
        }
    }

    #[test]
    fn a_lease_that_was_given_back_was_not_left_in_silence() {
        for (taken, lease, is_first, silent) in [
            (Move::Take, lease(None, None), true, Some(false)),
            (Move::Take, lease(Some(""), None), false, Some(false)),
            (Move::Take, lease(Some("other"), Some(60)), false, Some(true)),
            (Move::Renew, lease(Some("me"), Some(1)), true, Some(true)),
            (Move::Renew, lease(Some("me"), Some(1)), false, None),
        ] {
            assert_eq!(from_silence(&taken, &lease, is_first), silent, "{taken:?} {lease:?}");
        }
    }
}
