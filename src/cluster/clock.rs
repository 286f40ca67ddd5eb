//! The API server's time, learnt from the Date header of its answers.
//!
//! Deadlines and expiries are decided by one clock for all replicas: the API server's, which also writes every
//! creationTimestamp. Small differences are taken as none, so that time does not jump with each answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use hyper::{HeaderMap, header::DATE};
use jiff::{SignedDuration, Timestamp};

/// Up to here a difference may come from whole seconds in the header and from the way: taken as none.
const NEGLIGIBLE: Duration = Duration::from_millis(1500);
/// The header counts whole seconds, so on average the API server is half a second ahead of it.
const HALF_A_SECOND: SignedDuration = SignedDuration::from_millis(500);
/// Answers that took longer say too little about the time.
const SLOWEST_ANSWER: Duration = Duration::from_secs(5);
/// A replica whose clock is further off than this is not ready.
pub const LARGEST_SKEW: Duration = Duration::from_secs(30);

/// Local time, corrected by what the API server's answers say. Clones share what they learn.
#[derive(Clone, Debug, Default)]
pub struct ApiClock {
    skew_ms: Arc<AtomicI64>,
}

impl ApiClock {
    /// The API server's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.correct(Timestamp::now())
    }

    /// The API server's time in whole seconds, as objects carry it: what goes into a status comes back the same.
    #[must_use]
    pub fn second(&self) -> Timestamp {
        let now = self.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// How far the API server is ahead of this machine; negative when it is behind.
    #[must_use]
    pub fn skew(&self) -> SignedDuration {
        SignedDuration::from_millis(self.skew_ms.load(Ordering::Relaxed))
    }

    /// Whether this machine's clock is near enough to be trusted between two answers.
    #[must_use]
    pub fn is_trustworthy(&self) -> bool {
        self.skew().unsigned_abs() <= LARGEST_SKEW
    }

    /// Learns from one answer; `asked` and `answered` are this machine's time before and after the call.
    pub fn learn(&self, headers: &HeaderMap, asked: Timestamp, answered: Timestamp) {
        let took = answered.duration_since(asked);
        if took.is_negative() || took.unsigned_abs() > SLOWEST_ANSWER {
            return;
        }
        if let Some(date) = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(read) {
            let skew = date.duration_since(asked) + HALF_A_SECOND - took / 2;
            let millis = i64::try_from(skew.as_millis()).unwrap_or(i64::MAX);
            self.skew_ms.store(millis, Ordering::Relaxed);
        }
    }

    fn correct(&self, local: Timestamp) -> Timestamp {
        let skew = self.skew();
        if skew.unsigned_abs() <= NEGLIGIBLE { local } else { local.checked_add(skew).unwrap_or(local) }
    }
}

/// An HTTP date: RFC 9110 §5.6.7 is a subset of RFC 2822's.
fn read(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const ASKED: &str = "2026-11-22T08:49:37Z";

    /// The clock after an answer that took 100 ms and carried `date`.
    fn after(date: &'static str) -> ApiClock {
        let clock = ApiClock::default();
        let asked: Timestamp = ASKED.parse().unwrap();
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
        clock.learn(&headers, asked, asked + SignedDuration::from_millis(100));
        clock
    }

    #[test]
    fn a_small_difference_is_taken_as_none_and_a_large_one_is_corrected() {
        let local: Timestamp = ASKED.parse().unwrap();
        for (date, now, trustworthy) in [
            ("Sun, 22 Nov 2026 08:49:36 GMT", "2026-11-22T08:49:37Z", true),
            ("Sun, 22 Nov 2026 08:49:37 GMT", "2026-11-22T08:49:37Z", true),
            ("Sun, 22 Nov 2026 08:49:38 GMT", "2026-11-22T08:49:37Z", true),
            ("Sun, 22 Nov 2026 08:49:42 GMT", "2026-11-22T08:49:42.45Z", true),
            ("Sun, 22 Nov 2026 08:49:27 GMT", "2026-11-22T08:49:27.45Z", true),
            ("Sun, 22 Nov 2026 08:50:06 GMT", "2026-11-22T08:50:06.45Z", true),
            ("Sun, 22 Nov 2026 08:50:08 GMT", "2026-11-22T08:50:08.45Z", false),
            ("Sun, 22 Nov 2026 08:49:05 GMT", "2026-11-22T08:49:05.45Z", false),
        ] {
            let clock = after(date);
            assert_eq!(clock.correct(local), now.parse().unwrap(), "{date}");
            assert_eq!(clock.is_trustworthy(), trustworthy, "{date}");
        }
    }

    #[test]
    fn answers_without_a_readable_date_and_slow_answers_teach_nothing() {
        let clock = after("Sun, 22 Nov 2026 08:49:47 GMT");
        let learnt = clock.skew();
        let asked: Timestamp = ASKED.parse().unwrap();
        clock.learn(&HeaderMap::new(), asked, asked);
        clock.learn(&HeaderMap::from_iter([(DATE, HeaderValue::from_static("soon"))]), asked, asked);
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static("Sun, 22 Nov 2026 09:49:47 GMT"))]);
        clock.learn(&headers, asked, asked + SignedDuration::from_secs(6));
        assert_eq!(clock.skew(), learnt);
    }

    #[test]
    fn clones_share_what_they_learn() {
        let clock = ApiClock::default();
        let clone = clock.clone();
        let asked: Timestamp = ASKED.parse().unwrap();
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static("Sun, 22 Nov 2026 09:49:37 GMT"))]);
        clock.learn(&headers, asked, asked);
        assert!(clone.skew() > SignedDuration::from_mins(59));
    }
}
