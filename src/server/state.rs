//! What every handler of one server shares.

use super::{
    args::{DeliveryLimits, RequestLimits, ServerArgs},
    client_address::TrustedProxies,
    metrics::ServerMetrics,
    rate_limit::RateLimiters,
};
use crate::metrics::Metrics;

/// What every handler shares. Holds no state of any request: that is in the API server.
#[derive(Debug)]
pub struct ServerState {
    pub(super) proxies: TrustedProxies,
    pub(super) max_header_bytes: u32,
    pub(super) requests: RequestLimits,
    pub(super) deliveries: DeliveryLimits,
    pub(super) rates: RateLimiters,
    pub(super) metrics: ServerMetrics,
}

impl ServerState {
    /// The state of a server with these flags.
    #[must_use]
    pub fn new(args: &ServerArgs, metrics: &Metrics) -> Self {
        Self {
            proxies: args.proxies(),
            max_header_bytes: args.connections.max_header_bytes,
            requests: args.requests.clone(),
            deliveries: args.deliveries.clone(),
            rates: RateLimiters::new(&args.rates),
            metrics: ServerMetrics::registered(metrics),
        }
    }
}

#[cfg(test)]
impl ServerState {
    /// The state of a server whose API server never answers.
    pub(super) fn for_tests(args: &ServerArgs, metrics: &Metrics) -> Self {
        Self::new(args, metrics)
    }
}
