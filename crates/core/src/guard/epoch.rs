//! How long an epoch goes on: the record after a look that found everything intact.

use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::{Evidence, Record, State, Watched};

/// When an intact look of `epoch` began, and how long after it a request may still have met an API server that did not
/// know the policies yet.
#[derive(Clone, Copy, Debug)]
pub struct Intact<'a> {
    /// Which objects were seen.
    pub epoch: &'a str,
    /// When the look began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How long a policy may take to be in force.
    pub settle: Duration,
}

/// The record after an intact look.
///
/// An epoch goes on only while everything says that it never ended: the stored record, what this leader saw itself, and,
/// where it saw nothing yet, that the stored record can be no forgery. Else a new one begins, also of the same objects.
#[must_use]
pub fn keep(
    look: Intact<'_>,
    stored: Option<&Evidence>,
    seen: Option<&Record>,
    protected_since: Option<u64>,
) -> Record {
    let stored = stored.and_then(|stored| {
        let since = stored.record.as_ref()?.intact_since(look.epoch)?;
        Some((since, stored.is_vouched(protected_since)))
    });
    let since = match (stored, seen) {
        // A record that someone changed under this leader's hands never makes the epoch older.
        (Some((since, _)), Some(seen)) => seen.intact_since(look.epoch).map(|own| own.max(since)),
        (Some((since, vouched)), None) => vouched.then_some(since),
        (None, _) => None,
    };
    let since = since.unwrap_or_else(|| begin(look.ended, look.settle));
    let (state, epoch) = (State::Intact { since }, look.epoch.to_owned());
    Record { state, epoch, probed_at: look.began, mutators: Vec::new(), watched: Watched::default() }
}

/// Whole seconds, rounded up: creationTimestamps are rounded down.
fn begin(ended: Timestamp, settle: Duration) -> Timestamp {
    let since = ended.saturating_add(settle).unwrap_or(Timestamp::MAX);
    since.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil)).unwrap_or(since)
}
