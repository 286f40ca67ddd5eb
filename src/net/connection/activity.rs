//! What a connection is doing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::Version;
use tokio_util::sync::CancellationToken;

use crate::net::{counters::Why, limits::ConnectionLimits, shares::Share};

/// How long a client may leave an answer untaken, or a body unsent (all waits for its pieces together), before its
/// connection counts as one that can give way to another. Where no one else wants in, it has `--answer-timeout`.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(1);

/// One open connection, as the listener and the handlers see it.
#[derive(Debug)]
pub struct Connection {
    activity: Mutex<Activity>,
    end: CancellationToken,
    /// Whether it carries several people's requests, as a proxy's does.
    shared: bool,
}

#[derive(Debug)]
struct Activity {
    /// Since the connection was accepted, or since its last answer was taken.
    quiet_since: Instant,
    /// First byte of the next request's header (HTTP/1.1).
    header_since: Option<Instant>,
    served: bool,
    multiplexed: bool,
    /// Whether someone was authenticated on it.
    proven: bool,
    /// Requests that are being answered; the key only counts up.
    exchanges: BTreeMap<u64, Progress>,
    next_exchange: u64,
}

/// How far a request and its answer have come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    began: Instant,
    /// Since when the next move is the client's. None: it is ours.
    waits_since: Option<Instant>,
    /// How long the body was waited for before that, so that a byte now and then does not begin anew.
    waited: Duration,
    /// Whether its answer has begun.
    answered: bool,
    /// Whether its answer has limits of its own.
    paced: bool,
}

impl Progress {
    /// Since when its client does nothing, if that is long enough for the connection to give way.
    fn stuck_since(&self, now: Instant) -> Option<Instant> {
        let long_enough = |since: &Instant| now.saturating_duration_since(*since) >= GIVES_WAY_AFTER;
        let since = self.waits_since.map(|since| since.checked_sub(self.waited).unwrap_or(since));
        since.filter(|since| !self.paced && long_enough(since))
    }

    fn overdue(&self, limits: &ConnectionLimits, shared: bool, now: Instant) -> Option<Why> {
        let longer_than = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        let patience = if shared { limits.request_timeout } else { limits.answer_timeout };
        if longer_than(self.began, limits.request_timeout.get()) {
            return Some(Why::overdue);
        }
        let untaken = self.waits_since.filter(|_| self.answered && !self.paced);
        untaken.filter(|since| longer_than(*since, patience.get())).map(|_| Why::stalled)
    }
}

impl Connection {
    /// A connection that was just accepted. A shared one carries several people's requests, so that one of them who does
    /// not take an answer does not end it for the others.
    #[must_use]
    pub fn new(now: Instant, shared: bool) -> Arc<Self> {
        let activity = Activity {
            quiet_since: now,
            header_since: None,
            served: false,
            multiplexed: false,
            proven: false,
            exchanges: BTreeMap::new(),
            next_exchange: 0,
        };
        Arc::new(Self { activity: Mutex::new(activity), end: CancellationToken::new(), shared })
    }

    /// Closes the connection at once, whatever it is doing.
    pub fn close(&self) {
        self.end.cancel();
    }

    /// Closes it for the sake of one answer that was not taken, unless it is others' too; then the answer has until
    /// `--request-timeout`.
    pub fn give_up_answer(&self) {
        if !self.shared {
            self.close();
        }
    }

    /// Waits until it is closed from outside.
    pub async fn closed(&self) {
        self.end.cancelled().await;
    }

    /// Someone was authenticated on it, or presented a token that is good.
    pub fn prove(&self) {
        self.activity().proven = true;
    }

    /// Whether someone was.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.activity().proven
    }

    /// Whether it carries several people's requests.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Since when nothing moves on it that others should wait for: nothing is being answered, or its client leaves an
    /// answer untaken (of a shared one: all answers). None while it is being served.
    #[must_use]
    pub fn gives_way_since(&self, now: Instant) -> Option<Instant> {
        let activity = self.activity();
        if activity.exchanges.is_empty() {
            return Some(activity.quiet_since);
        }
        let stuck = || activity.exchanges.values().map(|progress| progress.stuck_since(now));
        if self.shared { stuck().collect::<Option<Vec<_>>>()?.into_iter().max() } else { stuck().flatten().min() }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        // The numbers stay sensible whatever a panicking holder did.
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes_arrived(&self, now: Instant) {
        let mut activity = self.activity();
        // On HTTP/2 bytes also arrive that belong to no request (pings, acknowledgements).
        if activity.exchanges.is_empty() && !activity.multiplexed {
            activity.header_since.get_or_insert(now);
        }
    }

    pub(super) fn begin(self: &Arc<Self>, version: Version, now: Instant, share: Option<Share>) -> Exchange {
        let mut activity = self.activity();
        activity.header_since = None;
        activity.served = true;
        activity.multiplexed = version == Version::HTTP_2;
        let number = activity.next_exchange;
        activity.next_exchange += 1;
        let waited = Duration::ZERO;
        let progress = Progress { began: now, waits_since: None, waited, answered: false, paced: false };
        activity.exchanges.insert(number, progress);
        Exchange { turn: Turn { connection: Arc::clone(self), number }, _share: share }
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.activity().exchanges.get_mut(&number) {
            change(progress);
        }
    }

    fn finish(&self, number: u64, now: Instant) {
        let mut activity = self.activity();
        activity.exchanges.remove(&number);
        activity.quiet_since = now;
    }

    /// Why the connection has used up the time for what it is doing, if it has.
    pub(super) fn overdue(&self, limits: &ConnectionLimits, now: Instant) -> Option<Why> {
        let activity = self.activity();
        if !activity.exchanges.is_empty() {
            return activity.exchanges.values().find_map(|progress| progress.overdue(limits, self.shared, now));
        }
        let longer_than = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        let quiet_limit = if activity.served { limits.idle_timeout } else { limits.header_timeout };
        let overdue = longer_than(activity.quiet_since, quiet_limit.get())
            || activity.header_since.is_some_and(|since| longer_than(since, limits.header_timeout.get()));
        overdue.then_some(Why::overdue)
    }
}

/// A request that is being answered; ends when the answer's body is dropped.
pub(super) struct Exchange {
    turn: Turn,
    _share: Option<Share>,
}

impl Exchange {
    /// For the request's body.
    pub(super) fn turn(&self) -> Turn {
        self.turn.clone()
    }

    /// The answer begins, which its client is to take.
    pub(super) fn answered(&self, paced: bool, now: Instant) {
        self.turn.connection.change(self.turn.number, |progress| {
            (progress.answered, progress.paced, progress.waits_since) = (true, paced, Some(now));
            progress.waited = Duration::ZERO;
        });
    }

    /// Something of the answer was taken.
    pub(super) fn moved(&self, now: Instant) {
        self.turn.connection.change(self.turn.number, |progress| progress.waits_since = Some(now));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.turn.connection.finish(self.turn.number, Instant::now());
    }
}

/// Whose turn it is in one exchange.
#[derive(Clone)]
pub(super) struct Turn {
    connection: Arc<Connection>,
    number: u64,
}

impl Turn {
    /// The request's body is waited for, or came.
    pub(super) fn awaits_body(&self, pending: bool, now: Instant) {
        self.connection.change(self.number, |progress| match (progress.answered, pending) {
            (true, _) => {}
            (false, true) => _ = progress.waits_since.get_or_insert(now),
            (false, false) => {
                let waited = progress.waits_since.take().map(|since| now.saturating_duration_since(since));
                progress.waited += waited.unwrap_or_default();
            }
        });
    }
}

#[cfg(test)]
impl Connection {
    /// Something is being answered, as long as what this returns is kept.
    pub fn begin_for_tests(self: &Arc<Self>, now: Instant) -> impl Sized + use<> {
        self.begin(Version::HTTP_11, now, None)
    }
}

#[cfg(test)]
mod tests;
