//! What is counted of the audit record.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use super::Kind;
use crate::metrics::Metrics;

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are labels")]
pub(super) enum Outlet {
    stdout,
    sink,
}

/// Why a line did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are labels")]
pub(super) enum Why {
    /// Too many waited.
    queue_full,
    /// The sink does not take this line, now or later.
    refused,
    /// It could not be written.
    failed,
    /// The process ended first.
    shutdown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    outlet: Outlet,
    reason: Why,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutlet {
    outlet: Outlet,
}

/// Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    events: Family<OfType, Counter>,
    dropped: Family<Dropped, Counter>,
    queue: Family<OfOutlet, Gauge>,
    failures: Counter,
}

impl Counters {
    pub(super) fn registered(metrics: &Metrics) -> Self {
        Self {
            events: metrics.register("audit_events", "Audit facts emitted, by type", Family::default()),
            dropped: metrics.register(
                "audit_dropped",
                "Lines that did not reach an outlet, by reason",
                Family::default(),
            ),
            queue: metrics.register("audit_queue_length", "Lines that wait for an outlet", Family::default()),
            failures: metrics.register(
                "audit_sink_failures",
                "Attempts that the audit sink did not accept; they are retried",
                Counter::default(),
            ),
        }
    }

    pub(super) fn told(&self, kind: Kind) {
        self.events.get_or_create(&OfType { r#type: kind.name() }).inc();
    }

    pub(super) fn dropped(&self, outlet: Outlet, reason: Why, lines: u64) {
        self.dropped.get_or_create(&Dropped { outlet, reason }).inc_by(lines);
    }

    /// The number of lines that wait for an outlet.
    pub(super) fn queue(&self, outlet: Outlet) -> Gauge {
        self.queue.get_or_create(&OfOutlet { outlet }).clone()
    }

    pub(super) fn sink_failed(&self) {
        self.failures.inc();
    }
}
