//! `/ui/t#<token>`: the page behind a link, for whoever has it, without signing in. The token is behind the `#`, which a
//! browser sends to no one; the script sends it in the body of a POST. Looking uses nothing up.

use std::sync::Arc;

use askama::Template;
use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};

use super::{
    door::Arrival,
    page::{self, Frame},
    place::Place,
    words::{About, about},
};
use crate::{
    api::Format,
    server::{
        downloads::{pace, redeem, redeemer::Redeemer, status::TokenStatus, token_input},
        http::{body, error::ServerError},
        state::ServerState,
    },
};

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage {
    frame: Frame,
}

/// What a token is for: a part of the page.
#[derive(Template)]
#[template(path = "token_status.html")]
struct Seen {
    status: TokenStatus,
    about: Option<About>,
    key: bool,
    expires_at: String,
    /// Why it is over, for people.
    over: &'static str,
    /// What leads from the page to all others.
    root: String,
}

/// The same as a page, for those without scripts.
#[derive(Template)]
#[template(path = "token_seen.html")]
struct SeenPage {
    frame: Frame,
    seen: Seen,
}

/// `GET /ui/t`.
pub async fn ask(Extension(arrival): Extension<Arrival>, Extension(place): Extension<Place>) -> Response {
    page::show(&TokenPage { frame: frame(&arrival, place) })
}

/// `POST /ui/t/look`.
///
/// # Errors
/// [`crate::server::http::error::ErrorCode::TokenUnknown`] for a token of nothing.
pub async fn look(
    State(state): State<Arc<ServerState>>,
    Extension(arrival): Extension<Arrival>,
    Extension(place): Extension<Place>,
    redeemer: Redeemer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    let by_script = headers.contains_key("x-part");
    let limits = &state.requests;
    let body = body::read(&headers, body, limits.max_body_bytes, limits.body_timeout.get()).await;
    let body = body.map_err(ServerError::malformed)?;
    let token = token_input::token_of_body(&body).map_err(ServerError::malformed)?;
    let looking = async {
        let found = redeem::find(&state, &token, &redeemer).await?;
        let refusal = redeem::look(&state, &found, state.clients.clock().now()).await?;
        Ok(TokenStatus::of(&found, refusal.as_ref()))
    };
    let status = pace::evenly(looking).await?;
    if by_script {
        // It becomes a part of `/ui/t`.
        return Ok(page::show(&Seen::of(status, "./")));
    }
    let seen = Seen::of(status, &place.root);
    Ok(page::show(&SeenPage { frame: frame(&arrival, place), seen }))
}

fn frame(arrival: &Arrival, place: Place) -> Frame {
    let who = arrival.session.as_ref().map(|session| session.who.clone());
    Frame { root: place.root, path: place.path, who, ..Frame::default() }
}

impl Seen {
    fn of(status: TokenStatus, root: &str) -> Self {
        let format: Option<Format> = status.format.parse().ok();
        let over = match status.error {
            None => "",
            Some("token_used") => "This link was used",
            Some("token_expired") => "This link has expired",
            Some("token_revoked") => "This link was revoked",
            Some("token_replaced") => "This link was replaced by another",
            Some(_) => "This link cannot be used",
        };
        Self {
            about: format.map(about),
            key: format.is_some_and(Format::holds_key),
            expires_at: status.expires_at.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
            over,
            root: root.to_owned(),
            status,
        }
    }
}
