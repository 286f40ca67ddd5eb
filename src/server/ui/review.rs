//! A request: everything that is agreed to, who has voted, and the next step of the one who looks.

mod chain;
mod changes;
mod look;

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use kube::ResourceExt as _;
use serde::Deserialize;

use self::{chain::Chain, look::Look};
use super::{
    certificate::paired,
    page::{self, Frame},
    standing::{self, Standing},
    visitor::Visitor,
    words::{About, Rule, about},
};
use crate::{
    api::{Approval, Decision, Delivery, DownloadReceipt, DownloadRequest, Phase, names},
    lifecycle::{self, Tally},
    server::{
        api::{
            certificates::timeline::entries::{Entry, Kind},
            pagination,
        },
        http::{error::ServerError, path::ObjectPath},
        state::ServerState,
    },
};

pub use changes::Seen;

/// What was just done, for the sentence at the top.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Done {
    done: String,
}

/// What is said at the top of the page.
#[derive(Default)]
pub struct Notice {
    /// `ok`, `bad` or `warn`.
    pub tone: &'static str,
    /// A sentence.
    pub text: String,
    /// What changed, a line each.
    pub changes: Vec<String>,
    /// The reason that was typed, so that no one types it again.
    pub reason: String,
}

#[derive(Template)]
#[template(path = "review.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a part of the page that is there or not")]
struct Review {
    frame: Frame,
    notice: Notice,
    project: String,
    name: String,
    certificate: String,
    environment: String,
    about: About,
    format: &'static str,
    key: bool,
    whose: String,
    requester: String,
    groups: String,
    reason: String,
    created: String,
    deadline: Option<String>,
    options: Vec<(&'static str, String)>,
    state: &'static str,
    tone: &'static str,
    message: String,
    round: Option<Round>,
    votes: Vec<Vote>,
    chains: Vec<Chain>,
    chain_hidden: Option<String>,
    rules: Vec<Rule>,
    rules_hidden: Option<String>,
    standing: Standing,
    may_revoke: bool,
    own: bool,
    takes: Takes,
    /// Whether no server stands between them and the API server.
    alone: bool,
    needs_passphrase: bool,
    receipt: Option<ReceiptFacts>,
    moments: Vec<Moment>,
    exports: Vec<Entry>,
    exports_partial: bool,
    exports_hidden: Option<String>,
    events: String,
    seen: String,
}

/// What is under review.
struct Round {
    number: i32,
    digest: String,
    opened: String,
    required: i32,
    given: i32,
    by: String,
    before: Option<String>,
    contacts: Vec<String>,
    fingerprints: Vec<Fingerprint>,
    policies: String,
    seen: Seen,
}

/// A leaf under review.
struct Fingerprint {
    paired: String,
    /// Whose it is now; None: no environment of the certificate has it any more.
    whose: Option<String>,
}

struct Vote {
    who: String,
    word: &'static str,
    tone: &'static str,
    counts: &'static str,
    reason: String,
    void: bool,
}

struct Moment {
    title: &'static str,
    tone: &'static str,
    entry: Entry,
}

/// How the requester takes the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Not now, or not they.
    No,
    /// Here.
    Here,
    /// By a Secret.
    FromSecret,
    /// With a bearer token, which they do not have.
    WithToken,
}

struct ReceiptFacts {
    id: String,
    outcome: &'static str,
    tone: &'static str,
    taken: String,
}

/// `GET /ui/projects/{project}/requests/{request}`.
///
/// # Errors
/// What the API server refuses.
pub async fn show(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    done: Result<Query<Done>, QueryRejection>,
) -> Result<Response, ServerError> {
    let done = pagination::query(done)?.done;
    answer(&state, &visitor, &place, StatusCode::OK, move |request| said(&done, request)).await
}

/// The page, with what is to be said of it as it is now.
///
/// # Errors
/// What the API server refuses.
pub async fn answer(
    state: &Arc<ServerState>,
    visitor: &Visitor,
    place: &ObjectPath,
    status: StatusCode,
    notice: impl FnOnce(&DownloadRequest) -> Notice,
) -> Result<Response, ServerError> {
    // Boxed, so that the handler's own future stays small.
    let look = Box::pin(Look::at(state, visitor, place)).await?;
    let notice = notice(&look.request);
    let frame = visitor.frame("approvals");
    Ok(page::show_as(status, &Review::new(frame, notice, look)))
}

/// What was just done, in words.
fn said(done: &str, request: &DownloadRequest) -> Notice {
    let text = match done {
        "approve" => {
            let tally = Tally::shown(request).unwrap_or_default();
            if tally.is_enough() {
                format!("Your approval is on record. {} can have the file now.", request.requester())
            } else {
                format!("Your approval is on record: {} of {}.", tally.given(), tally.required)
            }
        }
        "deny" => "Your denial is on record. One denial ends a request: no link of it works any more.".to_owned(),
        "revoke" => "The request is revoked. No link of it works any more.".to_owned(),
        _ => return Notice::default(),
    };
    Notice { tone: "ok", text, ..Notice::default() }
}

impl Review {
    fn new(frame: Frame, notice: Notice, look: Look) -> Self {
        let Look { request, who, .. } = &look;
        let spec = &request.spec;
        let (state, tone) = standing::phase(request.phase());
        let by = spec.requested_by.clone().unwrap_or_default();
        let groups: Vec<&str> =
            by.groups.iter().map(String::as_str).filter(|group| *group != lifecycle::AUTHENTICATED).collect();
        let own = lifecycle::same_person(&by.username, who) && !who.is_empty();
        let (project, name) = (request.namespace().unwrap_or_default(), request.name_any());
        let seen = request.resource_version().unwrap_or_default();
        Self {
            events: format!("{}events/projects/{project}/requests/{name}?seen={seen}", frame.root),
            seen,
            frame,
            notice,
            project,
            name,
            certificate: spec.certificate_ref.name.clone(),
            environment: standing::environment(request),
            about: about(spec.format),
            format: spec.format.name(),
            key: spec.format.holds_key(),
            whose: look.whose(),
            groups: groups.join(", "),
            requester: by.username,
            reason: spec.reason.clone().unwrap_or_default(),
            created: request.created().map(|time| time.to_string()).unwrap_or_default(),
            deadline: spec.deadline.as_ref().map(|time| time.0.to_string()),
            options: options(request),
            state,
            tone,
            message: message(request),
            round: Round::of(&look),
            votes: votes(request),
            standing: Standing::of(request, who, look.may_approve),
            may_revoke: look.may_revoke && request.is_open(),
            own,
            takes: takes(request, own, look.alone),
            alone: look.alone,
            needs_passphrase: !look.alone && spec.format.needs_passphrase() && spec.passphrase_secret_ref.is_none(),
            receipt: look.receipt.as_ref().map(ReceiptFacts::of),
            moments: moments(look.moments),
            exports: look.exports.items,
            exports_partial: !look.exports.from_receipts,
            exports_hidden: look.exports_hidden,
            chains: look.chains,
            chain_hidden: look.chain_hidden,
            rules: look.rules,
            rules_hidden: look.rules_hidden,
        }
    }
}

/// Where it stands, in a sentence; of what waits for approval the page says that itself.
fn message(request: &DownloadRequest) -> String {
    match lifecycle::awaiting_approval(request) {
        Some(_) => String::new(),
        None => lifecycle::summary(request).unwrap_or_else(|| "the controller has not picked it up yet".to_owned()),
    }
}

/// What else was asked for.
fn options(request: &DownloadRequest) -> Vec<(&'static str, String)> {
    let spec = &request.spec;
    let mut options = Vec::new();
    let pkcs12 = spec.pkcs12.clone().unwrap_or_default();
    if let Some(profile) = pkcs12.profile {
        options.push(("PKCS#12 encryption", format!("{profile:?}")));
    }
    options.extend(pkcs12.friendly_name.map(|name| ("Friendly name", name)));
    options.extend(spec.pem.as_ref().and_then(|pem| pem.order).map(|order| ("Order", format!("{order:?}"))));
    options.extend(spec.token_ttl.map(|ttl| ("Link valid for", ttl.to_string())));
    if let Some(secret) = &spec.passphrase_secret_ref {
        options.push(("Passphrase", format!("in Secret {}, key {}", secret.name, secret.key)));
    }
    let delivery = match request.delivery() {
        Delivery::Claim => "a link, on this page, for the requester alone".to_owned(),
        Delivery::Secret => format!("Secret {}, for the requester alone", names::token_secret(&request.name_any())),
    };
    options.push(("Delivered by", delivery));
    options
}

fn takes(request: &DownloadRequest, own: bool, alone: bool) -> Takes {
    if !own || !matches!(request.phase(), Phase::Approved | Phase::TokenIssued) {
        return Takes::No;
    }
    match (request.delivery(), alone) {
        (Delivery::Claim, false) | (Delivery::Secret, true) => Takes::Here,
        (Delivery::Secret, false) => Takes::FromSecret,
        (Delivery::Claim, true) => Takes::WithToken,
    }
}

impl Round {
    fn of(look: &Look) -> Option<Self> {
        let review = look.request.review()?;
        let tally = Tally::shown(&look.request)?;
        let fingerprint = |hex: &String| Fingerprint { paired: paired(hex), whose: look.whose_is(hex) };
        Some(Self {
            number: review.round,
            digest: review.digest.clone(),
            opened: review.opened_at.0.to_string(),
            required: tally.required,
            given: tally.given(),
            by: tally.by().join(", "),
            before: review.expires_at.as_ref().map(|time| time.0.to_string()),
            contacts: review.contacts.clone(),
            fingerprints: review.fingerprints.iter().map(fingerprint).collect(),
            policies: review.policies.join(", "),
            seen: Seen::of(review),
        })
    }
}

fn votes(request: &DownloadRequest) -> Vec<Vote> {
    let digest = request.review().map_or("", |review| review.digest.as_str());
    let tally = Tally::shown(request).unwrap_or_default();
    let vote = |vote: &Approval| {
        let (word, tone, counts) = match vote.decision {
            Decision::Deny => ("Denied", "bad", "ends the request"),
            Decision::Approve if vote.digest != digest => ("Approved", "", "void: what was under review has changed"),
            Decision::Approve if tally.votes.contains(&vote) => ("Approved", "ok", "counts"),
            Decision::Approve if tally.lapsed.contains(&vote.username.as_str()) => {
                ("Approved", "warn", "does not count: may no longer approve")
            }
            Decision::Approve => ("Approved", "", "does not count"),
        };
        let void = vote.decision == Decision::Approve && counts != "counts";
        Vote { who: vote.username.clone(), word, tone, counts, reason: vote.reason.clone(), void }
    };
    request.votes().iter().map(vote).collect()
}

fn moments(entries: Vec<Entry>) -> Vec<Moment> {
    let moment = |entry: Entry| {
        let (title, tone) = match entry.kind {
            Kind::Requested => ("Requested", ""),
            Kind::Approved => ("Approved", "ok"),
            Kind::Minted => ("Link issued", ""),
            Kind::Downloaded => ("Downloaded", "ok"),
            Kind::Refused => ("Ended without a file", "bad"),
            Kind::Expired => ("Expired", ""),
            Kind::Voided => ("Votes and link void", "bad"),
            Kind::Revoked => ("Revoked", "bad"),
        };
        Moment { title, tone, entry }
    };
    entries.into_iter().map(moment).collect()
}

impl ReceiptFacts {
    fn of(receipt: &DownloadReceipt) -> Self {
        let (outcome, tone) = super::receipt::outcome(receipt.outcome());
        Self { id: receipt.name_any(), outcome, tone, taken: receipt.spec.consumed_at.0.to_string() }
    }
}
