//! The requests of a project, as the caller may see them. Never a token, its hash or a sealed passphrase.

pub(crate) mod approve;
pub(crate) mod claim;
pub(crate) mod deny;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod own_secret;
pub(crate) mod revoke;
pub(crate) mod votes;

use std::borrow::Cow;

use kube::ResourceExt as _;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{
    api::{DateTime, Decision, DownloadRequest, DownloadRequestStatus, Format, Phase, http::FormatName},
    lifecycle::{self, Tally},
};

/// One delivery of one file to one requester.
#[derive(Serialize, ToSchema)]
#[schema(as = Request)]
pub struct RequestView {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub project: String,
    /// The Certificate.
    pub certificate: String,
    /// The environment; null means the Certificate's default one, or all for der-zip.
    pub environment: Option<String>,
    /// The file's format.
    #[schema(value_type = FormatName)]
    pub format: &'static str,
    /// Why the file is needed.
    pub reason: Option<String>,
    /// Who asks.
    pub requested_by: String,
    /// Where the token goes: `Claim` (an answer of this API) or `Secret`.
    pub delivery: String,
    /// When it was created.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<DateTime>,
    /// No token is issued or accepted after this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deadline: Option<DateTime>,
    /// `Pending`, `AwaitingApproval`, `Approved` or `TokenIssued` while it is open; then `Consumed`, `Denied`, `Expired`,
    /// `Revoked` or `Failed`.
    #[schema(value_type = PhaseName)]
    pub phase: &'static str,
    /// Why a Failed request failed: one word.
    pub failure: Option<String>,
    /// Its state and what to do next, in a sentence.
    pub message: String,
    /// What is under review; null until the controller has picked it up.
    pub approval: Option<ReviewView>,
    /// The token that was issued last; null before the first.
    pub token: Option<TokenView>,
    /// The receipt of its delivery.
    pub receipt: Option<String>,
}

/// What is under review, and who has approved it.
#[derive(Serialize, ToSchema)]
#[schema(as = Review)]
pub struct ReviewView {
    /// `download_key` for files with the private key, `download_certificate` for others.
    pub kind: &'static str,
    /// How many distinct people must approve.
    pub required: i32,
    /// How many have approved what is under review now.
    pub given: i32,
    /// Who has approved it and may no longer approve: their votes do not count.
    pub lapsed: Vec<String>,
    /// SHA-256 of what is under review: name it in your vote, and it counts for nothing else.
    pub digest: String,
    /// Grows whenever what is under review changes; earlier votes are then void.
    pub round: i32,
    /// When this round began.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: DateTime,
    /// When this round, and the request with it, ends without enough approvals; null unless people must still approve.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<DateTime>,
    /// Whom to ask for approval, as the policies say.
    pub contacts: Vec<String>,
    /// When the last required approval was given.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub approved_at: Option<DateTime>,
    /// SHA-256 fingerprints of the leaves under review.
    pub fingerprints: Vec<String>,
    /// The policies that applied.
    pub policies: Vec<String>,
    /// Every vote of every round.
    pub votes: Vec<VoteView>,
}

/// A vote.
#[derive(Serialize, ToSchema)]
#[schema(as = Vote)]
pub struct VoteView {
    /// Who voted.
    pub username: String,
    /// `Approve` or `Deny`.
    pub decision: &'static str,
    /// Why.
    pub reason: String,
    /// Whether it is about what is under review now.
    pub current: bool,
}

/// The token that was issued last; the token itself is nowhere.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedToken)]
pub struct TokenView {
    /// Counts the tokens of the request.
    pub generation: i64,
    /// Whether it can still be used.
    pub alive: bool,
    /// When it was issued.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub issued_at: Option<DateTime>,
    /// It is refused after this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<DateTime>,
    /// The Secret that holds it (delivery Secret).
    pub secret: Option<String>,
}

impl RequestView {
    /// What may be said of a request, as of now.
    pub fn of(request: &DownloadRequest, now: jiff::Timestamp) -> Self {
        let (spec, status) = (request.spec.clone(), request.status.clone().unwrap_or_default());
        let phase = request.phase();
        Self {
            name: request.name_any(),
            project: request.namespace().unwrap_or_default(),
            certificate: spec.certificate_ref.name,
            environment: spec.environment,
            format: spec.format.name(),
            reason: spec.reason,
            requested_by: spec.requested_by.map(|by| by.username).unwrap_or_default(),
            delivery: request.delivery().name().to_owned(),
            created_at: request.creation_timestamp(),
            deadline: spec.deadline,
            phase: phase.name(),
            failure: status.reason.clone(),
            // Counted here, because what the controller wrote is a moment behind.
            message: lifecycle::summary(request)
                .unwrap_or_else(|| "the controller has not picked it up yet".to_owned()),
            approval: ReviewView::of(request, &status),
            token: status.token.as_ref().map(|token| TokenView {
                generation: token.generation,
                alive: phase == Phase::TokenIssued
                    && token.hash.is_some()
                    && token.expires_at.as_ref().is_some_and(|at| now < at.0),
                issued_at: token.issued_at.clone(),
                expires_at: token.expires_at.clone(),
                secret: token.secret_name.clone(),
            }),
            receipt: status.receipt_ref.map(|receipt| receipt.name),
        }
    }
}

impl ReviewView {
    fn of(request: &DownloadRequest, status: &DownloadRequestStatus) -> Option<Self> {
        let review = status.review.clone()?;
        let votes = status.votes();
        let tally = Tally::shown(request).unwrap_or_default();
        let vote = |vote: &crate::api::Approval| VoteView {
            username: vote.username.clone(),
            decision: decision_name(vote.decision),
            reason: vote.reason.clone(),
            current: vote.digest == review.digest,
        };
        Some(Self {
            kind: approval_kind(request.spec.format),
            required: review.approvals.required,
            given: tally.given(),
            lapsed: tally.lapsed.iter().map(ToString::to_string).collect(),
            votes: votes.iter().map(vote).collect(),
            digest: review.digest,
            round: review.round,
            opened_at: review.opened_at,
            expires_at: review.expires_at,
            contacts: review.contacts,
            approved_at: review.approved_at,
            fingerprints: review.fingerprints,
            policies: review.policies,
        })
    }
}

const fn decision_name(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "Approve",
        Decision::Deny => "Deny",
    }
}

/// The names of all phases, in the OpenAPI document.
pub struct PhaseName;

impl ToSchema for PhaseName {
    fn name() -> Cow<'static, str> {
        "Phase".into()
    }
}

impl PartialSchema for PhaseName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Phase::ALL.map(Phase::name))).into()
    }
}

/// What approvers are asked to approve.
pub fn approval_kind(format: Format) -> &'static str {
    if format.holds_key() { "download_key" } else { "download_certificate" }
}
