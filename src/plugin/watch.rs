//! `--watch`: what is there, then each change.

use std::{collections::BTreeMap, fmt::Debug, pin::Pin};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Resource, ResourceExt as _,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;

use super::{context::Ctx, error::PluginError};
use crate::cluster::error::{ApiError, Failure};

/// What was seen.
#[derive(Debug)]
pub enum Seen<K> {
    /// What is there at the beginning.
    First(Vec<K>),
    /// One that is new or has changed.
    Changed(Box<K>),
    /// One that is gone, or no longer chosen.
    Gone(Box<K>),
}

type Events<K> = Pin<Box<dyn Stream<Item = Result<Event<DeserializeGuard<K>>, watcher::Error>> + Send>>;

/// A watch of the namespace, or of all.
pub struct Watch<'a, K: Resource> {
    ctx: &'a Ctx,
    events: Events<K>,
    /// The first list, until it is whole.
    first: Option<Vec<K>>,
    /// Which version of each was seen: after a break everything is listed again.
    versions: BTreeMap<(String, String), String>,
    silent: bool,
}

impl<'a, K> Watch<'a, K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Begins; Ctrl-C is how a watch ends, and no error.
    pub fn begin(ctx: &'a Ctx, everywhere: bool, config: watcher::Config) -> Self {
        ctx.ends_by_interruption();
        let client = ctx.raw().clone();
        let api: Api<DeserializeGuard<K>> =
            if everywhere { Api::all(client) } else { Api::namespaced(client, &ctx.namespace) };
        let events = Box::pin(watcher::watcher(api, config).default_backoff());
        Self { ctx, events, first: Some(Vec::new()), versions: BTreeMap::new(), silent: false }
    }

    /// Waits for what is seen next. One that this version cannot read is left out.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn next(&mut self) -> Result<Seen<K>, PluginError> {
        loop {
            let Some(event) = self.events.next().await else {
                return Err(PluginError::new("the watch ended"));
            };
            match event {
                Ok(event) => {
                    self.silent = false;
                    if let Some(seen) = self.seen(event) {
                        return Ok(seen);
                    }
                }
                Err(error) => self.troubled(error)?,
            }
        }
    }

    fn seen(&mut self, event: Event<DeserializeGuard<K>>) -> Option<Seen<K>> {
        match event {
            Event::Init => None,
            Event::InitDone => self.first.take().map(Seen::First),
            Event::InitApply(object) | Event::Apply(object) => {
                let object = object.0.ok()?;
                let key = (object.namespace().unwrap_or_default(), object.name_any());
                let version = object.resource_version().unwrap_or_default();
                let known = self.versions.insert(key, version.clone()).as_ref() == Some(&version);
                match &mut self.first {
                    Some(first) => {
                        first.push(object);
                        None
                    }
                    None if known => None,
                    None => Some(Seen::Changed(Box::new(object))),
                }
            }
            Event::Delete(object) => {
                let object = object.0.ok()?;
                self.versions.remove(&(object.namespace().unwrap_or_default(), object.name_any()));
                Some(Seen::Gone(Box::new(object)))
            }
        }
    }

    /// Goes on where trying again may help, and says so once.
    fn troubled(&mut self, error: watcher::Error) -> Result<(), PluginError> {
        if let watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) = error
        {
            let object = format!("{} of namespace {}", K::plural(&()), self.ctx.namespace);
            let error = ApiError { action: "watch", object, source };
            if matches!(error.failure(), Failure::Forbidden | Failure::NotFound | Failure::Invalid) {
                return Err(error.into());
            }
        }
        if !self.silent {
            self.silent = true;
            self.ctx.say("the API server does not answer; trying again")?;
        }
        Ok(())
    }
}
