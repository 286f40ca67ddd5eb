//! What the server asks of a request: may this token be used now, may it be claimed now.

use std::fmt;

use jiff::Timestamp;

use super::{
    Guard, Material, Observed, TokenPlan,
    draft::Draft,
    mint::{all_minted, enough, plan_mint},
    next,
    votes::lapsed,
};
use crate::{
    api::{Delivery, DownloadRequest, DownloadRequestStatus, Phase, TokenEnd, names, words::ConditionType::Finished},
    door::{Door, TokenOf, Worded},
    policy::{Decision, Reason, all_reasons},
    token::same_hash,
};

/// Why a token is not used. Each has an error code of its own; the messages name the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such token; also a request made again under the same name.
    TokenUnknown,
    /// Its time is over: since when, and of which request another can be had, while that is open.
    TokenExpired(Timestamp, Option<TokenOf>),
    /// It was used.
    TokenUsed,
    /// Another token took its place.
    TokenReplaced(Timestamp),
    /// The request was revoked, denied or failed. Why is for those who may read it, and not for every holder of a link.
    TokenRevoked(String, TokenOf),
    /// The Certificate or its Secret is gone.
    CertificateGone(String),
    /// The material cannot be delivered.
    MaterialUnusable(String),
    /// What was reviewed is no longer what would be delivered.
    CertificateChanged(i32),
    /// The approvals are missing.
    ApprovalRequired(String),
    /// Policy or rights refuse, as of now.
    Refused(Vec<Reason>),
    /// The admission policies are not proven to be in force.
    GuardFailed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.at(Door::Object))
    }
}

impl Worded for Refusal {
    fn at(&self, door: Door) -> String {
        let again = door.another_request();
        match self {
            Self::TokenUnknown => format!(
                "this token is not known: it may be of an older request of the same name; {again} and use its token"
            ),
            Self::TokenExpired(at, Some(of)) => {
                format!("this token expired at {at}; get another: {}", door.another_token(of))
            }
            Self::TokenExpired(at, None) => format!("this token expired at {at}, and its request too; {again}"),
            Self::TokenUsed => format!("this token was already used: one request delivers once; {again}"),
            Self::TokenReplaced(at) => format!("this token was replaced by a newer one at {at}; use the newer one"),
            Self::TokenRevoked(how, of) => {
                format!("the request is closed ({how}): {} says why; {again}", door.look_at(of))
            }
            Self::CertificateGone(message) | Self::MaterialUnusable(message) => message.clone(),
            Self::CertificateChanged(round) => format!(
                "what was reviewed has changed since (round {round} is open): the token is void; wait for new approvals \
                 and use the new token"
            ),
            Self::ApprovalRequired(count) => {
                format!("approvals are missing: {count}; wait for them and use the new token")
            }
            Self::Refused(reasons) => all_reasons(reasons, door),
            Self::GuardFailed(why) => unproven(why),
        }
    }
}

/// Why no key is released.
fn unproven(why: &str) -> String {
    format!("no key is released while the admission policies are not proven to be in force: {why}; try again later")
}

/// Looks the presented hash up in the request: the cheap check before anything else is read.
///
/// # Errors
/// [`Refusal`] for any hash but that of the living token of a request in phase `TokenIssued`.
pub fn present(request: &DownloadRequest, hash: &str, now: Timestamp) -> Result<(), Refusal> {
    let Some(status) = &request.status else { return Err(Refusal::TokenUnknown) };
    let Some(token) = &status.token else { return Err(Refusal::TokenUnknown) };
    let phase = status.phase();
    // Every known hash is compared, so that the time taken does not tell which one it was.
    let current = token.hash.as_deref().is_some_and(|known| same_hash(known, hash));
    let mut previous = None;
    for ended in &token.previous {
        if same_hash(&ended.hash, hash) {
            previous = Some(ended);
        }
    }
    if !current && previous.is_none() {
        return Err(Refusal::TokenUnknown);
    }
    if phase == Phase::Consumed {
        return Err(Refusal::TokenUsed);
    }
    if let Some(ended) = previous {
        return Err(match ended.why {
            TokenEnd::Expired => Refusal::TokenExpired(ended.ended.0, request.is_open().then(|| TokenOf::of(request))),
            TokenEnd::ReviewChanged => {
                Refusal::CertificateChanged(status.review.as_ref().map_or(1, |review| review.round))
            }
            TokenEnd::ApprovalMissing if phase == Phase::AwaitingApproval => {
                Refusal::ApprovalRequired(approvals(status))
            }
            TokenEnd::Replaced | TokenEnd::ApprovalMissing => Refusal::TokenReplaced(ended.ended.0),
            TokenEnd::Used => Refusal::TokenUsed,
            TokenEnd::Closed => closed(request, status),
        });
    }
    let expiry = token.expires_at.as_ref().map_or(Timestamp::MIN, |time| time.0);
    if request.metadata.deletion_timestamp.is_some() && phase.is_open() {
        return Err(deleted(request));
    }
    match phase {
        Phase::TokenIssued if now < expiry => Ok(()),
        Phase::TokenIssued | Phase::Expired => {
            Err(Refusal::TokenExpired(expiry, request.is_open().then(|| TokenOf::of(request))))
        }
        Phase::Pending | Phase::AwaitingApproval | Phase::Approved => Err(Refusal::TokenUnknown),
        Phase::Consumed => Err(Refusal::TokenUsed),
        Phase::Denied | Phase::Revoked | Phase::Failed => Err(closed(request, status)),
    }
}

/// How many approvals there are. Who lost the right to approve is for those who may read the request.
fn approvals(status: &DownloadRequestStatus) -> String {
    let Some(approvals) = status.review.as_ref().map(|review| &review.approvals) else { return String::new() };
    let lapsed = if approvals.lapsed.is_empty() { "" } else { " (an approver has lost the right to approve since)" };
    format!("{}{lapsed}", approvals.summary)
}

fn closed(request: &DownloadRequest, status: &DownloadRequestStatus) -> Refusal {
    let phase = status.phase();
    let why = status.reason.as_deref().map(|reason| format!(", {reason}")).unwrap_or_default();
    Refusal::TokenRevoked(format!("{}{why}", phase.name()), TokenOf::of(request))
}

/// Decides, on live facts, whether the presented token delivers now. Votes are recounted and the digest recomputed by
/// the same [`next`] that the controller follows: whatever would move the request on refuses the token.
///
/// # Errors
/// [`Refusal`], before anything was changed.
pub fn redeem(seen: &Observed<'_>, hash: &str, now: Timestamp) -> Result<(), Refusal> {
    present(seen.request, hash, now)?;
    if seen.receipt.is_some() {
        return Err(Refusal::TokenUsed);
    }
    if let Some(Decision::Refuse(reasons)) = &seen.decision {
        return Err(Refusal::Refused(reasons.clone()));
    }
    let step = next(seen, now);
    let before = seen.request.status.as_ref();
    let Some(status) = step.status.as_deref().or(before) else { return Err(Refusal::TokenUnknown) };
    match status.phase() {
        Phase::Expired => return Err(Refusal::TokenExpired(now, None)),
        // A token is of its round, also where the next round lets go at once: that one has a token of its own.
        phase if phase.is_open() && round(Some(status)) != round(before) => {
            return Err(Refusal::CertificateChanged(round(Some(status))));
        }
        _ => lets_go(seen.request, before, status)?,
    }
    if status.phase() == Phase::Approved {
        return Err(Refusal::TokenExpired(now, Some(TokenOf::of(seen.request))));
    }
    match &seen.material {
        Material::Missing { message, .. } => return Err(Refusal::CertificateGone(message.clone())),
        Material::Unusable { message, .. } => return Err(Refusal::MaterialUnusable(message.clone())),
        Material::Usable { .. } => {}
    }
    match (&seen.guard, &seen.decision) {
        (Guard::Broken { reason }, _) if seen.request.spec.format.holds_key() => {
            Err(Refusal::GuardFailed(reason.clone()))
        }
        (_, None) => Err(Refusal::CertificateGone("the Certificate is gone".to_owned())),
        _ => Ok(()),
    }
}

/// The second look, between the receipt and the first byte: whether the request, read again, still lets go of what was
/// decided on `seen` at `decided`. Whatever ended it before the receipt, or took its approvals, shows here. A token that
/// expired or was replaced meanwhile, also by that of a new round that asks for no approvals, was good when it was
/// presented: the receipt has used the request up, and no one would get the file.
///
/// # Errors
/// [`Refusal`]: nothing may be sent, though the receipt exists.
pub fn stands(seen: &Observed<'_>, again: Option<&DownloadRequest>, decided: Timestamp) -> Result<(), Refusal> {
    let Some(request) = again.filter(|again| again.metadata.uid == seen.request.metadata.uid) else {
        return Err(deleted(seen.request));
    };
    if request.metadata.deletion_timestamp.is_some() {
        return Err(deleted(request));
    }
    // The controller was faster, and saw the receipt. It would not have, had people ended the request before.
    if request.phase() == Phase::Consumed {
        let revoked = request.annotation(names::REVOKE).is_some();
        return if revoked { Err(revoked_late(request)) } else { Ok(()) };
    }
    let (before, stored) = (seen.request.status.as_ref(), request.status.as_ref());
    // What the controller has written first, then what it will.
    stored.map_or(Ok(()), |status| lets_go(request, before, status))?;
    let step = next(&Observed { request, receipt: None, ..seen.clone() }, decided);
    let Some(status) = step.status.as_deref().or(stored) else { return Err(Refusal::TokenUnknown) };
    // The controller has decided on newer facts than were seen here: against the older ones only endings count.
    if round(stored) != round(before) && status.phase().is_open() {
        return Ok(());
    }
    lets_go(request, before, status)
}

/// Whether a request that let go of something when its status was `before` still does, in the status that it has `now`.
fn lets_go(
    request: &DownloadRequest,
    before: Option<&DownloadRequestStatus>,
    now: &DownloadRequestStatus,
) -> Result<(), Refusal> {
    match now.phase() {
        Phase::TokenIssued | Phase::Approved => Ok(()),
        Phase::AwaitingApproval | Phase::Pending if round(Some(now)) != round(before) => {
            Err(Refusal::CertificateChanged(round(Some(now))))
        }
        Phase::AwaitingApproval | Phase::Pending => Err(Refusal::ApprovalRequired(approvals(now))),
        Phase::Consumed => Err(Refusal::TokenUsed),
        Phase::Denied | Phase::Revoked | Phase::Failed | Phase::Expired => Err(closed(request, now)),
    }
}

fn round(status: Option<&DownloadRequestStatus>) -> i32 {
    status.and_then(|status| status.review.as_ref()).map_or(0, |review| review.round)
}

/// The request is gone, or going.
fn deleted(request: &DownloadRequest) -> Refusal {
    Refusal::TokenRevoked("Deleted".to_owned(), TokenOf::of(request))
}

fn revoked_late(request: &DownloadRequest) -> Refusal {
    Refusal::TokenRevoked(Phase::Revoked.name().to_owned(), TokenOf::of(request))
}

/// Why a token is not given to a claimer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimRefusal {
    /// The token of this request goes into a Secret.
    WrongDelivery(String),
    /// The request is closed: how it ended.
    Closed(String),
    /// Approvals are missing.
    ApprovalRequired(String),
    /// As many tokens were issued as there may be.
    NoMoreTokens(i64),
    /// It waits for its Certificate, or its material cannot be delivered.
    NotReady(String),
    /// Policy or rights refuse, as of now.
    Refused(Vec<Reason>),
    /// The admission policies are not proven to be in force.
    GuardFailed(String),
}

impl fmt::Display for ClaimRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.at(Door::Object))
    }
}

impl Worded for ClaimRefusal {
    fn at(&self, door: Door) -> String {
        let again = door.another_request();
        match self {
            Self::WrongDelivery(secret) => format!(
                "the token of this request goes into Secret {secret}; read it there, or create a request with delivery \
                 Claim"
            ),
            Self::Closed(how) => format!("the request is closed: {how}; {again}"),
            Self::ApprovalRequired(count) => format!("{count}; claim again when they are given"),
            Self::NoMoreTokens(minted) => enough(*minted, door),
            Self::NotReady(message) => message.clone(),
            Self::Refused(reasons) => all_reasons(reasons, door),
            Self::GuardFailed(why) => unproven(why),
        }
    }
}

/// Plans the token of a claim: the status that it is based on, and the mint. One guarded update writes both.
///
/// # Errors
/// [`ClaimRefusal`], before anything was changed.
pub fn claim(seen: &Observed<'_>, now: Timestamp) -> Result<(DownloadRequestStatus, TokenPlan), ClaimRefusal> {
    if seen.request.delivery() == Delivery::Secret {
        return Err(ClaimRefusal::WrongDelivery(names::token_secret(seen.request.key().name)));
    }
    if seen.request.metadata.deletion_timestamp.is_some() {
        return Err(ClaimRefusal::Closed("it is being deleted".to_owned()));
    }
    if let Some(Decision::Refuse(reasons)) = &seen.decision {
        return Err(ClaimRefusal::Refused(reasons.clone()));
    }
    let step = next(seen, now);
    let status = step.status.map(|status| *status).or_else(|| seen.request.status.clone()).unwrap_or_default();
    let phase = status.phase();
    match phase {
        Phase::Approved | Phase::TokenIssued => {}
        Phase::AwaitingApproval => {
            let count = status.review.as_ref().map(|review| review.approvals.clone()).unwrap_or_default();
            let people: Vec<&str> = count.lapsed.iter().map(String::as_str).collect();
            let lapsed = lapsed(&people, &seen.request.spec.certificate_ref.name);
            let lapsed = lapsed.map(|words| format!("; {words}")).unwrap_or_default();
            return Err(ClaimRefusal::ApprovalRequired(format!("{} approvals are given{lapsed}", count.summary)));
        }
        Phase::Pending => return Err(ClaimRefusal::NotReady("the request is waiting for its Certificate".to_owned())),
        _ => {
            let ended = status.condition_true(Finished).map(|condition| condition.message.clone());
            let ended = ended.filter(|message| !message.is_empty());
            return Err(ClaimRefusal::Closed(ended.unwrap_or_else(|| phase.name().to_owned())));
        }
    }
    match &seen.material {
        Material::Missing { message, .. } | Material::Unusable { message, .. } => {
            return Err(ClaimRefusal::NotReady(message.clone()));
        }
        Material::Usable { .. } => {}
    }
    let Some(Decision::Grant(grant)) = &seen.decision else {
        return Err(ClaimRefusal::NotReady("the Certificate is gone".to_owned()));
    };
    let mut draft = Draft::new(seen, now);
    draft.status = status;
    if let Some(minted) = all_minted(&draft) {
        return Err(ClaimRefusal::NoMoreTokens(minted));
    }
    match plan_mint(&mut draft, grant) {
        Some(mint) => Ok((draft.status, mint)),
        None => match &seen.guard {
            Guard::Broken { reason } => Err(ClaimRefusal::GuardFailed(reason.clone())),
            _ => Err(ClaimRefusal::GuardFailed("not known".to_owned())),
        },
    }
}
