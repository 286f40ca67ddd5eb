//! Where someone begins: the projects in which they may see certificates.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    page::{self, Frame},
    visitor::Visitor,
};
use crate::server::{http::error::ServerError, state::ServerState};

#[derive(Template)]
#[template(path = "projects.html")]
struct Projects {
    frame: Frame,
}

/// `GET /ui/`.
pub async fn all(State(_): State<Arc<ServerState>>, visitor: Visitor) -> Result<Response, ServerError> {
    Ok(page::show(&Projects { frame: visitor.frame("certificates") }))
}
