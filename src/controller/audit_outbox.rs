//! Sees to it that the audit record is told what a write of a request's status made true: once where that can be known,
//! and again under the same id where it cannot.
//!
//! A fact is told when its write is answered. Where no answer came, the version before the write is kept, and compared
//! with what the API server has at the next look. Where a leader went silent, whoever comes after it tells once more what
//! came about shortly before.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    api::DownloadRequest,
    audit::{Audit, request},
};

/// Requests whose last write has not been answered.
#[derive(Default)]
pub(crate) struct Untold {
    before: Mutex<HashMap<String, DownloadRequest>>,
    /// From when on a new leader tells once more, because the one before went silent.
    again_since: Mutex<Option<Timestamp>>,
}

impl Untold {
    /// The status of this version is about to be written over.
    pub(crate) fn begin(&self, request: &DownloadRequest) {
        if let Some(uid) = &request.metadata.uid {
            // What is there already is older, and so tells more.
            self.change(|before| {
                before.entry(uid.clone()).or_insert_with(|| request.clone());
            });
        }
    }

    /// Nothing was written.
    pub(crate) fn nothing(&self, request: &DownloadRequest) {
        self.take(request);
    }

    /// This is what the API server has now: tells what came about since, if that has not been told.
    pub(crate) fn settle(&self, audit: &Audit, now: &DownloadRequest, moment: Timestamp) {
        if let Some(before) = self.take(now) {
            audit.tell_all(request::between(&before, now, moment));
        }
    }

    /// Whether something may not have been told.
    pub(crate) fn holds(&self, request: &DownloadRequest) -> bool {
        self.change(|before| {
            !before.is_empty() && request.metadata.uid.as_ref().is_some_and(|uid| before.contains_key(uid))
        })
    }

    /// This replica begins to lead. `silent`: the leader before it went silent, at most that long ago.
    pub(crate) fn begin_to_lead(&self, now: Timestamp, silent: Option<Duration>) {
        let since = silent.map(|ago| now.saturating_sub(ago).unwrap_or(Timestamp::MIN));
        *self.again_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Tells once more what the leader before may not have lived to tell.
    pub(crate) fn tell_again<'a>(&self, audit: &Audit, requests: impl IntoIterator<Item = &'a DownloadRequest>) {
        let since = *self.again_since.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = since else { return };
        for request in requests {
            audit.tell_all(request::since(request, since));
        }
    }

    fn take(&self, request: &DownloadRequest) -> Option<DownloadRequest> {
        self.change(|before| before.remove(request.metadata.uid.as_deref()?))
    }

    fn change<R>(&self, change: impl FnOnce(&mut HashMap<String, DownloadRequest>) -> R) -> R {
        change(&mut self.before.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
