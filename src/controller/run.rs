//! The process: election, work while leading, probes, and an end that leaves nothing half done.

use std::{process::ExitCode, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    args::{ControllerArgs, GuardArgs},
    context::{Context, Setup},
    guard::Keeper,
    metrics::Counters,
    public_endpoint::{self, CaError},
    watch::{stores::Awaited, worker},
};
use crate::{
    api,
    audit::{Audit, AuditError, Source},
    cluster::{
        client::{Clients, ConnectError, Role},
        events::Events,
        lease::{Candidacy, Election, Inherited, Leadership},
        policies::{self, PolicyFileError},
    },
    lifecycle::Guard,
    metrics::{self, Endpoint, Metrics, Readiness},
    process::{self, AUDIT_GRACE},
    telemetry::{self, LogError},
};

/// Who tells the Events.
const REPORTER: &str = "certcourier.io/controller";

/// Between a fact and the last renewal of a leader that went silent after it.
const LATE_WORK: Duration = Duration::from_secs(30);

/// Keeps a defect that comes at once from being met in a tight loop.
const AFTER_DEFECT: Duration = Duration::from_secs(1);

/// Why the controller did not start, or ended.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error(
        "--guard-interval {interval} is not shorter than --guard-max-age {max_age}: no probe would ever be recent \
         enough; shorten the one or lengthen the other"
    )]
    Guard { interval: api::Duration, max_age: api::Duration },
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("serve metrics and probes on {address}: choose another --metrics-address")]
    Endpoint {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// Runs until SIGTERM or SIGINT. Exit code 0 after such an end, 1 when it could not start or go on.
#[must_use]
pub fn run(args: &ControllerArgs) -> ExitCode {
    process::exit("controller", start(args))
}

fn start(args: &ControllerArgs) -> Result<(), RunError> {
    telemetry::start(&args.logs)?;
    let GuardArgs { guard_interval: interval, guard_max_age: max_age, .. } = args.guard;
    if interval >= max_age {
        return Err(RunError::Guard { interval, max_age });
    }
    let cluster_policy = args.cluster_policy.as_deref().map(policies::load).transpose()?;
    let runtime = tokio::runtime::Runtime::new().map_err(RunError::Runtime)?;
    runtime.block_on(async {
        let clients = Clients::connect(&args.client, Role::Controller).await?;
        let own = args.namespace.clone().unwrap_or_else(|| clients.default_namespace().to_owned());
        let external = public_endpoint::Source::new(args, &own)?;
        let metrics = Metrics::new("controller");
        let identity = args.election.identity.clone().unwrap_or_else(process::identity);
        let events = Events::new(clients.writes().clone(), REPORTER, identity.as_str());
        clients.observe(&metrics);
        let audit = Audit::start(&args.audit, Source::new(args.cluster_name.as_deref()), &metrics)?;
        audit.begin("controller", &identity, clients.clock().now());
        let counters = Counters::new(&metrics);
        let intervals = args.intervals.clone();
        let context = Context::new(Setup {
            clients,
            events,
            counters,
            audit,
            intervals,
            namespace: own,
            cluster_policy,
            external,
        });
        metrics.collect(Box::new(context.gauges.clone()));
        supervise(args, context, metrics, identity).await
    })
}

/// Takes part in the election, works while leading, and serves the probes all the time.
async fn supervise(
    args: &ControllerArgs,
    context: Arc<Context>,
    metrics: Metrics,
    identity: String,
) -> Result<(), RunError> {
    let (stop, quit) = (process::stop_signal("running work is").map_err(RunError::Signals)?, CancellationToken::new());
    let (standing_out, standing) = watch::channel(Leadership::Unknown);
    let awaited = Awaited::default();
    let watched = Arc::clone(&context);
    metrics.observe_some(
        "guard_intact",
        "1 while the admission policies are proven to be in force, else 0; from the leader",
        move || {
            let intact = matches!(*watched.guard.borrow(), Guard::Intact { .. });
            (watched.counters.leading.get() == 1).then_some(f64::from(u8::from(intact)))
        },
    );
    let remarks = process::remarks(&context.audit);
    let endpoint = Endpoint { metrics, readiness: readiness(&context, &standing, &awaited), remarks };
    let address = args.metrics_address;
    let mut probes = tokio::spawn(metrics::serve(address, endpoint, quit.clone()));
    let candidacy = Candidacy {
        namespace: context.namespace.clone(),
        name: args.election.lease_name.clone(),
        identity,
        duration: args.election.lease_duration.get(),
    };
    tracing::info!(
        identity = candidacy.identity,
        lease = format!("{}/{}", candidacy.namespace, candidacy.name),
        namespaces = if args.watch_namespaces.is_empty() { "all".to_owned() } else { args.watch_namespaces.join(",") },
        "the controller takes part in the election"
    );
    let election = Election::new(&context.clients, candidacy);
    let inherited = election.inherited();
    let election = tokio::spawn(election.run(standing_out, quit.clone()));
    let failed = tokio::select! {
        () = work_while_leading(&context, args, standing, &awaited, &inherited, &stop) => None,
        ended = &mut probes => ended.ok().and_then(Result::err),
    };
    // The Lease is given back only now that nothing is under way any more.
    quit.cancel();
    let _ = election.await;
    context.audit.end(AUDIT_GRACE).await;
    if let Some(source) = failed {
        return Err(RunError::Endpoint { address, source });
    }
    let _ = probes.await;
    tracing::info!("the controller has stopped");
    Ok(())
}

/// Until `stop`: waits for the lead, works, and drops everything at once when the lead is lost.
async fn work_while_leading(
    context: &Arc<Context>,
    args: &ControllerArgs,
    mut standing: watch::Receiver<Leadership>,
    awaited: &Awaited,
    inherited: &Inherited,
    stop: &CancellationToken,
) {
    loop {
        tokio::select! {
            led = standing.wait_for(|standing| *standing == Leadership::Leading) => if led.is_err() { return },
            () = stop.cancelled() => return,
        }
        tracing::info!("this replica leads");
        context.counters.leading.set(1);
        let silent = inherited.from_silence().then(|| args.election.lease_duration.get() + LATE_WORK);
        context.grants.begin_to_lead();
        context.audit_outbox.begin_to_lead(context.clients.clock().now(), silent);
        let lost = async {
            // An election that has ended leads no more.
            let _ = standing.wait_for(|standing| *standing != Leadership::Leading).await;
        };
        tokio::select! {
            () = lost => tracing::warn!("this replica no longer leads; its running work is dropped"),
            () = work(context, args, awaited, stop) => {}
        }
        context.counters.leading.set(0);
        awaited.clear();
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Works on every namespace until `stop`, then for at most the shutdown timeout. Dropping it drops all work.
async fn work(context: &Arc<Context>, args: &ControllerArgs, awaited: &Awaited, stop: &CancellationToken) {
    let keeper = Keeper::new(context, &args.guard, &context.namespace);
    let mut scopes = JoinSet::new();
    let namespaces = match args.watch_namespaces.as_slice() {
        [] => vec![None],
        named => named.iter().cloned().map(Some).collect(),
    };
    for namespace in namespaces {
        scopes.spawn(worker::run(Arc::clone(context), namespace, awaited.clone(), stop.clone()));
    }
    let ended = async {
        // The first one that ends before it was asked to takes the others with it.
        scopes.join_next().await;
        if stop.is_cancelled() {
            worker::all(scopes).await;
        } else {
            tokio::time::sleep(AFTER_DEFECT).await;
        }
    };
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(args.intervals.shutdown_timeout.get()).await;
    };
    tokio::select! {
        () = keeper.run() => {}
        () = ended => {}
        () = late => tracing::warn!("running work did not finish in time and is dropped"),
    }
}

fn readiness(context: &Arc<Context>, standing: &watch::Receiver<Leadership>, awaited: &Awaited) -> Readiness {
    let (context, standing, awaited) = (Arc::clone(context), standing.clone(), awaited.clone());
    Arc::new(move || {
        let mut missing = Vec::new();
        match *standing.borrow() {
            Leadership::Unknown => missing.push("the API server has not answered about the Lease".to_owned()),
            Leadership::Following => {}
            Leadership::Leading => {
                missing.extend(awaited.list().into_iter().map(|kind| format!("waiting for the first list of {kind}")));
            }
        }
        missing.extend(process::clock_is_off(context.clients.clock()));
        missing
    })
}
