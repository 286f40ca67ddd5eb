//! What open pages are told: that something which they show has changed. They then ask for it again, so nothing but the
//! fact goes through here.
//!
//! Each stream is a watch at the API server in the reader's own name, so no one is told of what they may not see. It ends
//! with the session, with the server, and by itself after a minute; the browser then asks again, with the state that it
//! shows, so that nothing is missed in between.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response, Sse, sse::Event},
};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, WatchEvent, WatchParams},
};
use serde::Deserialize;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::{
    door::Arrival,
    inbox::{self, Asked},
    visible::Reach,
    visitor::Visitor,
};
use crate::{
    api::DownloadRequest,
    cluster::error::{ApiError, During as _, Failure},
    server::{
        api::{
            pagination,
            requests::get::{HINT, request_as},
        },
        auth::identity,
        connection::Paced,
        http::{error::ServerError, path::ObjectPath, refusal},
        net::rate_limit::Tier,
        state::{ServerState, streams::StreamPlace},
    },
};

/// Projects that are watched for one page. Beyond it, and where someone may not watch, the page looks at an interval.
const MOST_WATCHED: usize = 16;
/// That interval.
const INTERVAL: Duration = Duration::from_secs(15);
/// Changes come in crowds: a vote, and what the controller makes of it.
const SETTLED: Duration = Duration::from_millis(150);
/// After this something is said, so that what is in between does not take the connection for a dead one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// When to come back where there are too many streams.
const LATER: Duration = Duration::from_secs(15);

/// The state that the page shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shown {
    seen: String,
}

/// `GET /ui/events/projects/{project}/requests/{request}`.
///
/// # Errors
/// What the API server refuses; [`crate::server::http::error::ErrorCode::RateLimited`].
pub async fn of_request(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    Extension(arrival): Extension<Arrival>,
    place: ObjectPath,
    shown: Result<Query<Shown>, QueryRejection>,
) -> Result<Response, ServerError> {
    let shown = pagination::query(shown)?;
    let stream = place_of(&state, &visitor)?;
    let request = request_as(&visitor.caller, &place).await?;
    let version = request.resource_version().unwrap_or_default();
    let outdated = version != shown.seen;
    let api = Api::namespaced(visitor.caller.watches(&state)?, &place.project);
    let fields = format!("metadata.name={}", place.name);
    let changes = watch(&state, vec![(api, version)], &fields).await?;
    Ok(answer(&state, &arrival, stream, changes, outdated))
}

/// `GET /ui/events/inbox`.
///
/// # Errors
/// What the API server refuses; [`crate::server::http::error::ErrorCode::RateLimited`].
pub async fn of_inbox(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    Extension(arrival): Extension<Arrival>,
    asked: Result<Query<Asked>, QueryRejection>,
    shown: Result<Query<Shown>, QueryRejection>,
) -> Result<Response, ServerError> {
    let (asked, shown) = (pagination::query(asked)?, pagination::query(shown)?);
    let stream = place_of(&state, &visitor)?;
    let client = &visitor.caller.client;
    let who = identity::of_client(client.clone()).await.map_err(refusal::of_review)?.username;
    let reach = inbox::place(&state, &visitor, &asked.project).await?.reach;
    let fields: Vec<String> =
        asked.fields(&who).iter().map(|(field, value)| pagination::selector(field, value)).collect();
    let fields = fields.join(",");
    let watching = visitor.caller.watches(&state)?;
    let apis = |client: &Client| -> Vec<Api<DownloadRequest>> {
        match &reach {
            Reach::Everywhere => vec![Api::all(client.clone())],
            Reach::In(projects) => projects.iter().map(|project| Api::namespaced(client.clone(), project)).collect(),
        }
    };
    let (mut objects, mut sources) = (Vec::new(), Vec::new());
    for (reads, watches) in apis(client).into_iter().zip(apis(&watching)) {
        let listed = reads.list_metadata(&ListParams::default().fields(&fields)).await;
        let listed = listed.during("list", || "downloadrequests".to_owned());
        let listed = listed.map_err(|error| refusal::passed_through(error, HINT))?;
        objects.extend(listed.items.iter().map(|object| (object.uid(), object.resource_version())));
        sources.push((watches, listed.metadata.resource_version.unwrap_or_default()));
    }
    let outdated = inbox::fingerprint(objects.into_iter()) != shown.seen;
    let changes = watch(&state, sources, &fields).await?;
    Ok(answer(&state, &arrival, stream, changes, outdated))
}

fn place_of(state: &ServerState, visitor: &Visitor) -> Result<StreamPlace, ServerError> {
    let who = visitor.frame.who.as_deref().unwrap_or_default();
    state.streams.take(who).ok_or_else(|| state.rates.wait(Tier::at_once, "too many open pages of yours", LATER))
}

/// Something changed, or perhaps.
struct Change;

type Changes = Pin<Box<dyn Stream<Item = Change> + Send>>;

/// Watches these places from a version on. The stream ends when one of the watches does.
async fn watch(
    state: &ServerState,
    sources: Vec<(Api<DownloadRequest>, String)>,
    fields: &str,
) -> Result<Changes, ServerError> {
    if sources.len() > MOST_WATCHED {
        return Ok(at_intervals());
    }
    let seconds = u32::try_from(state.streams.longest().as_secs()).unwrap_or(u32::MAX).max(1);
    let params = WatchParams::default().fields(fields).timeout(seconds);
    let mut all: Vec<Changes> = Vec::new();
    for (api, version) in sources {
        let begun = tokio::time::timeout(Duration::from_secs(10), api.watch_metadata(&params, &version));
        let Ok(begun) = begun.await else { return Ok(at_intervals()) };
        match begun.during("watch", || "downloadrequests".to_owned()) {
            Ok(events) => all.push(Box::pin(events.filter_map(async |event| match event {
                Ok(WatchEvent::Bookmark(_)) => None,
                // An error is most often that the version is too old: the page asks again.
                _ => Some(Change),
            }))),
            Err(error) if error.failure() == Failure::Forbidden => return Ok(at_intervals()),
            Err(error) => return Err(of_watch(error)),
        }
    }
    Ok(Box::pin(stream::select_all(all)))
}

fn of_watch(error: ApiError) -> ServerError {
    refusal::passed_through(error, HINT)
}

fn at_intervals() -> Changes {
    let ticks = tokio::time::interval_at(Instant::now() + INTERVAL, INTERVAL);
    Box::pin(stream::unfold(ticks, async |mut ticks| {
        ticks.tick().await;
        Some((Change, ticks))
    }))
}

/// A stream on its way.
struct Telling {
    changes: Changes,
    end: Pin<Box<Sleep>>,
    /// When the session is over; then the page is told so.
    over: Pin<Box<Sleep>>,
    closing: CancellationToken,
    outdated: bool,
    done: bool,
    _place: StreamPlace,
}

fn answer(state: &ServerState, arrival: &Arrival, place: StreamPlace, changes: Changes, outdated: bool) -> Response {
    let now = state.clients.clock().now();
    let left = |ends: Timestamp| Duration::try_from(ends.duration_since(now)).unwrap_or_default();
    let longest = state.streams.longest();
    // Without a session a proxy signs people in, and the token is looked at with each stream.
    let over = arrival.session.as_ref().map_or(Duration::MAX, |session| left(session.ends));
    let telling = Telling {
        changes,
        end: Box::pin(tokio::time::sleep(longest)),
        over: Box::pin(tokio::time::sleep(over.min(longest * 2))),
        closing: state.streams.closing().clone(),
        outdated,
        done: false,
        _place: place,
    };
    let mut answer = Sse::new(stream::unfold(telling, Telling::next)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What is in between hands each line on at once.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    answer.extensions_mut().insert(Paced);
    answer
}

impl Telling {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if self.done {
            return None;
        }
        if std::mem::take(&mut self.outdated) {
            return Some((Ok(event("change")), self));
        }
        let change = tokio::select! {
            () = &mut self.over => {
                self.done = true;
                return Some((Ok(event("over")), self));
            }
            () = &mut self.end => return None,
            () = self.closing.cancelled() => return None,
            () = tokio::time::sleep(SIGN_OF_LIFE) => return Some((Ok(Event::default().comment("")), self)),
            change = self.changes.next() => change,
        };
        change?;
        tokio::time::sleep(SETTLED).await;
        while let Some(Some(Change)) = self.changes.next().now_or_never() {}
        Some((Ok(event("change")), self))
    }
}

/// An event without data is none to a browser.
fn event(name: &str) -> Event {
    Event::default().event(name).data("1")
}
