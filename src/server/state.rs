//! What every handler of one server shares.

use std::sync::Arc;

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;

use super::{
    args::{DeliveryLimits, RequestLimits, ServerArgs},
    client_address::TrustedProxies,
    error::{ErrorCode, ServerError},
    guard::Watcher,
    metrics::ServerMetrics,
    rate_limit::RateLimiters,
    redemption::Renders,
};
use crate::{
    audit::Audit,
    kube::{client::Clients, events::Events},
    metrics::Metrics,
    policy::NamedPolicy,
};

/// What every handler shares. Holds no state of any request: that is in the API server.
pub struct ServerState {
    pub(super) clients: Clients,
    pub(super) events: Events,
    pub(super) operator_policy: Option<NamedPolicy>,
    pub(super) cluster_name: Option<String>,
    /// What links begin with; None: the host that the caller used.
    pub(super) external_url: Option<String>,
    /// Whether callers reach this server over TLS.
    pub(super) serves_tls: bool,
    pub(super) proxies: TrustedProxies,
    pub(super) max_header_bytes: u32,
    pub(super) requests: RequestLimits,
    pub(super) deliveries: DeliveryLimits,
    pub(super) rates: RateLimiters,
    pub(super) renders: Renders,
    pub(super) guard: Watcher,
    pub(super) metrics: ServerMetrics,
    pub(super) audit: Audit,
    /// What must be finished before the process ends: receipts under way and outcomes.
    pub(super) tasks: TaskTracker,
    pub(super) runtime: Handle,
    /// Empty: all.
    namespaces: Vec<String>,
    delivery_places: Arc<Semaphore>,
}

impl ServerState {
    /// The state of a server with these flags that tells nobody anything yet. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(args: &ServerArgs, clients: Clients, operator_policy: Option<NamedPolicy>, metrics: &Metrics) -> Self {
        let events = Events::new(clients.writes().clone(), "certcourier.io/server", args.instance_name());
        let guard = Watcher::new(clients.clone(), args.namespace.as_deref(), &args.guard);
        Self {
            clients,
            events,
            guard,
            operator_policy,
            cluster_name: args.cluster_name.clone(),
            external_url: args.external_url.clone(),
            serves_tls: !args.insecure_http,
            proxies: args.proxies(),
            max_header_bytes: args.connections.max_header_bytes,
            requests: args.requests.clone(),
            deliveries: args.deliveries.clone(),
            rates: RateLimiters::new(&args.rates),
            renders: Renders::new(&args.deliveries),
            metrics: ServerMetrics::registered(metrics),
            audit: Audit::off(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            namespaces: args.watch_namespaces.clone(),
            delivery_places: Arc::new(Semaphore::new(args.deliveries.max_deliveries)),
        }
    }

    /// The same state, telling this record.
    #[must_use]
    pub fn telling(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// Whether this server serves the requests of a namespace.
    pub(super) fn serves(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|served| served == namespace)
    }

    /// That this server serves the requests of a namespace. Ask after the caller has shown what they may, so that who may
    /// nothing learns nothing.
    pub(super) fn must_serve(&self, namespace: &str) -> Result<(), ServerError> {
        if self.serves(namespace) {
            return Ok(());
        }
        let words =
            format!("project {namespace} is not served here (--watch-namespaces): ask whoever runs this server");
        Err(ServerError::new(ErrorCode::NotFound, words))
    }

    /// A place among the deliveries under way; it is kept until the file has gone out.
    pub(super) fn delivery_place(&self) -> Result<OwnedSemaphorePermit, ServerError> {
        Arc::clone(&self.delivery_places).try_acquire_owned().map_err(|_| {
            let words =
                "too many downloads are under way; nothing was delivered and the token is still good: try again";
            ServerError::new(ErrorCode::Unavailable, words).retry_after(std::time::Duration::from_secs(1))
        })
    }
}

#[cfg(test)]
impl ServerState {
    /// The state of a server whose API server cannot be reached.
    pub(super) fn for_tests(args: &ServerArgs, metrics: &Metrics) -> Self {
        use crate::kube::client::{ClientArgs, Role};

        let config = ::kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let clients = Clients::new(config, &ClientArgs::default(), Role::Server).unwrap();
        Self::new(args, clients, None, metrics)
    }
}
