//! Whether the token delivers now: all facts read live and side by side, then the one decision that every door shares.

use std::sync::Arc;

use super::{
    super::{
        error::{ErrorCode, ServerError},
        identity,
        state::ServerState,
    },
    Found, Redeemer, refusal, too_slow,
};
use crate::{
    api::{Certificate, ConsumedBy, DownloadRequest},
    kube::facts,
    lifecycle::{self, Material, Observed, Refusal, Settings},
    policy::{Decision, Grant},
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
    /// Who redeems, where the token is bound to its requester.
    pub consumed_by: Option<ConsumedBy>,
}

/// Gathers and decides.
///
/// # Errors
/// [`ServerError`] with the code of what stands against it, or that it could not be found out in time.
pub async fn decide(state: &Arc<ServerState>, found: &Found, redeemer: &Redeemer) -> Result<Decided, ServerError> {
    let request = &found.request;
    let time_left = || state.deliveries.decision_timeout.get().saturating_sub(found.looked_at.elapsed());
    let gathering = facts::live(state.clients.reads(), request, state.operator_policy.as_ref());
    let gathered = tokio::time::timeout(time_left(), gathering)
        .await
        .map_err(|_| too_slow())?
        .map_err(refusal::of_policy_error)?;
    // Last, so that what was forged while the guard was down, and read before, is seen to be.
    let guard = tokio::time::timeout(time_left(), state.guard.of(request)).await.map_err(|_| too_slow())?;

    let now = state.clients.clock().now();
    let decision = gathered.decision(request, facts::passphrase_of(request), now);
    let seen = Observed {
        request,
        material: gathered.material.clone(),
        decision: decision.clone(),
        receipt: facts::receipt_seen(gathered.known.receipt.as_ref()),
        guard,
        ahead: 0,
        settings: Settings::default(),
    };
    if let Err(refusal) = lifecycle::redeem(&seen, &found.hash, now) {
        return Err(in_words(&refusal, &seen.material, gathered.known.receipt.as_ref()));
    }
    let (Some(Decision::Grant(grant)), Some(certificate), Material::Usable { fingerprints }) =
        (decision, gathered.known.certificate, gathered.material)
    else {
        return Err(refusal::of_lifecycle(&Refusal::CertificateGone("the Certificate is gone".to_owned())));
    };
    let consumed_by = if grant.effective.bind_to_requester.value {
        Some(requester_in_person(state, request, redeemer).await?)
    } else {
        None
    };
    let (environments, materials) = (gathered.environments, gathered.materials);
    Ok(Decided { certificate, environments, materials, fingerprints, grant: *grant, consumed_by })
}

fn in_words(refusal: &Refusal, material: &Material, receipt: Option<&crate::api::DownloadReceipt>) -> ServerError {
    match (refusal, material, receipt) {
        (Refusal::TokenUsed, _, Some(receipt)) => refusal::used(receipt),
        (Refusal::MaterialUnusable(words), Material::Unusable { word: "UnknownEnvironment", .. }, _) => {
            ServerError::new(ErrorCode::UnknownEnvironment, words)
        }
        _ => refusal::of_lifecycle(refusal),
    }
}

/// A bound token works only together with the requester's own credentials.
async fn requester_in_person(
    state: &ServerState,
    request: &DownloadRequest,
    redeemer: &Redeemer,
) -> Result<ConsumedBy, ServerError> {
    let Some(bearer) = &redeemer.bearer else {
        let words = "this token is bound to its requester by policy (token.bindToRequester); \
                     send the requester's Kubernetes token too: Authorization: Bearer …";
        return Err(ServerError::new(ErrorCode::Unauthorized, words));
    };
    let caller = identity::of_bearer(&state.clients, bearer).await?;
    if !identity::is_requester(&caller, request.spec.requested_by.as_ref()) {
        let words = "this token is bound to its requester by policy (token.bindToRequester), and you are not they; \
                     create a DownloadRequest of your own";
        return Err(ServerError::new(ErrorCode::Forbidden, words));
    }
    Ok(ConsumedBy { username: caller.username })
}
