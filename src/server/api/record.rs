//! What is told of what callers do: a line in the log and an Event. One function for each fact, called where it happened
//! and nowhere else.

use std::sync::Arc;

use ::kube::{Resource, ResourceExt as _};
use certcourier_bundle::Artifact;
use sha2::{Digest as _, Sha256};
use tracing::info;

use super::{super::state::ServerState, caller::Caller, claim::Claimed};
use crate::{
    api::{Certificate, Decision, DownloadRequest, Requester},
    hex,
    kube::events::{Mood, Note},
};

/// A request was created in a caller's name.
pub fn request_created(caller: &Caller, who: &Requester, request: &DownloadRequest) {
    info!(
        target: "certcourier::audit",
        request_id = caller.request_id.as_str(),
        namespace = request.namespace().unwrap_or_default(),
        certificate = request.spec.certificate_ref.name,
        format = request.spec.format.name(),
        request = request.name_any(),
        requester = who.username,
        client = %caller.address,
        "request.created"
    );
}

/// Somebody voted.
pub fn voted(caller: &Caller, who: &Requester, request: &DownloadRequest, decision: Decision, reason: &str) {
    let fact = match decision {
        Decision::Approve => "approval.granted",
        Decision::Deny => "approval.denied",
    };
    info!(
        target: "certcourier::audit",
        request_id = caller.request_id.as_str(),
        namespace = request.namespace().unwrap_or_default(),
        certificate = request.spec.certificate_ref.name,
        format = request.spec.format.name(),
        request = request.name_any(),
        actor = who.username,
        client = %caller.address,
        reason,
        "{fact}"
    );
}

/// Somebody withdrew a request.
pub fn request_revoked(caller: &Caller, who: &Requester, request: &DownloadRequest) {
    info!(
        target: "certcourier::audit",
        request_id = caller.request_id.as_str(),
        namespace = request.namespace().unwrap_or_default(),
        certificate = request.spec.certificate_ref.name,
        format = request.spec.format.name(),
        request = request.name_any(),
        actor = who.username,
        client = %caller.address,
        "request.revoked"
    );
}

/// The public parts of all environments of a Certificate left through the export.
pub fn exported(
    state: &Arc<ServerState>,
    caller: &Caller,
    who: &Requester,
    certificate: &Certificate,
    file: &Artifact,
) {
    let sha256 = hex::encode(&Sha256::digest(&*file.bytes));
    info!(
        target: "certcourier::audit",
        request_id = caller.request_id.as_str(),
        namespace = certificate.namespace().unwrap_or_default(),
        certificate = certificate.name_any(),
        format = "der-zip",
        requester = who.username,
        client = %caller.address,
        artifact_sha256 = sha256,
        bytes = file.bytes.len(),
        "cert.exported"
    );
    let text = format!(
        "all environments, without keys, were exported by {} from {}; artifact {}",
        who.username, caller.address, sha256
    );
    tell(state, certificate.clone(), Note { mood: Mood::Normal, reason: "CertExported", action: "Export", text });
}

/// Writes an Event. The caller does not wait for it.
fn tell<K>(state: &Arc<ServerState>, about: K, note: Note<'static>)
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
{
    let state_kept = Arc::clone(state);
    state.tasks.spawn(async move {
        let now = state_kept.clients.clock().now();
        state_kept.events.tell(&about, note, now).await;
    });
}

/// A token was minted for a caller.
pub fn token_minted(state: &Arc<ServerState>, caller: &Caller, who: &Requester, claimed: &Claimed) {
    let request = &claimed.request;
    info!(
        target: "certcourier::audit",
        request_id = caller.request_id.as_str(),
        namespace = request.namespace().unwrap_or_default(),
        certificate = request.spec.certificate_ref.name,
        format = request.spec.format.name(),
        request = request.name_any(),
        requester = who.username,
        client = %caller.address,
        expires_at = %claimed.expires_at.0,
        "token.minted"
    );
    let generation =
        request.status.as_ref().and_then(|status| status.token.as_ref()).map_or(0, |token| token.generation);
    let text = format!("token {generation} was claimed by {} over HTTP, until {}", who.username, claimed.expires_at.0);
    let note = Note { mood: Mood::Normal, reason: "TokenIssued", action: "Claim", text };
    tell(state, request.clone(), note);
}
