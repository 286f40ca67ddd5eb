//! What the server counts. Labels are names from closed lists, so their number is bounded.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use super::error::ErrorCode;
use crate::metrics::Metrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFormatAndOutcome {
    format: &'static str,
    outcome: &'static str,
}

/// The server's counters.
#[derive(Clone, Debug, Default)]
pub struct ServerMetrics {
    refusals: Family<ByCode, Counter>,
    downloads: Family<ByFormatAndOutcome, Counter>,
}

impl ServerMetrics {
    /// New counters that are served with `metrics`.
    #[must_use]
    pub fn registered(metrics: &Metrics) -> Self {
        Self {
            refusals: metrics.register("refusals", "Requests refused, by code", Family::default()),
            downloads: metrics.register("downloads", "Files sent, by format and outcome", Family::default()),
        }
    }

    /// A request was refused.
    pub fn refused(&self, code: ErrorCode) {
        self.refusals.get_or_create(&ByCode { code: code.name() }).inc();
    }

    /// A file was sent, or its sending was broken off.
    pub fn downloaded(&self, format: &'static str, outcome: &'static str) {
        self.downloads.get_or_create(&ByFormatAndOutcome { format, outcome }).inc();
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
        let text = metrics.text();
        for line in [
            "certcourier_refusals_total{code=\"token_used\"} 1",
            "certcourier_downloads_total{format=\"fullchain\",outcome=\"Delivered\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
