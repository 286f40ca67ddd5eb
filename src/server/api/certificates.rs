//! The Certificates of a project, as the caller may see them.

pub(crate) mod export;
pub(crate) mod mint;
pub(crate) mod timeline;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use kube::{Api, ResourceExt as _, core::DeserializeGuard};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::pagination::{self, Listing, Page};
use crate::server::http::{path::Place, refusal};
use crate::server::{
    auth::caller::Caller,
    http::error::{ErrorCode, ServerError},
    state::ServerState,
};
use crate::{
    api::{Certificate, DateTime, EnvironmentStatus, ValidityTime, condition::READY},
    cluster::error::During as _,
};

const HINT: &str = "ask for a role that may read certificates.certcourier.io there, such as certcourier-viewer";

/// One logical certificate.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
pub struct CertificateView {
    /// Its name.
    name: String,
    /// Its namespace.
    project: String,
    /// When it was created.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<DateTime>,
    /// The environment that a download means when it names none.
    default_environment: Option<String>,
    /// Whether every environment can be delivered.
    ready: bool,
    /// Why not, or an empty text.
    message: String,
    /// When the first of its certificates is no longer valid.
    #[schema(value_type = Option<String>, format = DateTime)]
    earliest_not_after: Option<ValidityTime>,
    /// Its environments.
    environments: Vec<EnvironmentView>,
}

/// What one environment's Secret holds; null where the operator has not read it yet, or it is unusable.
#[derive(Serialize, ToSchema)]
#[schema(as = Environment)]
pub struct EnvironmentView {
    /// Its name.
    name: String,
    /// The Secret that holds it.
    secret: String,
    /// Distinguished name of the subject.
    subject: Option<String>,
    /// Distinguished name of the issuer.
    issuer: Option<String>,
    /// Serial number, hexadecimal.
    serial_number: Option<String>,
    /// DNS names.
    dns_names: Vec<String>,
    /// Not valid before this moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<ValidityTime>,
    /// Not valid after this moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<ValidityTime>,
    /// SHA-256 of the certificate's DER, lower-case hexadecimal.
    sha256_fingerprint: Option<String>,
    /// Algorithm and size of the public key.
    key_algorithm: Option<String>,
    /// How many intermediate certificates there are between leaf and root.
    chain_length: Option<i32>,
    /// Whether it can itself sign certificates.
    ca: Option<bool>,
    /// Whether the private key belongs to it.
    key_matches: Option<bool>,
    /// Why it cannot be delivered: one word.
    reason: Option<String>,
    /// The same in a sentence.
    message: Option<String>,
}

impl CertificateView {
    fn of(certificate: &Certificate) -> Self {
        let status = certificate.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == READY);
        let environment = |environment: &crate::api::Environment| {
            let seen = status.environments.iter().find(|seen| seen.name == environment.name).cloned();
            EnvironmentView::of(&environment.name, &environment.secret_ref.name, seen.unwrap_or_default())
        };
        Self {
            name: certificate.name_any(),
            project: certificate.namespace().unwrap_or_default(),
            created_at: certificate.creation_timestamp(),
            default_environment: certificate.spec.environment(None).map(|environment| environment.name.clone()),
            ready: ready.is_some_and(|condition| condition.status == "True"),
            message: ready
                .filter(|condition| condition.status != "True")
                .map(|c| c.message.clone())
                .unwrap_or_default(),
            earliest_not_after: status.earliest_not_after,
            environments: certificate.spec.environments.iter().map(environment).collect(),
        }
    }
}

impl EnvironmentView {
    fn of(name: &str, secret: &str, seen: EnvironmentStatus) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
            subject: seen.subject,
            issuer: seen.issuer,
            serial_number: seen.serial_number,
            dns_names: seen.dns_names,
            not_before: seen.not_before,
            not_after: seen.not_after,
            sha256_fingerprint: seen.sha256_fingerprint,
            key_algorithm: seen.key_algorithm,
            chain_length: seen.chain_length,
            ca: seen.ca,
            key_matches: seen.key_matches,
            reason: seen.reason,
            message: seen.message,
        }
    }
}

/// Pages alone: a project has few Certificates.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CertificateQuery {
    /// Items of a page, 1 to 500. Default: 100.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `continue` of the page before.
    r#continue: Option<String>,
}

/// List Certificates.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/certificates",
    tag = "certificates",
    params(("project" = String, Path, description = "Namespace"), CertificateQuery),
    responses((status = 200, description = "A page of Certificates", body = Page<CertificateView>)),
    extensions(("x-kubernetes-rights" = json!(["list certificates"]))),
)]
pub async fn list_certificates(
    State(_): State<Arc<ServerState>>,
    caller: Caller,
    place: Place,
    query: Result<Query<CertificateQuery>, QueryRejection>,
) -> Result<Json<Page<CertificateView>>, ServerError> {
    let query = pagination::query(query)?;
    let api: Api<DeserializeGuard<Certificate>> = Api::namespaced(caller.client, &place.project);
    let listing = Listing::new(query.limit, query.r#continue)?;
    let page = pagination::list(&api, listing, pagination::created, HINT).await?;
    Ok(Json(page.map(CertificateView::of)))
}

/// Get a Certificate.
#[utoipa::path(
    get,
    path = "/api/v1/projects/{project}/certificates/{certificate}",
    tag = "certificates",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("certificate" = String, Path, description = "Name of the Certificate"),
    ),
    responses((status = 200, description = "The Certificate", body = CertificateView)),
    extensions(("x-kubernetes-rights" = json!(["get certificates"]))),
)]
pub async fn get_certificate(
    State(_): State<Arc<ServerState>>,
    caller: Caller,
    place: Place,
) -> Result<Json<CertificateView>, ServerError> {
    let found = certificate_as(&caller, &place).await?;
    found.as_ref().map(CertificateView::of).map(Json).ok_or_else(|| no_certificate(&place))
}

/// The Certificate, read as the caller.
///
/// # Errors
/// What the API server refuses them.
pub async fn certificate_as(caller: &Caller, place: &Place) -> Result<Option<Certificate>, ServerError> {
    let Place { project, name } = place;
    let api: Api<Certificate> = Api::namespaced(caller.client.clone(), project);
    let found = api.get_opt(name).await.during("read", || format!("Certificate {project}/{name}"));
    found.map_err(|error| refusal::passed_through(error, HINT))
}

/// There is no such Certificate.
pub fn no_certificate(place: &Place) -> ServerError {
    let Place { project, name } = place;
    let words = format!(
        "there is no Certificate `{name}` in project {project}; /api/v1/projects/{project}/certificates lists those there are"
    );
    ServerError::new(ErrorCode::NotFound, words)
}
