//! Limits on connections, as flags of the server, and the fixed ones of the port for probes.

use super::{address::AddressBlock, counters::ConnectionCounters};
use crate::api::Duration;

/// Connections that the port for probes and metrics takes at the same time.
pub const PROBE_CONNECTIONS: usize = 64;

/// What one address gets of all there is, where no flag says so.
const SHARE: usize = 8;

/// Limits on connections.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits on connections")]
pub struct ConnectionLimits {
    /// Connections at the same time. When all are in use, one is closed for each new one: an idle one, or one whose
    /// client does not read its response, of the address that has most, the oldest first. Authenticated connections are
    /// closed last. If none can be closed, the new one is.
    #[arg(long, env = "CERTCOURIER_MAX_CONNECTIONS", default_value_t = 1024, value_name = "CONNECTIONS",
        value_parser = at_least_one)]
    pub max_connections: usize,
    /// Of these, connections of one address; an IPv6 client counts by its /64. Beyond it one of its own is closed, or
    /// the new one is. Trusted proxies are exempt. Default: an eighth of --max-connections.
    #[arg(long, env = "CERTCOURIER_MAX_CONNECTIONS_PER_ADDRESS", value_name = "CONNECTIONS", value_parser = at_least_one)]
    pub max_connections_per_address: Option<usize>,
    /// New connections per second from one address, after a burst of as many as it may have. Beyond it: closed before
    /// the TLS handshake, which is what costs most. Trusted proxies are exempt.
    #[arg(long, env = "CERTCOURIER_RATE_CONNECTIONS", default_value_t = 50, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_connections: u32,
    /// How long a TLS handshake may take.
    #[arg(long, env = "CERTCOURIER_TLS_HANDSHAKE_TIMEOUT", default_value = "10s", value_name = "DURATION",
        value_parser = positive)]
    pub tls_handshake_timeout: Duration,
    /// How long a client may take from connecting to the end of its first request's header, and for each later header
    /// from its first byte on.
    #[arg(long, env = "CERTCOURIER_HEADER_TIMEOUT", default_value = "10s", value_name = "DURATION",
        value_parser = positive)]
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests. Keep it longer than a proxy in front keeps its own.
    #[arg(long, env = "CERTCOURIER_IDLE_TIMEOUT", default_value = "75s", value_name = "DURATION",
        value_parser = positive)]
    pub idle_timeout: Duration,
    /// The longest from the end of a request's header until its response has been read; then the connection is closed.
    #[arg(long, env = "CERTCOURIER_REQUEST_TIMEOUT", default_value = "90s", value_name = "DURATION",
        value_parser = positive)]
    pub request_timeout: Duration,
    /// How long a client may read nothing of a response; then the connection is closed. Downloads have --stall-timeout
    /// instead, trusted proxies --request-timeout.
    #[arg(long, env = "CERTCOURIER_ANSWER_TIMEOUT", default_value = "5s", value_name = "DURATION",
        value_parser = positive)]
    pub answer_timeout: Duration,
    /// Bytes of a request's line and header. Beyond it: 431.
    #[arg(long, env = "CERTCOURIER_MAX_HEADER_BYTES", default_value_t = 16 * 1024, value_name = "BYTES",
        value_parser = clap::value_parser!(u32).range(1024..=1024 * 1024))]
    pub max_header_bytes: u32,
    /// Requests at the same time on one HTTP/2 connection.
    #[arg(long, env = "CERTCOURIER_MAX_HTTP2_STREAMS", default_value_t = 32, value_name = "STREAMS",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub max_http2_streams: u32,
    /// Requests at the same time on all unauthenticated connections of one address, from their header until their
    /// response has been read. Beyond it: 429 without a body. Trusted proxies are exempt.
    #[arg(long, env = "CERTCOURIER_MAX_STREAMS_PER_ADDRESS", default_value_t = 256, value_name = "REQUESTS",
        value_parser = at_least_one)]
    pub max_streams_per_address: usize,
    /// How long running downloads may go on after the signal to stop. Give the pod a longer grace period.
    #[arg(long, env = "CERTCOURIER_DRAIN", default_value = "50s", value_name = "DURATION", value_parser = positive)]
    pub drain: Duration,
    /// Whose connections carry other people's requests: the trusted proxies.
    #[arg(skip)]
    pub exempt: Vec<AddressBlock>,
    /// Where it is counted what these limits did.
    #[arg(skip)]
    pub counters: ConnectionCounters,
}

impl ConnectionLimits {
    /// Of the port for probes and metrics: few and short, because everything there is small and answered at once.
    #[must_use]
    pub fn of_probes() -> Self {
        let seconds = Duration::from_seconds;
        Self {
            max_connections: PROBE_CONNECTIONS,
            // The kubelet and Prometheus keep one or two each.
            max_connections_per_address: Some(PROBE_CONNECTIONS / 4),
            rate_connections: 50,
            tls_handshake_timeout: seconds(5),
            header_timeout: seconds(5),
            idle_timeout: seconds(75),
            request_timeout: seconds(10),
            answer_timeout: seconds(5),
            max_header_bytes: 8 * 1024,
            max_http2_streams: 4,
            max_streams_per_address: PROBE_CONNECTIONS,
            // Nothing there is worth a late end of the process.
            drain: seconds(1),
            exempt: Vec::new(),
            counters: ConnectionCounters::default(),
        }
    }

    /// How many connections one address gets.
    #[must_use]
    pub fn connections_per_address(&self) -> usize {
        self.max_connections_per_address.unwrap_or_else(|| share(self.max_connections))
    }
}

/// What one gets of so many, where no flag says so: an eighth, and one at least.
#[must_use]
pub fn share(all: usize) -> usize {
    (all / SHARE).max(1)
}

pub(crate) fn positive(text: &str) -> Result<Duration, String> {
    match text.parse::<Duration>() {
        Ok(duration) if duration > Duration::from_seconds(0) => Ok(duration),
        Ok(_) => Err("must be at least 1s".into()),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}
