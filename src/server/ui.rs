//! The web page under `/ui/`, for people who do not live in kubectl.
//!
//! Pages are made here, on the server, and work without scripts except where a page says so. Nothing is decided here:
//! each page calls the functions of [`super::api`] and [`super::downloads`] that answer in JSON elsewhere, as the same
//! caller. What is here is how it looks, and how someone signs in.
//!
//! # Layout
//! - [`door`] what surrounds every page: the session becomes the bearer token that all other code knows, refusals
//!   become pages, and nothing that changes anything is taken from another site.
//! - [`visitor`] who looks at a page; [`place`] where they are; [`form`] what they send; [`page`] the frame around it.
//! - [`sign_in`], and one file for each page. Templates are in the folder `templates` of the
//!   repository, styles and the script in `static`.

mod assets;
mod certificate;
mod certificates;
mod choices;
pub mod door;
mod download;
mod form;
mod link;
mod page;
mod place;
mod projects;
mod refused;
mod request;
mod sign_in;
mod token;
mod visitor;
mod words;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::Redirect,
    routing::{get, post},
};

use super::{
    downloads::download_by_body,
    http::{error::ServerError, route::only},
    state::ServerState,
};

/// All pages.
pub(super) fn routes(state: &Arc<ServerState>) -> Router<Arc<ServerState>> {
    Router::new()
        // Relative, so that the page also works behind a proxy that adds a path.
        .route("/ui", only("GET", get(async || Redirect::to("ui/"))))
        .route("/ui/", only("GET", get(projects::all)))
        .route("/ui/static/{file}", only("GET", get(assets::file)))
        .route(
            "/ui/sign-in",
            get(sign_in::ask).post(sign_in::enter).fallback(async || ServerError::method("GET, POST")),
        )
        .route("/ui/sign-out", only("POST", post(sign_in::leave)))
        .route("/ui/projects/{project}", only("GET", get(certificates::of_project)))
        .route("/ui/projects/{project}/certificates/{certificate}", only("GET", get(certificate::show)))
        .route(
            "/ui/projects/{project}/certificates/{certificate}/download",
            get(download::choose).post(download::ask).fallback(async || ServerError::method("GET, POST")),
        )
        .route("/ui/projects/{project}/requests/{request}", only("GET", get(request::show)))
        .route("/ui/projects/{project}/requests/{request}/token", only("POST", post(request::claim)))
        .route("/ui/t", only("GET", get(token::ask)))
        .route("/ui/t/look", only("POST", post(token::look)))
        .route("/ui/t/download", only("POST", post(download_by_body)))
        .layer(from_fn_with_state(Arc::clone(state), door::own_only))
}

#[cfg(test)]
mod tests;
