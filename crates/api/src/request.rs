//! The `DownloadRequest` kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CertificateReference, DateTime, Decision, Duration, Format, Pkcs12Profile, ReceiptReference, Requester,
    common::{ENVIRONMENT_NAME, OBJECT_NAME, SECRET_KEY, SECRET_KEY_MESSAGE, SECRET_NAME_MESSAGE},
    condition,
};
use crate::text::{NO_HIDDEN, NO_HIDDEN_MESSAGE};

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
    doc = "One delivery of one file of one Certificate to one requester. Wait for it with `kubectl wait dlr/NAME \
      --for=condition=TokenIssued`, read the link from Secret NAME-download-token, and open it once; `kubectl wait \
      --for=condition=Finished` returns for every outcome.",
    printcolumn(name = "Certificate", type_ = "string", json_path = ".spec.certificateRef.name"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment", priority = 1),
    printcolumn(name = "Format", type_ = "string", json_path = ".spec.format"),
    printcolumn(name = "Requester", type_ = "string", json_path = ".spec.requestedBy.username"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Approvals", type_ = "string", json_path = ".status.review.approvals.summary"),
    printcolumn(name = "Token Until", type_ = "string", json_path = ".status.token.expiresAt", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
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
    /// A Secret of this namespace with the passphrase for pkcs12 or zip; the requester must be allowed to get it.
    /// Default: one is generated and given together with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_secret_ref: Option<PassphraseReference>,
    /// Options of the PKCS#12 file in formats pkcs12 and zip. Default: profile Modern, the Certificate's name as
    /// friendlyName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkcs12: Option<Pkcs12Request>,
    /// Options of the PEM file in format combined. Default: leaf, chain, key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pem: Option<PemRequest>,
    /// Why the file is needed, for approvers and the record, on one line. A policy may require it. At most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new(NO_HIDDEN).message(NO_HIDDEN_MESSAGE))]
    pub reason: Option<String>,
    /// How long the token is valid. Default: what the policy says. 1s to 24h, and at most the policy's maxTTL.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "tokenTTL")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("tokenTTL must be between 1s and 24h"))]
    pub token_ttl: Option<Duration>,
    /// No token is issued or accepted after this time (RFC 3339, before the year 9999), so that a later copy of this
    /// object does nothing. Default: none; but a ServiceAccount must give one, at most 24 hours ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self < timestamp('9999-01-01T00:00:00Z')").message("deadline must be before the \
      year 9999: leave it out for no deadline"))]
    pub deadline: Option<DateTime>,
    /// Where the token goes. `Secret`: into Secret `<name>-download-token`, which the requester may read. `Claim`: only
    /// into the answer to an HTTP claim by the requester. Default: Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The requester. Set by the API server's admission (1.36 and later); on older clusters the client writes its own
    /// user name and groups, and anything else is refused.
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
    /// Key of its data that holds the passphrase, ASCII; a trailing newline is not part of it. Required, at most 253
    /// characters.
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
    /// The name under which importers show key and certificate: any characters up to U+FFFF but control characters and
    /// invisible ones. Default: the Certificate's name. At most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new(r"!self.matches('[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\x{10000}-\\x{10FFFF}]')").message("friendlyName has a control or invisible character, or one that PKCS#12 cannot hold, such as an emoji: write it with letters, digits, punctuation and spaces"))]
    pub friendly_name: Option<String>,
}

/// Options of a combined PEM file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PemRequest {
    /// `LeafChainKey` (HAProxy, lighttpd) or `KeyLeafChain` (importers that want the key first). Default: LeafChainKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<PemOrder>,
}

/// The order of the parts in a combined PEM file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "explained at PemRequest.order, where `kubectl explain` shows it")]
pub enum PemOrder {
    #[default]
    LeafChainKey,
    KeyLeafChain,
}

/// The phase of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.token) || (has(self.token) && self.token.generation >= oldSelf.token.generation)")
    .message("status.token is never removed and its generation only grows"))]
#[x_kube(validation = Rule::new("!has(oldSelf.review) || (has(self.review) && self.review.round >= oldSelf.review.round)")
    .message("status.review is never removed and its round only grows"))]
#[x_kube(validation = Rule::new("!has(oldSelf.approvals) || has(self.approvals)").message("approvals are append-only"))]
#[x_kube(validation = Rule::new("!has(oldSelf.receiptRef) || (has(self.receiptRef) && self.receiptRef == oldSelf.receiptRef)")
    .message("status.receiptRef, once written, stays"))]
pub struct DownloadRequestStatus {
    /// The metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The phase of the request. Open: Pending, AwaitingApproval, Approved, TokenIssued. Closed for good: Consumed,
    /// Denied, Expired, Revoked, Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Why a Failed request failed: one CamelCase word, such as `PolicyRefused` or `CertificateNotFound`; the message of condition Finished says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// What is under review, and since when. Approvals count only for this digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// The votes, append-only. An approver appends exactly one entry of their own. At most 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["username", "digest", "decision"]))]
    // Adding lists of this type overwrites entries of the same key: nothing changes only if each old vote is there as it
    // was. (`oldSelf.all(o, o in self)` says the same and takes seconds for 256 votes.)
    #[x_kube(validation = Rule::new("self + oldSelf == self").message("approvals are append-only"))]
    pub approvals: Option<Vec<Approval>>,
    /// The current token. Never the token itself: its hash, times and what became of earlier ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The record of the delivery, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_ref: Option<ReceiptReference>,
    /// `Approved`, `TokenIssued`, `Finished`, `Stalled`. Finished becomes True in every outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
}

/// The phase of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "explained at DownloadRequestStatus.phase, where `kubectl explain` shows it")]
pub enum Phase {
    #[default]
    Pending,
    AwaitingApproval,
    Approved,
    TokenIssued,
    Consumed,
    Denied,
    Expired,
    Revoked,
    Failed,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::AwaitingApproval,
        Self::Approved,
        Self::TokenIssued,
        Self::Consumed,
        Self::Denied,
        Self::Expired,
        Self::Revoked,
        Self::Failed,
    ];

    /// Whether anything but a receipt can still change the request.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::AwaitingApproval | Self::Approved | Self::TokenIssued)
    }

    /// Its name, as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Approved => "Approved",
            Self::TokenIssued => "TokenIssued",
            Self::Consumed => "Consumed",
            Self::Denied => "Denied",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::Failed => "Failed",
        }
    }
}

/// What is under review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// SHA-256 of this request, the certificates and the policy fields that grant. A vote counts only for the digest it
    /// names.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Starts at 1 and grows whenever what is under review changes; votes of an earlier round do not count.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub round: i32,
    /// When this round began (RFC 3339).
    pub opened_at: DateTime,
    /// SHA-256 fingerprints of the leaves under review. At most 16.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub fingerprints: Vec<String>,
    /// The policies that took part, as `name`, the cluster policy as `(operator)`. At most 256 are listed.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub policies: Vec<String>,
    /// How many approvals are required and given.
    pub approvals: ApprovalCount,
    /// When the last required approval was given (RFC 3339). Absent while approvals are missing, and when none is
    /// required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<DateTime>,
    /// The guard's epoch in which this round was opened. Votes of another epoch do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub epoch: Option<String>,
}

/// How many approvals are required and given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct ApprovalCount {
    /// How many distinct people must approve. 0: no one.
    #[schemars(range(min = 0, max = 8))]
    pub required: i32,
    /// How many have approved what is under review now.
    #[schemars(range(min = 0, max = 256))]
    pub given: i32,
    /// Who has approved what is under review now. At most 256 names.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(max = 512)))]
    pub by: Vec<String>,
    /// Who has approved it and no longer holds verb `approve`: their votes do not count. At most 256 names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 512)))]
    pub lapsed: Vec<String>,
    /// Given and required, as `1/2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub summary: String,
}

/// One vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Approval {
    /// User name of the voter; it must be your own. At most 512 characters.
    #[schemars(length(min = 1, max = 512))]
    pub username: String,
    /// The voter's id as the authenticator gives it. May be left out. At most 512 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 512))]
    pub uid: String,
    /// status.review.digest that this vote is about.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// `Approve` or `Deny`.
    pub decision: Decision,
    /// Why, on one line. Required, at most 1,024 characters.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new(NO_HIDDEN).message(NO_HIDDEN_MESSAGE))]
    pub reason: String,
    /// Those of your groups (`kubectl auth whoami`) that give you the right to vote: the right is checked again, for
    /// your name and these groups, before a token is issued and when it is used. May be left out if the right is bound
    /// to your user name. At most 512 groups of at most 256 characters, 8,192 characters in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), inner(length(min = 1, max = 256)))]
    pub groups: Option<Vec<String>>,
}

/// The current token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// SHA-256 of the whole token, lower-case hexadecimal. Absent when no token is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub hash: Option<String>,
    /// Counts the tokens issued for this request, from 1.
    #[schemars(range(min = 1))]
    pub generation: i64,
    /// The round of review in which this token was issued.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub round: i32,
    /// When it was issued (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<DateTime>,
    /// It is refused after this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime>,
    /// The Secret that holds it (delivery Secret). At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// The Role and RoleBinding that let the requester read that Secret; the name is a new random one for each token.
    /// Absent where the requester may read Secrets anyway. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub reader_name: Option<String>,
    /// The value of annotation certcourier.io/mint for which the last token was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub observed_mint: Option<String>,
    /// The passphrase, encrypted under the token (which is stored nowhere). Erased when the token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1408))]
    pub sealed_passphrase: Option<String>,
    /// What became of earlier tokens, the newest last. At most 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub previous: Vec<PreviousToken>,
}

/// A token that no longer works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct PreviousToken {
    /// SHA-256 of the whole token, lower-case hexadecimal.
    #[schemars(length(max = 64))]
    pub hash: String,
    /// When it stopped working (RFC 3339).
    pub ended: DateTime,
    /// Why: Expired, Replaced, ReviewChanged, ApprovalMissing (an approver has lost the right to approve), Used or Closed.
    pub why: TokenEnd,
}

/// Why a token no longer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "explained at PreviousToken.why, where `kubectl explain` shows it")]
pub enum TokenEnd {
    Expired,
    Replaced,
    ReviewChanged,
    ApprovalMissing,
    Used,
    Closed,
}

/// What the object says of itself. No rules: those are in `lifecycle`.
impl DownloadRequest {
    /// Where it is; a request that the controller has not picked up yet is Pending.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
    }

    /// Whether anything but a receipt can still change it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase().is_open()
    }
}
