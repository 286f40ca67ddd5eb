//! One namespace, or all of them: its watches, what each event means for which object, and the queues.
//!
//! One watch per kind fills a store and names the objects to look at. A change of a Certificate, a policy, a receipt or
//! the guard names the requests that depend on it.

mod watches;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    StreamExt as _,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
    future,
};
use kube::{
    Resource,
    core::DeserializeGuard,
    runtime::{
        applier,
        controller::{Action, Config as ApplierConfig},
        reflector::{ObjectRef, Store, store::Writer},
    },
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    certificate, context::Context, counters::Kind, grants::leftovers, open::OpenRequests, pass::look, receipt, request,
};
use crate::api::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest};

/// An object that may be unreadable without stopping its watch.
pub(super) type Guarded<K> = DeserializeGuard<K>;

/// What is known of a scope without asking the API server.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) certificates: Store<Guarded<Certificate>>,
    pub(super) policies: Store<Guarded<CertificatePolicy>>,
    pub(super) requests: Store<Guarded<DownloadRequest>>,
    pub(super) receipts: Store<Guarded<DownloadReceipt>>,
    /// The open ones among the requests.
    pub(super) open: OpenRequests,
}

/// The first lists that are still awaited, for `/readyz`.
#[derive(Clone, Default)]
pub(super) struct Awaited(Arc<Mutex<BTreeSet<String>>>);

impl Awaited {
    fn change(&self, change: impl FnOnce(&mut BTreeSet<String>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn list(&self) -> Vec<String> {
        let mut list = Vec::new();
        self.change(|awaited| list.extend(awaited.iter().cloned()));
        list
    }

    pub(super) fn clear(&self) {
        self.change(BTreeSet::clear);
    }
}

/// Fills the stores.
#[derive(Default)]
struct Writers {
    certificates: Writer<Guarded<Certificate>>,
    policies: Writer<Guarded<CertificatePolicy>>,
    requests: Writer<Guarded<DownloadRequest>>,
    receipts: Writer<Guarded<DownloadReceipt>>,
}

impl Writers {
    fn stores(&self) -> Stores {
        Stores {
            certificates: self.certificates.as_reader(),
            policies: self.policies.as_reader(),
            requests: self.requests.as_reader(),
            receipts: self.receipts.as_reader(),
            open: OpenRequests::default(),
        }
    }
}

impl Stores {
    /// Until each has been listed once.
    async fn filled(&self) {
        // A store that will never be filled has lost its watch, and with it its scope ends.
        let _ = tokio::join!(
            self.certificates.wait_until_ready(),
            self.policies.wait_until_ready(),
            self.requests.wait_until_ready(),
            self.receipts.wait_until_ready()
        );
    }
}

type Queue<K> = UnboundedSender<ObjectRef<Guarded<K>>>;
type Queued<K> = UnboundedReceiver<ObjectRef<Guarded<K>>>;

/// Where the names of objects to be looked at are put.
#[derive(Clone)]
struct Queues {
    certificates: Queue<Certificate>,
    requests: Queue<DownloadRequest>,
    receipts: Queue<DownloadReceipt>,
}

/// Where they come out.
struct Waiting {
    certificates: Queued<Certificate>,
    requests: Queued<DownloadRequest>,
    receipts: Queued<DownloadReceipt>,
}

fn queues() -> (Queues, Waiting) {
    let (certificates, certificates_out) = unbounded();
    let (requests, requests_out) = unbounded();
    let (receipts, receipts_out) = unbounded();
    let waiting = Waiting { certificates: certificates_out, requests: requests_out, receipts: receipts_out };
    (Queues { certificates, requests, receipts }, waiting)
}

/// Works on one namespace (`None`: on all) until `stop`, then ends what is under way. Dropping it ends all at once.
pub(super) async fn run(context: Arc<Context>, namespace: Option<String>, awaited: Awaited, stop: CancellationToken) {
    let writers = Writers::default();
    let stores = writers.stores();
    let (queues, waiting) = queues();
    let mut watching = watches::start(&context, namespace.clone(), &awaited, writers, &stores, queues);
    tokio::select! {
        ((), ()) = async { tokio::join!(stores.filled(), context.first_look()) } => {}
        () = stop.cancelled() => return,
    }
    let _counted = context.inventory.count(&stores);
    let requests = stores.requests.state();
    context.untold.tell_again(&context.audit, requests.iter().filter_map(|request| request.0.as_ref().ok()));
    tokio::select! {
        () = all(workers(&context, namespace, &stores, waiting, &stop)) => {}
        _ = watching.join_next() => tracing::error!("a watch ended, which none should; this is a defect"),
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
    let now = Arc::clone(context);
    working.spawn(work(stores.certificates.clone(), waiting.certificates, stop.clone(), move |object| {
        let context = Arc::clone(&now);
        look(context, Kind::Certificate, object, async |context, object| certificate::reconcile(context, object).await)
    }));
    let (now, known) = (Arc::clone(context), stores.clone());
    working.spawn(work(stores.requests.clone(), waiting.requests, stop.clone(), move |object| {
        let (context, stores) = (Arc::clone(&now), known.clone());
        look(context, Kind::DownloadRequest, object, async move |context, object| {
            request::reconcile(context, &stores, object).await
        })
    }));
    let now = Arc::clone(context);
    working.spawn(work(stores.receipts.clone(), waiting.receipts, stop.clone(), move |object| {
        let context = Arc::clone(&now);
        look(context, Kind::DownloadReceipt, object, async |context, object| receipt::reconcile(context, object).await)
    }));
    working
}

/// Until all have ended, or one of them by a panic.
pub(super) async fn all(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "work ended by a defect and is begun anew");
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

/// Whether anything but a receipt can still change the request.
pub(super) fn is_open(request: &DownloadRequest) -> bool {
    request.status.as_ref().and_then(|status| status.phase).unwrap_or_default().is_open()
}
