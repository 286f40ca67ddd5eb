//! The servers' half: what the live objects and the controller's record come to, at this moment.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Live, Reason, Record, State, Wanted};

/// Two replicas' ideas of the API server's time differ by at most this.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// The record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it says; `None`: nothing that this version understands.
    pub record: Option<Record>,
    /// The version of its last write.
    pub resource_version: String,
}

impl Evidence {
    /// Whether it was written after the policy that keeps others from writing it. A record of before may be anyone's:
    /// anyone who removed the policy for a moment could predict the epoch that begins with its return.
    ///
    /// Compares versions of different kinds, which count the same writes as long as both lie in one etcd; where they
    /// are not numbers nothing is vouched for.
    #[must_use]
    pub fn is_vouched(&self, protected_since: Option<u64>) -> bool {
        let written: Option<u64> = self.resource_version.parse().ok();
        matches!((written, protected_since), (Some(written), Some(protected)) if written > protected)
    }
}

/// That the policies are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardProof {
    /// See [`Live::epoch`].
    pub epoch: String,
    /// Requests for keys that were created at or before this moment may be forged.
    pub since: Timestamp,
}

/// Whether the policies are in force, by the objects as they are and by a record that is fresh, of these very objects,
/// and no one's forgery.
///
/// # Errors
/// [`Reason`] for anything less.
pub fn judge(
    live: &Live,
    wanted: &Wanted,
    stored: Option<&Evidence>,
    max_age: Duration,
    now: Timestamp,
) -> Result<GuardProof, Reason> {
    if let Some(fault) = live.fault(wanted) {
        return Err(fault);
    }
    let stored = stored.ok_or(Reason::NeverProbed)?;
    let record = stored.record.as_ref().ok_or(Reason::Unreadable)?;
    let since = match &record.state {
        State::Intact { since } => *since,
        State::Broken { reason, message } => {
            return Err(Reason::Reported { reason: reason.clone(), message: message.clone() });
        }
    };
    let epoch = live.epoch();
    if record.epoch != epoch {
        return Err(Reason::OtherEpoch);
    }
    if !stored.is_vouched(live.record_protected_since()) {
        return Err(Reason::Unvouched);
    }
    let age = now.duration_since(record.probed_at);
    // A time to come is no one's honest probe.
    if age.unsigned_abs() > max_age || age < -CLOCK_TOLERANCE {
        return Err(Reason::Stale { age_seconds: age.as_secs() });
    }
    Ok(GuardProof { epoch, since })
}
