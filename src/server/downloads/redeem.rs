//! A token becomes a file, once. The steps and their order are the design's §6; nothing before the receipt changes any
//! state, and the receipt is the only compare-and-set.
//!
//! Every fact is read live and nothing is remembered between two requests, so replicas need not know of each other.

mod audit;
mod authorize;
mod receipt;
mod refusal;
mod render;

use std::{sync::Arc, time::Instant};

use axum::response::Response;
use kube::Api;
use tracing::Instrument as _;

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
    cluster::{error::During as _, receipts},
    door::TokenOf,
    lifecycle::{self, Refusal},
    token::Token,
};

/// The request that a token belongs to, and since when that was known.
pub struct Found {
    /// As read from the API server.
    pub request: DownloadRequest,
    /// SHA-256 of the token.
    pub hash: String,
    /// Before it was read.
    pub looked_at: Instant,
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
    let mut decided = Box::pin(authorize::decide(state, found, &redeemer)).await?;
    let file = render::make(state, token, &found.request, &mut decided).await?;
    if found.looked_at.elapsed() > state.deliveries.decision_timeout.get() {
        return Err(too_slow());
    }
    let receipt = receipt::draft(state, &found.request, &decided, &file, &redeemer);
    audit::announce(state, found, &receipt, &redeemer).await?;
    // From here on the client's going away must not stop us half-way: the receipt gets its outcome in any case.
    let (state_kept, namespace) = (Arc::clone(state), token.namespace().to_owned());
    let committing = async move {
        let receipt = receipt::commit(&state_kept, &namespace, receipt).await?;
        Ok::<_, ServerError>(Delivery::begin(state_kept, receipt, decided.certificate, file, redeemer, place))
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
    let requests: Api<DownloadRequest> = Api::namespaced(state.clients.reads().clone(), namespace);
    let request = requests
        .get_opt(token.request())
        .await
        .during("read", || format!("DownloadRequest {namespace}/{}", token.request()))
        .map_err(of_api_error)?;
    let request = request.filter(|request| !names::is_guard_probe(request, state.guard.namespace()));
    let request = request.filter(|_| state.serves(token.namespace())).ok_or_else(no_request)?;
    let found = Found { request, hash, looked_at };
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
    lifecycle::present(&found.request, &found.hash, now)?;
    if found.request.metadata.deletion_timestamp.is_some() {
        return Err(Refusal::TokenRevoked("Deleted".to_owned(), TokenOf::of(&found.request)));
    }
    Ok(())
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
