//! `GET …/certificates`: the Certificates of a project, by page.

use std::sync::Arc;

use axum::extract::{Query, State, rejection::QueryRejection};
use kube::{Api, core::DeserializeGuard};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{CertificateView, get::HINT};
use crate::api::Certificate;
use crate::server::http::json::Json;
use crate::server::{
    api::pagination::{self, Listing, Page},
    auth::caller::Caller,
    http::{error::ServerError, path::ObjectPath},
    state::ServerState,
};

/// Pages alone: a project has few Certificates.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CertificateQuery {
    /// Items of a page, 1 to 500. Default: 100.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// `continue` of the page before.
    pub r#continue: Option<String>,
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
    place: ObjectPath,
    query: Result<Query<CertificateQuery>, QueryRejection>,
) -> Result<Json<Page<CertificateView>>, ServerError> {
    let query = pagination::query(query)?;
    let api: Api<DeserializeGuard<Certificate>> = Api::namespaced(caller.client, &place.project);
    let listing = Listing::new(query.limit, query.r#continue)?;
    Ok(Json(
        pagination::list(&api, listing, pagination::created, HINT, |certificate| CertificateView::of(&certificate))
            .await?,
    ))
}
