//! What has happened to a Certificate, newest first.
//!
//! Sources, read with the caller's own token: its DownloadRequests, and its DownloadReceipts where the caller may list
//! them. A request that was deleted is known by its receipt alone; a receipt goes when its retention is over.

pub(crate) mod entries;

use std::{convert, sync::Arc};

use axum::extract::{Query, State, rejection::QueryRejection};
use kube::{Api, core::DeserializeGuard};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::entries::{Delivered, Entry, Key, Kind, Moments};
use super::get::{certificate_as, no_certificate};
use crate::api::{DownloadReceipt, DownloadRequest, Phase};
use crate::server::http::json::Json;
use crate::server::{
    api::{
        pagination::{self, Listing, Period},
        requests::get::HINT as REQUEST_HINT,
    },
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        path::ObjectPath,
    },
    state::ServerState,
};

/// As many of the newest-named requests, and receipts, as one answer is made from.
const MOST_OBJECTS: usize = 5000;

/// Read at a time.
const PAGE: u32 = 100;

/// A page of the timeline.
#[derive(Serialize, ToSchema)]
pub struct Timeline {
    /// What happened, newest first.
    pub items: Vec<Entry>,
    /// Ask again with this as `continue` for what was before; null where nothing was.
    #[serde(rename = "continue")]
    pub next: Option<String>,
    /// What it was made from: `requests`, and `receipts` where you may list them.
    pub sources: Vec<&'static str>,
    /// Whether there are more requests or receipts than one answer is made from: narrow it down by since and until.
    pub truncated: bool,
}

/// Pages and filters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// Items of a page, 1 to 500. Default: 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `continue` of the page before.
    pub r#continue: Option<String>,
    /// Happened at this moment (RFC 3339) or later.
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Happened before this moment (RFC 3339).
    #[param(format = DateTime)]
    pub until: Option<String>,
}

/// What has happened to a Certificate.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/certificates/{certificate}/timeline",
    tag = "certificates",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("certificate" = String, Path, description = "Name of the Certificate"),
        TimelineQuery,
    ),
    responses((status = 200, description = "A page of the timeline", body = Timeline)),
    extensions(("x-kubernetes-rights" = json!(["get certificates", "list downloadrequests"]))),
)]
pub async fn get_timeline(
    State(_): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    query: Result<Query<TimelineQuery>, QueryRejection>,
) -> Result<Json<Timeline>, ServerError> {
    let query = pagination::query(query)?;
    let limit = pagination::limit(query.limit)? as usize;
    let period = Period::new(query.since.as_deref(), query.until.as_deref())?;
    let after =
        query.r#continue.as_deref().filter(|next| !next.is_empty()).map(pagination::cursor::<Key>).transpose()?;
    let mut moments = Moments::default();
    // The receipts before the requests, which are told otherwise where there is one.
    let (certificate, more_receipts) =
        tokio::try_join!(certificate_as(&caller, &place), receipts(&caller, &place, &mut moments))?;
    let keep = |entry: &Entry| period.holds(entry.time()) && after.as_ref().is_none_or(|after| entry.key() > *after);
    let (all, keep_newest) = (None, |moments: &mut Moments| moments.keep_newest(limit + 1, keep));
    let more_requests = requests(&caller, &place, all, &mut moments, keep_newest).await?;
    if certificate.is_none() && moments.is_empty() {
        return Err(no_certificate(&place));
    }
    let mut sources = vec!["requests"];
    sources.extend(more_receipts.map(|_| "receipts"));
    let mut all = moments.newest(limit + 1, keep);
    let next = if all.len() > limit { Some(pagination::encoded(&all[limit - 1].key())) } else { None };
    all.truncate(limit);
    Ok(Json(Timeline { items: all, next, sources, truncated: more_requests || more_receipts.unwrap_or(false) }))
}

/// The newest deliveries of a Certificate, as far as the caller may see them; newest first.
pub struct Deliveries {
    /// They.
    pub items: Vec<Entry>,
    /// Whether they come from receipts, which stay longer than requests.
    pub from_receipts: bool,
}

/// The newest deliveries of a Certificate, without that of one request.
///
/// # Errors
/// What the API server refuses the caller.
pub async fn deliveries(
    caller: &Caller,
    place: &ObjectPath,
    except: &str,
    most: usize,
) -> Result<Deliveries, ServerError> {
    let mut moments = Moments::default();
    let from_receipts = receipts(caller, place, &mut moments).await?.is_some();
    let wanted = |entry: &Entry| entry.kind == Kind::Downloaded && entry.request != except;
    let newest = |moments: &mut Moments| moments.keep_newest(most, wanted);
    requests(caller, place, Some(Phase::Consumed), &mut moments, newest).await?;
    Ok(Deliveries { items: moments.newest(most, wanted), from_receipts })
}

/// What has happened to one request, newest first. `receipt` is its own, where the caller may see it.
#[must_use]
pub fn of_request(request: &DownloadRequest, receipt: Option<&DownloadReceipt>) -> Vec<Entry> {
    let mut moments = Moments::default();
    moments.add_receipts(receipt.map(Delivered::of).into_iter().collect());
    moments.add_requests(std::slice::from_ref(request));
    moments.newest(usize::MAX, |_| true)
}

/// Reads the requests of the Certificate, a page at a time; whether there are more than one answer is made from.
async fn requests(
    caller: &Caller,
    place: &ObjectPath,
    phase: Option<Phase>,
    moments: &mut Moments,
    after_page: impl Fn(&mut Moments),
) -> Result<bool, ServerError> {
    let api: Api<DeserializeGuard<DownloadRequest>> = Api::namespaced(caller.client.clone(), &place.project);
    let (mut read, mut next) = (0, None);
    loop {
        let listing = Listing::new(Some(PAGE), next)?
            .field("spec.certificateRef.name", Some(&place.name))
            .field("status.phase", phase.map(Phase::name));
        let page = pagination::list(&api, listing, pagination::created, REQUEST_HINT, convert::identity).await?;
        read += page.items.len();
        moments.add_requests(&page.items);
        after_page(moments);
        next = page.next;
        if next.is_none() || read >= MOST_OBJECTS {
            return Ok(next.is_some());
        }
    }
}

/// The same of the receipts. `None`: the caller is not allowed to list them.
async fn receipts(caller: &Caller, place: &ObjectPath, moments: &mut Moments) -> Result<Option<bool>, ServerError> {
    let api: Api<DeserializeGuard<DownloadReceipt>> = Api::namespaced(caller.client.clone(), &place.project);
    let (mut read, mut next) = (0, None);
    loop {
        let listing = Listing::new(Some(PAGE), next)?.field("spec.certificateRef.name", Some(&place.name));
        let page =
            match pagination::list(&api, listing, pagination::created, "", |receipt| Delivered::of(&receipt)).await {
                Ok(page) => page,
                Err(refusal) if refusal.code() == ErrorCode::Forbidden => return Ok(None),
                Err(refusal) => return Err(refusal),
            };
        read += page.items.len();
        moments.add_receipts(page.items);
        next = page.next;
        if next.is_none() || read >= MOST_OBJECTS {
            return Ok(Some(next.is_some()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_refused() {
        let key = Key::default();
        assert_eq!(pagination::cursor::<Key>(&pagination::encoded(&key)).unwrap(), key);
        for wrong in ["", "x", "bm9uZQ", "eyJhIjoxfQ"] {
            assert_eq!(pagination::cursor::<Key>(wrong).unwrap_err().code(), ErrorCode::BadRequest, "{wrong}");
        }
    }
}
