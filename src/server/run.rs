//! The process: start, readiness, and an end that finishes what is under way.

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    args::ServerArgs,
    listener::{self, Drained},
    net::{
        self_signed::SelfSigned,
        tls::{CertificateSource, ServingCertificate, TlsError},
    },
    oidc::{Oidc, OidcFlagError},
    open_files,
    readiness::ApiServerSeen,
    router,
    state::ServerState,
};
use crate::{
    audit::{self, Audit, AuditError},
    cluster::{
        client::{Clients, ConnectError, Role},
        error::in_one_line,
        policies::{self, PolicyFileError},
    },
    metrics::{self, Endpoint, Metrics, Readiness},
    process::{self, AUDIT_GRACE},
    telemetry::{self, LogError},
};

/// How long outcomes may take to be written once the last connection is gone.
const OUTCOME_GRACE: Duration = Duration::from_secs(10);
/// How long after a failure the serving certificate is asked for again.
const CERTIFICATE_PAUSE: Duration = Duration::from_secs(1);

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("use the serving certificate (--tls-cert, --tls-key)")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Oidc(#[from] OidcFlagError),
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    #[error("listen for signals")]
    Signals(#[source] io::Error),
    #[error("listen on {address}: choose another --listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("serve metrics and probes on {address}: choose another --metrics-address")]
    Endpoint {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// Runs until SIGTERM or SIGINT. Exit code 0 after such an end, 1 when it could not start or go on.
#[must_use]
pub fn run(args: &ServerArgs) -> ExitCode {
    process::exit("server", start(args))
}

fn start(args: &ServerArgs) -> Result<(), RunError> {
    telemetry::start(&args.logs)?;
    log_panics();
    let cluster_policy = args.cluster_policy.as_deref().map(policies::load).transpose()?;
    let runtime = tokio::runtime::Runtime::new().map_err(RunError::Runtime)?;
    runtime.block_on(async {
        let clients = Clients::connect(&args.client, Role::Server).await?;
        let metrics = Metrics::new("server");
        let audit = Audit::start(&args.audit, audit::Source::new(args.cluster_name.as_deref()), &metrics)?;
        clients.observe(&metrics);
        let oidc = Oidc::new(&args.web_page.oidc, args.external_url.as_deref())?;
        let state = ServerState::new(args, clients, cluster_policy, &metrics).telling(audit).signing_in_at(oidc);
        let state = Arc::new(state);
        state.audit.begin("server", &args.instance_name(), state.clients.clock().now());
        supervise(args, state, metrics).await
    })
}

/// A panic is logged once, with its place. Its text could hold a value, so that is left out.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked");
    }));
}

async fn supervise(args: &ServerArgs, state: Arc<ServerState>, metrics: Metrics) -> Result<(), RunError> {
    let stop = process::stop_signal("running downloads are").map_err(RunError::Signals)?;
    let quit = CancellationToken::new();
    let seen = ApiServerSeen::default();
    let serving = CancellationToken::new();
    let remarks = process::remarks(&state.audit);
    tokio::spawn(end_streams(Arc::clone(&state), stop.clone()));
    let endpoint = Endpoint { metrics, readiness: readiness(&state, &seen, &serving, &stop), remarks };
    let address = args.metrics_address;
    let mut probes = tokio::spawn(metrics::serve(address, endpoint, quit.clone()));
    let asking = seen.keep_asking(Arc::clone(&state));
    let served = serve(args, Arc::clone(&state), serving, stop);
    let ended = tokio::select! {
        drained = served => drained,
        () = asking => Ok(()),
        probes = &mut probes => probes.unwrap_or(Ok(())).map_err(|source| RunError::Endpoint { address, source }),
    };
    finish_outcomes(&state).await;
    state.audit.end(AUDIT_GRACE).await;
    quit.cancel();
    info!("the server has stopped");
    ended
}

/// Open pages would hold the end up: they ask another replica.
async fn end_streams(state: Arc<ServerState>, stop: CancellationToken) {
    stop.cancelled().await;
    state.streams.closing().cancel();
}

/// Serves until `stop`, and then until what is under way has ended.
/// `serving` is cancelled, which only ever means yes, once connections are accepted.
async fn serve(
    args: &ServerArgs,
    state: Arc<ServerState>,
    serving: CancellationToken,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let bind = || listener::bind(args.listen).map_err(|source| RunError::Listen { address: args.listen, source });
    let app = router(Arc::clone(&state));
    let Some(source) = source(args, &state) else {
        let listener = bind()?;
        serving.cancel();
        warn!(address = %shown(&listener), "the API is served over plain HTTP: anyone who can read the traffic can \
          read keys");
        accept(args, listener, None, app, stop).await;
        return Ok(());
    };
    let Some(certificate) = certificate(source, &stop).await? else { return Ok(()) };
    let tls = certificate.server_config()?;
    // Set once: no one is served before.
    let _ = state.own_names.set(certificate.names());
    let listener = bind()?;
    serving.cancel();
    info!(address = %shown(&listener), "the API is served over TLS");
    tokio::select! {
        () = accept(args, listener, Some(tls), app, stop) => {}
        () = certificate.keep_fresh(args.tls_reload_interval.get()) => {}
    }
    Ok(())
}

/// Where the serving certificate comes from; None for plain HTTP.
fn source(args: &ServerArgs, state: &ServerState) -> Option<CertificateSource> {
    if let Some(files) = args.certificate_files() {
        return Some(CertificateSource::Files(files));
    }
    let names = args.tls_self_signed.as_slice();
    let own =
        || SelfSigned::new(state.clients.clone(), args.namespace.as_deref(), names, args.tls_self_signed_lifetime);
    (!names.is_empty()).then(|| CertificateSource::SelfSigned(Box::new(own())))
}

/// The first certificate. Files that cannot be used end the start; for its own the server waits until the API server
/// answers and the Secret is there. None: asked to end meanwhile.
async fn certificate(
    source: CertificateSource,
    stop: &CancellationToken,
) -> Result<Option<ServingCertificate>, RunError> {
    let mut said = String::new();
    loop {
        let error = match ServingCertificate::load(source.clone()).await {
            Err(TlsError::SelfSigned(error)) => in_one_line(&error),
            loaded => return Ok(Some(loaded?)),
        };
        if error != said {
            warn!(error, "no serving certificate yet; trying again");
            said = error;
        }
        tokio::select! {
            () = tokio::time::sleep(CERTIFICATE_PAUSE) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

async fn accept(
    args: &ServerArgs,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    app: Router,
    stop: CancellationToken,
) {
    let mut limits = args.connections.clone();
    limits.max_connections = open_files::places(limits.max_connections);
    limits.exempt.clone_from(&args.trusted_proxies);
    let Drained { cut } = listener::serve(listener, tls, app, limits, stop).await;
    info!(cut, "connections have ended");
}

/// Receipts under way and outcomes are written before the process ends; what is left, the controller calls Unknown.
async fn finish_outcomes(state: &ServerState) {
    state.tasks.close();
    if tokio::time::timeout(OUTCOME_GRACE, state.tasks.wait()).await.is_err() {
        warn!(left = state.tasks.len(), "the outcome of deliveries could not be written in time");
    }
}

fn shown(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

fn readiness(
    state: &Arc<ServerState>,
    seen: &ApiServerSeen,
    serving: &CancellationToken,
    stop: &CancellationToken,
) -> Readiness {
    let (clock, seen) = (state.clients.clock().clone(), seen.clone());
    let (serving, stop) = (serving.clone(), stop.clone());
    Arc::new(move || {
        let mut missing = Vec::new();
        if !serving.is_cancelled() {
            missing.push("the API is not served yet: the log says what the certificate lacks".to_owned());
        }
        if stop.is_cancelled() {
            missing.push("the server is shutting down".to_owned());
        }
        missing.extend(seen.missing());
        missing.extend(process::clock_is_off(&clock));
        missing
    })
}
