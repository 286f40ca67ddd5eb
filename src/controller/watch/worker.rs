//! One namespace, or all of them: its watches, what each event means for which object, and the queues.
//!
//! One watch per kind fills a store and names the objects to look at. A change of a Certificate, a policy, a receipt or
//! the guard names the requests that depend on it.

use std::{convert::Infallible, fmt::Debug, sync::Arc};

use futures::{StreamExt as _, future};
use kube::{
    Api, Resource,
    runtime::{
        applier,
        controller::{Action, Config as ApplierConfig},
        reflector::Store,
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    reconcile::look,
    retire,
    stores::{Awaited, Guarded, Queued, Stores, Waiting, Writers, queues},
    watches,
};
use crate::controller::{
    context::Context,
    grants::leftovers,
    metrics::Kind,
    reconcilers::{certificate, receipt, request},
};
use crate::{api::DownloadRequest, audit};

/// Works on one namespace (`None`: on all) until `stop`, then ends what is under way. Dropping it ends all at once.
pub(crate) async fn run(context: Arc<Context>, namespace: Option<String>, awaited: Awaited, stop: CancellationToken) {
    let writers = Writers::default();
    let (stores, over) = writers.stores();
    let (queues, waiting) = queues();
    let mut watching = watches::start(&context, namespace.clone(), &awaited, writers, &stores, queues, over);
    tokio::select! {
        ((), ()) = async { tokio::join!(stores.filled(), context.first_look()) } => {}
        () = stop.cancelled() => return,
    }
    let _counted = context.gauges.count(&stores);
    tell_again(&context, &stores).await;
    tokio::select! {
        () = all(workers(&context, namespace, &stores, waiting, &stop)) => {}
        _ = watching.join_next() => tracing::error!("a watch ended unexpectedly; this is a bug"),
    }
}

/// Emits again what the previous leader might not have emitted. Little is kept of what is finished, so those that ended
/// since then are read.
async fn tell_again(context: &Context, stores: &Stores) {
    let Some(since) = context.audit_outbox.again_since() else { return };
    for request in stores.requests.state().iter().filter_map(|request| request.0.as_ref().ok()) {
        context.audit.tell_all(audit::request::since(request, since));
    }
    let mut lately: Vec<(String, String)> = Vec::new();
    stores.archive.each_request(|namespace, name, request| {
        if request.finished >= since {
            lately.push((namespace.to_string(), name.to_owned()));
        }
    });
    for (namespace, name) in lately {
        let api: Api<DownloadRequest> = Api::namespaced(context.clients.reads().clone(), &namespace);
        if let Ok(Some(request)) = api.get_opt(&name).await {
            context.audit.tell_all(audit::request::since(&request, since));
        }
    }
}

/// One task for each kind that is reconciled, and one that sweeps.
fn workers(
    context: &Arc<Context>,
    namespace: Option<String>,
    stores: &Stores,
    waiting: Waiting,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut working = JoinSet::new();
    working.spawn(leftovers::run(Arc::clone(context), namespace, stores.requests.clone(), stop.clone()));
    working.spawn(retire::run(Arc::clone(context), stores.clone(), stop.clone()));
    let reconciler = Arc::clone(context);
    working.spawn(work(stores.certificates.clone(), waiting.certificates, stop.clone(), move |object| {
        let context = Arc::clone(&reconciler);
        look(context, Kind::Certificate, object, async |context, object| certificate::reconcile(context, object).await)
    }));
    let (reconciler, known) = (Arc::clone(context), stores.clone());
    working.spawn(work(stores.requests.clone(), waiting.requests, stop.clone(), move |object| {
        let (context, stores) = (Arc::clone(&reconciler), known.clone());
        look(context, Kind::DownloadRequest, object, async move |context, object| {
            request::reconcile(context, &stores, object).await
        })
    }));
    let (reconciler, known) = (Arc::clone(context), stores.clone());
    working.spawn(work(stores.receipts.clone(), waiting.receipts, stop.clone(), move |object| {
        let (context, stores) = (Arc::clone(&reconciler), known.clone());
        look(context, Kind::DownloadReceipt, object, async move |context, object| {
            receipt::reconcile(context, &stores, object).await
        })
    }));
    working
}

/// Until all have ended, or one of them by a panic.
pub(crate) async fn all(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a worker ended because of a bug and is restarted");
            return;
        }
    }
}

/// Takes objects from the queue, one look at a time for each object, until `stop`.
async fn work<K, Look, Looking>(store: Store<Guarded<K>>, queue: Queued<K>, stop: CancellationToken, mut look: Look)
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    Look: FnMut(Arc<Guarded<K>>) -> Looking,
    Looking: Future<Output = Action>,
{
    let queue = queue.map(Ok::<_, Infallible>).take_until(stop.cancelled_owned());
    applier(
        move |object, _: Arc<()>| Box::pin(future::FutureExt::map(look(object), Ok::<_, Infallible>)),
        |_, never, _| match *never {},
        Arc::new(()),
        store,
        Box::pin(queue),
        ApplierConfig::default(),
    )
    .for_each(|_| future::ready(()))
    .await;
}
