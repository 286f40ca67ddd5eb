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

/// The same route at its path without the slash at the end, as an operation of its own in the OpenAPI document.
pub(crate) fn without_slash<S>((schemas, mut paths, methods): UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    let described = std::mem::take(&mut paths.paths).into_iter().map(|(path, mut item)| {
        if let Some(operation) = &mut item.get {
            operation.operation_id = operation.operation_id.as_ref().map(|id| format!("{id}_without_slash"));
            let summary = operation.summary.as_ref().map(|summary| summary.trim_end_matches('.').to_owned());
            operation.summary = summary.map(|summary| format!("{summary} (without the slash at the end)."));
            operation.description = None;
        }
        (path.trim_end_matches('/').to_owned(), item)
    });
    paths.paths = described.collect();
    (schemas, paths, methods)
}
