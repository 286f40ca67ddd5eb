//! Emits the audit facts of each write of a request's status: once where the result of the write is known, and again
//! under the same id where it is not.
//!
//! A fact is emitted when its write is answered. If no answer came, the version before the write is kept, and compared
//! with what the API server has at the next reconcile. If a leader stopped responding, its successor emits again what
//! happened shortly before.

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
pub(crate) struct AuditOutbox {
    before: Mutex<HashMap<String, DownloadRequest>>,
    /// From when on a new leader emits again, because the previous one stopped responding.
    again_since: Mutex<Option<Timestamp>>,
}

impl AuditOutbox {
    /// The status of this version is about to be written over.
    pub(crate) fn begin(&self, request: &DownloadRequest) {
        if let Some(uid) = &request.metadata.uid {
            // What is there already is older, so the difference is larger.
            self.change(|before| {
                before.entry(uid.clone()).or_insert_with(|| request.clone());
            });
        }
    }

    /// Nothing was written.
    pub(crate) fn nothing(&self, request: &DownloadRequest) {
        self.take(request);
    }

    /// This is what the API server has now: emits what happened since, if that has not been emitted.
    pub(crate) fn settle(&self, audit: &Audit, now: &DownloadRequest, moment: Timestamp) {
        if let Some(before) = self.take(now) {
            audit.tell_all(request::between(&before, now, moment));
        }
    }

    /// Whether something might not have been emitted.
    pub(crate) fn holds(&self, request: &DownloadRequest) -> bool {
        self.change(|before| {
            !before.is_empty() && request.metadata.uid.as_ref().is_some_and(|uid| before.contains_key(uid))
        })
    }

    /// This replica starts to lead. `silent`: the previous leader stopped responding, at most that long ago.
    pub(crate) fn begin_to_lead(&self, now: Timestamp, silent: Option<Duration>) {
        let since = silent.map(|ago| now.saturating_sub(ago).unwrap_or(Timestamp::MIN));
        *self.again_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// From when on to emit again, if so.
    pub(crate) fn again_since(&self) -> Option<Timestamp> {
        *self.again_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, request: &DownloadRequest) -> Option<DownloadRequest> {
        self.change(|before| before.remove(request.metadata.uid.as_deref()?))
    }

    fn change<R>(&self, change: impl FnOnce(&mut HashMap<String, DownloadRequest>) -> R) -> R {
        change(&mut self.before.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
