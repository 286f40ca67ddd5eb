//! Whether the token delivers now: all facts read live and side by side, then the one decision that every door shares.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;

use super::{Found, Redeemer, refusal, too_slow};
use crate::api::words::MaterialProblem;
use crate::server::{
    auth::identity,
    http::{
        self,
        error::{ErrorCode, ServerError},
        refusal::{Aftermath, of_api_error},
    },
    state::ServerState,
};
use crate::{
    api::{Approval, Approver, Certificate, ConsumedBy, DownloadReceipt, DownloadRequest},
    cluster::facts::{self, Gathered},
    lifecycle::{self, Approvers, Guard, Material, Observed, Refusal, Settings, Tally},
    policy::{Access, Decision, Grant},
};

/// What was decided, and the facts that the rest needs. No `Debug`: it may hold private keys.
pub struct Decided {
    /// The Certificate, for its name and its Event.
    pub certificate: Certificate,
    /// The environments of the file.
    pub environments: Vec<String>,
    /// Their material.
    pub materials: Vec<certcourier_bundle::Material>,
    /// Fingerprints of the leaves.
    pub fingerprints: Vec<String>,
    /// The terms.
    pub grant: Grant,
    /// Who approved, and why.
    pub approvals: Vec<Approver>,
    /// Who uses, where the token is bound to its requester.
    pub consumed_by: Option<ConsumedBy>,
    /// What it rests on.
    pub basis: Basis,
}

/// What a decision rests on besides the request; kept until the first byte. It holds no keys.
pub struct Basis {
    material: Material,
    decision: Option<Decision>,
    approvers: Approvers,
    guard: Guard,
    at: Timestamp,
}

impl Basis {
    fn observed<'a>(&self, request: &'a DownloadRequest, receipt: Option<&DownloadReceipt>) -> Observed<'a> {
        Observed {
            request,
            material: self.material.clone(),
            decision: self.decision.clone(),
            receipt: facts::receipt_seen(receipt),
            approvers: self.approvers.clone(),
            guard: self.guard.clone(),
            ahead: 0,
            settings: Settings::default(),
        }
    }

    /// Whether it lets the request go that was read again; `None`: there is none any more.
    ///
    /// # Errors
    /// [`Refusal`] of what was ended meanwhile.
    pub fn stands(&self, found: &Found, again: Option<&DownloadRequest>) -> Result<(), Refusal> {
        lifecycle::stands(&self.observed(&found.request, None), again, self.at)
    }
}

/// Gathers and decides.
///
/// # Errors
/// [`ServerError`] with the code of what prevents it, or that it could not be found out in time.
pub async fn decide(
    state: &Arc<ServerState>,
    found: &Found,
    redeemer: &Redeemer,
    reading_since: Instant,
) -> Result<Decided, ServerError> {
    let request = &found.request;
    let time_left = || state.deliveries.decision_timeout.get().saturating_sub(reading_since.elapsed());
    let gathering = facts::of_redemption(&state.clients, request, state.cluster_policy.as_ref());
    let mut gathered = tokio::time::timeout(time_left(), gathering)
        .await
        .map_err(|_| too_slow())?
        .map_err(|error| http::refusal::of_facts(error, Aftermath::TokenGood))?;
    // Last, so that what was forged while the guard was down, and read before, is seen to be.
    let guard = tokio::time::timeout(time_left(), state.guard.of(request)).await.map_err(|_| too_slow())?;

    let now = state.clients.clock().now();
    let (mut grant, mut basis) = judge(found, &gathered, guard.clone(), now)?;
    let mut consumed_by = None;
    if grant.effective.bind_to_requester.value {
        let requester = requester_in_person(state, request, redeemer);
        let (requester, access) = tokio::time::timeout(time_left(), requester).await.map_err(|_| too_slow())??;
        consumed_by = Some(requester);
        gathered.narrow(access);
        (grant, basis) = judge(found, &gathered, guard, now)?;
    }
    let approvals = agreed(request, &gathered.approvers);
    let (Some(certificate), Material::Usable { fingerprints }) = (gathered.known.certificate, gathered.material) else {
        return Err(certificate_gone());
    };
    let (environments, materials) = (gathered.environments, gathered.materials);
    Ok(Decided { certificate, environments, materials, fingerprints, grant, approvals, consumed_by, basis })
}

/// The one decision on these facts; the terms, where the token delivers, and what they rest on.
fn judge(found: &Found, gathered: &Gathered, guard: Guard, now: Timestamp) -> Result<(Grant, Basis), ServerError> {
    let basis = Basis {
        material: gathered.material.clone(),
        decision: gathered.decision(&found.request, facts::passphrase_of(&found.request), now),
        approvers: gathered.approvers.clone(),
        guard,
        at: now,
    };
    let receipt = gathered.known.receipt.as_ref();
    lifecycle::redeem(&basis.observed(&found.request, receipt), &found.hash, now)
        .map_err(|refusal| in_words(&refusal, &basis.material, receipt))?;
    match &basis.decision {
        Some(Decision::Grant(grant)) => Ok((grant.as_ref().clone(), basis)),
        _ => Err(certificate_gone()),
    }
}

/// Who approved what is delivered, and why.
fn agreed(request: &DownloadRequest, approvers: &Approvers) -> Vec<Approver> {
    let counted = Tally::of(request, approvers).map(|tally| tally.votes).unwrap_or_default();
    let named = |vote: &Approval| Approver { username: vote.username.clone(), reason: vote.reason.clone() };
    counted.into_iter().map(named).collect()
}

fn certificate_gone() -> ServerError {
    refusal::of_lifecycle(&Refusal::CertificateGone("the Certificate is gone".to_owned()))
}

fn in_words(refusal: &Refusal, material: &Material, receipt: Option<&DownloadReceipt>) -> ServerError {
    match (refusal, material, receipt) {
        (Refusal::TokenUsed, _, Some(receipt)) => refusal::used(receipt),
        (
            Refusal::MaterialUnusable(words),
            Material::Unusable { problem: MaterialProblem::UnknownEnvironment, .. },
            _,
        ) => ServerError::new(ErrorCode::UnknownEnvironment, words),
        _ => refusal::of_lifecycle(refusal),
    }
}

/// A bound token works only together with the requester's own credentials, and by what these allow now.
async fn requester_in_person(
    state: &ServerState,
    request: &DownloadRequest,
    redeemer: &Redeemer,
) -> Result<(ConsumedBy, Access), ServerError> {
    let Some(bearer) = &redeemer.bearer else {
        let words = "this token is bound to its requester by policy (token.bindToRequester); \
                     send the requester's Kubernetes token too: Authorization: Bearer …";
        return Err(ServerError::new(ErrorCode::Unauthorized, words));
    };
    let (caller, client) = identity::of_bearer(&state.clients, bearer).await?;
    if !identity::is_requester(&caller, request.spec.requested_by.as_ref()) {
        let words = "this token is bound to its requester by policy (token.bindToRequester), and you are not the \
                     requester; create a DownloadRequest of your own";
        return Err(ServerError::new(ErrorCode::Forbidden, words));
    }
    let access = facts::access_in_person(&client, request).await.map_err(of_api_error)?;
    Ok((ConsumedBy { username: caller.username }, access))
}
