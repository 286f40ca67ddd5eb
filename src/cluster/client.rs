//! Connections to the API server: one pool for the operator, one for callers whose own credentials are passed through.
//!
//! Two clients for the operator, because kube retries every verb by itself unless told not to: [`Clients::reads`]
//! retries, [`Clients::writes`] never does, so that the writer knows that it was tried exactly once. Every call is
//! bounded in time and in number, and teaches the [`ApiClock`]. Watches are bounded by the API server instead.

mod failures;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::{
    Request, Response,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
};
use jiff::Timestamp;
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, retry::RetryPolicy},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use tower::{BoxError, ServiceExt as _, limit::ConcurrencyLimitLayer, retry::RetryLayer, service_fn};

use self::failures::{Caller, Failures};
use super::{clock::ApiClock, credentials::Credentials, error::Failure, together::Together};
use crate::{
    api,
    metrics::Metrics,
    policy::NamedPolicy,
    redact::Redacted,
    transport::{Trouble, Unreachable},
};

/// Pauses between attempts of a read: 100 ms, doubled up to 2 s; the API server's Retry-After wins.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const RETRIES: u32 = 4;
/// The target of the lines that log calls.
pub const CALLS: &str = "calls";

/// Flags about the API server, the same for every program.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "API server")]
pub struct ClientArgs {
    /// The kubeconfig to use. Default: $KUBECONFIG, then ~/.kube/config, then the pod's own service account.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// How many calls to the API server may run at the same time; others wait. Watches do not count.
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub api_concurrency: u16,
    /// How long one call to the API server may take, including its response.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub api_timeout: api::Duration,
}

impl Default for ClientArgs {
    fn default() -> Self {
        Self { kubeconfig: None, context: None, api_concurrency: 64, api_timeout: api::Duration::from_seconds(10) }
    }
}

/// Which program calls; it is part of the user agent, so that the API server's audit log tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    Controller,
    Server,
    Plugin,
    Doctor,
}

impl Role {
    const fn user_agent(self) -> &'static str {
        match self {
            Self::Controller => concat!("certcourier/", env!("CARGO_PKG_VERSION"), " (controller)"),
            Self::Server => concat!("certcourier/", env!("CARGO_PKG_VERSION"), " (server)"),
            Self::Plugin => concat!("certcourier/", env!("CARGO_PKG_VERSION"), " (plugin)"),
            Self::Doctor => concat!("certcourier/", env!("CARGO_PKG_VERSION"), " (doctor)"),
        }
    }
}

/// Why no connection could be set up. Nothing has been sent yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig given cannot be used.
    #[error("read kubeconfig `{}`", path.display())]
    Kubeconfig {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// There is no kubeconfig that can be used, and this is not a pod.
    #[error("find the API server: set KUBECONFIG or --kubeconfig, or run in a pod with a service account")]
    Infer(#[source] Box<kube::config::InferConfigError>),
    /// The kubeconfig's credentials or certificates cannot be used.
    #[error("prepare the connection to {url}")]
    Prepare {
        /// The API server.
        url: String,
        /// What is wrong.
        #[source]
        source: Box<kube::Error>,
    },
}

/// A caller's bearer token that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bearer token holds characters that cannot be in a header")]
pub struct InvalidBearer;

/// A call that took longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer from the API server within {} s", .0.as_secs())]
pub struct ApiTimeout(Duration);

/// The operator's clients, and the way to make one for a caller.
#[derive(Clone)]
pub struct Clients {
    reads: Client,
    writes: Client,
    watches: Client,
    anonymous: Transport,
    credentials: Option<Credentials>,
    clock: ApiClock,
    failures: Failures,
    default_namespace: String,
    shared: Arc<SharedReads>,
}

/// Reads that all who wait for the same share.
#[derive(Default)]
pub struct SharedReads {
    /// The policies of a namespace, by its name.
    pub policies: Together<String, Arc<Vec<NamedPolicy>>>,
    /// Whether someone may do something, by the whole question.
    pub reviews: Together<String, bool>,
}

impl Clients {
    /// Finds the API server as `args` say, without calling it.
    ///
    /// # Errors
    /// [`ConnectError`] when there is no usable configuration.
    pub async fn connect(args: &ClientArgs, role: Role) -> Result<Self, ConnectError> {
        let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
        let config = match &args.kubeconfig {
            Some(path) => {
                let wrong = |source| ConnectError::Kubeconfig { path: path.clone(), source: Box::new(source) };
                let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)?
            }
            None if args.context.is_some() => Config::from_kubeconfig(&options)
                .await
                .map_err(|source| ConnectError::Kubeconfig { path: "$KUBECONFIG".into(), source: Box::new(source) })?,
            None => Config::infer().await.map_err(|source| ConnectError::Infer(Box::new(source)))?,
        };
        Self::new(config, args, role)
    }

    /// Clients for a given configuration. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError::Prepare`] when its credentials or certificates cannot be used.
    pub fn new(mut config: Config, args: &ClientArgs, role: Role) -> Result<Self, ConnectError> {
        config.default_retry = false;
        config.headers.push((USER_AGENT, HeaderValue::from_static(role.user_agent())));
        let default_namespace = config.default_namespace.clone();
        let (clock, failures) = (ApiClock::default(), Failures::default());
        // Without the operator's client certificate: the API server would take it for the caller's.
        let mut anonymous = config.clone();
        anonymous.auth_info = AuthInfo::default();
        let url = config.cluster_url.to_string();
        let credentials = Credentials::take_from(&mut config)
            .map_err(|source| ConnectError::Prepare { url, source: Box::new(source) })?;
        let transport = |config| Transport::new(config, args, clock.clone(), failures.clone());
        let (operator, anonymous) = (transport(config)?, transport(anonymous)?);
        let operator = match &credentials {
            Some(own) => Transport { authorization: Authorization::Own(own.clone()), ..operator },
            None => operator,
        };
        Ok(Self {
            reads: operator.retrying(&default_namespace),
            writes: operator.clone().into_client(&default_namespace),
            watches: operator.unbounded(&default_namespace),
            anonymous,
            credentials,
            clock,
            failures,
            default_namespace,
            shared: Arc::default(),
        })
    }

    /// For reads, and for reviews, which may be asked twice: tried again on 429, 503 and 504.
    #[must_use]
    pub const fn reads(&self) -> &Client {
        &self.reads
    }

    /// For writes: each is sent once, and an error says nothing about whether it was done.
    #[must_use]
    pub const fn writes(&self) -> &Client {
        &self.writes
    }

    /// For watches, which stay open: bounded neither in time nor by retries of their own, since the watcher has both.
    #[must_use]
    pub const fn watches(&self) -> &Client {
        &self.watches
    }

    /// What is read for all who wait for it.
    #[must_use]
    pub fn shared(&self) -> &SharedReads {
        &self.shared
    }

    /// The API server's time.
    #[must_use]
    pub const fn clock(&self) -> &ApiClock {
        &self.clock
    }

    /// The bearer token that our own calls carry, as of now; `None` where a client certificate is used instead.
    ///
    /// # Errors
    /// When the exec plugin of the kubeconfig, asked again, fails.
    pub async fn bearer(&self) -> Result<Option<Redacted<String>>, BoxError> {
        match &self.credentials {
            Some(credentials) => credentials.bearer().await,
            None => Ok(None),
        }
    }

    /// The namespace of the kubeconfig's context, or of the pod.
    #[must_use]
    pub fn default_namespace(&self) -> &str {
        &self.default_namespace
    }

    /// Serves how often calls failed, and what is known of the API server's clock, with `metrics`.
    pub fn observe(&self, metrics: &Metrics) {
        let help = "Failed calls to the API server, including those that are retried";
        let _ = metrics.register("api_client_errors", help, self.failures.metric());
        let clock = self.clock.clone();
        let skew = move || clock.skew().as_secs_f64();
        metrics.observe("clock_skew_seconds", "How far the API server's clock is ahead", skew);
    }

    /// A client that calls with this bearer token and nothing else of anyone's, over pooled connections. Never
    /// retries. The token must be without line ends.
    ///
    /// # Errors
    /// [`InvalidBearer`] when it cannot be put into a header.
    pub fn as_caller(&self, bearer: &Redacted<String>) -> Result<Client, InvalidBearer> {
        Ok(self.given(bearer)?.into_client(&self.default_namespace))
    }

    /// The same for watches, which stay open: whoever uses it bounds them.
    ///
    /// # Errors
    /// [`InvalidBearer`] when it cannot be put into a header.
    pub fn watches_as_caller(&self, bearer: &Redacted<String>) -> Result<Client, InvalidBearer> {
        Ok(self.given(bearer)?.unbounded(&self.default_namespace))
    }

    fn given(&self, bearer: &Redacted<String>) -> Result<Transport, InvalidBearer> {
        if bearer.expose().is_empty() {
            return Err(InvalidBearer);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {}", bearer.expose())).map_err(|_| InvalidBearer)?;
        value.set_sensitive(true);
        Ok(Transport { authorization: Authorization::Given(value), ..self.anonymous.clone() })
    }
}

/// Whose calls they are.
#[derive(Clone)]
enum Authorization {
    /// No one's, or those of a client certificate.
    None,
    /// A caller's.
    Given(HeaderValue),
    /// Our own.
    Own(Credentials),
}

impl Authorization {
    /// On whose behalf a call with it is counted.
    const fn caller(&self) -> Caller {
        match self {
            Self::None | Self::Own(_) => Caller::operator,
            Self::Given(_) => Caller::person,
        }
    }

    async fn add_to(&self, request: &mut Request<Body>) -> Result<(), BoxError> {
        let header = match self {
            Self::None => return Ok(()),
            Self::Given(header) => header.clone(),
            Self::Own(credentials) => credentials.header().await?,
        };
        request.headers_mut().insert(AUTHORIZATION, header);
        Ok(())
    }
}

/// One pool of connections, and what is done to every call that goes through it.
#[derive(Clone)]
struct Transport {
    client: Client,
    /// The API server, without a `/` at its end: a request has the path alone.
    url: Arc<str>,
    clock: ApiClock,
    failures: Failures,
    limit: Duration,
    authorization: Authorization,
}

impl Transport {
    fn new(config: Config, args: &ClientArgs, clock: ApiClock, failures: Failures) -> Result<Self, ConnectError> {
        let url = config.cluster_url.to_string();
        let shown = Arc::from(url.trim_end_matches('/'));
        let client = ClientBuilder::try_from(config)
            .map_err(|source| ConnectError::Prepare { url: url.clone(), source: Box::new(source) })?
            .with_layer(&ConcurrencyLimitLayer::new(args.api_concurrency.into()))
            .build();
        Ok(Self {
            client,
            url: shown,
            clock,
            failures,
            limit: args.api_timeout.get(),
            authorization: Authorization::None,
        })
    }

    fn into_client(self, default_namespace: &str) -> Client {
        Client::new(service_fn(move |request| self.clone().call(request)), default_namespace)
    }

    /// For what stays open: a watch, or a connection that is upgraded.
    fn unbounded(&self, default_namespace: &str) -> Client {
        let transport = self.clone();
        let service = service_fn(move |mut request: Request<Body>| {
            let transport = transport.clone();
            async move {
                transport.authorization.add_to(&mut request).await?;
                transport.send(request).await
            }
        });
        Client::new(service, default_namespace)
    }

    /// Tries again, all attempts together within the same bound.
    fn retrying(&self, default_namespace: &str) -> Client {
        let (transport, limit) = (self.clone(), self.limit);
        let policy = RetryPolicy::new(SHORTEST_PAUSE, LONGEST_PAUSE, RETRIES, true).unwrap_or_default();
        let service = tower::ServiceBuilder::new()
            .layer(RetryLayer::new(policy))
            .service(service_fn(move |request| transport.clone().call(request)));
        let bounded = service_fn(move |request| {
            let service = service.clone();
            async move {
                let attempts = service.oneshot(request);
                tokio::time::timeout(limit, attempts).await.map_err(|_| BoxError::from(ApiTimeout(limit)))?
            }
        });
        Client::new(bounded, default_namespace)
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        send(&self.client, &self.url, request).await.map_err(|error| match Trouble::of(&error) {
            Some(trouble) => Unreachable { url: self.url.to_string(), trouble }.into(),
            None => error.into(),
        })
    }

    /// One call: its whole answer is read here, so that the bound holds for the body too.
    async fn call(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let caller = self.authorization.caller();
        let failures = self.failures.clone();
        let answer = self.answer(request).await;
        match &answer {
            Ok(answer) => failures.answered(caller, answer.status()),
            Err(_) => failures.failed(caller, Failure::Unavailable),
        }
        answer
    }

    async fn answer(self, mut request: Request<Body>) -> Result<Response<Body>, BoxError> {
        // Not within the bound: an exec plugin may ask a person.
        self.authorization.add_to(&mut request).await?;
        let asked = Timestamp::now();
        let answer = async {
            let response = self.send(request).await?;
            self.clock.learn(response.headers(), asked, Timestamp::now());
            let (head, body) = response.into_parts();
            let bytes = body.collect_bytes().await?;
            Ok::<_, BoxError>(Response::from_parts(head, Body::from(bytes)))
        };
        tokio::time::timeout(self.limit, answer).await.map_err(|_| ApiTimeout(self.limit))?
    }
}

/// Sends, and logs the call in one line, as kubectl does at level 6: target `calls`. An address holds names and no
/// secret; headers and bodies are not logged.
async fn send(client: &Client, url: &str, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
    if !tracing::enabled!(target: CALLS, tracing::Level::TRACE) {
        return client.send(request).await;
    }
    let (method, uri, begun) = (request.method().clone(), request.uri().clone(), Instant::now());
    let answer = client.send(request).await;
    let ms = begun.elapsed().as_millis();
    if let Ok(answer) = &answer {
        tracing::trace!(target: CALLS, "{method} {url}{uri} {} in {ms} ms", answer.status());
    } else {
        tracing::trace!(target: CALLS, "{method} {url}{uri} no answer after {ms} ms");
    }
    answer
}

#[cfg(test)]
mod tests;
