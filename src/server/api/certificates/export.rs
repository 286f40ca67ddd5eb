//! `GET /apiops/projects/{project}/certificates/{certificate}/export/`: a route of an older API, kept to the letter.
//!
//! A ZIP of the leaf of every environment, without keys. It obeys policy over all environments; it makes no request and no
//! receipt, but an audit line and an Event. Its errors have two fields only (see `exchange`).

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use certcourier_bundle::{Artifact, content_digest, content_disposition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::leaves::{Leaves, leaves_of};
use crate::server::{
    api::{audit::Witness, json_body::bad_request},
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        headers,
        origin::refuse_another_site,
        path::ObjectPath,
        refusal::{self, Aftermath},
    },
    state::ServerState,
};
use crate::{
    api::{CertificateReference, DownloadRequest, DownloadRequestSpec, Duration, Format, Requester},
    audit::call::{Action, Asked},
    cluster::facts,
    lifecycle::Material,
    policy::{Decision, Passphrase},
};

/// The content type of the older API.
const OCTETS: &str = "application/octet-stream";
/// Nothing is left behind that could be used later, so the deadline that policies ask of `ServiceAccounts` is soon.
const DEADLINE: Duration = Duration::from_seconds(60);

/// Export the certificates of all environments.
///
/// A ZIP of `{certificate}-{environment}.cer` (DER), without keys. Errors have the fields `error` and
/// `error_description` only; an unknown Certificate is a 400.
#[utoipa::path(
    get,
    path = "/apiops/projects/{project}/certificates/{certificate}/export/",
    tag = "export",
    params(
        ("project" = String, Path, description = "Namespace"),
        ("certificate" = String, Path, description = "Name of the Certificate"),
    ),
    responses(
        (status = 200, description = "The ZIP", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, description = "`bad_request`: also where there is no such Certificate"),
        (status = 403, description = "`forbidden`, `format_not_allowed`, `approval_required`"),
        (status = 422, description = "`material_unusable`, `reason_required`"),
    ),
    extensions(("x-kubernetes-rights" = json!(["download certificates"]))),
)]
pub async fn export_certificate(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    uri: Uri,
    asked: HeaderMap,
    place: Result<ObjectPath, ServerError>,
) -> Result<Response, ServerError> {
    // It is on record with the caller's name.
    refuse_another_site(&uri, &asked, state.external_url.as_deref())?;
    let place = place.map_err(|error| bad_request(error.description()))?;
    let held = caller.must_hold_verb(&place.project, &place.name, Format::DerZip);
    let (who, held) = tokio::join!(caller.identity(&state), held);
    let who = who?;
    let witness = Witness::new(&state, &caller, &who);
    let made = match held {
        Ok(()) => make(&state, &place, &who).await,
        Err(refusal) => Err(refusal),
    };
    let (leaves, file) = made.inspect_err(|refusal| {
        let asked = Asked {
            action: Action::Export,
            namespace: &place.project,
            certificate: Some(&place.name),
            environment: None,
            format: Some(Format::DerZip),
            request: None,
        };
        witness.refused(asked, refusal);
    })?;
    witness.exported(&leaves, &file.bytes);
    let disposition = content_disposition(&file.file_name);
    let headers: HeaderMap = headers::of_file(OCTETS, file.bytes.len(), &disposition, &content_digest(&file.bytes));
    Ok((headers, file.bytes.to_vec()).into_response())
}

async fn make(state: &ServerState, place: &ObjectPath, who: &Requester) -> Result<(Leaves, Artifact), ServerError> {
    if state.must_serve(&place.project).is_err() {
        return Err(not_found(place));
    }
    let leaves = leaves(state, place, who).await?;
    let file = leaves_of(state, &leaves).await?;
    Ok((leaves, file))
}

/// The leaves of all environments, if policy releases them to this caller now.
async fn leaves(state: &ServerState, place: &ObjectPath, who: &Requester) -> Result<Leaves, ServerError> {
    let now = state.clients.clock().second();
    let spec = DownloadRequestSpec {
        certificate_ref: CertificateReference { name: place.name.clone() },
        environment: None,
        format: Format::DerZip,
        passphrase_secret_ref: None,
        pkcs12: None,
        pem: None,
        reason: None,
        token_ttl: None,
        deadline: now.checked_add(jiff::SignedDuration::from_secs(DEADLINE.seconds())).ok().map(Time),
        delivery: None,
        requested_by: Some(who.clone()),
    };
    let mut asked = DownloadRequest::new("export", spec);
    asked.metadata.namespace = Some(place.project.clone());
    let gathered = facts::live(&state.clients, &asked, state.cluster_policy.as_ref())
        .await
        .map_err(|error| refusal::of_facts(error, Aftermath::Unsaid))?;
    let decision = gathered.decision(&asked, Passphrase::Generated, now);
    let Some(certificate) = gathered.known.certificate else { return Err(not_found(place)) };
    match decision {
        Some(Decision::Refuse(reasons)) => return Err(refusal::of_reasons(&reasons)),
        Some(Decision::Grant(terms)) if terms.approvals > 0 => return Err(needs_people(place)),
        Some(Decision::Grant(_)) => {}
        None => return Err(not_found(place)),
    }
    match gathered.material {
        Material::Usable { .. } => {}
        Material::Missing { message, .. } | Material::Unusable { message, .. } => {
            return Err(ServerError::new(ErrorCode::MaterialUnusable, message));
        }
    }
    Ok(Leaves { certificate, environments: gathered.environments, materials: gathered.materials.into() })
}

/// In the words of the older API.
fn not_found(place: &ObjectPath) -> ServerError {
    bad_request(format!("Certificate (name: {}) is not found!", place.name))
}

fn needs_people(place: &ObjectPath) -> ServerError {
    let words = format!(
        "policy requires approval for this certificate, and an export cannot wait for it: \
         POST /api/v1/projects/{}/certificates/{}/downloads with format der-zip",
        place.project, place.name
    );
    ServerError::new(ErrorCode::ApprovalRequired, words)
}
