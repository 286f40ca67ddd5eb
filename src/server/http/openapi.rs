//! `GET /openapi.json`: every route with its answers, as the handlers describe themselves.
//!
//! Each handler says what is its own; what all share (the envelope of refusals, the bearer token, limits) is added here.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Bytes,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{
    OpenApi, PartialSchema as _, ToSchema,
    openapi::{
        ContentBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema,
        path::{Operation, ParameterIn, PathItem},
        schema::Type,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::error::{ErrorCode, ServerError};
use super::route::documented;
use crate::server::{net::client_address::ClientAddress, state::ServerState};

/// Name of the bearer token in the document.
const BEARER: &str = "kubernetes";
/// The extension by which a handler says which rights its caller needs; only routes that take a bearer token have it.
pub const RIGHTS: &str = "x-kubernetes-rights";

/// Names of Kubernetes objects, as `api::place` checks them.
const NAME: &str = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";

/// Answers that any route may give.
const ANY: [(&str, &str); 6] = [
    ("400", "`bad_request`: what was sent is wrong"),
    ("404", "`not_found`: there is no such path"),
    ("429", "`rate_limited`: try again after Retry-After"),
    ("431", "`headers_too_large`"),
    ("500", "`internal_error`"),
    ("503", "`unavailable`: try again after Retry-After"),
];
/// Answers of a route that takes a bearer token.
const WITH_BEARER: [(&str, &str); 2] = [
    ("401", "`unauthorized`: no bearer token, or one that the API server does not accept"),
    ("403", "`forbidden`: the API server refuses it; its reason"),
];
/// Answers of a route that takes a body.
const WITH_BODY: [(&str, &str); 1] = [("413", "`too_large`: the body has more than 16 KiB")];

#[derive(OpenApi)]
#[openapi(info(
    title = "certcourier",
    description = "Takes certificates out of a Kubernetes cluster under policy, with approval, through a single-use link, on the record. A project is a Kubernetes namespace."
))]
struct Document;

/// A refusal; written in `exchange`.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "these are the names in the answer")]
struct Error {
    /// One of a closed list.
    #[schema(value_type = ErrorName)]
    error: String,
    /// A sentence that names the next step.
    error_description: String,
    /// Id of this request, also in header X-Request-Id and in the server's log.
    request_id: String,
}

/// A refusal of the export, in an older API's shape; written in `exchange`.
#[derive(Serialize, ToSchema)]
struct ExportError {
    /// One of a closed list.
    #[schema(value_type = ErrorName)]
    error: String,
    /// A sentence that names the next step.
    error_description: String,
}

/// Every code of a refusal.
pub struct ErrorName;

impl utoipa::PartialSchema for ErrorName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(ErrorCode::ALL.map(ErrorCode::name))).into()
    }
}

impl ToSchema for ErrorName {
    fn name() -> std::borrow::Cow<'static, str> {
        "ErrorCode".into()
    }
}

/// The document, written.
#[derive(Clone)]
struct Written(Bytes);

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "about",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")),
)]
async fn openapi_document(
    State(state): State<Arc<ServerState>>,
    Extension(client): Extension<ClientAddress>,
    Extension(Written(document)): Extension<Written>,
) -> Result<Response, ServerError> {
    // It is large, and anyone may ask.
    state.rates.admit_malformed(client)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// Adds the route of the document, which describes these routes and itself.
pub fn with_document(routes: OpenApiRouter<Arc<ServerState>>) -> Router<Arc<ServerState>> {
    let (served, document) = routes.routes(documented("GET", routes!(openapi_document))).split_for_parts();
    served.layer(Extension(Written(text(document).into())))
}

/// The document that describes these routes and itself.
#[must_use]
pub fn document_of(routes: OpenApiRouter<Arc<ServerState>>) -> String {
    text(routes.routes(documented("GET", routes!(openapi_document))).into_openapi())
}

fn text(routes: utoipa::openapi::OpenApi) -> String {
    complete(routes).to_pretty_json().unwrap_or_default() + "\n"
}

fn complete(routes: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi().merge_from(routes);
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let components = document.components.get_or_insert_default();
    for (name, schema) in [
        (Error::name(), Error::schema()),
        (ExportError::name(), ExportError::schema()),
        (ErrorName::name(), ErrorName::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("The caller's Kubernetes token (ServiceAccount or OIDC).".to_owned());
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            describe_names(operation);
            describe_refusals(path, operation);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post].into_iter().flatten()
}

/// What is in a path becomes a name at the API server, and must be one.
fn describe_names(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let longest = match parameter.name.as_str() {
            "project" => 63,
            "certificate" | "request" | "id" if parameter.parameter_in == ParameterIn::Path => 253,
            _ => continue,
        };
        let name = ObjectBuilder::new().schema_type(Type::String).max_length(Some(longest)).pattern(Some(NAME));
        parameter.schema = Some(name.into());
    }
}

fn describe_refusals(path: &str, operation: &mut Operation) {
    let takes_bearer = operation.extensions.as_ref().is_some_and(|extensions| extensions.contains_key(RIGHTS));
    let mut shared = ANY.to_vec();
    if takes_bearer {
        shared.extend(WITH_BEARER);
        operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    }
    if operation.request_body.is_some() {
        shared.extend(WITH_BODY);
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in shared {
        let described = || RefOr::T(ResponseBuilder::new().description(description).build());
        responses.entry(status.to_owned()).or_insert_with(described);
    }
    let schema = if path.starts_with("/apiops/") { "ExportError" } else { "Error" };
    for (status, response) in responses {
        let refusal = status.starts_with('4') || status.starts_with('5');
        if let (true, RefOr::T(response)) = (refusal, response) {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            response.content.insert("application/json".to_owned(), RefOr::T(content));
        }
    }
}

#[cfg(test)]
mod tests;
