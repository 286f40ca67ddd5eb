//! Whether the admission policies stand: what the live objects and the probes prove of them, and since when. The CRDs,
//! which say what the policies speak of, are looked at with them.
//!
//! A forged requester or vote looks like a real one. While nothing proves that forgeries are refused, no format with a
//! key leaves; and whatever was created before that proof stays worthless, because it may have been forged.
//!
//! Pure: `kube::guard` looks and probes. The leading controller keeps a [`Record`] of what it found; servers compare the
//! live objects themselves and take from the record only what they cannot see: when the probes were last refused.
//!
//! # Layout
//! - [`live`] the objects as they are, and what they should be; [`kinds`] how a CRD may differ; [`mutators`] what else
//!   may change certcourier's objects; [`probe_outcome`] what became of the probes.
//! - [`look`] what one look proves; [`record`] what is kept of it, by the controller; [`evidence`] the servers' half.
//! - [`reason`] everything that may be wrong.

mod evidence;
mod kinds;
mod live;
mod look;
mod mutators;
mod probe_outcome;
mod reason;
mod record;

pub use evidence::{Evidence, Standing, judge};
pub use live::{Kind, Live, LiveObject, Wanted};
pub use look::{Look, Verdict};
pub use mutators::{Mutator, Passers};
pub use probe_outcome::Outcome;
pub use reason::Reason;
pub use record::{Intact, MUTATORS, Record, State, Watched, keep};

#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod tests;
