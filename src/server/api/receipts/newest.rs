//! The newest receipts of a project, or of all: the API server lists by name, auditors read by time.

use std::{
    cmp::Reverse,
    sync::atomic::{AtomicUsize, Ordering},
};

use jiff::Timestamp;
use kube::{Api, Client, ResourceExt as _, core::DeserializeGuard};
use serde::{Deserialize, Serialize};

use super::{HINT, list::ReceiptQuery};
use crate::{
    api::DownloadReceipt,
    server::{api::pagination, http::error::ServerError},
};

/// Read for one answer at most.
const MOST_READ: usize = 20_000;
/// Found at a time.
const CHUNK: u32 = 500;

/// Newest first; what was consumed at the same time, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key(Reverse<Timestamp>, String, String);

impl Key {
    fn of(receipt: &DownloadReceipt) -> Self {
        let (project, name) = (receipt.namespace().unwrap_or_default(), receipt.name_any());
        Self(Reverse(receipt.spec.consumed_at.0), project, name)
    }
}

/// What was found.
pub struct Newest<View> {
    /// The newest that are wanted.
    pub items: Vec<View>,
    /// After which there are older ones.
    pub next: Option<Key>,
    /// Whether there are more receipts than are read for one answer, so that newer ones may be missing.
    pub truncated: bool,
}

/// The newest receipts that are wanted; `after` one of them, those that come before it. No `project`: of all, for those
/// who may list them everywhere.
///
/// # Errors
/// What the API server refuses the caller; a filter that cannot be read.
pub async fn newest<View>(
    client: &Client,
    project: Option<&str>,
    query: &ReceiptQuery,
    after: Option<&Key>,
    most: usize,
    view: impl Fn(&DownloadReceipt) -> View,
) -> Result<Newest<View>, ServerError> {
    let api: Api<DeserializeGuard<DownloadReceipt>> = match project {
        Some(project) => Api::namespaced(client.clone(), project),
        None => Api::all(client.clone()),
    };
    let (kept, read) = (query.kept()?, AtomicUsize::new(0));
    let wanted = |receipt: &DownloadReceipt| {
        read.fetch_add(1, Ordering::Relaxed);
        kept.holds(receipt) && after.is_none_or(|after| Key::of(receipt) > *after)
    };
    let (mut found, mut next): (Vec<(Key, View)>, _) = (Vec::new(), None);
    loop {
        let listing = query.listing(Some(CHUNK), next)?;
        let view = |receipt: DownloadReceipt| (Key::of(&receipt), view(&receipt));
        let page = pagination::list_where(&api, listing, wanted, HINT, view).await?;
        found.extend(page.items);
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found.truncate(most.saturating_add(1));
        next = page.next;
        if next.is_none() || read.load(Ordering::Relaxed) >= MOST_READ {
            break;
        }
    }
    let more = found.len() > most;
    found.truncate(most);
    let last = found.last().filter(|_| more).map(|(key, _)| key.clone());
    Ok(Newest { items: found.into_iter().map(|(_, view)| view).collect(), next: last, truncated: next.is_some() })
}
