//! A token becomes a file, once. The steps and their order are the design's §6; nothing before the receipt changes any
//! state, and the receipt is the only compare-and-set between deliveries. Between a delivery and those who deny or revoke
//! etcd decides: the receipt first, then a second look at the request, then the first byte.
//!
//! Every fact is read live and nothing is remembered between two requests, so replicas need not know of each other.

mod audit;
mod authorize;
mod receipt;
mod refusal;
mod render;
mod second_look;

use std::{sync::Arc, time::Instant};

use axum::response::Response;
use kube::Api;
use tracing::Instrument as _;

use authorize::Decided;

use super::{
    redeemer::Redeemer,
    stream::{self, Delivery},
};
use crate::server::{
    http::{
        error::{ErrorCode, ServerError},
        refusal::{SOON, of_api_error},
    },
    state::ServerState,
};
use crate::{
    api::{DownloadRequest, names},
    cluster::{
        error::{ApiError, During as _},
        receipts,
    },
    lifecycle::{self, Refusal},
    token::Token,
};

/// The request that a token belongs to.
#[derive(Clone)]
pub struct Found {
    /// As read from the API server.
    pub request: DownloadRequest,
    /// SHA-256 of the token.
    pub hash: String,
}

/// Uses a token. An answer with the file in it has used the token up, whether or not it arrives.
///
/// # Errors
/// [`ServerError`]; unless it says that the token was used, the token stays valid.
pub async fn redeem(state: &Arc<ServerState>, token: &Token, redeemer: Redeemer) -> Result<Response, ServerError> {
    let began = Instant::now();
    let answer = match find(state, token, &redeemer).await {
        Ok(found) => {
            let presented = audit::Presented::of(&redeemer);
            let delivered = deliver(state, token, &found, redeemer).await;
            delivered.inspect_err(|refusal| audit::refused(state, &found.request, &presented, refusal))
        }
        Err(refusal) => Err(refusal),
    };
    state.metrics.redeemed(answer.is_ok(), began.elapsed());
    answer
}

async fn deliver(
    state: &Arc<ServerState>,
    token: &Token,
    found: &Found,
    redeemer: Redeemer,
) -> Result<Response, ServerError> {
    let now = state.clients.clock().now();
    if let Err(refusal) = present(found, now) {
        return Err(explain(state, found, refusal).await);
    }
    audit::can_be_heard(state, &found.request)?;
    let place = state.delivery_place(redeemer.client, requester(found))?;
    let limit = state.deliveries.decision_timeout.get();
    let turn = state.renders.turn(limit).await?;
    let reading_since = Instant::now();
    let mut decided = Box::pin(authorize::decide(state, found, &redeemer, reading_since)).await?;
    let file = render::make(state, turn, token, &found.request, &mut decided).await?;
    if reading_since.elapsed() > limit {
        return Err(too_slow());
    }
    let receipt = receipt::draft(state, &found.request, &decided, &file, &redeemer);
    audit::announce(state, reading_since, &receipt, &redeemer).await?;
    // From here on the client's going away must not stop us half-way: the receipt gets its outcome in any case.
    let (state_kept, namespace, found) = (Arc::clone(state), token.namespace().to_owned(), found.clone());
    let committing = async move {
        let receipt = receipt::commit(&state_kept, &namespace, receipt).await?;
        let Decided { certificate, basis, .. } = decided;
        // Dropped unsent, it is Aborted with 0 bytes.
        let delivery = Delivery::begin(Arc::clone(&state_kept), receipt, certificate, file, redeemer, place);
        second_look::of(&state_kept, &found, &basis).await?;
        Ok::<_, ServerError>(delivery)
    };
    let delivering = state.tasks.spawn(committing.in_current_span());
    let delivery = delivering.await.map_err(|_| ServerError::internal())??;
    Ok(stream::respond(delivery))
}

/// Finds the request of a token by one live GET, and remembers a token that is good.
///
/// For a namespace that is not served, the same is done elsewhere and thrown away, so that neither time nor trouble of the
/// API server tells it from one that is.
///
/// # Errors
/// [`ErrorCode::TokenUnknown`] where there is none.
pub async fn find(state: &ServerState, token: &Token, redeemer: &Redeemer) -> Result<Found, ServerError> {
    let hash = token.hash();
    admit(state, &hash, redeemer)?;
    let looked_at = Instant::now();
    let namespace = state.looked_up_in(token.namespace());
    let request = read(state, namespace, token.request()).await.map_err(of_api_error)?;
    let request = request.filter(|request| !names::is_guard_probe(request, state.guard.namespace()));
    let request = request.filter(|_| state.serves(token.namespace())).ok_or_else(no_request)?;
    let found = Found { request, hash };
    if present(&found, state.clients.clock().now()).is_ok() {
        state.tokens.saw(&found.hash, requester(&found), looked_at);
        if let Some(connection) = &redeemer.connection {
            connection.prove();
        }
    } else {
        state.tokens.forget(&found.hash);
    }
    Ok(found)
}

/// The request as etcd has it now.
async fn read(state: &ServerState, namespace: &str, name: &str) -> Result<Option<DownloadRequest>, ApiError> {
    let requests: Api<DownloadRequest> = Api::namespaced(state.clients.reads().clone(), namespace);
    requests.get_opt(name).await.during("read", || format!("DownloadRequest {namespace}/{name}"))
}

/// From whose budget the lookup is paid: of whose request a token is that was verified, of the person who comes
/// along with it, else of strangers.
fn admit(state: &ServerState, hash: &str, redeemer: &Redeemer) -> Result<(), ServerError> {
    if let Some(requester) = state.tokens.whose(hash, Instant::now()) {
        return state.rates.admit_holder(&requester);
    }
    match &redeemer.person {
        Some(person) => state.rates.admit_known(person),
        None => state.rates.admit_lookup(redeemer.client),
    }
}

/// Who asked for what is delivered.
fn requester(found: &Found) -> &str {
    found.request.requester()
}

/// The cheap check of the hash, before anything else is read.
///
/// # Errors
/// [`Refusal`] for any hash but that of the living token.
pub fn present(found: &Found, now: jiff::Timestamp) -> Result<(), Refusal> {
    lifecycle::present(&found.request, &found.hash, now)
}

/// What prevents using the token, as far as its request and the receipt say; nothing is consumed. Between the
/// delivery and the controller's next look only the receipt knows that the token was used.
///
/// # Errors
/// [`ErrorCode::TokenUnknown`] for a token of nothing, [`ErrorCode::Unavailable`] when the API server does not answer.
pub async fn look(
    state: &ServerState,
    found: &Found,
    now: jiff::Timestamp,
) -> Result<Option<ServerError>, ServerError> {
    if let Err(refusal) = present(found, now) {
        let explained = explain(state, found, refusal).await;
        return if explained.code() == ErrorCode::TokenUnknown { Err(explained) } else { Ok(Some(explained)) };
    }
    let namespace = found.request.key().namespace;
    let uid = found.request.uid_text();
    let receipt = receipts::of(state.clients.reads(), namespace, uid).await.map_err(of_api_error)?;
    Ok(receipt.as_ref().map(refusal::used))
}

/// A refusal in the words for the holder of the token. Of a used one they may know when, so that a theft is noticed.
async fn explain(state: &ServerState, found: &Found, refusal: Refusal) -> ServerError {
    if refusal != Refusal::TokenUsed {
        return refusal::of_lifecycle(&refusal);
    }
    let namespace = found.request.key().namespace;
    let uid = found.request.uid_text();
    match receipts::of(state.clients.reads(), namespace, uid).await {
        Ok(Some(receipt)) => refusal::used(&receipt),
        _ => refusal::of_lifecycle(&refusal),
    }
}

/// In the words of a token whose request is there, so that no one learns which requests exist.
#[must_use]
pub fn no_request() -> ServerError {
    ServerError::worded(ErrorCode::TokenUnknown, Refusal::TokenUnknown)
}

fn too_slow() -> ServerError {
    let words = "the facts behind this download became too old while it was prepared; \
                 nothing was delivered and the token is still valid: try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}
