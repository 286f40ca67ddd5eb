//! A request: where it stands, and its link once no approval is missing.

use std::sync::Arc;

use askama::Template;
use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;

use super::{
    choices, link,
    page::{self, Frame},
    visitor::Visitor,
    words::{About, about},
};
use crate::{
    api::{
        Format,
        http::{ClaimBody, PassphraseText, SecretText},
    },
    server::{
        api::requests::{
            RequestView,
            claim::claim_as,
            get::{get_request, request_as},
        },
        http::{
            error::{ErrorCode, ServerError},
            json::Json,
            path::ObjectPath,
        },
        state::ServerState,
    },
};

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    frame: Frame,
    request: RequestView,
    about: Option<About>,
    key: bool,
    tone: &'static str,
    state: &'static str,
    /// Whether the visitor can have a link now.
    can_claim: bool,
    needs_passphrase: bool,
    created_at: String,
    token_until: String,
}

/// What is sent to have the link.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sent {
    passphrase_from: String,
    passphrase: SecretText,
    again: SecretText,
}

/// `GET /ui/projects/{project}/requests/{request}`.
///
/// # Errors
/// What the API server refuses.
pub async fn show(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
) -> Result<Response, ServerError> {
    let Json(request) = get_request(State(Arc::clone(&state)), visitor.caller.clone(), place).await?;
    let format: Option<Format> = request.format.parse().ok();
    let (state, tone) = phase(request.phase);
    let own = visitor.frame.who.as_deref() == Some(request.requested_by.as_str());
    Ok(page::show(&RequestPage {
        frame: visitor.frame("certificates"),
        about: format.map(about),
        key: format.is_some_and(Format::holds_key),
        tone,
        state,
        can_claim: own && request.delivery == "Claim" && matches!(request.phase, "Approved" | "TokenIssued"),
        needs_passphrase: format.is_some_and(Format::needs_passphrase),
        created_at: request.created_at.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
        token_until: request
            .token
            .as_ref()
            .filter(|token| token.alive)
            .and_then(|token| token.expires_at.as_ref())
            .map(|time| time.0.to_string())
            .unwrap_or_default(),
        request,
    }))
}

/// `POST /ui/projects/{project}/requests/{request}/token`.
///
/// # Errors
/// What prevents it; then nothing has changed.
pub async fn claim(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    let sent: Sent = visitor.sent(&state, &headers, body).await?;
    let passphrase = match sent.passphrase_from.as_str() {
        "own" => {
            let given = choices::twice(sent.passphrase, sent.again);
            given.map_err(|words| ServerError::new(ErrorCode::BadRequest, words))?
        }
        _ => PassphraseText::default(),
    };
    let token = claim_as(&state, &visitor.caller, &place, ClaimBody { passphrase }).await?;
    let spec = request_as(&visitor.caller, &place).await?.spec;
    let issued = link::Issued {
        place: ObjectPath { project: place.project, name: spec.certificate_ref.name },
        format: spec.format.name().to_owned(),
        environment: spec.environment.unwrap_or_default(),
        token,
    };
    link::show(&visitor, issued)
}

fn phase(name: &str) -> (&'static str, &'static str) {
    match name {
        "AwaitingApproval" => ("Waiting for approval", "warn"),
        "Approved" => ("Approved", "ok"),
        "TokenIssued" => ("Link issued", "info"),
        "Consumed" => ("Delivered", "ok"),
        "Denied" => ("Denied", "bad"),
        "Expired" => ("Expired", "bad"),
        "Revoked" => ("Revoked", "bad"),
        "Failed" => ("Failed", "bad"),
        _ => ("Being checked", "info"),
    }
}
