//! One namespace, or all of them: its watches, what each event means for which object, and the queues.
//!
//! One watch per kind fills a store and names the objects to look at. A change of a Certificate, a policy, a receipt or
//! the guard names the requests that depend on it.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use ::kube::{
    Api, Client, Resource, ResourceExt as _,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt as _, applier,
        controller::Config as ApplierConfig,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use futures::{
    StreamExt as _,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
    future,
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{certificate, context::Context, counters::Kind, pass::look, receipt, request};
use crate::{
    api::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest},
    kube::error::in_one_line,
};

/// An object that may be unreadable without stopping its watch.
pub(super) type Guarded<K> = DeserializeGuard<K>;

/// What is known of a scope without asking the API server.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) certificates: Store<Guarded<Certificate>>,
    pub(super) policies: Store<Guarded<CertificatePolicy>>,
    pub(super) requests: Store<Guarded<DownloadRequest>>,
    pub(super) receipts: Store<Guarded<DownloadReceipt>>,
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

type Queue<K> = UnboundedSender<ObjectRef<Guarded<K>>>;

/// Works on one namespace (`None`: on all) until `stop`, then ends what is under way. Dropping it ends all at once.
pub(super) async fn run(context: Arc<Context>, namespace: Option<String>, awaited: Awaited, stop: CancellationToken) {
    let watches =
        Watches { client: context.clients.watches().clone(), namespace, awaited, context: Arc::clone(&context) };
    let (certificates_out, certificates_in) = unbounded();
    let (requests_out, requests_in) = unbounded();
    let (receipts_out, receipts_in) = unbounded();
    let (certificates, policies) =
        (Writer::<Guarded<Certificate>>::default(), Writer::<Guarded<CertificatePolicy>>::default());
    let (requests, receipts) =
        (Writer::<Guarded<DownloadRequest>>::default(), Writer::<Guarded<DownloadReceipt>>::default());
    let stores = Stores {
        certificates: certificates.as_reader(),
        policies: policies.as_reader(),
        requests: requests.as_reader(),
        receipts: receipts.as_reader(),
    };
    let concerned = Concerned { requests: stores.requests.clone(), queue: requests_out };

    let mut watching = JoinSet::new();
    let others = concerned.clone();
    watching.spawn(watches.run(certificates, move |certificate: Option<&Guarded<Certificate>>| match certificate {
        Some(certificate) => {
            put(&certificates_out, certificate);
            others.of_certificate(&certificate.namespace().unwrap_or_default(), &certificate.name_any());
        }
        None => others.all(),
    }));
    let others = concerned.clone();
    watching.spawn(watches.run(policies, move |policy: Option<&Guarded<CertificatePolicy>>| match policy {
        Some(policy) => others.of_namespace(&policy.namespace().unwrap_or_default()),
        None => others.all(),
    }));
    let queue = concerned.queue.clone();
    watching.spawn(watches.run(requests, move |request: Option<&Guarded<DownloadRequest>>| {
        request.inspect(|request| put(&queue, *request));
    }));
    let others = concerned.clone();
    watching.spawn(watches.run(receipts, move |receipt: Option<&Guarded<DownloadReceipt>>| {
        let Some(receipt) = receipt else { return };
        put(&receipts_out, receipt);
        if let Ok(readable) = &receipt.0 {
            others.one(&receipt.namespace().unwrap_or_default(), &readable.spec.request_ref.name);
        }
    }));
    watching.spawn(on_guard(Arc::clone(&context), concerned));

    let ready = stores.clone();
    let filled = async move {
        // A store that will never be filled has lost its watch, and with it this scope ends.
        let _ = tokio::join!(
            ready.certificates.wait_until_ready(),
            ready.policies.wait_until_ready(),
            ready.requests.wait_until_ready(),
            ready.receipts.wait_until_ready()
        );
    };
    tokio::select! {
        () = filled => {}
        () = stop.cancelled() => return,
    }
    let mut working = JoinSet::new();
    let (now, known) = (Arc::clone(&context), stores.clone());
    working.spawn(work(stores.certificates.clone(), certificates_in, stop.clone(), move |object| {
        let context = Arc::clone(&now);
        look(context, Kind::Certificate, object, async |context, object| certificate::reconcile(context, object).await)
    }));
    let now = Arc::clone(&context);
    working.spawn(work(stores.requests.clone(), requests_in, stop.clone(), move |object| {
        let (context, stores) = (Arc::clone(&now), known.clone());
        look(context, Kind::DownloadRequest, object, async move |context, object| {
            request::reconcile(context, &stores, object).await
        })
    }));
    working.spawn(work(stores.receipts.clone(), receipts_in, stop.clone(), move |object| {
        let context = Arc::clone(&context);
        look(context, Kind::DownloadReceipt, object, async |context, object| receipt::reconcile(context, object).await)
    }));
    tokio::select! {
        () = all(working) => {}
        _ = watching.join_next() => tracing::error!("a watch ended, which none should; this is a defect"),
    }
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
async fn work<K, Look, Looking>(
    store: Store<Guarded<K>>,
    queue: UnboundedReceiver<ObjectRef<Guarded<K>>>,
    stop: CancellationToken,
    mut look: Look,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    Look: FnMut(Arc<Guarded<K>>) -> Looking,
    Looking: Future<Output = ::kube::runtime::controller::Action>,
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

fn put<K: Resource<DynamicType = ()>>(queue: &Queue<K>, object: &Guarded<K>) {
    // The other end goes only when the scope ends.
    let _ = queue.unbounded_send(ObjectRef::from_obj(object));
}

/// When what is known of the admission policies changes, every request is looked at.
async fn on_guard(context: Arc<Context>, concerned: Concerned) {
    let mut guard = context.guard.clone();
    while guard.changed().await.is_ok() {
        concerned.all();
    }
    future::pending::<()>().await;
}

/// Names the requests that something else concerns.
#[derive(Clone)]
struct Concerned {
    requests: Store<Guarded<DownloadRequest>>,
    queue: Queue<DownloadRequest>,
}

impl Concerned {
    fn all(&self) {
        self.those(|_| true);
    }

    /// Closed ones too: a policy says how long they stay.
    fn of_namespace(&self, namespace: &str) {
        self.those(|request| request.metadata.namespace.as_deref() == Some(namespace));
    }

    fn of_certificate(&self, namespace: &str, certificate: &str) {
        self.those(|request| {
            is_open(request)
                && request.metadata.namespace.as_deref() == Some(namespace)
                && request.spec.certificate_ref.name == certificate
        });
    }

    /// Closed ones too: a receipt may come late.
    fn one(&self, namespace: &str, name: &str) {
        let _ = self.queue.unbounded_send(ObjectRef::new(name).within(namespace));
    }

    fn those(&self, concerned: impl Fn(&DownloadRequest) -> bool) {
        for request in self.requests.state() {
            if request.0.as_ref().is_ok_and(&concerned) {
                put(&self.queue, &request);
            }
        }
    }
}

/// Whether anything but a receipt can still change the request.
pub(super) fn is_open(request: &DownloadRequest) -> bool {
    request.status.as_ref().and_then(|status| status.phase).unwrap_or_default().is_open()
}

struct Watches {
    client: Client,
    namespace: Option<String>,
    awaited: Awaited,
    context: Arc<Context>,
}

impl Watches {
    /// Keeps a store filled for ever. `touched` hears of each object, and with `None` that anything may have changed.
    fn run<K>(
        &self,
        mut writer: Writer<Guarded<K>>,
        mut touched: impl FnMut(Option<&Guarded<K>>) + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let api: Api<Guarded<K>> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let place = self.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        let label = format!("{}{place}", K::kind(&()));
        let (awaited, context) = (self.awaited.clone(), Arc::clone(&self.context));
        awaited.change(|awaited| {
            awaited.insert(label.clone());
        });
        async move {
            let events = watcher(api, watcher::Config::default())
                .modify(|object| object.managed_fields_mut().clear())
                .default_backoff();
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let event = match event {
                    Ok(event) => event,
                    Err(error) => {
                        context.counters.watch_broke();
                        tracing::warn!(kind = label, error = in_one_line(&error), "a watch broke; it is begun again");
                        continue;
                    }
                };
                writer.apply_watcher_event(&event);
                match &event {
                    Event::Apply(object) | Event::Delete(object) => touched(Some(object)),
                    Event::Init | Event::InitApply(_) => {}
                    Event::InitDone => {
                        awaited.change(|awaited| {
                            awaited.remove(&label);
                        });
                        writer.as_reader().state().iter().for_each(|object| touched(Some(object)));
                        // What was deleted while nobody watched has no event of its own.
                        touched(None);
                    }
                }
            }
        }
    }
}
