//! All routes of the API, and what is answered where there is none.

use std::sync::Arc;

use axum::{Router, middleware, routing::MethodRouter};

use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::{api, downloads, error::ServerError, exchange, openapi, state::ServerState};

/// The whole API as one service; tests call it without a network.
pub fn router(state: Arc<ServerState>) -> Router {
    with_surroundings(openapi::with_document(all_routes()), state)
}

/// All routes but that of their document.
pub(super) fn all_routes() -> OpenApiRouter<Arc<ServerState>> {
    downloads::routes().merge(api::routes())
}

fn with_surroundings(routes: Router<Arc<ServerState>>, state: Arc<ServerState>) -> Router {
    routes
        .fallback(async || ServerError::no_route())
        .layer(middleware::from_fn_with_state(Arc::clone(&state), exchange::surround))
        .with_state(state)
}

/// A route that takes the given methods and no other. axum would answer HEAD with the handler of GET, which here would
/// use up a token.
pub(super) fn only<S>(allow: &'static str, methods: MethodRouter<S>) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    methods.head(async move || ServerError::method(allow)).fallback(async move || ServerError::method(allow))
}

/// The same for a route that the OpenAPI document has, too.
pub(super) fn documented<S>(allow: &'static str, route: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    route.map(|methods| only(allow, methods))
}

#[cfg(test)]
mod tests;
