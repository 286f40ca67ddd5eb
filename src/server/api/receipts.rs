//! The receipts of a project, for auditors.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod newest;

use kube::ResourceExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{DateTime, DownloadReceipt, http::FormatName};

const HINT: &str = "ask for ClusterRole certcourier-auditor there";

/// The record of one delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptView {
    /// Its name.
    pub id: String,
    /// Its namespace.
    pub project: String,
    /// The request that was delivered.
    pub request: String,
    /// The Certificate that was delivered.
    pub certificate: String,
    /// The environment; null for der-zip, which holds all.
    pub environment: Option<String>,
    /// The file's format.
    #[schema(value_type = FormatName)]
    pub format: &'static str,
    /// The PKCS#12 profile.
    pub profile: Option<String>,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// Who asked.
    pub requested_by: String,
    /// Who approved, and why.
    pub approvals: Vec<ApproverView>,
    /// SHA-256 of what had been reviewed.
    pub review_digest: Option<String>,
    /// The policies that applied.
    pub policies: Vec<String>,
    /// Who used the token, where that is known.
    pub consumed_by: Option<String>,
    /// Where it was downloaded from.
    pub client_ip: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub artifact_sha256: String,
    /// Length of the file.
    pub artifact_bytes: i64,
    /// SHA-256 fingerprints of the leaves in it.
    pub fingerprints: Vec<String>,
    /// When the token was issued.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub token_issued_at: Option<DateTime>,
    /// When it would have expired.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub token_expires_at: Option<DateTime>,
    /// When it was used.
    #[schema(value_type = String, format = DateTime)]
    pub consumed_at: DateTime,
    /// The receipt is kept until then.
    #[schema(value_type = String, format = DateTime)]
    pub retain_until: DateTime,
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// `Delivered`, `Aborted` or `Unknown`; null while the delivery is in progress.
    pub outcome: Option<String>,
    /// How many bytes were handed to the connection.
    pub bytes_sent: Option<i64>,
    /// When the delivery ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<DateTime>,
}

/// A person who approved.
#[derive(Serialize, ToSchema)]
#[schema(as = Approver)]
pub struct ApproverView {
    /// Their user name.
    pub username: String,
    /// Why.
    pub reason: String,
}

impl ReceiptView {
    /// What may be said of a receipt.
    pub fn of(receipt: &DownloadReceipt) -> Self {
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
