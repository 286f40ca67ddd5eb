//! `POST …/certificates/{certificate}/downloads`: a caller requests a file and, where no approval is missing, has
//! its token in the same answer.
//!
//! The order: who calls and what they may; the facts, and the decision on a request that does not exist yet, so that a
//! refusal creates nothing; the request, created with the caller's own token; its token, by a claim like any other.

pub(crate) mod alone;
mod body;
mod create;
mod draft;
pub(crate) mod offers;

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use self::body::Asked;
use crate::api::words::MaterialProblem;
use crate::server::http::json::Json;
use crate::server::{
    api::{
        audit::{self, Witness},
        certificates, json_body,
        requests::{
            approval_kind,
            claim::{self, decision, guard, write_token},
        },
    },
    auth::caller::Caller,
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
        http::{ApprovalNeeded, Awaiting, MintBody, TokenAnswer},
    },
    audit::call,
    cluster::facts::{self, Gathered},
    door::{Door, TokenOf, Worded},
    lifecycle::{self, Approvers, ClaimRefusal, Guard, Material, Observed, Settings},
    policy::{self, Access, Decision, Grant},
};

/// Ask for a file.
///
/// If the policies require no approval, the answer is its single-use token (201). If they do, the request waits for
/// approval (202); claim its token later. A refusal creates nothing. Key formats need verb `exportkey` on the
/// Certificate instead of `download`.
#[utoipa::path(
    post,
    path = "/api/v1/projects/{project}/certificates/{certificate}/downloads",
    tag = "downloads",
    params(
        ("project" = String, Path, description = "Namespace of the Certificate"),
        ("certificate" = String, Path, description = "Name of the Certificate"),
    ),
    request_body(content = MintBody, description = "Any Content-Type"),
    responses(
        (status = 201, description = "The token", body = TokenAnswer),
        (status = 202, description = "People must approve first", body = Awaiting),
        (status = 403, description = "`forbidden`, `key_export_disabled`, `format_not_allowed`"),
        (status = 409, description = "`too_many_open`; `claim_conflict`, `request_closed`: the request was created, \
          and its token claimed by another call or revoked"),
        (status = 422, description = "`material_unusable`, `unknown_environment`, `reason_required`, `passphrase_too_short`"),
        (status = 503, description = "`guard_failed`, `audit_failed`, `unavailable`"),
    ),
    extensions(("x-kubernetes-rights" = json!(["create downloadrequests", "download certificates"]))),
)]
pub async fn mint_download(
    State(state): State<Arc<ServerState>>,
    caller: Caller,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    let body: MintBody = json_body::read(&state, &headers, body, self::body::EXAMPLE).await?;
    Ok(match mint_as(&state, &caller, &place, body).await? {
        Requested::Issued(token) => (StatusCode::CREATED, Json(token)).into_response(),
        Requested::Awaiting(awaiting) => (StatusCode::ACCEPTED, Json(awaiting)).into_response(),
    })
}

/// What becomes of a request for a file.
pub enum Requested {
    /// No approval was missing.
    Issued(TokenAnswer),
    /// People must approve first.
    Awaiting(Awaiting),
}

/// Requests a file as this caller.
///
/// # Errors
/// What prevents it; a refusal creates nothing.
pub async fn mint_as(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    body: MintBody,
) -> Result<Requested, ServerError> {
    let asked = self::body::understand(body)?;
    let (who, allowed) = tokio::try_join!(caller.identity(state), create::is_allowed(caller, place, asked.format))?;
    let (witness, format, environment) = (Witness::new(state, caller, &who), asked.format, asked.environment.clone());
    // Boxed, so that the handler's own future stays small.
    let minted = Box::pin(mint(state, caller, &witness, &who, place, asked, allowed)).await;
    minted.inspect_err(|refusal| {
        let asked = call::Asked {
            action: call::Action::Create,
            namespace: &place.project,
            certificate: Some(&place.name),
            environment: environment.as_deref(),
            format: Some(format),
            request: None,
        };
        witness.refused(asked, refusal);
    })
}

async fn mint(
    state: &Arc<ServerState>,
    caller: &Caller,
    witness: &Witness<'_>,
    who: &Requester,
    place: &ObjectPath,
    asked: Asked,
    allowed: bool,
) -> Result<Requested, ServerError> {
    let mut draft = draft::request(place, &asked, who, create::random()?);
    if !allowed {
        return Err(create::refusal(caller, place, &draft).await);
    }
    state.must_serve(&place.project)?;
    audit::must_be_heard(state, asked.format)?;

    let since = Instant::now();
    let (gathered, room) = tokio::join!(
        facts::of_draft(&state.clients, &draft, state.cluster_policy.as_ref(), Access::Allowed),
        create::must_have_room(state, caller, who, &place.project)
    );
    let gathered = gathered.map_err(|error| refusal::of_facts(error, Aftermath::Unsaid))?;
    if draft.spec.deadline.is_none() {
        draft.spec.deadline = default_deadline(state, &draft, &gathered);
    }
    let terms = judge(state, &draft, &gathered, &asked).await?;
    room?;

    let request = create::create(state, caller, draft).await?;
    witness.created(&request);
    if terms.approvals > 0 {
        return Ok(Requested::Awaiting(awaiting(&request, &terms)));
    }
    let of = TokenOf::of(&request);
    let claimed = write_token::take(state, request, &gathered, asked.passphrase, since).await;
    let claimed = claimed.map_err(|refusal| refusal.adding(Created(of)))?;
    witness.minted(&claimed);
    Ok(Requested::Issued(claim::answer(caller, &claimed)))
}

fn awaiting(request: &DownloadRequest, terms: &Grant) -> Awaiting {
    let kind = approval_kind(request.spec.format).to_owned();
    let approval = ApprovalNeeded { kind, required: terms.approvals, given: 0 };
    Awaiting { request: request.name_any(), status: "awaiting_approval".to_owned(), approval }
}

/// The request was created although its token was not issued.
#[derive(Debug)]
struct Created(TokenOf);

impl Worded for Created {
    fn at(&self, door: Door) -> String {
        format!("the request `{}` was created; claim its token: {}", self.0.request, door.another_token(&self.0))
    }
}

fn default_deadline(state: &ServerState, draft: &DownloadRequest, gathered: &Gathered) -> Option<Time> {
    let requester = draft.spec.requested_by.as_ref()?;
    let environments: Vec<&str> = gathered.environments.iter().map(String::as_str).collect();
    let effective = policy::merge(&gathered.known.policies, &draft.spec.certificate_ref.name, &environments);
    let now = state.clients.clock().second();
    draft::deadline(requester, draft.spec.token_ttl, &effective, now).map(Time)
}

/// The terms on which the file may be released: what a claim would say if the request existed and everyone had
/// approved.
async fn judge(
    state: &ServerState,
    draft: &DownloadRequest,
    gathered: &Gathered,
    asked: &Asked,
) -> Result<Grant, ServerError> {
    if let Material::Missing { problem: MaterialProblem::CertificateNotFound, .. } = gathered.material {
        return Err(no_certificate(draft));
    }
    if let Material::Unusable { problem: MaterialProblem::UnknownEnvironment, message } = &gathered.material {
        return Err(ServerError::new(ErrorCode::UnknownEnvironment, message));
    }
    let guard = guard(state, draft).await;
    let decision = decision(state, draft, gathered, asked.passphrase.as_ref());
    let seen = Observed {
        request: draft,
        material: gathered.material.clone(),
        decision,
        receipt: None,
        approvers: Approvers::default(),
        guard: guard.clone(),
        ahead: 0,
        settings: Settings::default(),
    };
    match lifecycle::claim(&seen, state.clients.clock().second()) {
        Ok(_) => {}
        Err(ClaimRefusal::ApprovalRequired(_)) => match guard {
            // No one should be asked to approve what would be void.
            Guard::Broken { reason } if asked.format.holds_key() => {
                return Err(refusal::of_claim(&ClaimRefusal::GuardFailed(reason)));
            }
            _ => {}
        },
        Err(refusal) => return Err(not_minted(&refusal, &gathered.material)),
    }
    match seen.decision {
        Some(Decision::Grant(grant)) => Ok(*grant),
        _ => Err(no_certificate(draft)),
    }
}

/// `lifecycle` lets a new request wait for its material; a caller of HTTP does not wait.
fn not_minted(refusal: &ClaimRefusal, material: &Material) -> ServerError {
    match (refusal, material) {
        (ClaimRefusal::Refused(_) | ClaimRefusal::GuardFailed(_), _) => refusal::of_claim(refusal),
        (_, Material::Missing { message, .. } | Material::Unusable { message, .. }) => {
            ServerError::new(ErrorCode::MaterialUnusable, message)
        }
        _ => refusal::of_claim(refusal),
    }
}

fn no_certificate(draft: &DownloadRequest) -> ServerError {
    let (name, project) = (draft.spec.certificate_ref.name.clone(), draft.namespace().unwrap_or_default());
    certificates::get::no_certificate(&ObjectPath { project, name })
}
