//! What is over: finished requests, and receipts whose outcome is known. A busy cluster keeps hundreds of thousands, so
//! they are in no store and no queue: a few words of each are here, and whatever is done about one is decided on the
//! object as the API server has it ([`super::watch::retire`]).
//!
//! Requests and receipts are compared as they come, since either may have changed while no one watched: a request that
//! its receipt says more about is named by [`Archive::take_attended`].

mod entries;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, futures::Notified};

use entries::Names;
pub(crate) use entries::{KeptReceipt, KeptRequest};

use crate::{
    api::{DownloadReceipt, DownloadRequest, Phase},
    cluster::receipts,
    lifecycle,
};

/// Namespace and name.
pub(crate) type Place = (Arc<str>, Box<str>);

/// What is over, in a scope. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Archive(Arc<Inner>);

#[derive(Default)]
struct Inner {
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Default)]
struct Kept {
    names: Names,
    requests: Shelf<KeptRequest>,
    receipts: Shelf<KeptReceipt>,
    /// How many finished requests each requester has, by namespace.
    counts: HashMap<(Arc<str>, Arc<str>), u32>,
    attended: BTreeSet<Place>,
    /// Which list is being read: what it does not name is gone at its end.
    list: u32,
}

/// Objects of one kind by namespace and name, each with the list that named it last.
type Shelf<V> = HashMap<Arc<str>, HashMap<Box<str>, (u32, V)>>;

impl Archive {
    /// Keeps a few words of a finished request; whether it could.
    pub(crate) fn keep_request(&self, request: &DownloadRequest) -> bool {
        self.change(|kept| {
            let Some(entry) = KeptRequest::of(request, &mut kept.names) else { return false };
            let key = request.key();
            let (namespace, name) = (kept.names.of(key.namespace), Box::<str>::from(key.name));
            let receipt = kept.receipt(key.namespace, request.uid_text());
            if receipt.is_some_and(|receipt| entry.is_behind(receipt)) {
                kept.attended.insert((Arc::clone(&namespace), name.clone()));
            }
            let whose = (Arc::clone(&namespace), Arc::clone(&entry.requester));
            let list = kept.list;
            let before = kept.requests.entry(namespace).or_default().insert(name, (list, entry));
            if before.is_none() {
                *kept.counts.entry(whose).or_default() += 1;
            }
            true
        })
    }

    /// Keeps a few words of a receipt with its outcome; whether it could.
    pub(crate) fn keep_receipt(&self, receipt: &DownloadReceipt) -> bool {
        self.change(|kept| {
            let Some(entry) = KeptReceipt::of(receipt) else { return false };
            let namespace = kept.names.of(receipt.metadata.namespace.as_deref().unwrap_or_default());
            let name = Box::<str>::from(receipt.metadata.name.as_deref().unwrap_or_default());
            let of = kept.requests.get(&namespace).and_then(|shelf| shelf.get(&entry.request));
            if of.is_some_and(|(_, of)| *of.uid == *receipt.spec.request_ref.uid && of.is_behind(&entry)) {
                kept.attended.insert((Arc::clone(&namespace), entry.request.clone()));
            }
            let list = kept.list;
            kept.receipts.entry(namespace).or_default().insert(name, (list, entry));
            true
        })
    }

    /// A receipt without an outcome names this request; whether it is here, does not know of it, and is to be looked at.
    pub(crate) fn is_being_delivered(&self, namespace: &str, request: &str) -> bool {
        self.change(|kept| {
            let found = kept.requests.get(namespace).and_then(|shelf| shelf.get(request));
            let is_behind = found.is_some_and(|(_, entry)| !entry.has_receipt);
            if is_behind {
                let namespace = kept.names.of(namespace);
                kept.attended.insert((namespace, request.into()));
            }
            is_behind
        })
    }

    /// This request is not there any more, or is in the store again.
    pub(crate) fn forget_request(&self, namespace: &str, name: &str) {
        self.change(|kept| kept.take_request(namespace, name));
    }

    /// This receipt is not there any more.
    pub(crate) fn forget_receipt(&self, namespace: &str, name: &str) {
        self.change(|kept| {
            if let Some(shelf) = kept.receipts.get_mut(namespace) {
                shelf.remove(name);
                if shelf.is_empty() {
                    kept.receipts.remove(namespace);
                }
            }
        });
    }

    /// A list of requests or receipts begins.
    pub(crate) fn begin_list(&self) -> u32 {
        self.change(|kept| {
            kept.list += 1;
            kept.list
        })
    }

    /// The list is over: the requests that it did not name went while no one watched, each as far as it is known.
    pub(crate) fn requests_not_in(&self, list: u32) -> Vec<DownloadRequest> {
        self.change(|kept| {
            let mut gone = Vec::new();
            for (namespace, shelf) in &kept.requests {
                let unnamed = shelf.iter().filter(|(_, (named, _))| *named < list);
                gone.extend(unnamed.map(|(name, (_, entry))| entry.as_request(namespace, name)));
            }
            for request in &gone {
                kept.take_request(request.key().namespace, request.key().name);
            }
            gone
        })
    }

    /// The same of receipts; no one needs to know which.
    pub(crate) fn forget_receipts_not_in(&self, list: u32) {
        self.change(|kept| {
            kept.receipts.retain(|_, shelf| {
                shelf.retain(|_, (named, _)| *named >= list);
                !shelf.is_empty()
            });
        });
    }

    /// The receipt of a request, as far as it is known.
    pub(crate) fn receipt_of(&self, request: &DownloadRequest) -> Option<DownloadReceipt> {
        let (namespace, uid) = (request.key().namespace, request.uid_text());
        self.change(|kept| kept.receipt(namespace, uid).map(|receipt| receipt.as_receipt(namespace, uid)))
    }

    /// How many finished requests there are, by phase.
    pub(crate) fn count(&self, mut count: impl FnMut(Phase)) {
        self.change(|kept| {
            kept.requests.values().flat_map(HashMap::values).for_each(|(_, request)| count(request.phase));
        });
    }

    /// Looks at each request.
    pub(crate) fn each_request(&self, mut look: impl FnMut(&Arc<str>, &str, &KeptRequest)) {
        self.change(|kept| {
            for (namespace, shelf) in &kept.requests {
                for (name, (_, request)) in shelf {
                    look(namespace, name, request);
                }
            }
        });
    }

    /// Looks at each receipt.
    pub(crate) fn each_receipt(&self, mut look: impl FnMut(&Arc<str>, &str, &KeptReceipt)) {
        self.change(|kept| {
            for (namespace, shelf) in &kept.receipts {
                for (name, (_, receipt)) in shelf {
                    look(namespace, name, receipt);
                }
            }
        });
    }

    /// The requests that are not among the newest `most` of their requester and namespace, the oldest first.
    pub(crate) fn beyond(&self, most: u32) -> Vec<Place> {
        self.change(|kept| {
            let mut beyond = Vec::new();
            for ((namespace, requester), count) in &kept.counts {
                let more = usize::try_from(count.saturating_sub(most)).unwrap_or_default();
                if more == 0 {
                    continue;
                }
                let Some(there) = kept.requests.get(namespace) else { continue };
                let mut theirs: Vec<_> =
                    there.iter().filter(|(_, (_, request))| request.requester == *requester).collect();
                theirs.sort_by(|(_, (_, one)), (_, (_, other))| one.order().cmp(&other.order()));
                beyond.extend(theirs.into_iter().take(more).map(|(name, _)| (Arc::clone(namespace), name.clone())));
            }
            beyond
        })
    }

    /// Whether so many requests of the same requester and namespace have ended later.
    pub(crate) fn is_beyond(&self, request: &DownloadRequest, most: u32) -> bool {
        let Some(finished) = lifecycle::finished_at(request) else { return false };
        let (own, requester) = ((finished, request.uid_text()), request.requester());
        self.change(|kept| {
            let Some(there) = kept.requests.get(request.key().namespace) else { return false };
            let later = there.values().filter(|(_, other)| *other.requester == *requester && other.order() > own);
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            later.take(most).count() >= most
        })
    }

    /// The requests that their receipts say more about; each is named once.
    pub(crate) fn take_attended(&self) -> Vec<Place> {
        self.change(|kept| std::mem::take(&mut kept.attended).into_iter().collect())
    }

    /// Whether this request is here, under this uid.
    pub(crate) fn holds(&self, request: &DownloadRequest) -> bool {
        let key = request.key();
        self.change(|kept| {
            let found = kept.requests.get(key.namespace).and_then(|shelf| shelf.get(key.name));
            found.is_some_and(|(_, entry)| *entry.uid == *request.uid_text())
        })
    }

    /// Something that decides how long they stay has changed.
    pub(crate) fn reconsider(&self) {
        self.0.changed.notify_one();
    }

    /// Until something has changed here, or how long they stay.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    fn change<R>(&self, change: impl FnOnce(&mut Kept) -> R) -> R {
        change(&mut self.0.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn receipt(&self, namespace: &str, uid: &str) -> Option<&KeptReceipt> {
        self.receipts.get(namespace)?.get(receipts::name_of(uid).as_str()).map(|(_, receipt)| receipt)
    }

    fn take_request(&mut self, namespace: &str, name: &str) {
        let Some(there) = self.requests.get_mut(namespace) else { return };
        let Some((_, entry)) = there.remove(name) else { return };
        if there.is_empty() {
            self.requests.remove(namespace);
        }
        let whose = (self.names.of(namespace), entry.requester);
        if let Some(count) = self.counts.get_mut(&whose) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&whose);
            }
        }
    }
}

#[cfg(test)]
mod tests;
