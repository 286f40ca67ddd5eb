//! What the controller counts.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

use crate::metrics::{Metrics, Mints};

/// From a cached look to a slow mint.
const BUCKETS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// Which reconciler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Kind {
    Certificate,
    DownloadRequest,
    DownloadReceipt,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "Certificate",
            Self::DownloadRequest => "DownloadRequest",
            Self::DownloadReceipt => "DownloadReceipt",
        }
    }
}

/// How a look at an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Ending {
    Done,
    Retry,
    Wait,
    Permanent,
    Unreadable,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    kind: Kind,
    ending: Ending,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: Kind,
}

/// The controller's metrics. Clones share them.
#[derive(Clone)]
pub(crate) struct Counters {
    passes: Family<Pass, Counter>,
    seconds: Family<OfKind, Histogram, fn() -> Histogram>,
    watch_errors: Counter,
    pub(crate) mints: Mints,
    pub(crate) outcomes_unknown: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) leading: Gauge,
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS_SECONDS)) as fn() -> Histogram);
        Self {
            passes: metrics.register("reconciles", "Looks at an object, by how they ended", Family::default()),
            seconds: metrics.register("reconcile_duration_seconds", "How long a look at an object took", seconds),
            watch_errors: metrics.register(
                "watch_errors",
                "Watches that broke and were begun again",
                Counter::default(),
            ),
            mints: Mints::registered(metrics),
            outcomes_unknown: metrics.register(
                "outcomes_unknown",
                "Deliveries whose end no server reported",
                Counter::default(),
            ),
            conflicts: metrics.register(
                "status_conflicts",
                "Status writes not done because the object had changed meanwhile",
                Counter::default(),
            ),
            leading: metrics.register("leader", "1 while this replica acts, else 0", Gauge::default()),
        }
    }

    pub(crate) fn pass(&self, kind: Kind, ending: Ending, took: Duration) {
        self.passes.get_or_create(&Pass { kind, ending }).inc();
        self.seconds.get_or_create(&OfKind { kind }).observe(took.as_secs_f64());
    }

    pub(crate) fn watch_broke(&self) {
        self.watch_errors.inc();
    }
}
