//! Signing in at an identity provider: there, and back again.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::header,
    response::Response,
};
use jiff::SignedDuration;
use serde::Deserialize;

use super::{
    door::Arrival,
    page,
    place::{Place, way_back},
    sign_in,
};
use crate::server::{
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        refusal,
    },
    net::client_address::ClientAddress,
    oidc::{Begun, Oidc, OidcError},
    session::begun,
    state::ServerState,
};

/// How long someone may take at the provider.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The page to come back to.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    next: String,
}

/// What the provider sends a browser back with.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Answered {
    code: String,
    state: String,
    error: String,
}

/// `GET /ui/sign-in/provider`.
///
/// # Errors
/// [`ErrorCode::Unavailable`] while the provider does not answer.
pub async fn go(
    State(state): State<Arc<ServerState>>,
    Extension(client): Extension<ClientAddress>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let oidc = provider(&state)?;
    state.rates.admit(client)?;
    let Query(asked) = asked.unwrap_or_default();
    let until = (state.clients.clock().now() + PATIENCE).as_second();
    let begun = Begun::new(way_back(&asked.next).unwrap_or_default(), until).map_err(refused)?;
    let cookie = begun::sealed(&begun, &state.sessions).await.map_err(sign_in::no_session)?;
    let mut answer = page::lead(&oidc.authorization(&begun).await.map_err(refused)?);
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(answer)
}

/// `GET /ui/sign-in/callback`.
///
/// # Errors
/// What went wrong at the provider; [`ErrorCode::Unauthorized`] where the API server does not accept its token.
pub async fn back(
    State(state): State<Arc<ServerState>>,
    Extension(arrival): Extension<Arrival>,
    Extension(place): Extension<Place>,
    Extension(client): Extension<ClientAddress>,
    answered: Result<Query<Answered>, QueryRejection>,
    request: Request,
) -> Result<Response, ServerError> {
    let oidc = provider(&state)?;
    let Query(answered) = answered.unwrap_or_default();
    let begun = arrival.begun.filter(|begun| begun.state == answered.state).ok_or_else(|| {
        let words = "this sign-in was not begun in this browser, or took longer than ten minutes: sign in again";
        ServerError::new(ErrorCode::BadRequest, words)
    })?;
    if !answered.error.is_empty() || answered.code.is_empty() {
        let words = "the identity provider did not sign you in: sign in again, or ask its administrator";
        return Err(ServerError::new(ErrorCode::Forbidden, words));
    }
    // The provider is asked once for each, and strangers can come here.
    state.rates.admit(client)?;
    let bearer = oidc.token(&begun, &answered.code).await.map_err(not_given)?;
    let (parts, _) = request.into_parts();
    let who = async {
        let caller = Caller::with_bearer(&state, &parts, bearer.clone()).await?;
        Ok::<_, ServerError>(caller.identity(&state).await?.username)
    };
    let who = who.await.map_err(|refusal| not_accepted(refusal, oidc))?;
    let mut answer = page::lead(&format!("{}{}", place.root, way_back(&begun.next).unwrap_or_default()));
    sign_in::begin(&state, bearer, who, &mut answer).await?;
    Ok(answer)
}

fn provider(state: &ServerState) -> Result<&Oidc, ServerError> {
    state.oidc.as_ref().ok_or_else(|| ServerError::new(ErrorCode::NotFound, "this server knows no identity provider"))
}

fn refused(error: OidcError) -> ServerError {
    let words = format!("{error}: try again, or sign in with a token");
    ServerError::new(ErrorCode::Unavailable, words).retry_after(refusal::SOON).caused_by(error)
}

/// The provider gave no token. Its code and the cookie are used up, so there is nothing to try again but all of it.
fn not_given(error: OidcError) -> ServerError {
    let words = format!("{error}: sign in again, or with a token");
    ServerError::new(ErrorCode::Unavailable, words).retry_after(refusal::SOON).caused_by(error)
}

/// The provider signed someone in, and the API server does not know them.
fn not_accepted(refusal: ServerError, oidc: &Oidc) -> ServerError {
    if refusal.code() != ErrorCode::Unauthorized {
        return refusal;
    }
    let words = format!(
        "the identity provider signed you in, and the API server does not accept its token; tell the administrator that \
         the API server must trust this issuer with audience `{}` (--oidc-client-id, or a structured authentication \
         configuration)",
        oidc.client_id()
    );
    ServerError::new(ErrorCode::Unauthorized, words).caused_by(refusal)
}
