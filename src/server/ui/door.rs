//! What surrounds every page. Outside of what surrounds every request, because it changes what the rest sees: a session
//! goes in as the bearer token in it, and comes out of it no further than that; a refusal comes back as JSON, and leaves
//! as a page.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use super::{
    assets,
    page::{self, Frame},
    place::Place,
    refused,
};
use crate::{
    browser,
    server::{
        auth::identity,
        http::{
            error::{ErrorCode, ServerError},
            middleware::{AsItCame, Known},
        },
        net::client_address::ClientAddress,
        oidc::{Begun, CALLBACK},
        session::{self, KeyError, Session, begun},
        state::ServerState,
    },
};

/// How someone came to a page.
#[derive(Clone, Default)]
pub struct Arrival {
    /// Their session.
    pub session: Option<Arc<Session>>,
    /// Whether their browser has cookies of a session that is over.
    pub is_over: bool,
    /// Whether another site led here: a browser then sends no cookies.
    pub from_elsewhere: bool,
    /// A sign-in at an identity provider that they began.
    pub begun: Option<Begun>,
    /// Why it is not known whether there is a session.
    pub trouble: Option<Arc<KeyError>>,
}

/// Middleware around every route; others than pages pass through.
pub async fn door(State(state): State<Arc<ServerState>>, mut request: Request, next: Next) -> Response {
    let Some(place) = Place::of(request.uri()) else { return next.run(request).await };
    let reads = request.method().is_safe();
    let is_callback = request.uri().path() == CALLBACK;
    // The token of a session is larger than the cookies that it was packed into.
    let came = AsItCame::of(&request);
    request.extensions_mut().insert(came);
    let arrival = arrive(&state, is_callback, request.headers_mut()).await;
    request.extensions_mut().insert(arrival.clone());
    request.extensions_mut().insert(place.clone());
    let mut answer = next.run(request).await;
    if is_callback {
        // Whatever came of it: a sign-in is tried once.
        answer.headers_mut().append(header::SET_COOKIE, begun::clearing());
    }
    let Some(refusal) = answer.extensions_mut().remove::<Arc<ServerError>>() else { return answer };
    let ended = refusal.code() == ErrorCode::Unauthorized && arrival.session.is_some();
    let mut shown = if ended && reads {
        page::lead(&sign_in_path(&place, true))
    } else {
        let who = arrival.session.as_ref().filter(|_| !ended).map(|session| session.who.clone());
        let frame = Frame { root: place.root, path: place.path, who, ..Frame::default() };
        refused::page(frame, answer.status(), &refusal, answer.headers(), state.of_one.is_none())
    };
    let about_content = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_SECURITY_POLICY];
    let own: Vec<_> = shown.headers().keys().cloned().chain(about_content).collect();
    for (name, value) in answer.headers().iter().filter(|(name, _)| !own.contains(name)) {
        shown.headers_mut().append(name, value.clone());
    }
    if ended {
        end(shown.headers_mut());
    }
    shown
}

/// Middleware around the pages alone: who is not known pays for each from the budget of their address.
///
/// # Errors
/// [`ErrorCode::RateLimited`].
pub async fn strangers_wait(
    State(state): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Result<Response, ServerError> {
    let known = request.extensions().get::<Known>().is_some_and(|known| known.person.is_some());
    let client = request.extensions().get::<ClientAddress>().copied();
    if let Some(client) = client.filter(|_| !known && !request.uri().path().starts_with(assets::PATH)) {
        state.rates.admit_page(client)?;
    }
    Ok(next.run(request).await)
}

/// The way to sign in and come back to a page. `over`: because the session ended.
#[must_use]
pub fn sign_in_path(place: &Place, over: bool) -> String {
    let next = serde_urlencoded::to_string([("next", &place.path)]).unwrap_or_default();
    format!("{}sign-in?{next}{}", place.root, if over { "&over=yes" } else { "" })
}

/// Deletes the cookies of a session.
pub fn end(headers: &mut HeaderMap) {
    for cookie in session::clearing() {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Turns a session into its bearer token. One that came along with the request counts for more: a proxy sent it.
async fn arrive(state: &ServerState, is_callback: bool, headers: &mut HeaderMap) -> Arrival {
    let mut arrival = Arrival { from_elsewhere: browser::comes_from_another_site(headers), ..Arrival::default() };
    if identity::bearer(headers).is_none() {
        match Session::of(headers, &state.sessions, state.clients.clock().now()).await {
            Ok(session) => {
                arrival.is_over = session.is_none() && session::is_there(headers);
                arrival.session = session.map(Arc::new);
            }
            Err(error) => arrival.trouble = Some(Arc::new(error)),
        }
    }
    if is_callback {
        arrival.begun = begun::of(headers, &state.sessions, state.clients.clock().now()).await.unwrap_or_default();
    }
    headers.remove(header::COOKIE);
    if let Some(session) = &arrival.session
        && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", session.bearer.expose()))
    {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    arrival
}
