//! How a route is described: its methods, and nothing else for any other.

use axum::routing::MethodRouter;
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::error::ServerError;

/// A route that takes the given methods and no other. axum would answer HEAD with the handler of GET, which here would
/// use up a token.
pub(crate) fn only<S>(allow: &'static str, methods: MethodRouter<S>) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    methods.head(async move || ServerError::method(allow)).fallback(async move || ServerError::method(allow))
}

/// The same for a route that the OpenAPI document has, too.
pub(crate) fn documented<S>(allow: &'static str, route: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    route.map(|methods| only(allow, methods))
}
