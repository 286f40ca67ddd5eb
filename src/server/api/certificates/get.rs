//! `GET …/certificates/{certificate}`: one Certificate, as the caller may see it.

use std::sync::Arc;

use axum::extract::State;
use kube::Api;

use super::CertificateView;
use crate::server::http::json::Json;
use crate::server::{
    auth::caller::Caller,
    http::{
        error::ServerError,
        path::ObjectPath,
        refusal::{self, not_there},
    },
    state::ServerState,
};
use crate::{api::Certificate, cluster::error::During as _, door::Listed};

/// What to ask for where Certificates cannot be read.
pub const HINT: &str = "ask for a role that may read certificates.certcourier.io there, such as certcourier-viewer";

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
    place: ObjectPath,
) -> Result<Json<CertificateView>, ServerError> {
    let found = certificate_as(&caller, &place).await?;
    found.as_ref().map(CertificateView::of).map(Json).ok_or_else(|| no_certificate(&place))
}

/// The Certificate, read as the caller.
///
/// # Errors
/// What the API server refuses them.
pub async fn certificate_as(caller: &Caller, place: &ObjectPath) -> Result<Option<Certificate>, ServerError> {
    let ObjectPath { project, name } = place;
    let api: Api<Certificate> = Api::namespaced(caller.client.clone(), project);
    let found = api.get_opt(name).await.during("read", || format!("Certificate {project}/{name}"));
    found.map_err(|error| refusal::passed_through(error, HINT))
}

/// There is no such Certificate.
pub fn no_certificate(place: &ObjectPath) -> ServerError {
    not_there(Listed::Certificates, place)
}
