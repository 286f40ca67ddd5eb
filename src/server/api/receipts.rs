//! The receipts of a project, for auditors.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use kube::{Api, ResourceExt as _, core::DeserializeGuard};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    certificates::mint::FormatName,
    json_body::bad_request,
    pagination::{self, Listing, Page, Period},
};
use crate::server::http::{path::Place, refusal};
use crate::server::{
    auth::caller::Caller,
    http::error::{ErrorCode, ServerError},
    state::ServerState,
};
use crate::{
    api::{DateTime, DownloadReceipt},
    cluster::error::During as _,
};

const HINT: &str = "ask for ClusterRole certcourier-auditor there";

/// The record of one delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptView {
    /// Its name.
    id: String,
    /// Its namespace.
    project: String,
    /// The request that was delivered.
    request: String,
    /// The Certificate that was delivered.
    certificate: String,
    /// The environment; null for der-zip, which holds all.
    environment: Option<String>,
    /// The file's format.
    #[schema(value_type = FormatName)]
    format: &'static str,
    /// The PKCS#12 profile.
    profile: Option<String>,
    /// Why it was asked for.
    reason: Option<String>,
    /// Who asked.
    requested_by: String,
    /// Who approved, and why.
    approvals: Vec<ApproverView>,
    /// SHA-256 of what had been reviewed.
    review_digest: Option<String>,
    /// The policies that applied.
    policies: Vec<String>,
    /// Who used the token, where that is known.
    consumed_by: Option<String>,
    /// Where it was downloaded from.
    client_ip: Option<String>,
    /// What the client called itself.
    user_agent: Option<String>,
    /// SHA-256 of the file, lower-case hexadecimal.
    artifact_sha256: String,
    /// Length of the file.
    artifact_bytes: i64,
    /// SHA-256 fingerprints of the leaves in it.
    fingerprints: Vec<String>,
    /// When the token was issued.
    #[schema(value_type = Option<String>, format = DateTime)]
    token_issued_at: Option<DateTime>,
    /// When it would have expired.
    #[schema(value_type = Option<String>, format = DateTime)]
    token_expires_at: Option<DateTime>,
    /// When it was used.
    #[schema(value_type = String, format = DateTime)]
    consumed_at: DateTime,
    /// The receipt is kept until then.
    #[schema(value_type = String, format = DateTime)]
    retain_until: DateTime,
    /// Name of the cluster.
    cluster: Option<String>,
    /// `Delivered`, `Aborted` or `Unknown`; null while the delivery is in progress.
    outcome: Option<String>,
    /// How many bytes were handed to the connection.
    bytes_sent: Option<i64>,
    /// When the delivery ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<DateTime>,
}

/// A person who approved.
#[derive(Serialize, ToSchema)]
#[schema(as = Approver)]
pub struct ApproverView {
    /// Their user name.
    username: String,
    /// Why.
    reason: String,
}

impl ReceiptView {
    fn of(receipt: &DownloadReceipt) -> Self {
        let (spec, status) = (receipt.spec.clone(), receipt.status.clone().unwrap_or_default());
        let approver =
            |approver: crate::api::Approver| ApproverView { username: approver.username, reason: approver.reason };
        Self {
            id: receipt.name_any(),
            project: receipt.namespace().unwrap_or_default(),
            request: spec.request_ref.name,
            certificate: spec.certificate_ref.name,
            environment: spec.environment,
            format: spec.format.name(),
            profile: spec.profile.map(|profile| format!("{profile:?}")),
            reason: spec.reason,
            requested_by: spec.requested_by.map(|by| by.username).unwrap_or_default(),
            approvals: spec.approvals.into_iter().map(approver).collect(),
            review_digest: spec.review_digest,
            policies: spec.policies,
            consumed_by: spec.consumed_by.map(|by| by.username),
            client_ip: spec.client_ip,
            user_agent: spec.user_agent,
            artifact_sha256: spec.artifact.sha256,
            artifact_bytes: spec.artifact.bytes,
            fingerprints: spec.fingerprints,
            token_issued_at: spec.token_issued_at,
            token_expires_at: spec.token_expires_at,
            consumed_at: spec.consumed_at,
            retain_until: spec.retain_until,
            cluster: spec.cluster,
            outcome: status.outcome.map(|outcome| format!("{outcome:?}")),
            bytes_sent: status.bytes_sent,
            finished_at: status.finished_at,
        }
    }
}

/// Pages and filters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiptQuery {
    /// Items of a page, 1 to 500. Default: 100.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `continue` of the page before.
    r#continue: Option<String>,
    /// Name of the Certificate.
    certificate: Option<String>,
    /// User name of the requester.
    requester: Option<String>,
    /// Name of the request.
    request: Option<String>,
    /// `Delivered`, `Aborted` or `Unknown`.
    #[param(pattern = "^(Delivered|Aborted|Unknown)$")]
    outcome: Option<String>,
    /// Consumed at this moment (RFC 3339) or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Consumed before this moment (RFC 3339).
    #[param(format = DateTime)]
    until: Option<String>,
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
    place: Place,
    query: Result<Query<ReceiptQuery>, QueryRejection>,
) -> Result<Json<Page<ReceiptView>>, ServerError> {
    let query = pagination::query(query)?;
    let listing = Listing::new(query.limit, query.r#continue)?
        .field("spec.certificateRef.name", query.certificate.as_deref())
        .field("spec.requestedBy.username", query.requester.as_deref())
        .field("spec.requestRef.name", query.request.as_deref())
        .field("status.outcome", query.outcome.as_deref().map(known_outcome).transpose()?)
        .period(Period::new(query.since.as_deref(), query.until.as_deref())?);
    let api: Api<DeserializeGuard<DownloadReceipt>> = Api::namespaced(caller.client, &place.project);
    let page = pagination::list(&api, listing, |receipt| receipt.spec.consumed_at.0, HINT).await?;
    Ok(Json(page.map(ReceiptView::of)))
}

fn known_outcome(text: &str) -> Result<&str, ServerError> {
    if ["Delivered", "Aborted", "Unknown"].contains(&text) {
        return Ok(text);
    }
    Err(bad_request("outcome is not known: write Delivered, Aborted or Unknown"))
}

/// Get a receipt.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/receipts/{id}",
    tag = "receipts",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("id" = String, Path, description = "Name of the receipt, `r-…`"),
    ),
    responses((status = 200, description = "The receipt", body = ReceiptView)),
    extensions(("x-kubernetes-rights" = json!(["get downloadreceipts"]))),
)]
pub async fn get_receipt(
    State(_): State<Arc<ServerState>>,
    caller: Caller,
    place: Place,
) -> Result<Json<ReceiptView>, ServerError> {
    let Place { project, name } = &place;
    let api: Api<DownloadReceipt> = Api::namespaced(caller.client, project);
    let found = api.get_opt(name).await.during("read", || format!("DownloadReceipt {project}/{name}"));
    let found = found.map_err(|error| refusal::passed_through(error, HINT))?;
    found.as_ref().map(ReceiptView::of).map(Json).ok_or_else(|| {
        let words = format!(
            "there is no receipt `{name}` in project {project}; /api/v1/projects/{project}/receipts lists those there are"
        );
        ServerError::new(ErrorCode::NotFound, words)
    })
}
