//! The watches of a scope, and what each event means for which object.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt as _, future, stream::pending};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::{
    retained,
    stores::{Awaited, Guarded, Over, Queue, Queues, Stores, Writers},
};
use crate::controller::{archive::Archive, context::Context, open_requests::OpenRequests};
use crate::{
    api::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest},
    audit,
    cluster::error::in_one_line,
    lifecycle,
};

/// Objects are big before what is not used is taken off (etcd takes 1.5 MiB, metadata.managedFields included), so that a
/// first list comes in small pages.
const PAGE: u32 = 20;
/// Of requests, whose size admission bounds (some 100 KiB), and of receipts, which servers write.
const PAGE_OF_BOUNDED: u32 = 200;

/// Starts one watch per kind, each a task that never ends.
pub(crate) fn start(
    context: &Arc<Context>,
    namespace: Option<String>,
    awaited: &Awaited,
    writers: Writers,
    stores: &Stores,
    queues: Queues,
    over: Over,
) -> JoinSet<()> {
    let client = context.clients.watches().clone();
    let watches = Watches { client, namespace, awaited: awaited.clone(), context: Arc::clone(context) };
    let concerned =
        Concerned { requests: stores.requests.clone(), archive: stores.archive.clone(), queue: queues.requests };
    let mut watching = JoinSet::new();
    let certificates =
        Certificates { context: Arc::clone(context), queue: queues.certificates, concerned: concerned.clone() };
    watching.spawn(watches.run(writers.certificates, certificates, pending()));
    watching.spawn(watches.run(writers.policies, Policies(concerned.clone()), pending()));
    let requests = Requests {
        context: Arc::clone(context),
        open: stores.open.clone(),
        archive: stores.archive.clone(),
        concerned: concerned.clone(),
        list: 0,
    };
    watching.spawn(watches.run(writers.requests, requests, over.requests));
    let receipts =
        Receipts { archive: stores.archive.clone(), queue: queues.receipts, concerned: concerned.clone(), list: 0 };
    watching.spawn(watches.run(writers.receipts, receipts, over.receipts));
    watching.spawn(on_guard(Arc::clone(context), concerned));
    watching
}

/// What a watch says.
enum Seen<'a, K> {
    /// This object is there, or has changed.
    There(&'a Guarded<K>),
    /// This one is gone.
    Gone(&'a Guarded<K>),
    /// These are all there are in the store: what is not among them went while no one watched.
    All(&'a [Arc<Guarded<K>>]),
}

/// What is done with the objects of a kind, besides keeping them in their store.
trait Handle<K>: Send + 'static {
    /// So many come in one answer of a list.
    const PAGE: u32 = PAGE;

    /// Takes off what no one reads in the store.
    fn prune(_: &mut K) {}

    /// Something was seen.
    fn touched(&mut self, seen: Seen<'_, K>);

    /// A list begins.
    fn list_begins(&mut self) {}

    /// Keeps an object in the archive instead of the store; whether it did.
    fn archives(&mut self, _: &K) -> bool {
        false
    }

    /// Whether it is in the archive.
    fn is_archived(&self, _: &K) -> bool {
        false
    }

    /// One that was in the store is in the archive now.
    fn was_put_away(&mut self) {}

    /// A list is over.
    fn list_ends(&mut self) {}
}

struct Certificates {
    context: Arc<Context>,
    queue: Queue<Certificate>,
    concerned: Concerned,
}

impl Handle<Certificate> for Certificates {
    fn touched(&mut self, seen: Seen<'_, Certificate>) {
        match seen {
            Seen::There(certificate) | Seen::Gone(certificate) => {
                if matches!(seen, Seen::Gone(_)) {
                    let uid = certificate.meta().uid.as_deref().unwrap_or_default();
                    self.context.certificate_reads.forget(uid);
                }
                put(&self.queue, certificate);
                self.concerned.of_certificate(&certificate.namespace().unwrap_or_default(), &certificate.name_any());
            }
            Seen::All(_) => self.concerned.all(),
        }
    }
}

struct Policies(Concerned);

impl Handle<CertificatePolicy> for Policies {
    fn touched(&mut self, seen: Seen<'_, CertificatePolicy>) {
        match seen {
            Seen::There(policy) | Seen::Gone(policy) => self.0.of_namespace(&policy.namespace().unwrap_or_default()),
            Seen::All(_) => self.0.all(),
        }
    }
}

struct Requests {
    context: Arc<Context>,
    open: OpenRequests,
    archive: Archive,
    concerned: Concerned,
    list: u32,
}

impl Requests {
    /// Told of those that went.
    fn tell_gone(&self, request: &DownloadRequest) {
        let most = self.context.intervals.max_finished_requests;
        let beyond = self.archive.is_beyond(request, most).then_some(most);
        self.open.gone(request);
        self.archive.forget_request(request.key().namespace, request.key().name);
        let now = self.context.clients.clock().now();
        self.context.audit.tell(&audit::request::deleted(request, beyond, now));
    }
}

impl Handle<DownloadRequest> for Requests {
    const PAGE: u32 = PAGE_OF_BOUNDED;

    fn prune(request: &mut DownloadRequest) {
        retained::of_request(request);
    }

    fn touched(&mut self, seen: Seen<'_, DownloadRequest>) {
        match &seen {
            Seen::There(request) => {
                if let Ok(request) = &request.0 {
                    self.open.seen(request);
                }
            }
            Seen::Gone(request) => {
                if let Ok(request) = &request.0 {
                    self.tell_gone(request);
                }
            }
            Seen::All(requests) => self.open.only(requests.iter().filter_map(|request| request.0.as_ref().ok())),
        }
        if let Seen::There(request) | Seen::Gone(request) = seen {
            put(&self.concerned.queue, request);
        }
    }

    fn list_begins(&mut self) {
        self.list = self.archive.begin_list();
    }

    fn archives(&mut self, request: &DownloadRequest) -> bool {
        // What is still to be told or removed is in the store.
        !self.context.is_unswept(request)
            && !self.context.audit_outbox.holds(request)
            && lifecycle::finished_at(request).is_some()
            && self.archive.keep_request(request)
    }

    fn is_archived(&self, request: &DownloadRequest) -> bool {
        self.archive.holds(request)
    }

    fn was_put_away(&mut self) {
        self.archive.reconsider();
    }

    fn list_ends(&mut self) {
        for request in self.archive.requests_not_in(self.list) {
            self.tell_gone(&request);
        }
        self.archive.reconsider();
    }
}

struct Receipts {
    archive: Archive,
    queue: Queue<DownloadReceipt>,
    concerned: Concerned,
    list: u32,
}

impl Handle<DownloadReceipt> for Receipts {
    const PAGE: u32 = PAGE_OF_BOUNDED;

    fn prune(receipt: &mut DownloadReceipt) {
        retained::of_receipt(receipt);
    }

    fn touched(&mut self, seen: Seen<'_, DownloadReceipt>) {
        let (Seen::There(receipt) | Seen::Gone(receipt)) = seen else { return };
        let namespace = receipt.namespace().unwrap_or_default();
        if matches!(seen, Seen::Gone(_)) {
            self.archive.forget_receipt(&namespace, &receipt.name_any());
        }
        put(&self.queue, receipt);
        if let Ok(readable) = &receipt.0 {
            let request = &readable.spec.request_ref.name;
            self.concerned.one(&namespace, request);
            if readable.status.is_none() && self.archive.is_being_delivered(&namespace, request) {
                self.archive.reconsider();
            }
        }
    }

    fn list_begins(&mut self) {
        self.list = self.archive.begin_list();
    }

    fn archives(&mut self, receipt: &DownloadReceipt) -> bool {
        self.archive.keep_receipt(receipt)
    }

    fn was_put_away(&mut self) {
        self.archive.reconsider();
    }

    fn list_ends(&mut self) {
        self.archive.forget_receipts_not_in(self.list);
        self.archive.reconsider();
    }
}

fn put<K: Resource<DynamicType = ()>>(queue: &Queue<K>, object: &Guarded<K>) {
    // The other end goes only when the scope ends.
    let _ = queue.unbounded_send(ObjectRef::from_obj(object));
}

/// When what is known of the admission policies changes, every request is reconciled.
async fn on_guard(context: Arc<Context>, concerned: Concerned) {
    let mut guard = context.guard.subscribe();
    while guard.changed().await.is_ok() {
        concerned.all();
    }
    future::pending::<()>().await;
}

/// Names the requests that something else concerns.
#[derive(Clone)]
struct Concerned {
    requests: Store<Guarded<DownloadRequest>>,
    archive: Archive,
    queue: Queue<DownloadRequest>,
}

impl Concerned {
    fn all(&self) {
        self.those(|_| true);
        self.archive.reconsider();
    }

    /// Closed ones too: a policy says how long they stay.
    fn of_namespace(&self, namespace: &str) {
        self.archive.reconsider();
        self.those(|request| request.metadata.namespace.as_deref() == Some(namespace));
    }

    fn of_certificate(&self, namespace: &str, certificate: &str) {
        self.those(|request| {
            request.is_open()
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

struct Watches {
    client: Client,
    namespace: Option<String>,
    awaited: Awaited,
    context: Arc<Context>,
}

impl Watches {
    /// Keeps a store filled for ever. What comes by `over` goes from the store into the archive.
    fn run<K, H: Handle<K>>(
        &self,
        mut writer: Writer<Guarded<K>>,
        mut handle: H,
        over: impl Stream<Item = K> + Send + 'static,
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
            let events = watcher(api, watcher::Config::default().page_size(H::PAGE))
                .modify(|object| {
                    retained::only_what_is_used(object.meta_mut());
                    if let Ok(object) = &mut object.0 {
                        H::prune(object);
                    }
                })
                .default_backoff();
            let (mut events, mut over) = (std::pin::pin!(events), std::pin::pin!(over));
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    Some(object) = over.next() => {
                        put_away(&mut writer, object, &mut handle);
                        continue;
                    }
                };
                match event {
                    Some(Ok(event)) => take_in(&mut writer, &event, &mut handle, || {
                        awaited.change(|awaited| {
                            awaited.remove(&label);
                        });
                    }),
                    Some(Err(error)) => {
                        context.counters.watch_broke();
                        tracing::warn!(kind = label, error = in_one_line(&error), "a watch broke; restarting it");
                    }
                    None => return,
                }
            }
        }
    }
}

/// Moves an object from the store into the archive, if the store still has this very object.
fn put_away<K>(writer: &mut Writer<Guarded<K>>, object: K, handle: &mut impl Handle<K>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let object = DeserializeGuard(Ok(object));
    let stored = writer.as_reader().get(&ObjectRef::from_obj(&object));
    let Some(stored) = stored.filter(|stored| stored.meta().uid == object.meta().uid) else { return };
    if stored.0.as_ref().is_ok_and(|stored| handle.archives(stored)) {
        writer.apply_watcher_event(&Event::Delete(object));
        handle.was_put_away();
    }
}

/// Fills the store, and says what concerns which object. `complete` is called when all of them are in the store, before
/// they are told.
fn take_in<K>(
    writer: &mut Writer<Guarded<K>>,
    event: &Event<Guarded<K>>,
    handle: &mut impl Handle<K>,
    complete: impl FnOnce(),
) where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    // Of a list, what is over goes past the store: there may be very many.
    if let Event::InitApply(object) = event
        && object.0.as_ref().is_ok_and(|object| handle.archives(object))
    {
        return;
    }
    let before = if matches!(event, Event::InitDone) { writer.as_reader().state() } else { Vec::new() };
    writer.apply_watcher_event(event);
    match event {
        Event::Apply(object) => handle.touched(Seen::There(object)),
        Event::Delete(object) => handle.touched(Seen::Gone(object)),
        Event::Init => handle.list_begins(),
        Event::InitApply(_) => {}
        Event::InitDone => {
            complete();
            let all = writer.as_reader().state();
            // What was deleted while the watch was broken has no event of its own.
            for object in gone(&before, &all) {
                if !object.0.as_ref().is_ok_and(|object| handle.is_archived(object)) {
                    handle.touched(Seen::Gone(object));
                }
            }
            handle.list_ends();
            for object in &all {
                handle.touched(Seen::There(object));
            }
            handle.touched(Seen::All(&all));
        }
    }
}

/// The objects that are no longer there.
fn gone<'a, K: Resource<DynamicType = ()>>(
    before: &'a [Arc<Guarded<K>>],
    now: &[Arc<Guarded<K>>],
) -> impl Iterator<Item = &'a Guarded<K>> {
    let there: HashSet<Option<String>> = now.iter().map(|object| object.meta().uid.clone()).collect();
    before.iter().filter(move |object| !there.contains(&object.meta().uid)).map(AsRef::as_ref)
}
