//! The link of a request, once no approval is missing.

use std::sync::Arc;

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;

use super::{choices, link, visitor::Visitor};
use crate::{
    api::http::{ClaimBody, PassphraseText, SecretText},
    server::{
        api::requests::{claim::claim_as, get::request_as},
        http::{
            error::{ErrorCode, ServerError},
            path::ObjectPath,
        },
        state::ServerState,
    },
};

/// What is sent to have the link.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sent {
    passphrase_from: String,
    passphrase: SecretText,
    again: SecretText,
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
