//! What is told of what callers do: audit record, Events, metrics. One function for each fact, called where it happened
//! and nowhere else. What follows from a call by the state table is told by the controller.

use std::sync::Arc;

use kube::Resource;
use sha2::{Digest as _, Sha256};

use super::{certificates::leaves::Leaves, requests::claim::Claimed};
use crate::api::words::EventReason;
use crate::server::http::path::ObjectPath;
use crate::server::{
    auth::caller::Caller,
    http::error::{ErrorCode, ServerError},
    state::ServerState,
};
use crate::{
    api::{Decision, Delivery, DownloadRequest, Format, Requester},
    audit::call::{self, Action, Asked, Call},
    cluster::events::{EventType, Note},
    hex,
};

/// Someone whom the API server knows, and where they are.
pub struct Witness<'a> {
    state: &'a Arc<ServerState>,
    caller: &'a Caller,
    who: &'a Requester,
    address: String,
}

impl<'a> Witness<'a> {
    /// `who` as the API server says.
    pub fn new(state: &'a Arc<ServerState>, caller: &'a Caller, who: &'a Requester) -> Self {
        Self { state, caller, who, address: caller.address.to_string() }
    }

    fn call(&self) -> Call<'_> {
        Call { actor: &self.who.username, address: &self.address, request_id: self.caller.request_id.as_str() }
    }

    fn now(&self) -> jiff::Timestamp {
        self.state.clients.clock().now()
    }

    /// A request was created in a caller's name.
    pub fn created(&self, request: &DownloadRequest) {
        self.called(Action::Create, request, request.spec.reason.as_deref());
    }

    /// Someone voted.
    pub fn voted(&self, request: &DownloadRequest, decision: Decision, reason: &str) {
        self.called(vote(decision), request, Some(reason));
    }

    /// A vote or a revocation was refused.
    pub fn refused_at(&self, place: &ObjectPath, action: Action, refusal: &ServerError) {
        let (namespace, request) = (place.project.as_str(), Some(place.name.as_str()));
        let asked = Asked { action, namespace, certificate: None, environment: None, format: None, request };
        self.refused(asked, refusal);
    }

    /// Someone revoked a request.
    pub fn revoked(&self, request: &DownloadRequest, reason: &str) {
        self.called(Action::Revoke, request, Some(reason));
    }

    fn called(&self, action: Action, request: &DownloadRequest, reason: Option<&str>) {
        self.state.audit.tell(&call::called(self.call(), action, request, reason, self.now()));
    }

    /// Something was refused. Not told: how someone asked, and trouble that passes.
    pub fn refused(&self, asked: Asked<'_>, refusal: &ServerError) {
        if refusal.code().is_decision() {
            let description = refusal.description();
            let why = (refusal.code().name(), description.as_str());
            let _ = self.state.audit.tell_once(&call::refused(self.call(), asked, why, self.now()));
        }
    }

    /// The public parts of all environments of a Certificate left through the export.
    pub fn exported(&self, leaves: &Leaves, file: &[u8]) {
        let sha256 = hex::encode(&Sha256::digest(file));
        let fingerprints = leaves.materials.iter().map(|material| material.leaf().sha256_fingerprint.clone()).collect();
        let artifact = (sha256.clone(), i64::try_from(file.len()).unwrap_or(i64::MAX));
        self.state.audit.tell(&call::exported(self.call(), &leaves.certificate, fingerprints, artifact, self.now()));
        let text = format!(
            "all environments, without keys, were exported by {} from {}; artifact {sha256}",
            self.who.username, self.address
        );
        let note = Note { event_type: EventType::Normal, reason: EventReason::CertExported, action: "Export", text };
        self.note(leaves.certificate.clone(), note);
    }

    /// A token was issued for a caller.
    pub fn minted(&self, claimed: &Claimed) {
        let request = &claimed.request;
        self.state.metrics.mints.minted(request.spec.format, Delivery::Claim);
        self.state.audit.tell(&call::minted(self.call(), request, self.now()));
        let generation = request.token().map_or(0, |token| token.generation);
        let text = format!(
            "token {generation} was claimed by {} over HTTP, until {}",
            self.who.username, claimed.expires_at.0
        );
        let note = Note { event_type: EventType::Normal, reason: EventReason::TokenIssued, action: "Claim", text };
        self.note(request.clone(), note);
    }

    /// Writes an Event. The caller does not wait for it.
    fn note<K>(&self, about: K, note: Note<'static>)
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let state = Arc::clone(self.state);
        self.state.tasks.spawn(async move {
            let now = state.clients.clock().now();
            state.events.tell(&about, note, now).await;
        });
    }
}

/// A vote as a call.
pub fn vote(decision: Decision) -> Action {
    match decision {
        Decision::Approve => Action::Approve,
        Decision::Deny => Action::Deny,
    }
}

/// The claim of the token of a request.
pub fn claim_of<'a>(request: &'a DownloadRequest, name: &'a str) -> Asked<'a> {
    Asked {
        action: Action::Claim,
        namespace: request.meta().namespace.as_deref().unwrap_or_default(),
        certificate: Some(&request.spec.certificate_ref.name),
        environment: request.spec.environment.as_deref(),
        format: Some(request.spec.format),
        request: Some(name),
    }
}

/// That a token for a file with a key may be issued, as far as the audit record is concerned.
///
/// # Errors
/// [`ErrorCode::AuditFailed`] while the record must be emitted and cannot be.
pub fn must_be_heard(state: &ServerState, format: Format) -> Result<(), ServerError> {
    if !format.holds_key() {
        return Ok(());
    }
    state.audit.lets_keys_leave().map_err(|unheard| {
        ServerError::new(ErrorCode::AuditFailed, format!("{unheard}; no token was issued: try again later"))
            .retry_after(crate::server::http::refusal::SOON)
    })
}
