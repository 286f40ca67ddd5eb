//! Creates the request with the caller's own token, so that RBAC, admission and the cluster's audit log see them.

use std::sync::Arc;

use certcourier_bundle::Randomness as _;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};

use super::draft;
use crate::server::{
    auth::caller::Caller,
    http::{
        error::{ErrorCode, ServerError},
        path::ObjectPath,
        refusal::{self, Aftermath, READ_AGAIN, SOON},
    },
    state::ServerState,
};
use crate::{
    api::{DownloadRequest, Format, Phase, Requester},
    cluster::{
        access,
        error::{ApiError, During as _, Failure},
        settle::{self, Patience},
    },
    door::{Door, Worded},
    lifecycle, policy,
    randomness::OperatingSystem,
};

/// How often a name may be taken already: 27^5 names make even a second time unlikely.
const ATTEMPTS: usize = 3;
const HINT: &str = "ask for ClusterRole certcourier-downloader (or certcourier-operator for keys) there";

/// Randomness for a name.
pub fn random() -> Result<[u8; draft::RANDOM_CHARACTERS], ServerError> {
    let mut random = [0; draft::RANDOM_CHARACTERS];
    OperatingSystem.fill(&mut random).map_err(|error| ServerError::internal().caused_by(error))?;
    Ok(random)
}

/// Whether the caller may create requests here, and holds the verb on the Certificate: asked before the operator looks
/// at anything for them, so that who may nothing learns nothing, not even whether there is such a Certificate.
pub async fn is_allowed(caller: &Caller, place: &ObjectPath, format: Format) -> Result<bool, ServerError> {
    let may = async |right| access::caller_may(&caller.client, &place.project, right).await.map_err(refusal::of_review);
    let verb = (policy::verb(format), "certificates", place.name.as_str());
    let (create, hold) = tokio::try_join!(may(("create", "downloadrequests", "")), may(verb))?;
    Ok(create && hold)
}

/// Why they are not allowed to: in the API server's words, which it finds when it is asked to create and change
/// nothing.
pub async fn refusal(caller: &Caller, place: &ObjectPath, draft: &DownloadRequest) -> ServerError {
    let api: Api<DownloadRequest> = Api::namespaced(caller.client.clone(), &place.project);
    let tried = api.create(&PostParams { dry_run: true, ..PostParams::default() }, draft).await;
    match tried.during("try to create", || described(draft)) {
        Err(error) if error.failure() == Failure::Forbidden => refusal::passed_through(error, HINT),
        Err(error) if matches!(error.failure(), Failure::Unavailable | Failure::Throttled(_)) => {
            refusal::unavailable(error, Aftermath::Unsaid)
        }
        _ => {
            let (verb, name) = (policy::verb(draft.spec.format), &place.name);
            let words = format!(
                "you are not allowed to create downloadrequests.certcourier.io in namespace {}, or lack verb `{verb}` \
                 on certificates.certcourier.io/{name} there: {HINT}",
                place.project
            );
            ServerError::new(ErrorCode::Forbidden, words)
        }
    }
}

/// That the caller has not as many open requests as they may have. Counted with the caller's own right to list them;
/// without it the controller counts alone, a moment later.
///
/// # Errors
/// [`ErrorCode::TooManyOpenRequests`].
pub async fn must_have_room(
    state: &ServerState,
    caller: &Caller,
    who: &Requester,
    project: &str,
) -> Result<(), ServerError> {
    let most = state.requests.max_open_requests;
    let closed = Phase::ALL.into_iter().filter(|phase| !phase.is_open());
    let open: Vec<String> = closed.map(|phase| format!("status.phase!={}", phase.name())).collect();
    let own = format!("spec.requestedBy.username={},{}", escaped(&who.username), open.join(","));
    let may = access::caller_may(&caller.client, project, ("list", "downloadrequests", ""));
    if !may.await.map_err(refusal::of_review)? {
        return Ok(());
    }
    let api: Api<DownloadRequest> = Api::namespaced(caller.client.clone(), project);
    let listed = api.list_metadata(&ListParams::default().fields(&own).limit(most)).await;
    match listed.during("list", || format!("the requests of namespace {project}")) {
        Ok(open) if open.items.len() >= usize::try_from(most).unwrap_or(usize::MAX) => {
            let words = lifecycle::too_many_open(&who.username, open.items.len());
            Err(ServerError::new(ErrorCode::TooManyOpenRequests, words))
        }
        Err(error) if matches!(error.failure(), Failure::Unavailable | Failure::Throttled(_)) => {
            Err(refusal::unavailable(error, Aftermath::Unsaid))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A value in a field selector.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

/// Creates it, under another name where the name is taken.
///
/// # Errors
/// What the API server refuses the caller; [`ErrorCode::Unavailable`] when it is not known whether it was created.
pub async fn create(
    state: &Arc<ServerState>,
    caller: &Caller,
    mut draft: DownloadRequest,
) -> Result<DownloadRequest, ServerError> {
    let namespace = draft.namespace().unwrap_or_default();
    let api: Api<DownloadRequest> = Api::namespaced(caller.client.clone(), &namespace);
    for _ in 0..ATTEMPTS {
        let created = api.create(&PostParams::default(), &draft).await.during("create", || described(&draft));
        match created {
            Ok(request) => {
                let place = ObjectPath { project: namespace, name: request.name_any() };
                return match lifecycle::created_as_asked(&request, &draft) {
                    Ok(()) => Ok(request),
                    Err(altered) => Err(refusal::of_altered(&altered, &place)),
                };
            }
            Err(error) if error.failure() == Failure::Conflict => {
                let (certificate, format) = (&draft.spec.certificate_ref.name, draft.spec.format.name());
                draft.metadata.name = Some(draft::name(certificate, format, random()?));
            }
            // No answer, or one of a server in trouble: it may have been created anyway.
            Err(error) if error.failure() == Failure::Unavailable => return settle(state, &draft, error).await,
            Err(error) => return Err(refusal::passed_through(error, HINT)),
        }
    }
    Err(ServerError::new(ErrorCode::Unavailable, "every name that was tried is taken: try again").retry_after(SOON))
}

/// Reads until the request is there.
async fn settle(state: &ServerState, draft: &DownloadRequest, error: ApiError) -> Result<DownloadRequest, ServerError> {
    let (namespace, name) = (draft.namespace().unwrap_or_default(), draft.name_any());
    let api: Api<DownloadRequest> = Api::namespaced(state.clients.reads().clone(), &namespace);
    let read = || async { api.get_opt(&name).await.during("read", || described(draft)) };
    let unknown = || {
        let perhaps = Perhaps { namespace: namespace.clone(), name: name.clone() };
        ServerError::worded(ErrorCode::Unavailable, perhaps).retry_after(SOON)
    };
    let patience = Patience { limit: state.deliveries.receipt_timeout.get(), pause: READ_AGAIN };
    match settle::read_until(patience, read, settle::once_there).await {
        Some(found) if is_ours(&found, draft) => Ok(found),
        Some(_) | None => Err(unknown().caused_by(error)),
    }
}

/// A request may have been created.
#[derive(Debug)]
struct Perhaps {
    namespace: String,
    name: String,
}

impl Worded for Perhaps {
    fn at(&self, door: Door) -> String {
        let Self { namespace, name } = self;
        let look = match door {
            Door::Http => format!("GET /api/v1/projects/{namespace}/requests/{name}"),
            Door::Object | Door::Plugin => format!("`kubectl certcourier list requests --mine -n {namespace}`"),
        };
        format!(
            "whether the request `{name}` was created is not known, because the API server does not answer: {look} shows \
             it; or try again"
        )
    }
}

/// Whether what was found is what was to be created. The API server may have completed who asks.
fn is_ours(found: &DownloadRequest, draft: &DownloadRequest) -> bool {
    let asked_by = |request: &DownloadRequest| request.spec.requested_by.as_ref().map(|by| by.username.clone());
    let as_asked = lifecycle::created_as_asked(found, draft).is_ok();
    found.metadata.labels == draft.metadata.labels && asked_by(found) == asked_by(draft) && as_asked
}

fn described(draft: &DownloadRequest) -> String {
    format!("DownloadRequest {}/{}", draft.namespace().unwrap_or_default(), draft.name_any())
}
