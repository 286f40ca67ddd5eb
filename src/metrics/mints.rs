//! Tokens that were issued, counted alike by both programs.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

use super::{Metrics, label};
use crate::api::{Delivery, Format};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    format: &'static str,
    delivery: String,
}

/// Counts issued tokens. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Mints(Family<Labels, Counter>);

impl Mints {
    /// A counter that is served with `metrics`.
    #[must_use]
    pub fn registered(metrics: &Metrics) -> Self {
        let help = "Tokens issued into a Secret by the controller, or claimed over HTTP from the server";
        Self(metrics.register("mints", help, Family::default()))
    }

    /// A token was issued.
    pub fn minted(&self, format: Format, delivery: Delivery) {
        self.0.get_or_create(&Labels { format: format.name(), delivery: label(delivery.name()) }).inc();
    }
}
