//! `POST …/requests/{request}/token`: the requester takes the token of their request.

pub(crate) mod write_token;

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use certcourier_bundle::Passphrase;
use kube::Api;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use write_token::{Claimed, decision, guard, take};

use crate::server::{
    api::{
        audit::{self, Witness},
        json_body::{self, PassphraseText, bad_request},
    },
    auth::{caller::Caller, identity},
    http::{
        error::{ErrorCode, ServerError},
        path::Place,
        refusal,
    },
    state::ServerState,
};
use crate::{
    api::{DateTime, DownloadRequest, Requester, names},
    cluster::{error::During as _, facts},
    policy::{Access, needs_passphrase},
};

/// What to ask for where requests cannot be read.
pub const REQUEST_HINT: &str =
    "ask for a role that may read downloadrequests.certcourier.io there, such as certcourier-viewer";

/// A token. It is in this answer and nowhere else.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenAnswer {
    /// The token, for one download: `GET /api/v1/downloads/{token}`.
    token: String,
    /// It is refused after this time.
    #[schema(value_type = String, format = DateTime)]
    expires_at: DateTime,
    /// The download's link: the token is in it. A path alone where the server has no `--external-url` and was called by
    /// a name that its certificate does not have.
    url: String,
    /// Name of the request, under which all of this is on record.
    request: String,
    /// The generated passphrase of a pkcs12 or zip file. Absent where you gave one, or none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase: Option<String>,
}

impl TokenAnswer {
    /// The answer that carries a claimed token.
    pub fn of(caller: &Caller, claimed: &Claimed) -> (StatusCode, Json<Self>) {
        let token = claimed.token.expose();
        let answer = Self {
            url: format!("{}/api/v1/downloads/{token}", caller.base_url),
            token: token.to_owned(),
            expires_at: claimed.expires_at.clone(),
            request: claimed.token.request().to_owned(),
            passphrase: claimed.generated_passphrase.as_ref().map(|passphrase| passphrase.reveal().to_owned()),
        };
        (StatusCode::CREATED, Json(answer))
    }
}

/// What may be said when a token is claimed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"passphrase": ""}))]
pub struct ClaimBody {
    /// Passphrase of pkcs12 and zip, printable ASCII. Omitted or empty: one is generated and answered with the token.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1024)]
    passphrase: PassphraseText,
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
    place: Place,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<TokenAnswer>), ServerError> {
    let body: ClaimBody = json_body::read(&state, &headers, body, r#"{"passphrase":""}"#).await?;
    let given = body.passphrase.check()?;
    let (who, request) = tokio::try_join!(caller.identity(&state), request_as(&caller, &place))?;
    let witness = Witness::new(&state, &caller, &who);
    // Boxed, so that the handler's own future stays small.
    let claimed = Box::pin(claim(&state, &caller, &who, request.clone(), given)).await;
    let claimed = claimed.inspect_err(|refusal| witness.refused(audit::claim_of(&request, &place.name), refusal))?;
    witness.minted(&claimed);
    Ok(TokenAnswer::of(&caller, &claimed))
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
    let gathering = facts::live(state.clients.reads(), &request, state.operator_policy.as_ref());
    let gathering = async { gathering.await.map_err(refusal::of_facts) };
    let (mut gathered, in_person) = tokio::try_join!(gathering, in_person)?;
    gathered.narrow(in_person);
    take(state, request, &gathered, given, since).await
}

/// The request, read as the caller.
///
/// # Errors
/// What the API server refuses them; [`ErrorCode::NotFound`] where there is none.
pub async fn request_as(caller: &Caller, place: &Place) -> Result<DownloadRequest, ServerError> {
    let Place { project, name } = place;
    let requests: Api<DownloadRequest> = Api::namespaced(caller.client.clone(), project);
    let found = requests.get_opt(name).await.during("read", || format!("DownloadRequest {project}/{name}"));
    found.map_err(|error| refusal::passed_through(error, REQUEST_HINT))?.ok_or_else(|| {
        let words = format!(
            "there is no request `{name}` in project {project}; /api/v1/projects/{project}/requests lists those there are"
        );
        ServerError::new(ErrorCode::NotFound, words)
    })
}

fn not_the_requester(request: &DownloadRequest) -> ServerError {
    let requester = request.spec.requested_by.as_ref().map_or("no one", |by: &Requester| by.username.as_str());
    let words = format!(
        "only `{requester}`, who asked, can claim this token; ask yourself: POST …/certificates/{}/downloads",
        request.spec.certificate_ref.name
    );
    ServerError::new(ErrorCode::Forbidden, words)
}

fn must_take_passphrase(request: &DownloadRequest) -> Result<(), ServerError> {
    let format = request.spec.format;
    if !needs_passphrase(format) {
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
