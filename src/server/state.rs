//! What every handler of one server shares.

pub mod streams;

use std::sync::{Arc, OnceLock};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;

use self::streams::PageStreams;
use super::{
    args::{DeliveryLimits, RequestLimits, ServerArgs},
    guard::Watcher,
    http::error::{ErrorCode, ServerError},
    metrics::ServerMetrics,
    net::{
        client_address::{ClientAddress, TrustedProxies},
        in_flight::InFlight,
        rate_limit::{RateLimiters, Tier},
        recently_valid::Lately,
        tls::OwnNames,
    },
    of_one::OfOne,
    oidc::Oidc,
    renders::Renders,
    session::Keys,
};
use crate::{
    audit::Audit,
    cluster::{client::Clients, events::Events},
    metrics::Metrics,
    net::shares::{Share, Shares},
    policy::NamedPolicy,
};

/// What every handler shares. Holds no state of any request: that is in the API server.
pub struct ServerState {
    pub(super) clients: Clients,
    pub(super) events: Events,
    pub(super) cluster_policy: Option<NamedPolicy>,
    pub(super) cluster_name: Option<String>,
    /// What links begin with; None: the host that the caller used.
    pub(super) external_url: Option<String>,
    /// Whether callers reach this server over TLS.
    pub(super) serves_tls: bool,
    /// Which names the serving certificate has; not known without TLS, and before there is one.
    pub(super) own_names: OnceLock<OwnNames>,
    pub(super) proxies: TrustedProxies,
    pub(super) max_header_bytes: u32,
    pub(super) requests: RequestLimits,
    pub(super) deliveries: DeliveryLimits,
    pub(super) rates: RateLimiters,
    pub(super) in_flight: InFlight,
    /// Bearer tokens that were accepted lately, and whose they are.
    pub(super) people: Lately,
    /// Download tokens that were seen to be good lately, and who asked for them.
    pub(super) tokens: Lately,
    pub(super) renders: Renders,
    pub(super) guard: Watcher,
    /// The key of the web page's sessions.
    pub(super) sessions: Keys,
    /// What open pages are told.
    pub(super) streams: PageStreams,
    /// Whether there is a web page.
    pub(super) has_web_page: bool,
    /// Where people sign in on it, besides with a token.
    pub(super) oidc: Option<Oidc>,
    /// Whether this is no server, but the process of the one person who looks at its pages.
    pub(super) of_one: Option<OfOne>,
    pub(super) metrics: ServerMetrics,
    pub(super) audit: Audit,
    /// What must be finished before the process ends: receipts under way and outcomes.
    pub(super) tasks: TaskTracker,
    pub(super) runtime: Handle,
    /// Empty: all.
    namespaces: Vec<String>,
    delivery_places: Arc<Semaphore>,
    deliveries_to_addresses: Shares,
    deliveries_to_people: Shares,
}

/// A place among the deliveries under way.
pub struct DeliveryPlace {
    _place: OwnedSemaphorePermit,
    _address_share: Share,
    _requester_share: Share,
}

impl ServerState {
    /// The state of a server with these flags that tells no one anything yet. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(args: &ServerArgs, clients: Clients, cluster_policy: Option<NamedPolicy>, metrics: &Metrics) -> Self {
        let events = Events::new(clients.writes().clone(), "certcourier.io/server", args.instance_name());
        let guard = Watcher::new(clients.clone(), args.namespace.as_deref(), &args.guard);
        let sessions = Keys::new(clients.clone(), args.namespace.as_deref());
        let rates = RateLimiters::new(&args.rates);
        ServerMetrics::observe_limits(metrics, rates.metric(), &args.connections.counters);
        let each = args.deliveries.each();
        Self {
            clients,
            events,
            guard,
            sessions,
            streams: PageStreams::new(args),
            has_web_page: args.web_page.ui,
            oidc: None,
            of_one: None,
            cluster_policy,
            cluster_name: args.cluster_name.clone(),
            external_url: args.external_url.clone(),
            serves_tls: !args.insecure_http,
            own_names: OnceLock::new(),
            proxies: args.proxies(),
            max_header_bytes: args.connections.max_header_bytes,
            requests: args.requests.clone(),
            deliveries: args.deliveries.clone(),
            rates,
            in_flight: InFlight::new(&args.requests),
            people: Lately::default(),
            tokens: Lately::default(),
            renders: Renders::new(&args.deliveries),
            metrics: ServerMetrics::registered(metrics),
            audit: Audit::off(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            namespaces: args.watch_namespaces.clone(),
            delivery_places: Arc::new(Semaphore::new(args.deliveries.max_deliveries)),
            deliveries_to_addresses: Shares::new(each),
            deliveries_to_people: Shares::new(each),
        }
    }

    /// The same state, telling this record.
    #[must_use]
    pub fn telling(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// The same state, with an identity provider.
    #[must_use]
    pub fn signing_in_at(self, oidc: Option<Oidc>) -> Self {
        Self { oidc, ..self }
    }

    /// The same state in the process of the one person who looks: all calls are theirs, and there are no sessions.
    #[must_use]
    pub fn of_one(self, of_one: OfOne) -> Self {
        Self { sessions: self.sessions.unshared(), of_one: Some(of_one), ..self }
    }

    /// The namespace in which a token's request is looked up. For one that is not served it is another one, so that the
    /// lookup takes as long and fails as it would there; what it finds is then no one's.
    pub(super) fn looked_up_in<'a>(&'a self, namespace: &'a str) -> &'a str {
        if self.serves(namespace) { namespace } else { self.namespaces.first().map_or(namespace, String::as_str) }
    }

    /// Whether this server serves the requests of a namespace.
    pub(super) fn serves(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|served| served == namespace)
    }

    /// The namespaces that this server serves, if it was told which; empty: all.
    pub(super) fn served(&self) -> &[String] {
        &self.namespaces
    }

    /// That this server serves the requests of a namespace. Ask after the caller has shown what they may, so that who may
    /// nothing learns nothing.
    pub(super) fn must_serve(&self, namespace: &str) -> Result<(), ServerError> {
        if self.serves(namespace) {
            return Ok(());
        }
        let words = format!(
            "project {namespace} is not served here (--watch-namespaces): ask the administrator of this server"
        );
        Err(ServerError::new(ErrorCode::NotFound, words))
    }

    /// A place among the deliveries under way: of all, of the client's address, and of who asked. It is kept until the
    /// file has gone out.
    pub(super) fn delivery_place(&self, client: ClientAddress, requester: &str) -> Result<DeliveryPlace, ServerError> {
        let place = || {
            Some(DeliveryPlace {
                _requester_share: self.deliveries_to_people.take(requester)?,
                _address_share: self.deliveries_to_addresses.take(client.network())?,
                _place: Arc::clone(&self.delivery_places).try_acquire_owned().ok()?,
            })
        };
        place().ok_or_else(|| {
            self.rates.count(Tier::deliveries);
            let words = "too many downloads are in progress, altogether, to your address or for this requester; \
                         nothing was delivered and the token is still valid: try again";
            ServerError::new(ErrorCode::Unavailable, words).retry_after(std::time::Duration::from_secs(1))
        })
    }
}

#[cfg(test)]
impl ServerState {
    /// The state of a server whose API server cannot be reached.
    pub(super) fn for_tests(args: &ServerArgs, metrics: &Metrics) -> Self {
        use crate::cluster::client::{ClientArgs, Role};

        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let clients = Clients::new(config, &ClientArgs::default(), Role::Server).unwrap();
        let sessions = Keys::for_tests(clients.clone());
        Self { sessions, ..Self::new(args, clients, None, metrics) }
    }
}
