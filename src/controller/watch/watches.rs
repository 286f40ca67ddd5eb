//! The watches of a scope, and what each event means for which object.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use futures::{StreamExt as _, future};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::NamespaceResourceScope,
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
    stores::{Awaited, Guarded, Queue, Queues, Stores, Writers},
};
use crate::controller::{context::Context, finished_requests::FinishedRequests, open_requests::OpenRequests};
use crate::{
    api::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest},
    audit,
    cluster::error::in_one_line,
};

/// Objects are big before what is not used is taken off (etcd takes 1.5 MiB, metadata.managedFields included), so that a
/// first list comes in small pages.
const PAGE: u32 = 20;

/// Starts one watch per kind, each a task that never ends.
pub(crate) fn start(
    context: &Arc<Context>,
    namespace: Option<String>,
    awaited: &Awaited,
    writers: Writers,
    stores: &Stores,
    queues: Queues,
) -> JoinSet<()> {
    let client = context.clients.watches().clone();
    let watches = Watches { client, namespace, awaited: awaited.clone(), context: Arc::clone(context) };
    let known = Known { context: Arc::clone(context), open: stores.open.clone(), finished: stores.finished.clone() };
    let concerned = Concerned { requests: stores.requests.clone(), queue: queues.requests };
    let mut watching = JoinSet::new();
    let others = concerned.clone();
    watching.spawn(watches.run(
        writers.certificates,
        |_| {},
        move |seen: Seen<'_, Certificate>| match seen {
            Seen::There(certificate) | Seen::Gone(certificate) => {
                put(&queues.certificates, certificate);
                others.of_certificate(&certificate.namespace().unwrap_or_default(), &certificate.name_any());
            }
            Seen::All(_) => others.all(),
        },
    ));
    let others = concerned.clone();
    watching.spawn(watches.run(
        writers.policies,
        |_| {},
        move |seen: Seen<'_, CertificatePolicy>| match seen {
            Seen::There(policy) | Seen::Gone(policy) => others.of_namespace(&policy.namespace().unwrap_or_default()),
            Seen::All(_) => others.all(),
        },
    ));
    let others = concerned.clone();
    watching.spawn(watches.run(writers.requests, retained::of_request, move |seen: Seen<'_, DownloadRequest>| {
        for name in known.learn(&seen) {
            others.one(&name.0, &name.1);
        }
        if let Seen::There(request) | Seen::Gone(request) = seen {
            put(&others.queue, request);
        }
    }));
    let others = concerned.clone();
    watching.spawn(watches.run(writers.receipts, retained::of_receipt, move |seen: Seen<'_, DownloadReceipt>| {
        let (Seen::There(receipt) | Seen::Gone(receipt)) = seen else { return };
        put(&queues.receipts, receipt);
        if let Ok(readable) = &receipt.0 {
            others.one(&receipt.namespace().unwrap_or_default(), &readable.spec.request_ref.name);
        }
    }));
    watching.spawn(on_guard(Arc::clone(context), concerned));
    watching
}

/// What a watch says.
enum Seen<'a, K> {
    /// This object is there, or has changed.
    There(&'a Guarded<K>),
    /// This one is gone.
    Gone(&'a Guarded<K>),
    /// These are all there are: what is not among them went while no one watched.
    All(&'a [Arc<Guarded<K>>]),
}

/// What is kept of the requests besides their store, and told of those that go.
struct Known {
    context: Arc<Context>,
    open: OpenRequests,
    finished: FinishedRequests,
}

impl Known {
    /// Answers with namespace and name of the finished requests that are too many.
    fn learn(&self, seen: &Seen<'_, DownloadRequest>) -> Vec<(String, String)> {
        let most = self.context.intervals.max_finished_requests;
        match seen {
            Seen::There(request) => {
                let Ok(request) = &request.0 else { return Vec::new() };
                self.open.seen(request);
                let namespace = request.key().namespace;
                return self
                    .finished
                    .seen(request, most)
                    .into_iter()
                    .map(|name| (namespace.to_owned(), name))
                    .collect();
            }
            Seen::Gone(request) => {
                if let Ok(request) = &request.0 {
                    let beyond = self.finished.is_beyond(request, most).then_some(most);
                    self.open.gone(request);
                    self.finished.gone(request);
                    let now = self.context.clients.clock().now();
                    self.context.audit.tell(&audit::request::deleted(request, beyond, now));
                }
            }
            Seen::All(requests) => {
                self.open.only(requests.iter().filter_map(|request| request.0.as_ref().ok()));
                self.finished.only(requests.iter().filter_map(|request| request.0.as_ref().ok()));
            }
        }
        Vec::new()
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
    /// Keeps a store filled for ever. `prune` takes off what no one reads there; `touched` is called for each object, and when all of them are known.
    fn run<K>(
        &self,
        mut writer: Writer<Guarded<K>>,
        prune: fn(&mut K),
        mut touched: impl FnMut(Seen<'_, K>) + Send + 'static,
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
            let events = watcher(api, watcher::Config::default().page_size(PAGE))
                .modify(move |object| {
                    retained::only_what_is_used(object.meta_mut());
                    if let Ok(object) = &mut object.0 {
                        prune(object);
                    }
                })
                .default_backoff();
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => take_in(&mut writer, &event, &mut touched, || {
                        awaited.change(|awaited| {
                            awaited.remove(&label);
                        });
                    }),
                    Err(error) => {
                        context.counters.watch_broke();
                        tracing::warn!(kind = label, error = in_one_line(&error), "a watch broke; restarting it");
                    }
                }
            }
        }
    }
}

/// Fills the store, and says what concerns which object. `complete` is called when all of them are in the store, before
/// they are told.
fn take_in<K>(
    writer: &mut Writer<Guarded<K>>,
    event: &Event<Guarded<K>>,
    touched: &mut impl FnMut(Seen<'_, K>),
    complete: impl FnOnce(),
) where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let before = if matches!(event, Event::InitDone) { writer.as_reader().state() } else { Vec::new() };
    writer.apply_watcher_event(event);
    match event {
        Event::Apply(object) => touched(Seen::There(object)),
        Event::Delete(object) => touched(Seen::Gone(object)),
        Event::Init | Event::InitApply(_) => {}
        Event::InitDone => {
            complete();
            let all = writer.as_reader().state();
            // What was deleted while the watch was broken has no event of its own.
            for object in gone(&before, &all) {
                touched(Seen::Gone(object));
            }
            for object in &all {
                touched(Seen::There(object));
            }
            touched(Seen::All(&all));
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
