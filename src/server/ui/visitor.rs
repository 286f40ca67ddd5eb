//! Someone who is signed in and looks at a page.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, Method, request::Parts},
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;

use super::{
    door::{self, Arrival},
    form::Form,
    page::{self, Frame},
    place::Place,
};
use crate::server::{
    auth::{caller::Caller, identity},
    http::{
        error::{ErrorCode, ServerError},
        middleware::Known,
        refusal,
    },
    state::ServerState,
};

/// Someone who is signed in.
pub struct Visitor {
    /// Calls the API server as they do, as everywhere else.
    pub caller: Caller,
    /// The frame of the page they get.
    pub frame: Frame,
    /// Whose forms they are.
    whose: String,
}

/// A browser that another site led here sends no cookies. It is led on from here, and then it does.
#[derive(Template)]
#[template(path = "elsewhere.html")]
struct Elsewhere {
    frame: Frame,
}

impl FromRequestParts<Arc<ServerState>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ServerState>) -> Result<Self, Response> {
        let (arrival, place) = known(parts).map_err(ServerError::into_response)?;
        if let Some(trouble) = arrival.trouble {
            return Err(no_key().caused_by(trouble).into_response());
        }
        if state.of_one.is_none() && identity::bearer(&parts.headers).is_none() {
            return Err(signed_out(&parts.method, &arrival, place));
        }
        let caller = Caller::from_request_parts(parts, state).await.map_err(ServerError::into_response)?;
        let whose = match &arrival.session {
            Some(session) => session.id.clone(),
            None => caller.holder(),
        };
        let person = || parts.extensions.get::<Known>().and_then(|known| known.person.clone());
        let who = match &arrival.session {
            Some(session) => Some(session.who.clone()),
            None => caller.name().map(str::to_owned).or_else(person),
        };
        let frame = Frame {
            root: place.root,
            path: place.path,
            who,
            can_leave: arrival.session.is_some(),
            mark: state.sessions.mark(&whose).await,
            section: "",
        };
        Ok(Self { caller, frame, whose })
    }
}

impl Visitor {
    /// The fields of a form that they sent from a page of theirs.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`]; [`ErrorCode::Forbidden`] for a form that is not from such a page.
    pub async fn sent<T: DeserializeOwned>(
        &self,
        state: &Arc<ServerState>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<T, ServerError> {
        let form = Form::read(state, headers, body, 0).await?;
        if !state.sessions.is_marked(&form.mark(), &self.whose).await {
            let words = "this form is from a page of an earlier session, so nothing was changed: load the page again and \
                         send it from there";
            return Err(ServerError::new(ErrorCode::Forbidden, words));
        }
        form.fields()
    }

    /// The frame of a page that belongs to this part of the navigation.
    #[must_use]
    pub fn frame(&self, section: &'static str) -> Frame {
        Frame { section, ..self.frame.clone() }
    }
}

/// What the door found out; it always has.
fn known(parts: &Parts) -> Result<(Arrival, Place), ServerError> {
    let known = (parts.extensions.get::<Arrival>(), parts.extensions.get::<Place>());
    let (Some(arrival), Some(place)) = known else { return Err(ServerError::internal()) };
    Ok((arrival.clone(), place.clone()))
}

fn no_key() -> ServerError {
    let words = "whether you are signed in is not known, because the key of the sessions cannot be read: try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(refusal::SOON)
}

fn signed_out(method: &Method, arrival: &Arrival, place: Place) -> Response {
    if method != Method::GET {
        let words = "you are signed out, and nothing was changed: sign in, then do it again";
        return ServerError::new(ErrorCode::Unauthorized, words).into_response();
    }
    if arrival.from_elsewhere {
        return page::show(&Elsewhere { frame: Frame { root: place.root, path: place.path, ..Frame::default() } });
    }
    let mut answer = page::lead(&door::sign_in_path(&place, arrival.is_over));
    if arrival.is_over {
        door::end(answer.headers_mut());
    }
    answer
}
