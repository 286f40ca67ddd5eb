//! Whether the admission policies are in force: what the live objects and the probes prove of them, and since when. The
//! CRDs, which define what the policies apply to, are checked with them.
//!
//! A forged requester or vote looks like a real one. While nothing proves that forgeries are refused, no format with a
//! key is released; and whatever was created before that proof stays worthless, because it may have been forged.
//!
//! Pure: `kube::guard` looks and probes. The leading controller keeps a [`Record`] of what it found; servers compare
//! the live objects themselves and take from the record only what they cannot see: when the probes were last refused.
//!
//! # Layout
//! - [`live`] the objects as they are, and what they should be; [`object`] one of them; [`kinds`] how a CRD may differ;
//!   [`mutators`] what else may change certcourier's objects, [`passers`] what did so for a moment; [`probe_outcome`] what
//!   became of the probes.
//! - [`look`] what one look proves; [`record`] what is kept of it, by the controller, and [`epoch`] since when it holds;
//!   [`evidence`] the servers' half.
//! - [`reason`] everything that may be wrong.

mod epoch;
mod evidence;
mod kinds;
mod live;
mod look;
mod mutators;
mod object;
mod passers;
mod probe_outcome;
mod reason;
mod record;

pub use epoch::{Intact, keep};
pub use evidence::{Evidence, GuardProof, judge};
pub use live::{Live, Wanted};
pub use look::{Look, LookVerdict};
pub use mutators::Mutator;
pub use object::{Kind, LiveObject};
pub use passers::Passers;
pub use probe_outcome::Outcome;
pub use reason::Reason;
pub use record::{MUTATORS, Record, State, Watched};

#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod tests;
