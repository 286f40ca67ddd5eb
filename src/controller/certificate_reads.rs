//! When the Secrets of each Certificate were read, so that they are read again when their time has come, and not because
//! a status of ours comes back by the watch or another replica begins to lead. Reads are spread over the interval, and
//! few at a time, so that no request waits behind them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Turn, Semaphore, SemaphorePermit},
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use crate::api::{Certificate, condition, words::ConditionType};

/// Certificates that are read at once.
const AT_ONCE: usize = 8;
/// At most one is read again each so often: 50 a second.
const PACE: Duration = Duration::from_millis(20);

/// The last read of each, by uid. Lost with the process: what has a status was read by the one before.
#[derive(Debug)]
pub(super) struct CertificateReads {
    last: Mutex<HashMap<String, Read>>,
    places: Semaphore,
    pace: Turn<Option<Interval>>,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    at: Instant,
    generation: Option<i64>,
}

/// Whether the Secrets of a Certificate are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is new, or was changed: now.
    Now,
    /// Its time has come.
    Again,
    /// Not before this time is over.
    In(Duration),
}

impl Default for CertificateReads {
    fn default() -> Self {
        Self { last: Mutex::default(), places: Semaphore::new(AT_ONCE), pace: Turn::new(None) }
    }
}

impl CertificateReads {
    /// Whether a Certificate that is read every `every` is to be read.
    pub(super) fn due(&self, certificate: &Certificate, every: Duration, now: Instant) -> Due {
        let (Some(uid), generation) = (&certificate.metadata.uid, certificate.metadata.generation) else {
            return Due::Now;
        };
        let last = self.with(|last| {
            let last = last.entry(uid.clone()).or_insert_with(|| {
                // Whoever led before has read it at some moment of the interval: which one, its uid says, so that they
                // differ.
                let at = now.checked_sub(every.mul_f64(fraction(uid))).unwrap_or(now);
                Read { at, generation: observed(certificate) }
            });
            *last
        });
        if generation.is_none() || last.generation != generation {
            return Due::Now;
        }
        match (last.at + every).saturating_duration_since(now) {
            Duration::ZERO => Due::Again,
            rest => Due::In(rest),
        }
    }

    /// A place among those that are read now; for one that is read again, in its turn.
    pub(super) async fn place(&self, due: Due) -> Option<SemaphorePermit<'_>> {
        if due == Due::Again {
            let mut pace = self.pace.lock().await;
            pace.get_or_insert_with(|| {
                let mut pace = interval(PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                pace
            })
            .tick()
            .await;
        }
        // Never closed.
        self.places.acquire().await.ok()
    }

    /// It was read.
    pub(super) fn read(&self, certificate: &Certificate, at: Instant) {
        if let Some(uid) = certificate.metadata.uid.clone() {
            self.with(|last| last.insert(uid, Read { at, generation: certificate.metadata.generation }));
        }
    }

    /// It is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.with(|last| last.remove(uid));
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, Read>) -> T) -> T {
        work(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The generation that the status is about.
fn observed(certificate: &Certificate) -> Option<i64> {
    let ready = condition::find(&certificate.status.as_ref()?.conditions, ConditionType::Ready)?;
    ready.observed_generation
}

/// A part of 1 that is always the same for this uid.
fn fraction(uid: &str) -> f64 {
    let digits: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    f64::from(u32::from_str_radix(&digits, 16).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;

    const EVERY: Duration = Duration::from_mins(10);

    fn certificate(uid: &str, generation: i64, observed: Option<i64>) -> Certificate {
        let ready = |observed| {
            json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Usable", "message": "",
                "lastTransitionTime": "2026-11-22T12:00:00Z", "observedGeneration": observed}]})
        };
        serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate",
            "metadata": {"name": "api", "namespace": "payments", "uid": uid, "generation": generation},
            "spec": {"environments": [{"name": "production", "secretRef": {"name": "api-tls"}}]},
            "status": observed.map(ready),
        }))
        .unwrap()
    }

    #[test]
    fn what_is_new_or_was_changed_is_read_at_once_and_then_when_its_time_has_come() {
        let (reads, now) = (CertificateReads::default(), Instant::now());
        let new = certificate("40000000-1", 1, None);
        assert_eq!(reads.due(&new, EVERY, now), Due::Now);
        reads.read(&new, now);
        assert_eq!(reads.due(&new, EVERY, now), Due::In(EVERY), "its status comes back by the watch");
        assert_eq!(reads.due(&certificate("40000000-1", 2, Some(1)), EVERY, now), Due::Now, "it was changed");
        let later = now + Duration::from_mins(7);
        assert_eq!(reads.due(&new, EVERY, later), Due::In(Duration::from_mins(3)));
        assert_eq!(reads.due(&new, Duration::from_mins(5), later), Due::Again);
        assert_eq!(reads.due(&new, EVERY, now + EVERY), Due::Again);
        reads.forget("40000000-1");
        assert_eq!(reads.due(&new, EVERY, now), Due::Now);
    }

    #[test]
    fn a_new_leader_reads_what_the_one_before_has_read_spread_over_the_interval() {
        let (reads, now) = (CertificateReads::default(), Instant::now() + EVERY);
        let rest = |uid: &str| match reads.due(&certificate(uid, 3, Some(3)), EVERY, now) {
            Due::In(rest) => rest.as_secs(),
            due => panic!("{due:?}"),
        };
        assert_eq!((rest("00000000-a"), rest("80000000-a"), rest("c0000000-a")), (600, 299, 149));
        assert_eq!(reads.due(&certificate("ffffffff-a", 3, Some(3)), EVERY, now), Due::Again);
        assert_eq!(reads.due(&certificate("10000000-a", 3, Some(2)), EVERY, now), Due::Now);
    }

    #[tokio::test]
    async fn no_more_than_fifty_a_second_are_read_again_and_what_is_new_does_not_wait_for_them() {
        let (reads, began) = (CertificateReads::default(), Instant::now());
        for _ in 0..6 {
            drop(reads.place(Due::Again).await);
        }
        assert!(began.elapsed() >= 5 * PACE, "{:?}", began.elapsed());
        assert!(reads.place(Due::Now).now_or_never().is_some());
    }
}
