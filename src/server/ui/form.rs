//! What someone sends from a page.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::server::{
    http::{
        body,
        error::{ErrorCode, ServerError},
    },
    state::ServerState,
};

/// A form as it came. It may hold a token or a passphrase, so it is wiped when dropped.
pub struct Form(Zeroizing<Vec<u8>>);

/// The mark that every form of a page carries.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Mark {
    mark: String,
}

impl Form {
    /// Reads a form of at most so many bytes; never less than bodies may have elsewhere.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`], [`ErrorCode::TooLarge`].
    pub async fn read(
        state: &Arc<ServerState>,
        headers: &HeaderMap,
        body: Body,
        most: usize,
    ) -> Result<Self, ServerError> {
        let sent = headers.get(header::CONTENT_TYPE).and_then(|sent| sent.to_str().ok()).unwrap_or_default();
        if !sent.starts_with("application/x-www-form-urlencoded") {
            return Err(unreadable());
        }
        let limits = &state.requests;
        let most = most.max(limits.max_body_bytes);
        body::read(headers, body, most, limits.body_timeout.get()).await.map(Self)
    }

    /// Its fields. Of one that is wrong nothing is repeated.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`].
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, ServerError> {
        serde_urlencoded::from_bytes(&self.0).map_err(|_| unreadable())
    }

    /// Its mark.
    pub fn mark(&self) -> String {
        self.fields::<Mark>().unwrap_or_default().mark
    }
}

fn unreadable() -> ServerError {
    ServerError::new(ErrorCode::BadRequest, "the form cannot be read: load the page again and send it from there")
}
