//! The web page under `/ui/`, for people who do not live in kubectl.
//!
//! Pages are made here, on the server, and work without scripts except where a page says so. Nothing is decided here:
//! each page calls the functions of [`super::api`] and [`super::downloads`] that answer in JSON elsewhere, as the same
//! caller. What is here is how it looks, and how someone signs in.
//!
//! # Layout
//! - [`door`] what surrounds every page: the session becomes the bearer token that all other code knows, refusals
//!   become pages, and who is not known asks only so often.
//! - [`visitor`] who looks at a page; [`place`] where they are; [`form`] what they send; [`page`] the frame around it.
//! - [`sign_in`], and one file for each page. Templates are in the folder `templates` of the
//!   repository, styles and the script in `static`.

mod assets;
mod certificate;
mod certificates;
mod choices;
pub mod door;
mod download;
mod events;
mod form;
mod inbox;
mod link;
mod page;
mod place;
mod projects;
mod provider;
mod receipt;
mod records;
mod refused;
mod request;
mod review;
mod sign_in;
mod standing;
mod token;
mod visible;
mod visitor;
mod vote;
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

/// All pages of a server.
pub(super) fn routes(state: &Arc<ServerState>) -> Router<Arc<ServerState>> {
    of_people()
        .route(
            "/ui/sign-in",
            get(sign_in::ask).post(sign_in::enter).fallback(async || ServerError::method("GET, POST")),
        )
        .route("/ui/sign-in/provider", only("GET", get(provider::go)))
        .route("/ui/sign-in/callback", only("GET", get(provider::back)))
        .route("/ui/sign-out", only("POST", post(sign_in::leave)))
        .route("/ui/t", only("GET", get(token::ask)))
        .route("/ui/t/look", only("POST", post(token::look)))
        .route("/ui/t/download", only("POST", post(download_by_body)))
        .layer(from_fn_with_state(Arc::clone(state), door::strangers_wait))
}

/// The pages for which someone must be known, without those of signing in: where it is known who looks.
pub(super) fn routes_of_one() -> Router<Arc<ServerState>> {
    of_people()
}

fn of_people() -> Router<Arc<ServerState>> {
    Router::new()
        // Relative, so that the page also works behind a proxy that adds a path.
        .route("/ui", only("GET", get(async || Redirect::to("ui/"))))
        .route("/ui/", only("GET", get(projects::all)))
        .route("/ui/static/{file}", only("GET", get(assets::file)))
        .route("/ui/projects/{project}", only("GET", get(certificates::of_project)))
        .route("/ui/projects/{project}/certificates/{certificate}", only("GET", get(certificate::show)))
        .route(
            "/ui/projects/{project}/certificates/{certificate}/download",
            get(download::choose).post(download::ask).fallback(async || ServerError::method("GET, POST")),
        )
        .route("/ui/projects/{project}/requests/{request}", only("GET", get(review::show)))
        .route("/ui/projects/{project}/requests/{request}/vote", only("POST", post(vote::cast)))
        .route("/ui/projects/{project}/requests/{request}/revoke", only("POST", post(vote::end)))
        .route("/ui/projects/{project}/requests/{request}/token", only("POST", post(request::claim)))
        .route("/ui/projects/{project}/receipts/{receipt}", only("GET", get(receipt::show)))
        .route("/ui/inbox", only("GET", get(inbox::show)))
        .route("/ui/records", only("GET", get(records::show)))
        .route("/ui/records/receipts.csv", only("GET", get(records::as_csv)))
        .route("/ui/records/receipts.json", only("GET", get(records::as_json)))
        .route("/ui/events/inbox", only("GET", get(events::of_inbox)))
        .route("/ui/events/projects/{project}/requests/{request}", only("GET", get(events::of_request)))
}

#[cfg(test)]
mod tests;
