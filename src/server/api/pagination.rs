//! Lists, a page at a time: read with the caller's own token, filtered by the API server where it can.
//!
//! Order and `continue` are the API server's, so a list that grows while it is read is still read whole. The API server
//! knows no filter by time; that is applied here, and a page is then filled up from the pages behind it.

mod chunk;

use std::fmt::Debug;

use axum::extract::{Query, rejection::QueryRejection};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use jiff::Timestamp;
use kube::{
    Api, Error, Resource, ResourceExt as _,
    api::ListParams,
    core::{DeserializeGuard, NamespaceResourceScope, error_boundary::InvalidObject},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;
use tracing::warn;
use utoipa::ToSchema;

use super::json_body::bad_request;
use crate::cluster::error::During as _;
use crate::server::http::error::ServerError;
use crate::server::http::refusal;

/// Items of a page when no one says how many, and at most.
const USUAL_ITEMS: u32 = 100;
const MOST_ITEMS: u32 = 500;
/// So many objects are always read at a time, however large they are. More than these, as long as they are small.
const FEW: u32 = 20;
/// How many of the API server's pages are read for each so many objects of ours.
const MOST_PAGES: u32 = 10;
/// How many of them this process reads at a time, for all callers together: so much memory do lists take at most.
static READS: Semaphore = Semaphore::const_new(4);

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// What there is, in the order of names. A page may hold fewer than asked for and still not be the last.
    pub items: Vec<T>,
    /// Ask again with this as `continue` for what follows; null on the last page.
    #[serde(rename = "continue")]
    pub next: Option<String>,
}

/// What a list is asked for.
#[derive(Debug, Default)]
pub struct Listing {
    limit: u32,
    next: Option<String>,
    selector: Vec<String>,
    period: Period,
}

/// From a moment on, and before another.
#[derive(Debug, Default)]
pub struct Period {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// The query of a list, or what is wrong with it.
///
/// # Errors
/// [`crate::server::http::error::ErrorCode::BadRequest`] for a parameter that there is not, or that cannot be read.
pub fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ServerError> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(bad_request(format!("the query cannot be parsed: {}", rejection.body_text()))),
    }
}

impl Period {
    /// Of two RFC 3339 times.
    ///
    /// # Errors
    /// [`crate::server::http::error::ErrorCode::BadRequest`] for what is not a time.
    pub fn new(since: Option<&str>, until: Option<&str>) -> Result<Self, ServerError> {
        let time = |name: &str, text: Option<&str>| {
            let wrong = |_| bad_request(format!("{name} is not a time: write it like 2026-11-22T18:00:00Z"));
            text.map(|text| text.parse::<Timestamp>().map_err(wrong)).transpose()
        };
        Ok(Self { since: time("since", since)?, until: time("until", until)? })
    }

    /// Whether a moment is in it.
    #[must_use]
    pub fn holds(&self, moment: Timestamp) -> bool {
        self.since.is_none_or(|since| moment >= since) && self.until.is_none_or(|until| moment < until)
    }
}

/// How many items a page should have.
///
/// # Errors
/// [`crate::server::http::error::ErrorCode::BadRequest`] for none, and for too many.
pub fn limit(asked: Option<u32>) -> Result<u32, ServerError> {
    match asked.unwrap_or(USUAL_ITEMS) {
        limit @ 1..=MOST_ITEMS => Ok(limit),
        _ => Err(bad_request(format!("limit must be between 1 and {MOST_ITEMS}"))),
    }
}

impl Listing {
    /// Without filters.
    ///
    /// # Errors
    /// [`crate::server::http::error::ErrorCode::BadRequest`] for a limit out of bounds.
    pub fn new(asked: Option<u32>, next: Option<String>) -> Result<Self, ServerError> {
        let next = next.filter(|next| !next.is_empty());
        Ok(Self { limit: limit(asked)?, next, ..Self::default() })
    }

    /// Only objects whose field has this value; without a value, or with an empty one, all.
    #[must_use]
    pub fn field(mut self, field: &str, value: Option<&str>) -> Self {
        self.selector.extend(value.filter(|value| !value.is_empty()).map(|value| selector(field, value)));
        self
    }

    /// Only objects of this time.
    #[must_use]
    pub fn period(mut self, period: Period) -> Self {
        self.period = period;
        self
    }
}

/// Where a page ends that was sorted here, as people pass it on.
#[must_use]
pub fn encoded(key: &impl Serialize) -> String {
    Base64UrlUnpadded::encode_string(serde_json::to_string(key).unwrap_or_default().as_bytes())
}

/// The same read back.
///
/// # Errors
/// [`crate::server::http::error::ErrorCode::BadRequest`] for what was made up.
pub fn cursor<Key: DeserializeOwned>(text: &str) -> Result<Key, ServerError> {
    let wrong = || bad_request("invalid `continue` value for this list: start again without it");
    let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}

/// A field selector for objects whose field has this value.
#[must_use]
pub fn selector(field: &str, value: &str) -> String {
    format!("{field}={}", escaped(value))
}

/// In a field selector these have a meaning.
fn escaped(value: &str) -> String {
    value.chars().flat_map(|c| matches!(c, '\\' | ',' | '=').then_some('\\').into_iter().chain([c])).collect()
}

/// Reads a page as the caller. `when` tells the time of an object; `hint` is what to ask for where a right is missing;
/// `view` is what is kept of each object.
///
/// # Errors
/// What the API server refuses the caller.
pub async fn list<K, View>(
    api: &Api<DeserializeGuard<K>>,
    mut listing: Listing,
    when: fn(&K) -> Timestamp,
    hint: &str,
    view: impl Fn(K) -> View,
) -> Result<Page<View>, ServerError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let period = std::mem::take(&mut listing.period);
    list_where(api, listing, |item| period.holds(when(item)), hint, view).await
}

/// The same of those objects that are wanted, whenever they are from.
///
/// # Errors
/// What the API server refuses the caller.
pub async fn list_where<K, View>(
    api: &Api<DeserializeGuard<K>>,
    listing: Listing,
    wanted: impl Fn(&K) -> bool,
    hint: &str,
    view: impl Fn(K) -> View,
) -> Result<Page<View>, ServerError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let Listing { limit, mut next, selector, period: _ } = listing;
    let selector = selector.join(",");
    let (mut items, mut at_once): (Vec<View>, u32) = (Vec::new(), limit);
    for _ in 0..MOST_PAGES * limit.div_ceil(FEW) {
        let missing = limit - u32::try_from(items.len()).unwrap_or(limit).min(limit);
        if missing == 0 {
            break;
        }
        let mut params = ListParams::default().limit(missing.min(at_once));
        if !selector.is_empty() {
            params = params.fields(&selector);
        }
        params.continue_token.clone_from(&next);
        let _reading = READS.acquire().await;
        let listed = chunk::read(api, &params, FEW).await.during("list", || K::plural(&()).into_owned());
        let listed = listed.map_err(|error| match &error.source {
            Error::Api(status) if status.code == 410 => {
                bad_request("this `continue` is too old: start the list again without it")
            }
            _ => refusal::passed_through(error, hint),
        })?;
        let Some(listed) = listed else {
            at_once = FEW;
            continue;
        };
        next = listed.metadata.continue_.filter(|next| !next.is_empty());
        let found = listed.items.into_iter().filter_map(readable).filter(&wanted);
        items.extend(found.map(&view));
        if next.is_none() {
            break;
        }
    }
    Ok(Page { items, next })
}

/// An object that this version cannot read is left out, and the log says so.
fn readable<K: Resource<DynamicType = ()>>(item: DeserializeGuard<K>) -> Option<K> {
    item.0
        .map_err(|InvalidObject { error, metadata }| {
            warn!(kind = %K::kind(&()), namespace = metadata.namespace, name = metadata.name, error, "an object cannot be read by this version and is left out of a list");
        })
        .ok()
}

/// When an object was created.
pub fn created<K: Resource>(object: &K) -> Timestamp {
    object.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_selector_is_escaped() {
        let listing = Listing::new(None, Some(String::new()))
            .unwrap()
            .field("spec.requestedBy.username", Some(r"a,b=c\d"))
            .field("status.phase", None)
            .field("status.outcome", Some(""));
        assert_eq!(listing.selector, [r"spec.requestedBy.username=a\,b\=c\\d"]);
        assert_eq!((listing.limit, listing.next), (USUAL_ITEMS, None));
    }

    #[test]
    fn a_limit_has_bounds_and_a_time_has_a_form() {
        assert_eq!((limit(Some(1)).unwrap(), limit(Some(500)).unwrap()), (1, 500));
        for wrong in [0, 501, u32::MAX] {
            assert!(limit(Some(wrong)).unwrap_err().description().contains("between 1 and 500"));
        }
        let refusal = Period::new(None, Some("yesterday")).unwrap_err();
        assert!(refusal.description().starts_with("until is not a time"), "{refusal}");
    }

    #[test]
    fn a_period_begins_with_its_first_moment_and_ends_before_its_last() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let period = Period::new(Some("2026-11-22T08:00:00Z"), Some("2026-11-22T09:00:00Z")).unwrap();
        assert!(period.holds(at("2026-11-22T08:00:00Z")) && period.holds(at("2026-11-22T08:59:59Z")));
        assert!(!period.holds(at("2026-11-22T07:59:59Z")) && !period.holds(at("2026-11-22T09:00:00Z")));
        assert!(Period::default().holds(at("2026-11-22T09:00:00Z")));
    }
}
