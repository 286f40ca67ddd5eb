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
    controller::{archive::Archive, open_requests::OpenRequests},
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
    /// What is over, and therefore in none of the stores.
    pub(crate) archive: Archive,
    /// Where goes from its store what is over.
    pub(crate) over: OverQueues,
}

/// The ways from the stores into the archive.
#[derive(Clone)]
pub(crate) struct OverQueues {
    requests: UnboundedSender<DownloadRequest>,
    receipts: UnboundedSender<DownloadReceipt>,
}

/// Where they come out.
pub(crate) struct Over {
    pub(crate) requests: UnboundedReceiver<DownloadRequest>,
    pub(crate) receipts: UnboundedReceiver<DownloadReceipt>,
}

impl OverQueues {
    /// This finished request needs no look any more.
    pub(crate) fn request(&self, request: &DownloadRequest) {
        // The other end goes only when the scope ends.
        let _ = self.requests.unbounded_send(request.clone());
    }

    /// This receipt with its outcome needs no look any more.
    pub(crate) fn receipt(&self, receipt: &DownloadReceipt) {
        let _ = self.receipts.unbounded_send(receipt.clone());
    }
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
    pub(crate) fn stores(&self) -> (Stores, Over) {
        let (requests, requests_out) = unbounded();
        let (receipts, receipts_out) = unbounded();
        let stores = Stores {
            certificates: self.certificates.as_reader(),
            policies: self.policies.as_reader(),
            requests: self.requests.as_reader(),
            receipts: self.receipts.as_reader(),
            open: OpenRequests::default(),
            archive: Archive::default(),
            over: OverQueues { requests, receipts },
        };
        (stores, Over { requests: requests_out, receipts: receipts_out })
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
