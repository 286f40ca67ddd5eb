//! Tells of mutating policies and webhooks as they come and change: what is there for a moment only is in no list.
//!
//! A watch goes on where the last one ended, also that of another replica; where it cannot, it says what it missed.

use std::time::{Duration, Instant};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use kube::{
    Api, Client, Error,
    api::{DynamicObject, ListParams, WatchEvent, WatchParams},
};

use super::{
    error::{ApiError, During as _, Failure, in_one_line},
    guard::{as_seen, resource, versions},
};
use crate::guard::{Kind, LiveObject, Watched};

/// What is watched.
pub const KINDS: [Kind; 3] = [Kind::Stamp, Kind::StampBinding, Kind::Webhooks];

/// Between two tries to watch a kind.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks for a kind that the API server does not serve; an upgrade may bring it.
const ABSENCE: Duration = Duration::from_secs(30);
/// The first watch is that short (in seconds) because the API server says two seconds before its end how far it has come.
const FIRST: u32 = 3;
/// How long (in seconds) the following ones are.
const LONG: u32 = 290;
/// The API server says every minute how far it has come. After so much silence the connection is a dead one.
const SILENCE: Duration = Duration::from_secs(150);

/// How the API server says that it no longer knows what came after a version.
const TOO_OLD: u16 = 410;

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Passing {
    /// An object as it is after a change.
    Changed(LiveObject),
    /// Everything of this kind up to this version was told.
    Reached(Kind, String),
    /// No one can say what came by before this version.
    Missed(Kind, String),
    /// The API server does not serve the kind.
    Absent(Kind),
}

/// Every object of [`KINDS`] as it is after each change since `from`. Goes on forever, also when the API server was away.
#[must_use]
pub fn watch(client: &Client, from: &Watched) -> BoxStream<'static, Passing> {
    let of_kind = |kind| {
        let watch = Watch {
            client: client.clone(),
            kind,
            api: None,
            version: from.of(kind).map(str::to_owned),
            has_caught_up: false,
            is_absent: false,
            round: None,
        };
        stream::unfold(watch, async |mut watch| Some((watch.next().await, watch))).boxed()
    };
    stream::select_all(KINDS.map(of_kind)).boxed()
}

type Events = BoxStream<'static, Result<WatchEvent<DynamicObject>, Error>>;

/// The watch of one kind.
struct Watch {
    client: Client,
    kind: Kind,
    /// In the version that is served.
    api: Option<Api<DynamicObject>>,
    /// Up to where everything was told. `None`: not known.
    version: Option<String>,
    /// Whether it was told that everything of before this watch was told.
    has_caught_up: bool,
    is_absent: bool,
    /// The call under way, and when it began.
    round: Option<(Instant, Events)>,
}

impl Watch {
    async fn next(&mut self) -> Passing {
        loop {
            let next = match (self.api.clone(), self.version.clone(), self.round.take()) {
                (None, ..) => self.look_for_it().await,
                (Some(api), None, _) => self.begin_anew(&api).await,
                (Some(api), Some(version), None) => self.go_on(&api, &version).await,
                (Some(_), Some(_), Some((began, events))) => self.hear(began, events).await,
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    async fn look_for_it(&mut self) -> Option<Passing> {
        match served(&self.client, self.kind).await {
            Ok(Some(api)) => (self.api, self.is_absent) = (Some(api), false),
            Ok(None) if self.is_absent => tokio::time::sleep(ABSENCE).await,
            Ok(None) => {
                // Where it was watched before, it is another API server's count that begins when it comes back.
                (self.version, self.is_absent) = (None, true);
                return Some(Passing::Absent(self.kind));
            }
            Err(error) => pause(self.kind, &error).await,
        }
        None
    }

    async fn begin_anew(&mut self, api: &Api<DynamicObject>) -> Option<Passing> {
        match api.list(&ListParams::default().limit(1)).await.during("list", || self.kind.plural().to_owned()) {
            Ok(list) => {
                self.version = list.metadata.resource_version;
                self.has_caught_up = true;
                Some(Passing::Missed(self.kind, self.version.clone()?))
            }
            Err(error) => {
                self.failed(&error).await;
                None
            }
        }
    }

    async fn go_on(&mut self, api: &Api<DynamicObject>, version: &str) -> Option<Passing> {
        let seconds = if self.has_caught_up { LONG } else { FIRST };
        let params = WatchParams::default().timeout(seconds);
        match api.watch(&params, version).await.during("watch", || self.kind.plural().to_owned()) {
            Ok(events) => self.round = Some((Instant::now(), events.boxed())),
            Err(error) => self.failed(&error).await,
        }
        None
    }

    /// The next that the call under way has to tell. It goes on unless it has ended.
    async fn hear(&mut self, began: Instant, mut events: Events) -> Option<Passing> {
        let Ok(event) = tokio::time::timeout(SILENCE, events.next()).await else { return None };
        let told = match event {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                let object = as_seen(self.kind, object);
                self.version = Some(object.resource_version.clone());
                Some(Passing::Changed(object))
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                self.version = object.metadata.resource_version.or(self.version.take());
                None
            }
            Some(Ok(WatchEvent::Bookmark(mark))) => {
                let mark = mark.metadata.resource_version;
                if goes_back(self.version.as_deref(), &mark) {
                    // Another etcd, or an older copy of it: what was counted before says nothing here.
                    self.version = None;
                    return None;
                }
                self.version = Some(mark);
                self.reached()
            }
            Some(Ok(WatchEvent::Error(status))) => {
                let error = Err::<(), _>(Error::Api(status)).during("watch", || self.kind.plural().to_owned());
                if let Err(error) = error {
                    self.failed(&error).await;
                }
                return None;
            }
            Some(Err(error)) => {
                tracing::debug!(kind = %self.kind, error = in_one_line(&error), "a watch was interrupted");
                tokio::time::sleep(PAUSE).await;
                return None;
            }
            None => {
                let whole = began.elapsed() >= Duration::from_secs(FIRST.into());
                return if whole && !self.has_caught_up { self.reached() } else { None };
            }
        };
        self.round = Some((began, events));
        told
    }

    fn reached(&mut self) -> Option<Passing> {
        self.has_caught_up = true;
        self.version.clone().map(|version| Passing::Reached(self.kind, version))
    }

    async fn failed(&mut self, error: &ApiError) {
        match &error.source {
            Error::Api(status) if status.code == TOO_OLD => self.version = None,
            Error::Api(status) if status.code == 404 => self.api = None,
            _ => pause(self.kind, error).await,
        }
    }
}

async fn pause(kind: Kind, error: &ApiError) {
    tracing::debug!(%kind, error = in_one_line(error), "a watch could not go on; it is tried again");
    tokio::time::sleep(PAUSE).await;
}

fn goes_back(from: Option<&str>, to: &str) -> bool {
    let number = |version: &str| version.parse::<u64>().ok();
    matches!((from.and_then(number), number(to)), (Some(from), Some(to)) if to < from)
}

/// The kind in the version that is served, if any is.
async fn served(client: &Client, kind: Kind) -> Result<Option<Api<DynamicObject>>, ApiError> {
    let one = ListParams::default().limit(1);
    let mut refused = None;
    for version in versions(kind) {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind, version));
        match api.list(&one).await.during("list", || kind.plural().to_owned()) {
            Ok(_) => return Ok(Some(api)),
            Err(error) if error.failure() == Failure::NotFound => {}
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(None), Err)
}
