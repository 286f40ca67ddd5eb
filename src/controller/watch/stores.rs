//! What is known of a scope without asking the API server, and the queues of what is to be reconciled.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::{
    core::DeserializeGuard,
    runtime::reflector::{ObjectRef, Store, store::Writer},
};

use crate::{
    api::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest},
    controller::{finished_requests::FinishedRequests, open_requests::OpenRequests},
};

/// An object that may be unreadable without stopping its watch.
pub(crate) type Guarded<K> = DeserializeGuard<K>;

/// What is known of a scope without asking the API server.
#[derive(Clone)]
pub(crate) struct Stores {
    pub(crate) certificates: Store<Guarded<Certificate>>,
    pub(crate) policies: Store<Guarded<CertificatePolicy>>,
    pub(crate) requests: Store<Guarded<DownloadRequest>>,
    pub(crate) receipts: Store<Guarded<DownloadReceipt>>,
    /// The open ones among the requests.
    pub(crate) open: OpenRequests,
    /// The finished ones.
    pub(crate) finished: FinishedRequests,
}

/// The first lists that are still awaited, for `/readyz`.
#[derive(Clone, Default)]
pub(crate) struct Awaited(Arc<Mutex<BTreeSet<String>>>);

impl Awaited {
    pub(crate) fn change(&self, change: impl FnOnce(&mut BTreeSet<String>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn list(&self) -> Vec<String> {
        let mut list = Vec::new();
        self.change(|awaited| list.extend(awaited.iter().cloned()));
        list
    }

    pub(crate) fn clear(&self) {
        self.change(BTreeSet::clear);
    }
}

/// Fills the stores.
#[derive(Default)]
pub(crate) struct Writers {
    pub(crate) certificates: Writer<Guarded<Certificate>>,
    pub(crate) policies: Writer<Guarded<CertificatePolicy>>,
    pub(crate) requests: Writer<Guarded<DownloadRequest>>,
    pub(crate) receipts: Writer<Guarded<DownloadReceipt>>,
}

impl Writers {
    pub(crate) fn stores(&self) -> Stores {
        Stores {
            certificates: self.certificates.as_reader(),
            policies: self.policies.as_reader(),
            requests: self.requests.as_reader(),
            receipts: self.receipts.as_reader(),
            open: OpenRequests::default(),
            finished: FinishedRequests::default(),
        }
    }
}

impl Stores {
    /// Until each has been listed once.
    pub(crate) async fn filled(&self) {
        // A store that will never be filled has lost its watch, and with it its scope ends.
        let _ = tokio::join!(
            self.certificates.wait_until_ready(),
            self.policies.wait_until_ready(),
            self.requests.wait_until_ready(),
            self.receipts.wait_until_ready()
        );
    }
}

pub(crate) type Queue<K> = UnboundedSender<ObjectRef<Guarded<K>>>;
pub(crate) type Queued<K> = UnboundedReceiver<ObjectRef<Guarded<K>>>;

/// Where the names of objects to reconcile are put.
#[derive(Clone)]
pub(crate) struct Queues {
    pub(crate) certificates: Queue<Certificate>,
    pub(crate) requests: Queue<DownloadRequest>,
    pub(crate) receipts: Queue<DownloadReceipt>,
}

/// Where they come out.
pub(crate) struct Waiting {
    pub(crate) certificates: Queued<Certificate>,
    pub(crate) requests: Queued<DownloadRequest>,
    pub(crate) receipts: Queued<DownloadReceipt>,
}

pub(crate) fn queues() -> (Queues, Waiting) {
    let (certificates, certificates_out) = unbounded();
    let (requests, requests_out) = unbounded();
    let (receipts, receipts_out) = unbounded();
    let waiting = Waiting { certificates: certificates_out, requests: requests_out, receipts: receipts_out };
    (Queues { certificates, requests, receipts }, waiting)
}
