//! Asking for a file. Where no approval is missing the answer is the page of its link, which is shown once; else the page
//! of the request that waits.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use kube::ResourceExt as _;

use super::{
    certificate::{Asked, unknown},
    choices::{Choices, Chosen, Kept},
    link,
    page::{self, Frame},
    request::of_secret,
    visitor::Visitor,
};
use crate::door::Door;
use crate::server::{
    api::{
        certificates::{
            CertificateView,
            get::get_certificate,
            mint::{Requested, alone::create_as, mint_as, offers},
        },
        pagination,
    },
    http::{
        error::{ErrorCode, ServerError},
        json::Json,
        path::ObjectPath,
    },
    state::ServerState,
};

/// How long a link is waited for before the page of its request is shown instead.
const MOMENT: Duration = Duration::from_secs(4);

#[derive(Template)]
#[template(path = "download.html")]
struct Download {
    frame: Frame,
    certificate: CertificateView,
    choices: Choices,
    wrong: Option<String>,
}

/// `GET /ui/projects/{project}/certificates/{certificate}/download`: the form of the dialog, for those without scripts.
///
/// # Errors
/// What the API server refuses.
pub async fn choose(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let asked = pagination::query(asked)?;
    form(&state, &visitor, &place, &asked.environment, None).await
}

/// `POST /ui/projects/{project}/certificates/{certificate}/download`.
///
/// # Errors
/// What prevents it; what can be put right in the form is said there.
pub async fn ask(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    let chosen: Chosen = visitor.sent(&state, &headers, body).await?;
    let (kept, environment) = (chosen.kept(), chosen.environment().to_owned());
    let wrong = async |status: StatusCode, words: &str| {
        let wrong = Some((status, words.to_owned(), kept.clone()));
        form(&state, &visitor, &place, &environment, wrong).await
    };
    let body = match chosen.body() {
        Ok(body) => body,
        Err(words) => return wrong(StatusCode::UNPROCESSABLE_ENTITY, words).await,
    };
    if visitor.caller.is_alone() {
        return match create_as(&state, &visitor.caller, &place, body).await {
            Ok(request) => {
                let request = ObjectPath { project: place.project, name: request.name_any() };
                created(&state, visitor, request).await
            }
            Err(refusal) if can_be_put_right(refusal.code()) => {
                wrong(refusal.code().status(), &refusal.description_at(Door::Plugin)).await
            }
            Err(refusal) => Err(refusal),
        };
    }
    let format = body.format.clone();
    match mint_as(&state, &visitor.caller, &place, body).await {
        Ok(Requested::Issued(token)) => {
            let issued = link::Issued { place, format, environment, token };
            link::show(&visitor, issued)
        }
        Ok(Requested::Awaiting(awaiting)) => {
            let path = format!("{}projects/{}/requests/{}", visitor.frame.root, place.project, awaiting.request);
            Ok(page::lead(&path))
        }
        Err(refusal) if can_be_put_right(refusal.code()) => {
            state.metrics.refused(refusal.code());
            wrong(refusal.code().status(), &refusal.description_at(Door::Plugin)).await
        }
        Err(refusal) => Err(refusal),
    }
}

/// The link, if the controller issues it in a moment; else the page of the request, which follows what happens.
async fn created(state: &Arc<ServerState>, visitor: Visitor, request: ObjectPath) -> Result<Response, ServerError> {
    let path = format!("{}projects/{}/requests/{}", visitor.frame.root, request.project, request.name);
    match of_secret(state, visitor, &request, MOMENT).await {
        Ok(Some(link)) => Ok(link),
        // It says there what is missing, or why there is no file.
        Ok(None) | Err(_) => Ok(page::lead(&path)),
    }
}

/// Whether another choice in the same form may help.
fn can_be_put_right(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::BadRequest
            | ErrorCode::ReasonRequired
            | ErrorCode::PassphraseTooShort
            | ErrorCode::UnknownEnvironment
            | ErrorCode::FormatNotAllowed
            | ErrorCode::KeyExportDisabled
            | ErrorCode::MaterialUnusable
    )
}

async fn form(
    state: &Arc<ServerState>,
    visitor: &Visitor,
    place: &ObjectPath,
    environment: &str,
    wrong: Option<(StatusCode, String, Kept)>,
) -> Result<Response, ServerError> {
    let reading = get_certificate(State(Arc::clone(state)), visitor.caller.clone(), place.clone());
    let Json(certificate) = reading.await?;
    let environment = Some(environment.to_owned()).filter(|name| !name.is_empty());
    let environment = environment.or_else(|| certificate.default_environment.clone()).unwrap_or_default();
    if !certificate.environments.iter().any(|found| found.name == environment) {
        return Err(unknown(&certificate, &environment));
    }
    let offers = Box::pin(offers::offers(state, &visitor.caller, place, Some(&environment))).await?;
    let frame = visitor.frame("certificates");
    let choices = Choices::new(&frame, &certificate, &environment, &offers);
    let (status, choices, wrong) = match wrong {
        None => (StatusCode::OK, choices, None),
        Some((status, words, kept)) => (status, choices.keeping(kept), Some(words)),
    };
    Ok(page::show_as(status, &Download { frame, certificate, choices, wrong }))
}
