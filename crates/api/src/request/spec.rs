//! What is requested.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DownloadRequestStatus;
use crate::{
    CertificateReference, DateTime, Duration, Format, PemOrder, Pkcs12Profile, Requester,
    common::{ENVIRONMENT_NAME, OBJECT_NAME, SECRET_KEY, SECRET_KEY_MESSAGE, SECRET_NAME_MESSAGE, between},
    text::{NO_HIDDEN_MESSAGE, no_hidden, no_hidden_of_16_bits},
};

/// What is requested. Immutable: a request is one delivery of one file to one requester.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "certcourier.io",
    version = "v1alpha1",
    kind = "DownloadRequest",
    plural = "downloadrequests",
    namespaced,
    status = "DownloadRequestStatus",
    derive = "PartialEq",
    shortname = "dlr",
    category = "certcourier",
    doc = "One delivery of one file of one Certificate to one requester. Wait for it with `kubectl wait dlr/NAME --for=condition=TokenIssued`, read the link from Secret NAME-download-token, and open it once; `kubectl wait --for=condition=Finished` returns for every outcome.",
    printcolumn(name = "Certificate", type_ = "string", json_path = ".spec.certificateRef.name"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment", priority = 1),
    printcolumn(name = "Format", type_ = "string", json_path = ".spec.format"),
    printcolumn(name = "Requester", type_ = "string", json_path = ".spec.requestedBy.username"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Approvals", type_ = "string", json_path = ".status.review.approvals.summary"),
    printcolumn(name = "Token", type_ = "string", json_path = ".status.conditions[?(@.type==\"TokenIssued\")].reason"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.review.expiresAt", priority = 1),
    printcolumn(name = "Token Until", type_ = "string", json_path = ".status.token.expiresAt", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Why", type_ = "string", json_path = ".spec.reason", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.certificateRef.name",
    selectable = ".spec.format",
    selectable = ".spec.requestedBy.username",
    selectable = ".status.phase",
    validation = Rule::new("!has(oldSelf.status) || has(self.status)").message("status, once written, is never removed")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf")
    .message("spec is immutable: a request is one delivery. Create one with another metadata.name, or delete this one first (its receipt stays)"))]
#[x_kube(validation = Rule::new("!has(self.passphraseSecretRef) || self.format in ['pkcs12', 'zip']")
    .message("passphraseSecretRef applies to formats pkcs12 and zip only: leave it out"))]
#[x_kube(validation = Rule::new("!has(self.pkcs12) || self.format in ['pkcs12', 'zip']")
    .message("pkcs12 applies to formats pkcs12 and zip only: leave it out"))]
#[x_kube(validation = Rule::new("!has(self.pem) || self.format == 'combined'")
    .message("pem applies to format combined only: leave it out"))]
#[x_kube(validation = Rule::new("self.format != 'der-zip' || !has(self.environment)")
    .message("der-zip holds every environment of the certificate: leave environment out"))]
pub struct DownloadRequestSpec {
    /// The Certificate to deliver, in this namespace. Required.
    pub certificate_ref: CertificateReference,
    /// The environment to deliver. Default: the Certificate's default. At most 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new(ENVIRONMENT_NAME).message("no environment can have this name: write one of those that `kubectl get certificates.certcourier.io NAME -o yaml` lists, in lower-case letters, digits and -"))]
    pub environment: Option<String>,
    /// The file to deliver. Without a key: cert, chain, fullchain, ca, der, der-zip (needs verb `download` on the Certificate). With the private key: key, pkcs12, combined, zip (needs verb `exportkey`). Required.
    pub format: Format,
    /// A Secret of this namespace with the passphrase for pkcs12 or zip; the requester must be allowed to get it. Default: one is generated and given together with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_secret_ref: Option<PassphraseReference>,
    /// Options of the PKCS#12 file in formats pkcs12 and zip. Default: profile Modern, the Certificate's name as friendlyName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkcs12: Option<Pkcs12Request>,
    /// Options of the PEM file in format combined. Default: leaf, chain, key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pem: Option<PemRequest>,
    /// Why the file is needed, for approvers and the record, on one line. A policy may require it. At most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new(no_hidden("self")).message(NO_HIDDEN_MESSAGE))]
    pub reason: Option<String>,
    /// How long the token is valid. Default: what the policy says. 1s to 24h, and at most the policy's maxTTL.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "tokenTTL")]
    #[x_kube(validation = between("1s", "24h").message("tokenTTL must be between 1s and 24h"))]
    pub token_ttl: Option<Duration>,
    /// No token is issued or accepted after this time (RFC 3339, at most nanoseconds, before the year 9999), so that a later copy of this object does nothing. Default: none; but a ServiceAccount must give one, at most 24 hours ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self < timestamp('9999-01-01T00:00:00Z')").message("deadline must be before the year 9999: leave it out for no deadline"))]
    // The API server takes more digits than a Kubernetes time has, and an object with them could be read by no one.
    #[schemars(extend("pattern" = r"^[^.]*(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"))]
    pub deadline: Option<DateTime>,
    /// Where the token goes. `Secret`: into Secret `<name>-download-token`, which the requester may read. `Claim`: only into the answer to an HTTP claim by the requester. Default: Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The requester. Set by the API server's admission (1.36 and later); on older clusters the client writes its own user name and groups, and anything else is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Requester>,
}

/// Where the token goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "explained at DownloadRequestSpec.delivery, where `kubectl explain` shows it")]
pub enum Delivery {
    #[default]
    Secret,
    Claim,
}

impl Delivery {
    /// Its name, as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::Claim => "Claim",
        }
    }
}

/// One key of one Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct PassphraseReference {
    /// Name of the Secret. Required, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message(SECRET_NAME_MESSAGE))]
    pub name: String,
    /// Key of its data that holds the passphrase, ASCII; a trailing newline is not part of it. Required, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(SECRET_KEY).message(SECRET_KEY_MESSAGE))]
    pub key: String,
}

/// Options of a PKCS#12 file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pkcs12Request {
    /// `Modern` (AES-256, HMAC-SHA-256) or `Legacy` (3DES and SHA-1: Windows Server 2016 and older). Default: Modern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Pkcs12Profile>,
    /// The name under which importers show key and certificate: any characters up to U+FFFF but control characters and invisible ones. Default: the Certificate's name. At most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new(no_hidden_of_16_bits()).message("friendlyName has a control or invisible character, or one that PKCS#12 cannot hold, such as an emoji: write it with letters, digits, punctuation and spaces"))]
    pub friendly_name: Option<String>,
}

/// Options of a combined PEM file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PemRequest {
    /// `LeafChainKey` (HAProxy and most others) or `KeyLeafChain` (lighttpd, stunnel). Default: LeafChainKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<PemOrder>,
}
