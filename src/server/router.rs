//! All routes of the API, and what is answered where there is none.

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state, routing::any};
use utoipa_axum::router::OpenApiRouter;

use super::{
    api, downloads,
    http::{error::ServerError, middleware, openapi},
    state::ServerState,
    ui,
};

mod front;

/// The whole API as one service; tests call it without a network.
pub fn router(state: Arc<ServerState>) -> Router {
    let routes = openapi::with_document(all_routes());
    if !state.has_web_page {
        return with_surroundings(routes, state);
    }
    let routes = with_surroundings(routes.merge(ui::routes(&state)), Arc::clone(&state));
    routes.layer(from_fn_with_state(state, ui::door::door))
}

/// The pages alone, for the process of the one person who looks at them.
pub(super) fn pages_of_one(state: Arc<ServerState>) -> Router {
    let pages = with_surroundings(ui::routes_of_one(), Arc::clone(&state));
    pages.layer(from_fn_with_state(state, ui::door::door))
}

/// The document of all routes, as it is committed in docs/openapi.json.
#[must_use]
pub fn openapi_document() -> String {
    openapi::document_of(all_routes())
}

/// All routes but that of their document.
fn all_routes() -> OpenApiRouter<Arc<ServerState>> {
    downloads::routes().merge(api::routes())
}

fn with_surroundings(routes: Router<Arc<ServerState>>, state: Arc<ServerState>) -> Router {
    routes
        .route("/", any(front::front))
        .fallback(async || ServerError::no_route())
        .layer(from_fn_with_state(Arc::clone(&state), middleware::surround))
        .with_state(state)
}

#[cfg(test)]
mod tests;
