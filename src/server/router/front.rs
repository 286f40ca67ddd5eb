//! `/`: a person who comes with a browser reads what this is. Programs get what every path without a route gets.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Method},
    response::Response,
};

use crate::server::{
    http::{
        error::ServerError,
        page::{self, page},
    },
    net::client_address::ClientAddress,
    state::ServerState,
};

/// What this is, what to do with a link, what with kubectl. Links are relative: a proxy may have added a path.
const SENTENCES: [&str; 3] = [
    "This is the server of certcourier, which hands out the certificates of a Kubernetes cluster under policy, with \
     approval, and keeps a record of it.",
    "If someone sent you a link, open it: the page says what it is for, and its button downloads the file, once.",
    "To ask for a file yourself, use <code>kubectl certcourier download</code>, or the HTTP API that \
     <a href=\"openapi.json\">openapi.json</a> describes.",
];

/// The front page.
///
/// # Errors
/// [`ServerError::no_route`] for whatever is not a browser that looks.
pub async fn front(
    State(state): State<Arc<ServerState>>,
    Extension(client): Extension<ClientAddress>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ServerError> {
    if method != Method::GET || !page::is_wanted(&headers) {
        return Err(ServerError::no_route());
    }
    state.rates.admit_malformed(client)?;
    Ok(page("certcourier", &format!("<p>{}</p>", SENTENCES.join("</p><p>"))))
}
