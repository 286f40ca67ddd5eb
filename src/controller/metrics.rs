//! What the controller counts.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

use crate::metrics::{Metrics, Mints, label};

/// From a cached look to a slow mint.
const BUCKETS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// Which reconciler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// How reconciling an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Done,
    Retry,
    Wait,
    Permanent,
    Unreadable,
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        label(self.name()).encode(encoder)
    }
}

impl EncodeLabelValue for Ending {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        label(&format!("{self:?}")).encode(encoder)
    }
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
            passes: metrics.register("reconciles", "Reconciliations of an object, by outcome", Family::default()),
            seconds: metrics.register("reconcile_duration_seconds", "How long reconciling an object took", seconds),
            watch_errors: metrics.register("watch_errors", "Watches that broke and were restarted", Counter::default()),
            mints: Mints::registered(metrics),
            outcomes_unknown: metrics.register(
                "outcomes_unknown",
                "Deliveries whose outcome no server reported",
                Counter::default(),
            ),
            conflicts: metrics.register(
                "status_conflicts",
                "Status writes skipped because the object had changed in the meantime",
                Counter::default(),
            ),
            leading: metrics.register("leader", "1 while this replica leads, else 0", Gauge::default()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_in_lower_snake_case() {
        let metrics = Metrics::new("controller");
        Counters::new(&metrics).pass(Kind::DownloadRequest, Ending::Done, Duration::ZERO);
        let text = metrics.text();
        assert!(text.contains("certcourier_reconciles_total{kind=\"download_request\",ending=\"done\"} 1"), "{text}");
    }
}
