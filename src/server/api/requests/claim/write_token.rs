//! A token is made and written into its request's status, in one update that holds only if nothing has changed.
//!
//! Two claims at once read the same version, and the API server takes one of the two updates: one caller has a token,
//! the other learns of the conflict, and at no time two tokens work.

use std::{sync::Arc, time::Instant};

use certcourier_bundle::Passphrase;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::server::{
    http::{
        error::{ErrorCode, ServerError},
        refusal::{self, Aftermath, READ_AGAIN, SOON},
    },
    state::ServerState,
};
use crate::{
    api::{DateTime, DownloadRequest, DownloadRequestStatus},
    audit,
    cluster::{
        error::{ApiError, Failure},
        facts::{self, Gathered},
        settle::{self, Patience, Update},
        status::{self, Written},
    },
    lifecycle::{self, Guard, Minted, Observed, Settings},
    policy::{self, Decision},
    randomness::OperatingSystem,
    token::{self, Prepared, Token},
};

/// How often someone else may change the request in between.
const ATTEMPTS: usize = 3;

/// A token that was claimed. Not shown by `Debug`: there is none.
pub struct Claimed {
    /// The token.
    pub token: Token,
    /// It is refused after this time.
    pub expires_at: DateTime,
    /// The passphrase, where it was generated.
    pub generated_passphrase: Option<Passphrase>,
    /// The request as it is now.
    pub request: DownloadRequest,
}

/// What is known of the admission policies now. Ask after everything else about the request was read.
pub async fn guard(state: &ServerState, request: &DownloadRequest) -> Guard {
    state.guard.of(request).await
}

/// What policies and rights say of a claim with this passphrase.
pub fn decision(
    state: &ServerState,
    request: &DownloadRequest,
    gathered: &Gathered,
    given: Option<&Passphrase>,
) -> Option<Decision> {
    let passphrase = match given {
        Some(passphrase) => policy::Passphrase::Given(passphrase.length()),
        None => facts::passphrase_of(request),
    };
    gathered.decision(request, passphrase, state.clients.clock().now())
}

/// Makes the token of a request on facts that were gathered `since` then, and writes it.
///
/// # Errors
/// What prevents it; [`ErrorCode::ClaimConflict`] when another claim was faster; [`ErrorCode::Unavailable`] when
/// it cannot be found out in time whether it was written. Unless it was, nothing has changed.
pub async fn take(
    state: &Arc<ServerState>,
    mut request: DownloadRequest,
    gathered: &Gathered,
    given: Option<Passphrase>,
    since: Instant,
) -> Result<Claimed, ServerError> {
    for _ in 0..ATTEMPTS {
        let guard = guard(state, &request).await;
        if since.elapsed() > state.deliveries.decision_timeout.get() {
            return Err(too_slow());
        }
        let attempt = Attempt::plan(state, &request, gathered, given.as_ref(), guard)?;
        match attempt.write(state, &request).await? {
            Ended::Ours(written) => {
                attempt.tell(state, &request);
                let requester = request.requester();
                state.tokens.saw(&attempt.hash, requester, Instant::now());
                return Ok(attempt.into_claimed(*written));
            }
            Ended::Changed(now) if generation(&now) > generation(&request) => return Err(overtaken()),
            Ended::Changed(now) => request = *now,
        }
    }
    Err(kept_changing())
}

/// How a write ended.
enum Ended {
    Ours(Box<DownloadRequest>),
    Changed(Box<DownloadRequest>),
}

/// A token that would work if it were written.
struct Attempt {
    token: Token,
    hash: String,
    expires_at: DateTime,
    generated_passphrase: Option<Passphrase>,
    status: DownloadRequestStatus,
}

impl Attempt {
    fn plan(
        state: &ServerState,
        request: &DownloadRequest,
        gathered: &Gathered,
        given: Option<&Passphrase>,
        guard: Guard,
    ) -> Result<Self, ServerError> {
        let seen = Observed {
            request,
            material: gathered.material.clone(),
            decision: decision(state, request, gathered, given),
            receipt: facts::receipt_seen(gathered.known.receipt.as_ref()),
            approvers: gathered.approvers.clone(),
            guard,
            ahead: 0,
            settings: Settings::default(),
        };
        let planned = lifecycle::claim(&seen, state.clients.clock().second());
        let (base, mint) = planned.map_err(|refusal| refusal::of_claim(&refusal))?;

        let prepared = token::prepare(request, mint.generation, given, &mut OperatingSystem)
            .map_err(|error| ServerError::internal().caused_by(error))?;
        let Prepared { token, hash, sealed: sealed_passphrase, generated: generated_passphrase } = prepared;
        let status = mint.complete(request, &base, Minted { hash: hash.clone(), sealed_passphrase, reader_name: None });
        Ok(Self { token, hash, expires_at: Time(mint.expires_at), generated_passphrase, status })
    }

    async fn write(&self, state: &ServerState, request: &DownloadRequest) -> Result<Ended, ServerError> {
        let changed = DownloadRequest { status: Some(self.status.clone()), ..request.clone() };
        match status::write(state.clients.writes(), &changed).await {
            Ok(Written::Done(written)) => Ok(Ended::Ours(Box::new(written))),
            Ok(Written::Conflict) => {
                let found = status::current(state.clients.reads(), request)
                    .await
                    .map_err(|error| refusal::unavailable(error, Aftermath::Unsaid))?;
                found.map(Box::new).map(Ended::Changed).ok_or_else(gone)
            }
            // No answer, or one of a server in trouble: it may have been written anyway.
            Err(error) if error.failure() == Failure::Unavailable => self.settle(state, request, error).await,
            Err(error) => Err(refusal::unavailable(error, Aftermath::Unsaid)),
        }
    }

    /// Tells what this write made true besides the token: the controller might not have reconciled the request before.
    fn tell(&self, state: &ServerState, before: &DownloadRequest) {
        let after = DownloadRequest { status: Some(self.status.clone()), ..before.clone() };
        state.audit.tell_all(audit::request::between(before, &after, state.clients.clock().now()));
    }

    /// Reads until it is known whether the write came through.
    async fn settle(
        &self,
        state: &ServerState,
        request: &DownloadRequest,
        error: ApiError,
    ) -> Result<Ended, ServerError> {
        let patience = Patience { limit: state.deliveries.receipt_timeout.get(), pause: READ_AGAIN };
        let is_ours = |found: &DownloadRequest| hash(found) == Some(self.hash.as_str());
        match settle::update(state.clients.reads(), request, patience, is_ours).await {
            Some(Update::Ours(found)) => Ok(Ended::Ours(Box::new(found))),
            Some(Update::Changed(found)) => Ok(Ended::Changed(Box::new(found))),
            Some(Update::Gone) => Err(gone()),
            None => Err(unknown().caused_by(error)),
        }
    }

    fn into_claimed(self, request: DownloadRequest) -> Claimed {
        let Self { token, expires_at, generated_passphrase, .. } = self;
        Claimed { token, expires_at, generated_passphrase, request }
    }
}

fn generation(request: &DownloadRequest) -> i64 {
    request.token().map_or(0, |token| token.generation)
}

fn hash(request: &DownloadRequest) -> Option<&str> {
    request.status.as_ref()?.token.as_ref()?.hash.as_deref()
}

fn overtaken() -> ServerError {
    let words = "another claim of this request was faster, and its token is the one that works; claim again only if \
                 that was not you: the other token then stops working";
    ServerError::new(ErrorCode::ClaimConflict, words)
}

/// No one was faster: it was written to for other reasons, a vote for example.
fn kept_changing() -> ServerError {
    let words = "the request kept changing, so no token was issued: claim it again";
    ServerError::new(ErrorCode::ClaimConflict, words).retry_after(SOON)
}

fn gone() -> ServerError {
    ServerError::new(ErrorCode::RequestClosed, "the request was deleted in the meantime; create another one")
}

fn unknown() -> ServerError {
    let words = "whether the token was issued is not known, because the API server does not answer: claim it again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}

fn too_slow() -> ServerError {
    let words = "the facts behind this token became too old while it was prepared; no token was issued: try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}
