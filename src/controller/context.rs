//! What every reconciler has at hand: clients, what the operator was started with, counters, and how often each object
//! has failed in a row.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, watch};

use super::{
    args::Intervals, audit_outbox::AuditOutbox, certificate_reads::CertificateReads, gauges::Gauges, grants::Grants,
    metrics::Counters, public_endpoint,
};
use crate::{
    api::DownloadRequest,
    audit::Audit,
    cluster::{client::Clients, events::Events},
    guard::Reason,
    lifecycle::{self, Guard},
    policy::NamedPolicy,
};

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// So long work waits for the first look of the guard.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How many failing objects are told apart; beyond it all start again with the first delay.
const MOST_FAILURES: usize = 10_000;

/// Shared by all reconcilers of a process.
pub(super) struct Context {
    pub(super) clients: Clients,
    pub(super) events: Events,
    pub(super) counters: Counters,
    pub(super) audit: Audit,
    /// What was written and might not have been emitted.
    pub(super) audit_outbox: AuditOutbox,
    pub(super) gauges: Gauges,
    /// Who may read which token Secret.
    pub(super) grants: Grants,
    pub(super) intervals: Intervals,
    /// The operator's own namespace.
    pub(super) namespace: String,
    /// The cluster policy.
    pub(super) cluster_policy: Option<NamedPolicy>,
    /// Where people reach the server.
    pub(super) external: public_endpoint::Source,
    /// What is known of the admission policies; only [`super::guard`] says.
    pub(super) guard: watch::Sender<Guard>,
    /// Bounds how many requests and receipts are worked on at once, over all namespaces.
    pub(super) permits: Semaphore,
    /// When the Secrets of each Certificate were read; it bounds how many are read at once.
    pub(super) certificate_reads: CertificateReads,
    failures: Mutex<HashMap<String, u32>>,
    /// Uids of requests whose token objects could not be removed yet. Lost with the process: they hold a dead token.
    unswept: Mutex<HashSet<String>>,
}

/// What a [`Context`] is made of at the start; its fields are described there.
pub(super) struct Setup {
    pub(super) clients: Clients,
    pub(super) events: Events,
    pub(super) counters: Counters,
    pub(super) audit: Audit,
    pub(super) intervals: Intervals,
    pub(super) namespace: String,
    pub(super) cluster_policy: Option<NamedPolicy>,
    pub(super) external: public_endpoint::Source,
}

impl Context {
    pub(super) fn new(setup: Setup) -> Arc<Self> {
        let Setup { clients, events, counters, audit, intervals, namespace, cluster_policy, external } = setup;
        let guard = watch::Sender::new(not_looked());
        let permits = Semaphore::new(intervals.concurrency.into());
        Arc::new(Self {
            clients,
            events,
            counters,
            audit,
            audit_outbox: AuditOutbox::default(),
            gauges: Gauges::default(),
            grants: Grants::default(),
            intervals,
            namespace,
            cluster_policy,
            external,
            guard,
            permits,
            certificate_reads: CertificateReads::default(),
            failures: Mutex::default(),
            unswept: Mutex::default(),
        })
    }

    /// Until the guard has looked once, but not for ever: a request that needs approval would be opened without an
    /// epoch, and again with it.
    pub(super) async fn first_look(&self) {
        let mut guard = self.guard.subscribe();
        let looked = guard.wait_for(|guard| *guard != not_looked());
        let _ = tokio::time::timeout(FIRST_LOOK, looked).await;
    }

    /// What a step of a request depends on besides what is observed.
    pub(super) fn settings(&self) -> lifecycle::Settings {
        lifecycle::Settings {
            external_url: self.external.has_url(),
            certificate_wait: self.intervals.certificate_wait.get(),
            max_open_requests: usize::try_from(self.intervals.max_open_requests).unwrap_or(usize::MAX),
        }
    }

    /// How long to wait after another failure of this object.
    pub(super) fn pause_after_failure(&self, object: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        // Objects that failed and then went are never taken out one by one.
        if failures.len() >= MOST_FAILURES {
            failures.clear();
        }
        let count = failures.entry(object.to_owned()).or_default();
        *count += 1;
        pause(*count, self.intervals.retry_interval.get())
    }

    /// Whether token objects of this request are still to be removed.
    pub(super) fn is_unswept(&self, request: &DownloadRequest) -> bool {
        let unswept = self.unswept.lock().unwrap_or_else(PoisonError::into_inner);
        !unswept.is_empty() && request.metadata.uid.as_ref().is_some_and(|uid| unswept.contains(uid))
    }

    /// Remembers that token objects of this request are still to be removed, or forgets it.
    pub(super) fn remember_unswept(&self, request: &DownloadRequest, is_unswept: bool) {
        let mut unswept = self.unswept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(uid) = &request.metadata.uid else { return };
        if is_unswept {
            unswept.insert(uid.clone());
        } else {
            unswept.remove(uid);
        }
    }

    /// Forgets the failures of an object.
    pub(super) fn succeeded(&self, object: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

/// What is known of the admission policies before the first look.
pub(super) fn not_looked() -> Guard {
    Guard::Broken { reason: Reason::NotLooked.to_string() }
}

fn pause(failures: u32, longest: Duration) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let longest = Duration::from_secs(3);
        let pauses: Vec<u128> = [1, 2, 3, 4, 5, 6, 40].map(|count| pause(count, longest).as_millis()).into();
        assert_eq!(pauses, [200, 400, 800, 1600, 3000, 3000, 3000]);
    }
}
