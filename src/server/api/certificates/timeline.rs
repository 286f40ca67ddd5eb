//! What has happened to a Certificate, newest first.
//!
//! Sources, read with the caller's own token: its DownloadRequests, and its DownloadReceipts where the caller may list
//! them. A request that was deleted is known by its receipt alone; a receipt goes when its retention is over.

pub(crate) mod entries;

use std::{convert, sync::Arc};

use axum::extract::{Query, State, rejection::QueryRejection};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use kube::{Api, core::DeserializeGuard};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::entries::{Delivered, Entry, Moments};
use super::get::{certificate_as, no_certificate};
use crate::api::{DownloadReceipt, DownloadRequest};
use crate::server::http::json::Json;
use crate::server::{
    api::{
        json_body::bad_request,
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
    let after = query.r#continue.as_deref().filter(|next| !next.is_empty()).map(cursor).transpose()?;
    let mut moments = Moments::default();
    // The receipts before the requests, which are told otherwise where there is one.
    let (certificate, more_receipts) =
        tokio::try_join!(certificate_as(&caller, &place), receipts(&caller, &place, &mut moments))?;
    let keep = |entry: &Entry| period.holds(entry.time()) && after.as_ref().is_none_or(|after| entry.key() > *after);
    let more_requests = requests(&caller, &place, &mut moments, |moments| moments.keep_newest(limit + 1, keep)).await?;
    if certificate.is_none() && moments.is_empty() {
        return Err(no_certificate(&place));
    }
    let mut sources = vec!["requests"];
    sources.extend(more_receipts.map(|_| "receipts"));
    let mut all = moments.newest(limit + 1, keep);
    let next = if all.len() > limit { Some(encoded(&all[limit - 1].key())) } else { None };
    all.truncate(limit);
    Ok(Json(Timeline { items: all, next, sources, truncated: more_requests || more_receipts.unwrap_or(false) }))
}

/// Reads the requests of the Certificate, a page at a time; whether there are more than one answer is made from.
async fn requests(
    caller: &Caller,
    place: &ObjectPath,
    moments: &mut Moments,
    after_page: impl Fn(&mut Moments),
) -> Result<bool, ServerError> {
    let api: Api<DeserializeGuard<DownloadRequest>> = Api::namespaced(caller.client.clone(), &place.project);
    let (mut read, mut next) = (0, None);
    loop {
        let listing = Listing::new(Some(PAGE), next)?.field("spec.certificateRef.name", Some(&place.name));
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

/// Where a page ends: the key of its last entry.
type Key = entries::Key;

fn encoded(key: &Key) -> String {
    Base64UrlUnpadded::encode_string(serde_json::to_string(key).unwrap_or_default().as_bytes())
}

fn cursor(text: &str) -> Result<Key, ServerError> {
    let wrong = || bad_request("invalid `continue` value for this list: start again without it");
    let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_refused() {
        let key = Key::default();
        assert_eq!(cursor(&encoded(&key)).unwrap(), key);
        for wrong in ["", "x", "bm9uZQ", "eyJhIjoxfQ"] {
            assert_eq!(cursor(wrong).unwrap_err().code(), ErrorCode::BadRequest, "{wrong}");
        }
    }
}
