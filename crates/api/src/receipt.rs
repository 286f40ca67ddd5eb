//! The `DownloadReceipt` kind.

mod record;

use certcourier_bundle::words;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Approver, CertificateReference, DateTime, Format, Pkcs12Profile, Requester};

/// What was delivered, to whom, with which approvals. Immutable.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "certcourier.io",
    version = "v1alpha1",
    kind = "DownloadReceipt",
    plural = "downloadreceipts",
    namespaced,
    status = "DownloadReceiptStatus",
    derive = "PartialEq",
    shortname = "dlrc",
    category = "certcourier",
    doc = "The record of one delivery, created before the first byte is sent: one DownloadRequest has at most one. \
      Only the operator writes receipts, and deletes them after retainUntil.",
    printcolumn(name = "Certificate", type_ = "string", json_path = ".spec.certificateRef.name"),
    printcolumn(name = "Format", type_ = "string", json_path = ".spec.format"),
    printcolumn(name = "By", type_ = "string", json_path = ".spec.requestedBy.username"),
    printcolumn(name = "Outcome", type_ = "string", json_path = ".status.outcome"),
    printcolumn(name = "Request", type_ = "string", json_path = ".spec.requestRef.name", priority = 1),
    printcolumn(name = "Client", type_ = "string", json_path = ".spec.clientIP", priority = 1),
    printcolumn(name = "Retain Until", type_ = "string", json_path = ".spec.retainUntil", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.certificateRef.name",
    selectable = ".spec.format",
    selectable = ".spec.requestRef.name",
    selectable = ".spec.requestedBy.username",
    selectable = ".status.outcome",
    validation = Rule::new("!has(oldSelf.status) || has(self.status)").message("the outcome of a delivery is written once")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("a receipt is immutable: it records what happened"))]
pub struct DownloadReceiptSpec {
    /// The DownloadRequest that was delivered.
    pub request_ref: RequestReference,
    /// The Certificate that was delivered.
    pub certificate_ref: CertificateReference,
    /// The environment that was delivered. Absent for der-zip, which holds all. At most 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub environment: Option<String>,
    /// The file that was delivered.
    pub format: Format,
    /// The PKCS#12 profile, for formats pkcs12 and zip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Pkcs12Profile>,
    /// The reason that the requester gave. At most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// The requester, as the API server authenticated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Requester>,
    /// Who approved, and why. At most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub approvals: Vec<Approver>,
    /// Digest of what had been reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub review_digest: Option<String>,
    /// The policies that applied. At most 256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub policies: Vec<String>,
    /// Who used the token, where that is known (tokens bound to the requester).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed_by: Option<ConsumedBy>,
    /// Address of the client that used the token. At most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "clientIP")]
    #[schemars(length(max = 64))]
    pub client_ip: Option<String>,
    /// User-Agent of the client that used the token, printable ASCII. At most 256 characters; longer ones are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub user_agent: Option<String>,
    /// Random id of the attempt that won; the server recognises its own receipt by it after a lost response.
    #[schemars(length(min = 1, max = 64))]
    pub attempt_id: String,
    /// The file that was delivered.
    pub artifact: Artifact,
    /// SHA-256 fingerprints of the leaves in the file. At most 16.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub fingerprints: Vec<String>,
    /// When the token was issued (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_issued_at: Option<DateTime>,
    /// When the token would have expired (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<DateTime>,
    /// When the token was used (RFC 3339).
    pub consumed_at: DateTime,
    /// The receipt is kept until this time; then the operator deletes it (RFC 3339).
    pub retain_until: DateTime,
    /// Name of the cluster (--cluster-name). At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub cluster: Option<String>,
}

/// The DownloadRequest that was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct RequestReference {
    /// Its name. At most 253 characters.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid; a request created again under the same name has another. At most 64 characters.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// Who used the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ConsumedBy {
    /// User name, as the API server authenticated it. At most 1,024 characters.
    #[schemars(length(max = 1024))]
    pub username: String,
}

/// The file that was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Artifact {
    /// SHA-256 of its bytes, lower-case hexadecimal.
    #[schemars(length(max = 64))]
    pub sha256: String,
    /// Its length in bytes.
    #[schemars(range(min = 0))]
    pub bytes: i64,
}

/// How the delivery ended. Written once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.outcome) || self == oldSelf").message("the outcome of a delivery is written once"))]
pub struct DownloadReceiptStatus {
    /// `Delivered`: every byte was handed to the connection. `Aborted`: the client disconnected first. `Unknown`: the
    /// server stopped before it could record the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// How many bytes were handed to the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub bytes_sent: Option<i64>,
    /// When the delivery ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime>,
}

words! {
    /// How a delivery ended.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[schemars(inline)]
    #[expect(missing_docs, reason = "explained at DownloadReceiptStatus.outcome, where `kubectl explain` shows it")]
    pub enum Outcome {
        Delivered,
        Aborted,
        Unknown,
    }
}

/// The record of a delivery, in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ReceiptReference {
    /// Name of the DownloadReceipt. At most 253 characters.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// What a receipt says of itself.
impl DownloadReceipt {
    /// The user name of the requester; empty where none was recorded.
    #[must_use]
    pub fn requester(&self) -> &str {
        self.spec.requested_by.as_ref().map_or("", |by| by.username.as_str())
    }

    /// How the delivery ended, once that is known.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.status.as_ref()?.outcome
    }
}
