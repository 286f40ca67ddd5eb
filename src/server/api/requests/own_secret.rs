//! The token of a request with delivery Secret, read by its requester where no server stands between them and the API
//! server.

use std::{sync::Arc, time::Duration};

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::Instant;

use super::get::{HINT, request_as};
use crate::{
    api::{
        Delivery, DownloadRequest, Phase,
        http::{SecretText, TokenAnswer},
        names,
    },
    cluster::{
        error::{During as _, Failure},
        secrets,
        token_secret::{self, NoToken, TokenSecret},
    },
    lifecycle,
    server::{
        auth::{caller::Caller, identity},
        http::{
            error::{ErrorCode, ServerError},
            path::ObjectPath,
            refusal::{self, Aftermath},
        },
        of_one::SaidServer,
        state::ServerState,
    },
};

/// How often it is looked for.
const PAUSE: Duration = Duration::from_millis(150);

/// A token, and where its Secret says that the server is.
pub struct Held {
    /// The token, as a claim would answer.
    pub answer: TokenAnswer,
    /// Where the server is.
    pub server: Option<SaidServer>,
}

/// The token of the caller's own request. Where it has expired, another is asked for. None: it is not there in this time.
///
/// # Errors
/// What prevents it, such as an approval that is missing.
pub async fn of_request(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    limit: Duration,
) -> Result<Option<Held>, ServerError> {
    let who = caller.identity(state).await?;
    let (end, mut another) = (Instant::now() + limit, None);
    loop {
        let request = request_as(caller, place).await?;
        if !identity::is_requester(&who, request.spec.requested_by.as_ref()) {
            return Err(not_the_requester(&request));
        }
        can_come(&request)?;
        let observed = request.token().and_then(|token| token.observed_mint.clone());
        if token_secret::is_expired(&request) && another.is_none() {
            another = Some(ask_for_another(state, caller, place).await?);
        } else if request.phase() == Phase::TokenIssued
            && (another.is_none() || observed == another)
            && let Some(held) = read(caller, place, &request).await?
        {
            return held_of(held, &request).map(Some);
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether there will be a token without anyone else doing anything.
fn can_come(request: &DownloadRequest) -> Result<(), ServerError> {
    let said = || lifecycle::summary(request).unwrap_or_else(|| request.phase().name().to_owned());
    if request.delivery() == Delivery::Claim {
        let words = "this file was asked for with a bearer token, and its link needs one, too: ask for the file again on \
                     this page";
        return Err(ServerError::new(ErrorCode::WrongDelivery, words));
    }
    match request.phase() {
        Phase::AwaitingApproval => Err(ServerError::new(ErrorCode::ApprovalRequired, said())),
        phase if !phase.is_open() => Err(ServerError::new(ErrorCode::RequestClosed, said())),
        _ => Ok(()),
    }
}

async fn ask_for_another(state: &ServerState, caller: &Caller, place: &ObjectPath) -> Result<String, ServerError> {
    let value = state.clients.clock().now().to_string();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {names::MINT: value}}}));
    let api: Api<DownloadRequest> = Api::namespaced(caller.client.clone(), &place.project);
    let patched = api.patch(&place.name, &PatchParams::default(), &patch).await;
    let patched = patched.during("annotate", || format!("DownloadRequest {}/{}", place.project, place.name));
    patched.map_err(|error| refusal::passed_through(error, HINT))?;
    Ok(value)
}

/// What the Secret holds. None while it is not there, or the right to read it is not in force everywhere yet.
async fn read(
    caller: &Caller,
    place: &ObjectPath,
    request: &DownloadRequest,
) -> Result<Option<secrets::SecretObject>, ServerError> {
    let Some(name) = request.token().and_then(|token| token.secret_name.as_deref()) else { return Ok(None) };
    match secrets::read(&caller.client, &place.project, name, &token_secret::KEYS).await {
        Err(error) if error.failure() == Failure::Forbidden => Ok(None),
        Err(error) => Err(refusal::unavailable(error, Aftermath::Unsaid)),
        Ok(found) => Ok(found),
    }
}

fn held_of(found: secrets::SecretObject, request: &DownloadRequest) -> Result<Held, ServerError> {
    let name = request.key().name.to_owned();
    let held = token_secret::of(found, request).map_err(|wrong| {
        let words = match wrong {
            NoToken::Empty => format!("the token Secret of `{name}` holds no token"),
            NoToken::Another => {
                format!("the token Secret of `{name}` holds another token than the one that certcourier issued")
            }
        };
        let next = "revoke the request, and tell a cluster administrator: something changes Secrets on their way";
        ServerError::new(ErrorCode::WriteAltered, format!("{words}; {next}"))
    })?;
    let expires_at = request.token().and_then(|token| token.expires_at.clone()).ok_or_else(ServerError::internal)?;
    let server = held.base().map(|url| SaidServer { url, ca: held.ca.clone() });
    let TokenSecret { token, url, passphrase, .. } = held;
    let answer = TokenAnswer {
        url: url.map_or_else(|| SecretText::new(String::new()), SecretText::from),
        token: SecretText::from(token),
        expires_at,
        request: name,
        passphrase: passphrase.map(SecretText::from),
    };
    Ok(Held { answer, server })
}

fn not_the_requester(request: &DownloadRequest) -> ServerError {
    let words = format!(
        "only `{}`, who asked, has the link of this request: ask for the file yourself, from the page of its certificate",
        request.requester()
    );
    ServerError::new(ErrorCode::Forbidden, words)
}
