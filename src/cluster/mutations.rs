//! Tells of mutating policies and webhooks as they come and change: what is there for a moment only is in no list.

use std::time::Duration;

use futures::{
    StreamExt as _,
    future::ready,
    stream::{self, BoxStream},
};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};

use super::{
    error::{During as _, Failure, in_one_line},
    guard::{as_seen, resource, versions},
};
use crate::guard::{Kind, LiveObject};

/// Between two tries to learn which version of a kind is served.
const PAUSE: Duration = Duration::from_secs(5);

/// Every object of these kinds as it is after each change from now on. Goes on for ever, also when the API server was away.
#[must_use]
pub fn watch(client: &Client) -> BoxStream<'static, LiveObject> {
    let kinds = [Kind::Stamp, Kind::StampBinding, Kind::Webhooks];
    stream::select_all(kinds.map(|kind| of_kind(client.clone(), kind))).boxed()
}

fn of_kind(client: Client, kind: Kind) -> BoxStream<'static, LiveObject> {
    stream::once(served(client, kind))
        .filter_map(ready)
        .flat_map(|api| watcher(api, watcher::Config::default()).default_backoff())
        .filter_map(move |event| {
            ready(match event {
                Ok(Event::Apply(object)) => Some(as_seen(kind, object)),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(%kind, error = in_one_line(&error), "a watch was interrupted; retrying");
                    None
                }
            })
        })
        .boxed()
}

/// The kind in the version that is served, if any is.
async fn served(client: Client, kind: Kind) -> Option<Api<DynamicObject>> {
    let one = ListParams::default().limit(1);
    loop {
        let mut refused = None;
        for version in versions(kind) {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind, version));
            match api.list(&one).await.during("list", || kind.plural().to_owned()) {
                Ok(_) => return Some(api),
                Err(error) if error.failure() == Failure::NotFound => {}
                Err(error) => refused = Some(error),
            }
        }
        tracing::debug!(%kind, error = in_one_line(&refused?), "a watch could not start; retrying");
        tokio::time::sleep(PAUSE).await;
    }
}
