//! Where a request is: its review, votes and token.

use certcourier_bundle::words;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    DateTime, Decision, ReceiptReference, condition,
    text::{NO_HIDDEN_MESSAGE, no_hidden},
};

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
    /// The phase of the request. Open: Pending, AwaitingApproval, Approved, TokenIssued. Closed for good: Consumed, Denied, Expired, Revoked, Failed.
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

words! {
    /// The phase of a request.
    #[derive(Default, Serialize, Deserialize, JsonSchema)]
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
}

impl Phase {
    /// Whether anything but a receipt can still change the request.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::AwaitingApproval | Self::Approved | Self::TokenIssued)
    }
}

/// What is under review.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// SHA-256 of this request, the certificates and the policy fields that grant. A vote counts only for the digest it names.
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
    /// When this round ends without enough approvals, and the request with it (RFC 3339): pendingTTL after it began, never after spec.deadline. Absent unless people must still approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime>,
    /// Whom to ask for approval, as the policies say (approval.contacts). At most 16. Not part of the digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 200)))]
    pub contacts: Vec<String>,
    /// When the last required approval was given (RFC 3339). Absent while approvals are missing, and when none is required.
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
    #[x_kube(validation = Rule::new(no_hidden("self")).message(NO_HIDDEN_MESSAGE))]
    pub reason: String,
    /// Those of your groups (`kubectl auth whoami`) that give you the right to vote: the right is checked again, for your name and these groups, before a token is issued and when it is used. May be left out if the right is bound to your user name. At most 512 groups of at most 256 characters, 8,192 characters in all.
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
    /// The Role and RoleBinding that let the requester read that Secret; the name is a new random one for each token. Absent where the requester may read Secrets anyway. At most 253 characters.
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
