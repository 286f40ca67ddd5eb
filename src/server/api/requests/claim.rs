//! `POST …/requests/{request}/token`: the requester takes the token of their request.

pub(crate) mod write_token;

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use certcourier_bundle::Passphrase;

pub use write_token::{Claimed, decision, guard, take};

use super::get::request_as;
use crate::server::http::json::Json;
use crate::server::{
    api::{
        audit::{self, Witness},
        json_body::{self, bad_request},
    },
    auth::{caller::Caller, identity},
    http::{
        error::{ErrorCode, ServerError},
        path::ObjectPath,
        refusal::{self, Aftermath},
    },
    state::ServerState,
};
use crate::{
    api::{
        DownloadRequest, Requester,
        http::{ClaimBody, SecretText, TokenAnswer},
        names,
    },
    cluster::facts,
    policy::Access,
};

/// The answer that carries a claimed token.
pub fn answer(caller: &Caller, claimed: &Claimed) -> TokenAnswer {
    let token = claimed.token.expose();
    let passphrase = claimed.generated_passphrase.as_ref();
    TokenAnswer {
        url: SecretText::new(format!("{}/api/v1/downloads/{token}", caller.base_url)),
        token: SecretText::new(token.to_owned()),
        expires_at: claimed.expires_at.clone(),
        request: claimed.token.request().to_owned(),
        passphrase: passphrase.map(|passphrase| SecretText::new(passphrase.reveal().to_owned())),
    }
}

/// Claim the token of a request.
///
/// Only the requester can, while they hold the verb that the format needs, and once no approval is missing. An
/// earlier token of the request stops working.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/requests/{request}/token",
    tag = "requests",
    params(
        ("project" = String, Path, description = "Namespace of the request"),
        ("request" = String, Path, description = "Name of the request"),
    ),
    request_body(content = Option<ClaimBody>, description = "May be left out; any Content-Type"),
    responses(
        (status = 201, description = "The token", body = TokenAnswer),
        (status = 403, description = "`forbidden`, `approval_required`, `key_export_disabled`, `format_not_allowed`"),
        (status = 409, description = "`request_closed`, `claim_conflict`, `wrong_delivery`"),
        (status = 422, description = "`material_unusable`, `passphrase_too_short`, `reason_required`, `unknown_environment`"),
        (status = 503, description = "`guard_failed`, `audit_failed`, `unavailable`"),
    ),
    extensions(("x-kubernetes-rights" = json!(["get downloadrequests", "download certificates"]))),
)]
pub async fn claim_token(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<TokenAnswer>), ServerError> {
    let body: ClaimBody = json_body::read(&state, &headers, body, r#"{"passphrase":""}"#).await?;
    Ok((StatusCode::CREATED, Json(claim_as(&state, &caller, &place, body).await?)))
}

/// Claims the token of a request as this caller.
///
/// # Errors
/// What prevents it; then nothing has changed.
pub async fn claim_as(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    body: ClaimBody,
) -> Result<TokenAnswer, ServerError> {
    let given = json_body::passphrase(body.passphrase)?;
    let (who, request) = tokio::try_join!(caller.identity(state), request_as(caller, place))?;
    let witness = Witness::new(state, caller, &who);
    // Boxed, so that the handler's own future stays small.
    let claimed = Box::pin(claim(state, caller, &who, request.clone(), given)).await;
    let claimed = claimed.inspect_err(|refusal| witness.refused(audit::claim_of(&request, &place.name), refusal))?;
    witness.minted(&claimed);
    Ok(answer(caller, &claimed))
}

async fn claim(
    state: &Arc<ServerState>,
    caller: &Caller,
    who: &Requester,
    request: DownloadRequest,
    given: Option<Passphrase>,
) -> Result<Claimed, ServerError> {
    if names::is_guard_probe(&request, state.guard.namespace()) {
        let words = "this request is the guard's own: nothing is delivered on it; create another DownloadRequest";
        return Err(ServerError::new(ErrorCode::RequestClosed, words));
    }
    if !identity::is_requester(who, request.spec.requested_by.as_ref()) {
        return Err(not_the_requester(&request));
    }
    let project = request.metadata.namespace.clone().unwrap_or_default();
    caller.must_hold_verb(&project, &request.spec.certificate_ref.name, request.spec.format).await?;
    state.must_serve(&project)?;
    audit::must_be_heard(state, request.spec.format)?;
    if given.is_some() {
        must_take_passphrase(&request)?;
    }
    let since = Instant::now();
    let in_person = async {
        // The verb was asked about above; only a passphrase's Secret is left to be.
        match request.spec.passphrase_secret_ref {
            Some(_) => facts::access_in_person(&caller.client, &request).await.map_err(refusal::of_review),
            None => Ok(Access::Allowed),
        }
    };
    let gathering = facts::live(&state.clients, &request, state.cluster_policy.as_ref());
    let gathering = async { gathering.await.map_err(|error| refusal::of_facts(error, Aftermath::Unsaid)) };
    let (mut gathered, in_person) = tokio::try_join!(gathering, in_person)?;
    gathered.narrow(in_person);
    take(state, request, &gathered, given, since).await
}

fn not_the_requester(request: &DownloadRequest) -> ServerError {
    let requester = request.spec.requested_by.as_ref().map_or("no one", |by: &Requester| by.username.as_str());
    let words = format!(
        "only `{requester}`, who asked, can claim this token; create your own request: POST …/certificates/{}/downloads",
        request.spec.certificate_ref.name
    );
    ServerError::new(ErrorCode::Forbidden, words)
}

fn must_take_passphrase(request: &DownloadRequest) -> Result<(), ServerError> {
    let format = request.spec.format;
    if !format.needs_passphrase() {
        return Err(bad_request(format!("format `{format}` is not encrypted and takes no passphrase: leave it out")));
    }
    match &request.spec.passphrase_secret_ref {
        Some(reference) => Err(bad_request(format!(
            "the passphrase of this request is in Secret `{}`: leave it out here",
            reference.name
        ))),
        None => Ok(()),
    }
}
