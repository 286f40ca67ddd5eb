//! Why connections were turned away, or closed before their client did.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
};

/// Why a connection was turned away or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are labels")]
pub enum Why {
    /// It gave way to another one.
    evicted,
    /// All places were taken, and none could give way.
    full,
    /// All places of its address were taken, and none could give way.
    address,
    /// Its address connects too often.
    rate,
    /// Its answers were not taken.
    stalled,
    /// It used up the time for what it was doing.
    overdue,
}

/// The label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByWhy {
    why: Why,
}

/// Counts them. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct ConnectionCounters(Family<ByWhy, Counter>);

impl ConnectionCounters {
    /// One more.
    pub fn count(&self, why: Why) {
        self.0.get_or_create(&ByWhy { why }).inc();
    }

    /// How many so far.
    #[must_use]
    pub fn counted(&self, why: Why) -> u64 {
        self.0.get_or_create(&ByWhy { why }).get()
    }

    /// The metric.
    #[must_use]
    pub fn metric(&self) -> Family<ByWhy, Counter> {
        self.0.clone()
    }
}
