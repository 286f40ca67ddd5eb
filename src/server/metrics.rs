//! What the server counts. Labels are names from closed lists, so their number is bounded.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

use super::{http::error::ErrorCode, net::rate_limit::Limited};
use crate::{
    metrics::{Metrics, Mints, label},
    net::counters::ConnectionCounters,
};

/// From a refusal out of memory to an API server in trouble.
const BUCKETS_SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFormatAndOutcome {
    format: &'static str,
    outcome: String,
}

/// How a redemption ended, as far as its answer's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are labels")]
enum Redeemed {
    delivered,
    refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: Redeemed,
}

/// The server's counters.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    refusals: Family<ByCode, Counter>,
    downloads: Family<ByFormatAndOutcome, Counter>,
    replays: Counter,
    redemptions: Family<ByResult, Histogram, fn() -> Histogram>,
    /// Tokens that were claimed.
    pub mints: Mints,
}

impl ServerMetrics {
    /// New counters that are served with `metrics`.
    #[must_use]
    pub fn registered(metrics: &Metrics) -> Self {
        let redemptions = Family::new_with_constructor((|| Histogram::new(BUCKETS_SECONDS)) as fn() -> Histogram);
        Self {
            refusals: metrics.register("refusals", "Requests refused, by code", Family::default()),
            downloads: metrics.register("downloads", "Files sent, by format and outcome", Family::default()),
            replays: metrics.register("token_replays", "Tokens presented after they were used", Counter::default()),
            redemptions: metrics.register(
                "redemption_duration_seconds",
                "Time from a presented token to the start of the response",
                redemptions,
            ),
            mints: Mints::registered(metrics),
        }
    }

    /// Serves who had to wait, and which connections were turned away, with `metrics`.
    pub fn observe_limits(metrics: &Metrics, limited: Limited, connections: &ConnectionCounters) {
        let _ = metrics.register("rate_limited", "Requests that had to wait, by whose budget was used up", limited);
        let help = "Connections refused, or closed because they were idle or room was needed, by reason";
        let _ = metrics.register("connections_ended", help, connections.metric());
    }

    /// A request was refused.
    pub fn refused(&self, code: ErrorCode) {
        self.refusals.get_or_create(&ByCode { code: code.name() }).inc();
    }

    /// A file was sent, or its sending was broken off. `outcome` is the API's name of it.
    pub fn downloaded(&self, format: &'static str, outcome: &'static str) {
        self.downloads.get_or_create(&ByFormatAndOutcome { format, outcome: label(outcome) }).inc();
    }

    /// A used token was presented again.
    pub fn replayed(&self) {
        self.replays.inc();
    }

    /// A token was presented; so long its answer took.
    pub fn redeemed(&self, delivered: bool, took: Duration) {
        let result = if delivered { Redeemed::delivered } else { Redeemed::refused };
        self.redemptions.get_or_create(&ByResult { result }).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_carry_the_names_of_the_api() {
        let metrics = Metrics::new("server");
        let server = ServerMetrics::registered(&metrics);
        server.refused(ErrorCode::TokenUsed);
        server.downloaded("fullchain", "Delivered");
        server.replayed();
        server.redeemed(true, Duration::from_millis(3));
        let text = metrics.text();
        for line in [
            "certcourier_refusals_total{code=\"token_used\"} 1",
            "certcourier_downloads_total{format=\"fullchain\",outcome=\"delivered\"} 1",
            "certcourier_token_replays_total 1",
            "certcourier_redemption_duration_seconds_count{result=\"delivered\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
