//! The link of a request, once no approval is missing.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;

use super::{choices, link, visitor::Visitor};
use crate::{
    api::http::{ClaimBody, PassphraseText, SecretText},
    server::{
        api::requests::{claim::claim_as, get::request_as, own_secret},
        http::{
            error::{ErrorCode, ServerError},
            path::ObjectPath,
            refusal,
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

/// How long the controller may take to issue a token.
const PATIENCE: Duration = Duration::from_secs(10);

/// The page of the link of a request whose token is in a Secret, if that is there in this time.
///
/// # Errors
/// What prevents it.
pub async fn of_secret(
    state: &Arc<ServerState>,
    mut visitor: Visitor,
    place: &ObjectPath,
    limit: Duration,
) -> Result<Option<Response>, ServerError> {
    let Some(held) = own_secret::of_request(state, &visitor.caller, place, limit).await? else { return Ok(None) };
    let spec = request_as(&visitor.caller, place).await?.spec;
    if let (Some(server), Some(of_one)) = (held.server, &state.of_one) {
        visitor.caller.base_url.clone_from(&server.url);
        of_one.learn(server);
    }
    let issued = link::Issued {
        place: ObjectPath { project: place.project.clone(), name: spec.certificate_ref.name },
        format: spec.format.name().to_owned(),
        environment: spec.environment.unwrap_or_default(),
        token: held.answer,
    };
    link::show(&visitor, issued).map(Some)
}

fn not_yet() -> ServerError {
    let words = "the link is not there yet, because certcourier's controller has not issued it: load the page of the request \
                 again in a moment";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(refusal::SOON)
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
    if visitor.caller.is_alone() {
        return of_secret(&state, visitor, &place, PATIENCE).await?.ok_or_else(not_yet);
    }
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
