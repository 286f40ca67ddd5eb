//! What surrounds every request, whatever its route: its id, the client's address, the bounds of its header, whose page
//! made a browser ask, panics, the envelope of refusals, the headers of answers, and one line in the log.
//!
//! The log line names the route's template: paths hold tokens and are never logged.

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::{Instrument, Level, debug, info, info_span, warn};

use super::{
    error::{ErrorCode, ServerError},
    headers,
    json::Json,
    origin, page,
    request_id::{self, RequestId},
    unread_body,
};
use crate::server::{
    auth::identity,
    connection::Peer,
    net::{client_address::ClientAddress, in_flight::Slot, rate_limit::Tier},
    state::ServerState,
};
use crate::{
    api::{http::Envelope, names},
    door::Door,
    redact::Redacted,
    token::Token,
};

/// Routes whose errors have the shape of an older API: the two fields only.
const TWO_FIELD_ERRORS: &str = "/apiops/";
/// Below it are download tokens.
const DOWNLOADS: &str = "/api/v1/downloads/";
/// Pages.
const PAGES: &str = "/ui";
/// Pages that look something up for people who are not signed in.
const ASKED_BY_ANYONE: [&str; 3] = ["/ui/sign-in", "/ui/t/look", "/ui/t/download"];

/// Middleware around every route, the unknown ones included.
pub async fn surround(State(state): State<Arc<ServerState>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::of(request.headers());
    let peer = request.extensions().get::<Peer>().map_or(NOWHERE, |peer| peer.0);
    let client = state.proxies.client(peer, request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(unknown)", MatchedPath::as_str);
    let door = door(request.headers());
    let browser =
        request.uri().path().starts_with(DOWNLOADS.trim_end_matches('/')) && page::is_wanted(request.headers());
    let two_fields = request.uri().path().starts_with(TWO_FIELD_ERRORS);

    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(client);
    let span = info_span!("request", request_id = id.as_str(), route);
    let bearer = identity::bearer(request.headers());
    let (request, leftover) = unread_body::watch(request);
    let mut answer = match admit(&state, request, client, bearer.as_ref()) {
        Ok((request, _slot)) => run(request, next).instrument(span.clone()).await,
        Err(refusal) => refusal.into_response(),
    };

    let mut refusal = answer.extensions_mut().remove::<Arc<ServerError>>();
    if let Some(instead) = refusal.as_deref().and_then(|refusal| learn(&state, client, bearer.as_ref(), refusal)) {
        answer = instead.into_response();
        refusal = answer.extensions_mut().remove::<Arc<ServerError>>();
    }
    if let Some(refusal) = &refusal {
        state.metrics.refused(refusal.code());
        leftover.drain().await;
        let body = if browser {
            page::of_refusal(refusal, id.as_str())
        } else {
            envelope(refusal, door, (!two_fields).then(|| id.as_str()))
        };
        answer = with_body(answer, body);
    }
    if let Some(refusal) = &refusal {
        // For doors that show it in another form.
        answer.extensions_mut().insert(Arc::clone(refusal));
    }
    headers::add_everywhere(answer.headers_mut(), state.serves_tls);
    answer.headers_mut().insert(request_id::HEADER, id.header_value());

    let is_strangers = bearer.is_none() && is_page(&method, route);
    let line = Line { method: method.as_str(), route, client, status: answer.status().as_u16(), began, is_strangers };
    span.in_scope(|| line.write(refusal.as_deref()));
    answer
}

/// The peer of a request that came over no connection: a test's.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// What is known of a caller before anyone is asked, and the place that their request takes.
#[derive(Clone, Debug)]
pub struct Known {
    /// Whose the bearer token was lately.
    pub person: Option<String>,
    /// The request's place among those that are worked on.
    pub slot: Slot,
}

/// How large a request's header was when it came, where a door has changed it since.
#[derive(Clone, Copy, Debug)]
pub struct AsItCame(usize);

impl AsItCame {
    /// As it is now.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self(header_bytes(request.uri(), request.headers()))
    }
}

/// Whether the request is worked on, and its place while it is.
fn admit(
    state: &ServerState,
    mut request: Request,
    client: ClientAddress,
    bearer: Option<&Redacted<String>>,
) -> Result<(Request, Slot), ServerError> {
    let person = bearer.and_then(|bearer| state.people.whose(bearer.expose(), Instant::now()));
    let requester = requester(state, request.uri().path());
    let Some(slot) = state.in_flight.begin(person.as_deref(), requester.as_deref(), client) else {
        let what = if person.is_some() { "of yours" } else { "from your address" };
        return Err(state.rates.wait(Tier::at_once, &format!("too many requests {what} at the same time"), SOON));
    };
    acceptable(&request, state.max_header_bytes).map_err(ServerError::malformed)?;
    if !request.method().is_safe() && !is_by_token_alone(&request, bearer) {
        origin::refuse_another_site(request.uri(), request.headers(), state.external_url.as_deref())?;
    }
    request.extensions_mut().insert(Known { person, slot: slot.clone() });
    Ok((request, slot))
}

/// Whether it borrows no one's rights: the token in its body is all that it shows. Pages of links that were sandboxed, or are
/// shown by an old browser, name no origin.
fn is_by_token_alone(request: &Request, bearer: Option<&Redacted<String>>) -> bool {
    bearer.is_none() && request.uri().path() == DOWNLOADS.trim_end_matches('/')
}

/// Of whose request the download token in a path is, if it was seen to be good lately.
fn requester(state: &ServerState, path: &str) -> Option<String> {
    let text = path.strip_prefix(DOWNLOADS)?.split('/').next()?;
    let token = Token::parse(text).ok()?;
    state.tokens.whose(&token.hash(), Instant::now())
}

/// When to come back after too many requests at the same time.
const SOON: Duration = Duration::from_secs(1);

/// Remembers what a refusal says of its caller. What asked for nothing there is pays for it, and may get another refusal.
fn learn(
    state: &ServerState,
    client: ClientAddress,
    bearer: Option<&Redacted<String>>,
    refusal: &ServerError,
) -> Option<ServerError> {
    if refusal.is_malformed() {
        return state.rates.admit_malformed(client).err();
    }
    match (refusal.code(), bearer) {
        (ErrorCode::TokenUnknown, _) => state.rates.was_wrong(client),
        (ErrorCode::Unauthorized, Some(bearer)) => {
            state.people.forget(bearer.expose());
            state.rates.was_wrong(client);
        }
        _ => {}
    }
    None
}

fn acceptable(request: &Request, max_header_bytes: u32) -> Result<(), ServerError> {
    let came = request.extensions().get::<AsItCame>().copied();
    let AsItCame(size) = came.unwrap_or_else(|| AsItCame::of(request));
    if size > max_header_bytes as usize {
        let words = format!("the request's header has {size} bytes; at most {max_header_bytes} are accepted");
        return Err(ServerError::new(ErrorCode::HeadersTooLarge, words));
    }
    if request.uri().query().is_some_and(names_a_passphrase) {
        let words = "a passphrase in a URL ends up in logs, so it is refused and should be changed; \
                     give it in the body of the call that issues the token";
        return Err(ServerError::new(ErrorCode::BadRequest, words));
    }
    Ok(())
}

/// As HTTP/1.1 would write it: the path, and for each header its name, its value, a colon, a space and a line end.
fn header_bytes(uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    path + headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

fn names_a_passphrase(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next().unwrap_or_default().eq_ignore_ascii_case("passphrase"))
}

/// A panic costs its request a 500 and no one else anything. The panic hook has logged where it was.
async fn run(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => ServerError::internal().into_response(),
    }
}

/// In whose words the caller reads: the plugin says that it is one.
fn door(headers: &HeaderMap) -> Door {
    let said = headers.get(names::DOOR_HEADER).and_then(|value| value.to_str().ok());
    if said == Some(names::DOOR_PLUGIN) { Door::Plugin } else { Door::Http }
}

fn envelope(refusal: &ServerError, door: Door, request_id: Option<&str>) -> Response {
    Json(Envelope {
        error: refusal.code().name().into(),
        error_description: refusal.description_at(door).into(),
        request_id: request_id.map(Into::into),
    })
    .into_response()
}

/// The same answer with another body.
fn with_body(answer: Response, mut body: Response) -> Response {
    let (mut parts, _) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    *body.status_mut() = parts.status;
    body.headers_mut().extend(parts.headers);
    body
}

/// Whether it is a page that costs no lookup.
fn is_page(method: &Method, route: &str) -> bool {
    route.starts_with(PAGES) && (method.is_safe() || !ASKED_BY_ANYONE.contains(&route))
}

/// What the log says of a request once it is answered (a file may still be on its way).
struct Line<'a> {
    method: &'a str,
    route: &'a str,
    client: ClientAddress,
    status: u16,
    began: Instant,
    /// Whether someone who is not signed in looked at a page.
    is_strangers: bool,
}

impl Line<'_> {
    /// Those who ask too often, and those who are not known, must not fill the log as well.
    fn level(&self, refusal: Option<&ServerError>) -> Level {
        if refusal.is_some_and(|refusal| refusal.code() == ErrorCode::RateLimited) {
            Level::DEBUG
        } else if self.status >= 500 {
            Level::WARN
        } else if self.is_strangers {
            Level::DEBUG
        } else {
            Level::INFO
        }
    }

    fn write(&self, refusal: Option<&ServerError>) {
        let Self { method, route, client, status, began, .. } = self;
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let code = refusal.map_or("", |refusal| refusal.code().name());
        let cause = refusal.map(ServerError::causes).unwrap_or_default();
        let level = self.level(refusal);
        if level == Level::DEBUG {
            debug!(method, route, %client, status, duration_ms, code, cause, "{method} {route} answered {status} {code}");
        } else if level == Level::WARN {
            warn!(method, route, %client, status, duration_ms, code, cause, "{method} {route} answered {status} {code}");
        } else {
            info!(method, route, %client, status, duration_ms, code, cause, "{method} {route} answered {status} {code}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn someone_who_is_not_known_and_looks_at_pages_does_not_fill_the_log() {
        let level = |method: &Method, route: &str, status: u16, has_bearer: bool| {
            let is_strangers = !has_bearer && is_page(method, route);
            let client = ClientAddress(NOWHERE.ip());
            Line { method: method.as_str(), route, client, status, began: Instant::now(), is_strangers }.level(None)
        };
        for route in ["/ui", "/ui/", "/ui/sign-in", "/ui/sign-in/callback", "/ui/t"] {
            assert_eq!(level(&Method::GET, route, 200, false), Level::DEBUG, "{route}");
            assert_eq!(level(&Method::GET, route, 200, true), Level::INFO, "{route}");
            assert_eq!(level(&Method::GET, route, 503, false), Level::WARN, "{route}");
        }
        assert_eq!(level(&Method::POST, "/ui/sign-out", 303, false), Level::DEBUG);
        for route in ASKED_BY_ANYONE {
            assert_eq!(level(&Method::POST, route, 401, false), Level::INFO, "{route}");
        }
        assert_eq!(level(&Method::GET, "/api/v1/downloads/{token}", 200, false), Level::INFO);
    }
}
