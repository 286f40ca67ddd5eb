//! What became of a write whose answer was lost.
//!
//! An error from the API server that is [`Failure::Unavailable`](super::error::Failure::Unavailable) says nothing about
//! whether the write was done: it may be done, it may fail, it may still be on its way. Only reading tells, and a read that
//! does not find the write proves nothing yet. So every such write is settled here, by one rule: read until what is found
//! answers the question, and give up at a fixed time.

use std::{future::Future, time::Duration};

use kube::{Client, Resource, ResourceExt as _, core::NamespaceResourceScope};
use serde::de::DeserializeOwned;

use super::{
    error::ApiError,
    status::{Written, current},
};

/// How long to read, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After this time the question stays open.
    pub limit: Duration,
    /// The pause between two reads.
    pub pause: Duration,
}

/// What one read says about the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling<T> {
    /// The question is answered.
    Settled(T),
    /// It is open: the write may still be on its way.
    Open,
}

/// Reads until `judge` has an answer. A read that fails says nothing, and is tried again. `None`: the time is over and the
/// question is still open.
pub async fn read_until<K, T, F>(
    patience: Patience,
    mut read: impl FnMut() -> F,
    mut judge: impl FnMut(K) -> Settling<T>,
) -> Option<T>
where
    F: Future<Output = Result<K, ApiError>>,
{
    let reading = async {
        loop {
            if let Ok(found) = read().await
                && let Settling::Settled(answer) = judge(found)
            {
                return answer;
            }
            tokio::time::sleep(patience.pause).await;
        }
    };
    tokio::time::timeout(patience.limit, reading).await.ok()
}

/// Settles a creation, for [`read_until`]: an object that is not there yet may still come.
pub fn once_there<K>(found: Option<K>) -> Settling<K> {
    found.map_or(Settling::Open, Settling::Settled)
}

/// What became of an update that carried the resourceVersion of the object that it was made from.
#[derive(Clone, Debug, PartialEq)]
pub enum Update<K> {
    /// It is written.
    Ours(K),
    /// Another writer was faster. The API server refuses ours, should it still arrive, so it can be made again from this.
    Changed(K),
    /// The object is gone, or another one has its name.
    Gone,
}

/// Settles an update of `base` that carried its resourceVersion. `None`: the time is over and it is not known.
pub async fn update<K>(reads: &Client, base: &K, patience: Patience, is_ours: impl Fn(&K) -> bool) -> Option<Update<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let judge = |found: Option<K>| match found {
        None => Settling::Settled(Update::Gone),
        Some(found) if is_ours(&found) => Settling::Settled(Update::Ours(found)),
        Some(found) if found.resource_version() != base.resource_version() => Settling::Settled(Update::Changed(found)),
        Some(_) => Settling::Open,
    };
    read_until(patience, || current(reads, base), judge).await
}

/// What to do with an object after a write of it did not come back as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again<K> {
    /// Nothing: it is as it should be, or there is nothing to write to any more.
    Enough,
    /// Write again, onto this.
    Onto(K),
}

/// Writes until it is done, for a write that may be repeated: after a conflict or an error it pauses, reads, and lets
/// `judge` say whether to write again. There are as many further attempts as there are pauses.
///
/// # Errors
/// That of the last attempt.
pub async fn write_until<K, T, W, R>(
    mut base: K,
    pauses: impl IntoIterator<Item = Duration>,
    mut write: impl FnMut(K) -> W,
    mut read: impl FnMut() -> R,
    judge: impl Fn(Option<K>) -> Again<K>,
) -> Result<(), ApiError>
where
    K: Clone,
    W: Future<Output = Result<Written<T>, ApiError>>,
    R: Future<Output = Result<Option<K>, ApiError>>,
{
    let mut pauses = pauses.into_iter();
    loop {
        let error = match write(base.clone()).await {
            Ok(Written::Done(_)) => return Ok(()),
            // Another writer was faster, or our own write came through without its answer: look.
            Ok(Written::Conflict) => None,
            Err(error) => Some(error),
        };
        let Some(pause) = pauses.next() else { return error.map_or(Ok(()), Err) };
        tokio::time::sleep(pause).await;
        // Where it cannot be read either, the same write is tried again.
        if let Ok(found) = read().await {
            match judge(found) {
                Again::Enough => return Ok(()),
                Again::Onto(found) => base = found,
            }
        }
    }
}

#[cfg(test)]
mod tests;
