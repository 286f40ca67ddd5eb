//! What is told of what callers do: a line in the log and an Event. One function for each fact, called where it happened
//! and nowhere else.

use std::sync::Arc;

use ::kube::ResourceExt as _;
use tracing::info;

use super::{super::state::ServerState, caller::Caller, claim::Claimed};
use crate::{
    api::{DownloadRequest, Requester},
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
    let (state_kept, request) = (Arc::clone(state), request.clone());
    // The caller does not wait for it.
    state.tasks.spawn(async move {
        let now = state_kept.clients.clock().now();
        state_kept.events.tell(&request, note, now).await;
    });
}
