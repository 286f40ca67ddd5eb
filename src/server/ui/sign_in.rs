//! Signing in with a pasted token, and signing out. Whose token it is, the API server says.

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    body::Body,
    extract::{Query, Request, State, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    door::{self, Arrival},
    form::Form,
    page::{self, Frame},
    place::{Place, way_back},
};
use crate::{
    api::http::SecretText,
    redact::Redacted,
    server::{
        auth::caller::Caller,
        http::{
            error::{ErrorCode, ServerError},
            refusal,
        },
        session::{self, KeyError, Session, SessionError},
        state::ServerState,
    },
};

/// A form with the largest token that a session can hold, and some more, so that one that is too large is told so.
const MOST_BYTES: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    next: String,
    over: bool,
    out: bool,
    /// The way to the identity provider.
    provider: Option<String>,
}

/// Where from, and why.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    next: String,
    over: String,
    out: String,
}

/// What is sent.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sent {
    token: SecretText,
    next: String,
}

/// `GET /ui/sign-in`.
pub async fn ask(
    State(state): State<Arc<ServerState>>,
    Extension(arrival): Extension<Arrival>,
    Extension(place): Extension<Place>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let next = way_back(&asked.next).unwrap_or_default();
    if arrival.session.is_some() {
        return page::lead(&format!("{}{next}", place.root));
    }
    let frame = Frame { root: place.root.clone(), path: place.path, ..Frame::default() };
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    let provider = state.oidc.as_ref().map(|_| format!("{}sign-in/provider?{query}", place.root));
    page::show(&SignIn {
        provider,
        frame,
        next: next.to_owned(),
        over: !asked.over.is_empty(),
        out: !asked.out.is_empty(),
    })
}

/// `POST /ui/sign-in`.
///
/// # Errors
/// [`ErrorCode::Unauthorized`] for a token that is no one's; [`ErrorCode::TooLarge`] for one that no session can hold.
pub async fn enter(
    State(state): State<Arc<ServerState>>,
    Extension(place): Extension<Place>,
    request: Request,
) -> Result<Response, ServerError> {
    let (parts, body) = request.into_parts();
    let form = Form::read(&state, &parts.headers, body, MOST_BYTES).await?;
    let sent: Sent = form.fields()?;
    let bearer = pasted(&sent.token.into_redacted())?;
    let caller = Caller::with_bearer(&state, &parts, bearer.clone()).await.map_err(not_accepted)?;
    let who = caller.identity(&state).await.map_err(not_accepted)?.username;
    let mut answer = page::lead(&format!("{}{}", place.root, way_back(&sent.next).unwrap_or_default()));
    begin(&state, bearer, who, &mut answer).await?;
    Ok(answer)
}

/// Begins a session with a token that the API server accepted.
///
/// # Errors
/// [`ErrorCode::TooLarge`], [`ErrorCode::Unavailable`].
pub async fn begin(
    state: &ServerState,
    bearer: Redacted<String>,
    who: String,
    answer: &mut Response,
) -> Result<(), ServerError> {
    let session = Session::begin(bearer, who, state.clients.clock().now()).map_err(no_session)?;
    let cookies = session.sealed(&state.sessions, state.max_header_bytes).await.map_err(no_session)?;
    for cookie in session::setting(&cookies) {
        answer.headers_mut().append(axum::http::header::SET_COOKIE, cookie);
    }
    Ok(())
}

/// `POST /ui/sign-out`.
///
/// # Errors
/// None; the type is that of every handler that takes a form.
pub async fn leave(
    State(state): State<Arc<ServerState>>,
    Extension(arrival): Extension<Arrival>,
    Extension(place): Extension<Place>,
    headers: axum::http::HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    let form = Form::read(&state, &headers, body, 0).await?;
    if let Some(session) = &arrival.session
        && !state.sessions.is_marked(&form.mark(), &session.id).await
    {
        let words = "this form is from a page of an earlier session, so you are still signed in: load the page again";
        return Err(ServerError::new(ErrorCode::Forbidden, words));
    }
    let mut answer = page::lead(&format!("{}sign-in?out=yes", place.root));
    door::end(answer.headers_mut());
    Ok(answer)
}

/// The token, without what people copy along with it.
fn pasted(text: &Redacted<Zeroizing<String>>) -> Result<Redacted<String>, ServerError> {
    let token = text.expose().trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    if matches!(token, "" | "Bearer") {
        return Err(bad_token("there is no token in the form: paste what `kubectl create token` prints"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad_token("this is not a token, because it has spaces or other characters in it: paste one line"));
    }
    Ok(Redacted::new(token.to_owned()))
}

fn bad_token(words: &str) -> ServerError {
    ServerError::new(ErrorCode::BadRequest, words)
}

/// A token that is no one's, in words for the one who has just pasted it.
fn not_accepted(refusal: ServerError) -> ServerError {
    if refusal.code() != ErrorCode::Unauthorized {
        return refusal;
    }
    let words = "the API server does not accept this bearer token, because it has expired, was revoked, or is of another \
                 cluster: sign in with a new one, such as `kubectl create token` prints";
    ServerError::new(ErrorCode::Unauthorized, words)
}

/// Why no session begins.
pub fn no_session(error: SessionError) -> ServerError {
    match error {
        SessionError::TooLarge => {
            let words = "your token is too large for a browser's cookies, because it names many groups: use `kubectl \
                         certcourier web`, or ask the administrator for a sign-in proxy, which sends it as a header";
            ServerError::new(ErrorCode::TooLarge, words)
        }
        SessionError::Key(KeyError::Missing) => {
            let words = "this server keeps no sessions, because Secret certcourier-session is not there: use `kubectl \
                         certcourier web`, or ask the administrator to apply what `certcourier manifests --ui` prints";
            ServerError::new(ErrorCode::Unavailable, words).caused_by(error)
        }
        SessionError::Key(_) => {
            let words = "you cannot sign in at the moment, because the key of the sessions cannot be read: try again";
            ServerError::new(ErrorCode::Unavailable, words).retry_after(refusal::SOON).caused_by(error)
        }
        SessionError::Randomness(_) | SessionError::Seal => ServerError::internal().caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_token_is_taken_without_what_was_copied_along() {
        let pasted = |text: &str| super::pasted(&Redacted::new(text.to_owned().into()));
        for text in ["canary", " canary\r\n", "Bearer canary", "Bearer  canary "] {
            assert_eq!(pasted(text).unwrap().expose(), "canary", "{text}");
        }
        for text in ["", " \n", "Bearer ", "canary canary", "canary\ncanary", "canäry"] {
            let refusal = pasted(text).unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::BadRequest, "{text}");
            assert!(!refusal.description().contains("can"), "{refusal}");
        }
    }
}
