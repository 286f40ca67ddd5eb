//! `GET …/receipts`: the receipts of a project, by page.

use std::sync::Arc;

use axum::extract::{Query, State, rejection::QueryRejection};
use kube::{Api, core::DeserializeGuard};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{HINT, ReceiptView};
use crate::api::{DownloadReceipt, Format, http::FormatName};
use crate::server::http::json::Json;
use crate::server::{
    api::{
        json_body::bad_request,
        pagination::{self, Listing, Page, Period},
    },
    auth::caller::Caller,
    http::{error::ServerError, path::ObjectPath},
    state::ServerState,
};

/// Pages and filters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptQuery {
    /// Items of a page, 1 to 500. Default: 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `continue` of the page before.
    pub r#continue: Option<String>,
    /// Name of the Certificate.
    pub certificate: Option<String>,
    /// User name of the requester.
    pub requester: Option<String>,
    /// Name of the request.
    pub request: Option<String>,
    /// `Delivered`, `Aborted` or `Unknown`.
    #[param(pattern = "^(Delivered|Aborted|Unknown)$")]
    pub outcome: Option<String>,
    /// The file's format.
    #[param(value_type = Option<FormatName>, inline)]
    pub format: Option<String>,
    /// SHA-256 of the file, hexadecimal.
    #[param(pattern = "^[0-9A-Fa-f]{64}$")]
    pub sha256: Option<String>,
    /// Consumed at this moment (RFC 3339) or later.
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Consumed before this moment (RFC 3339).
    #[param(format = DateTime)]
    pub until: Option<String>,
}

/// List receipts.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/receipts",
    tag = "receipts",
    params(("project" = String, Path, description = "Namespace"), ReceiptQuery),
    responses((status = 200, description = "A page of receipts", body = Page<ReceiptView>)),
    extensions(("x-kubernetes-rights" = json!(["list downloadreceipts"]))),
)]
pub async fn list_receipts(
    State(_): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    query: Result<Query<ReceiptQuery>, QueryRejection>,
) -> Result<Json<Page<ReceiptView>>, ServerError> {
    let query = pagination::query(query)?;
    let (listing, kept) = (query.listing(query.limit, query.r#continue.clone())?, query.kept()?);
    let api: Api<DeserializeGuard<DownloadReceipt>> = Api::namespaced(caller.client, &place.project);
    let view = |receipt| ReceiptView::of(&receipt);
    Ok(Json(pagination::list_where(&api, listing, |receipt| kept.holds(receipt), HINT, view).await?))
}

/// What the API server cannot choose.
#[derive(Debug)]
pub struct Kept {
    period: Period,
    sha256: Option<String>,
}

impl Kept {
    /// Whether a receipt is wanted.
    pub fn holds(&self, receipt: &DownloadReceipt) -> bool {
        let spec = &receipt.spec;
        self.period.holds(spec.consumed_at.0)
            && self.sha256.as_ref().is_none_or(|sha256| *sha256 == spec.artifact.sha256)
    }
}

impl ReceiptQuery {
    /// What the API server is asked for.
    ///
    /// # Errors
    /// [`crate::server::http::error::ErrorCode::BadRequest`] for what no receipt can have.
    pub fn listing(&self, limit: Option<u32>, next: Option<String>) -> Result<Listing, ServerError> {
        Ok(Listing::new(limit, next)?
            .field("spec.certificateRef.name", self.certificate.as_deref())
            .field("spec.requestedBy.username", self.requester.as_deref())
            .field("spec.requestRef.name", self.request.as_deref())
            .field("spec.format", self.format.as_deref().map(known_format).transpose()?)
            .field("status.outcome", self.outcome.as_deref().map(known_outcome).transpose()?))
    }

    /// What is chosen of that here.
    ///
    /// # Errors
    /// [`crate::server::http::error::ErrorCode::BadRequest`] for what is not a time, or not a digest.
    pub fn kept(&self) -> Result<Kept, ServerError> {
        let period = Period::new(self.since.as_deref(), self.until.as_deref())?;
        Ok(Kept { period, sha256: self.sha256.as_deref().map(digest).transpose()? })
    }
}

/// A SHA-256 as programs print it: in either case, perhaps with the name of the algorithm, colons or a file's name.
fn digest(text: &str) -> Result<String, ServerError> {
    let text = text.trim();
    let text = text.split_once("sha256:").map_or(text, |(_, rest)| rest);
    let text: String = text.split_whitespace().next().unwrap_or_default().replace(':', "").to_lowercase();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err(bad_request("sha256 is not a SHA-256: write the 64 hexadecimal digits that `sha256sum FILE` prints"))
}

fn known_format(text: &str) -> Result<&str, ServerError> {
    let names = Format::ALL.map(Format::name);
    if names.contains(&text) {
        return Ok(text);
    }
    Err(bad_request(format!("format is not known: write one of {}", names.join(", "))))
}

fn known_outcome(text: &str) -> Result<&str, ServerError> {
    if ["Delivered", "Aborted", "Unknown"].contains(&text) {
        return Ok(text);
    }
    Err(bad_request("outcome is not known: write Delivered, Aborted or Unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_taken_as_programs_print_it() {
        let hex = "AB".repeat(32);
        let colons: Vec<&str> = vec!["AB"; 32];
        for text in
            [hex.clone(), format!(" {hex} "), format!("sha256:{hex}"), format!("{hex}  api.p12\n"), colons.join(":")]
        {
            assert_eq!(digest(&text).unwrap(), hex.to_lowercase(), "{text}");
        }
        for wrong in ["", "ab", &"g".repeat(64), &"a".repeat(65)] {
            assert!(digest(wrong).unwrap_err().description().contains("sha256sum"), "{wrong}");
        }
    }
}
