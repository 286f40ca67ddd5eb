//! Metrics in `OpenMetrics` text, and the port on which they and the probes are served.
//!
//! Names and labels are fixed at compile time: a label's value comes from an enum, never from something that
//! came with a request. Each program registers what it counts; this module counts nothing itself.

mod endpoint;
mod mints;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{gauge::ConstGauge, info::Info},
    registry::{Metric, Registry},
};

pub use endpoint::{Endpoint, Readiness, serve};
pub use mints::Mints;

/// The value of a label for a name of the API: `AwaitingApproval` is `awaiting_approval`.
#[must_use]
pub fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 2);
    for (at, character) in name.char_indices() {
        if character.is_ascii_uppercase() && at > 0 {
            label.push('_');
        }
        label.push(character.to_ascii_lowercase());
    }
    label
}

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything one program counts. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// A registry whose names begin with `certcourier_`, with the build in `certcourier_build_info`.
    #[must_use]
    pub fn new(program: &'static str) -> Self {
        let mut registry = Registry::with_prefix("certcourier");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION")), ("program", program)]);
        registry.register("build", "Program and version", build);
        Self { registry: Arc::new(Mutex::new(registry)) }
    }

    /// Adds a metric and returns it. `name` is without prefix and without `_total`; `help` has no full stop.
    #[must_use]
    pub fn register<M: Metric + Clone>(&self, name: &'static str, help: &'static str, metric: M) -> M {
        self.locked(|registry| registry.register(name, help, metric.clone()));
        metric
    }

    /// Adds a gauge whose value is asked for when the metrics are read.
    pub fn observe(&self, name: &'static str, help: &'static str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.observe_some(name, help, move || Some(value()));
    }

    /// The same for a gauge that has no value at times, and then is not there.
    pub fn observe_some(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) {
        self.collect(Box::new(Observed { name, help, value: Box::new(value) }));
    }

    /// Adds something that is asked for its metrics when they are read.
    pub fn collect(&self, collector: Box<dyn Collector>) {
        self.locked(|registry| registry.register_collector(collector));
    }

    /// All of it as text; see [`CONTENT_TYPE`].
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.locked(|registry| {
            let _ = prometheus_client::encoding::text::encode(&mut text, registry);
        });
        text
    }

    fn locked<R>(&self, act: impl FnOnce(&mut Registry) -> R) -> R {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Observed {
    name: &'static str,
    help: &'static str,
    value: Box<dyn Fn() -> Option<f64> + Send + Sync>,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(value) = (self.value)() else { return Ok(()) };
        let gauge = ConstGauge::new(value);
        gauge.encode(encoder.encode_descriptor(self.name, self.help, None, gauge.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn a_name_of_the_api_becomes_a_label_in_lower_snake_case() {
        for (name, expected) in
            [("Delivered", "delivered"), ("AwaitingApproval", "awaiting_approval"), ("der-zip", "der-zip")]
        {
            assert_eq!(label(name), expected);
        }
    }

    #[test]
    fn what_is_registered_is_in_the_text() {
        let metrics = Metrics::new("controller");
        let counter: Counter = metrics.register("mints", "Tokens that were issued", Counter::default());
        counter.inc();
        metrics.observe("clock_skew_seconds", "How far the API server is ahead", || 1.5);
        metrics.observe_some("guard_intact", "Whether the policies are in force", || None);
        let text = metrics.text();
        assert!(!text.contains("guard_intact"), "{text}");
        assert!(text.contains("certcourier_mints_total 1\n"), "{text}");
        assert!(text.contains("certcourier_clock_skew_seconds 1.5\n"), "{text}");
        assert!(text.contains("certcourier_build_info{version="), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
