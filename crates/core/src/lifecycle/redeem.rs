//! What the server asks of a request: may this token be used now, may it be claimed now.

use jiff::Timestamp;

use super::{
    Guard, Material, Observed, TokenPlan,
    draft::Draft,
    mint::{all_minted, enough, plan_mint},
    next,
    table::in_words,
    votes::lapsed,
};
use crate::{
    api::{Delivery, DownloadRequest, DownloadRequestStatus, Phase, TokenEnd},
    policy::{Decision, Reason},
    token::same_hash,
};

/// Why a token is not used. Each has an error code of its own; the texts name the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such token; also a request made again under the same name.
    #[error(
        "this token is not known: it may be of an older request of the same name; create a DownloadRequest and use its token"
    )]
    TokenUnknown,
    /// Its time is over.
    #[error("token expired at {0}; ask for another token or create another DownloadRequest")]
    TokenExpired(Timestamp),
    /// It was used.
    #[error("this token was already used: one request delivers once; create another DownloadRequest")]
    TokenUsed,
    /// Another token took its place.
    #[error("this token was replaced by a newer one at {0}; use the newer one")]
    TokenReplaced(Timestamp),
    /// The request was revoked, denied or failed.
    #[error("the request is closed ({0}); create another DownloadRequest")]
    TokenRevoked(String),
    /// The Certificate or its Secret is gone.
    #[error("{0}")]
    CertificateGone(String),
    /// The material cannot be delivered.
    #[error("{0}")]
    MaterialUnusable(String),
    /// What was reviewed is no longer what would be delivered.
    #[error(
        "what was reviewed has changed since (round {0} is open): the token is void; wait for new approvals and use \
         the new token"
    )]
    CertificateChanged(i32),
    /// The approvals are missing.
    #[error("approvals are missing: {0}; wait for them and use the new token")]
    ApprovalRequired(String),
    /// Policy or rights refuse, as of now.
    #[error("{}", in_words(.0).1)]
    Refused(Vec<Reason>),
    /// The admission policies are not proven to be in force.
    #[error("no key is released while the admission policies are not proven to be in force: {0}; try again later")]
    GuardFailed(String),
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
            TokenEnd::Expired => Refusal::TokenExpired(ended.ended.0),
            TokenEnd::ReviewChanged => {
                Refusal::CertificateChanged(status.review.as_ref().map_or(1, |review| review.round))
            }
            TokenEnd::ApprovalMissing if phase == Phase::AwaitingApproval => {
                Refusal::ApprovalRequired(approvals(status))
            }
            TokenEnd::Replaced | TokenEnd::ApprovalMissing => Refusal::TokenReplaced(ended.ended.0),
            TokenEnd::Used => Refusal::TokenUsed,
            TokenEnd::Closed => closed(status),
        });
    }
    let expiry = token.expires_at.as_ref().map_or(Timestamp::MIN, |time| time.0);
    match phase {
        Phase::TokenIssued if now < expiry => Ok(()),
        Phase::TokenIssued | Phase::Expired => Err(Refusal::TokenExpired(expiry)),
        Phase::Pending | Phase::AwaitingApproval | Phase::Approved => Err(Refusal::TokenUnknown),
        Phase::Consumed => Err(Refusal::TokenUsed),
        Phase::Denied | Phase::Revoked | Phase::Failed => Err(closed(status)),
    }
}

/// How many approvals there are. Who lost the right to approve is for those who may read the request.
fn approvals(status: &DownloadRequestStatus) -> String {
    let Some(approvals) = status.review.as_ref().map(|review| &review.approvals) else { return String::new() };
    let lapsed = if approvals.lapsed.is_empty() { "" } else { " (an approver has lost the right to approve since)" };
    format!("{}{lapsed}", approvals.summary)
}

fn closed(status: &DownloadRequestStatus) -> Refusal {
    let phase = status.phase();
    let why = status.reason.as_deref().map(|reason| format!(", {reason}")).unwrap_or_default();
    Refusal::TokenRevoked(format!("{}{why}", phase.name()))
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
    let round = |status: Option<&DownloadRequestStatus>| {
        status.and_then(|status| status.review.as_ref()).map_or(0, |review| review.round)
    };
    match status.phase() {
        Phase::TokenIssued | Phase::Approved | Phase::AwaitingApproval if round(Some(status)) != round(before) => {
            return Err(Refusal::CertificateChanged(round(Some(status))));
        }
        Phase::TokenIssued => {}
        Phase::Expired | Phase::Approved => return Err(Refusal::TokenExpired(now)),
        Phase::AwaitingApproval | Phase::Pending => {
            return Err(Refusal::ApprovalRequired(approvals(status)));
        }
        Phase::Consumed => return Err(Refusal::TokenUsed),
        Phase::Denied | Phase::Revoked | Phase::Failed => return Err(closed(status)),
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

/// Why a token is not given to a claimer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefusal {
    /// The token of this request goes into a Secret.
    #[error("the token of this request goes into Secret {0}; read it there, or create a request with delivery Claim")]
    WrongDelivery(String),
    /// The request is closed.
    #[error("the request is closed ({0}); create another DownloadRequest")]
    Closed(String),
    /// Approvals are missing.
    #[error("{0}; claim again when they are given")]
    ApprovalRequired(String),
    /// As many tokens were issued as there may be.
    #[error("{}", enough(*.0))]
    NoMoreTokens(i64),
    /// It waits for its Certificate, or its material cannot be delivered.
    #[error("{0}")]
    NotReady(String),
    /// Policy or rights refuse, as of now.
    #[error("{}", in_words(.0).1)]
    Refused(Vec<Reason>),
    /// The admission policies are not proven to be in force.
    #[error("no key is released while the admission policies are not proven to be in force: {0}; try again later")]
    GuardFailed(String),
}

/// Plans the token of a claim: the status that it is based on, and the mint. One guarded update writes both.
///
/// # Errors
/// [`ClaimRefusal`], before anything was changed.
pub fn claim(seen: &Observed<'_>, now: Timestamp) -> Result<(DownloadRequestStatus, TokenPlan), ClaimRefusal> {
    if seen.request.delivery() == Delivery::Secret {
        return Err(ClaimRefusal::WrongDelivery(crate::api::names::token_secret(seen.request.key().name)));
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
        _ => return Err(ClaimRefusal::Closed(phase.name().to_owned())),
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
