//! Between the receipt and the first byte the request is read again, so that etcd decides which came first: what was
//! denied, revoked, closed or deleted before the receipt was created delivers nothing.
//!
//! Certificate, policies, rights and the guard are not read again: they were read in the turn in which the file was made,
//! `--decision-timeout` ago at most. No answer tells people that a change of these was in time, as that of a denial does.

use super::{Found, authorize::Basis, read, receipt::READ_AGAIN, refusal};
use crate::{
    cluster::settle::{self, Patience, Settling},
    server::{http::error::ServerError, state::ServerState},
};

/// Looks again, for as long as a receipt is looked for.
///
/// # Errors
/// [`ServerError`] when nothing may be sent, also because the request cannot be read.
pub async fn of(state: &ServerState, found: &Found, basis: &Basis) -> Result<(), ServerError> {
    let (namespace, name) = (found.request.key().namespace, found.request.key().name);
    let patience = Patience { limit: state.deliveries.receipt_timeout.get(), pause: READ_AGAIN };
    let again = settle::read_until(patience, || read(state, namespace, name), Settling::Settled).await;
    let again = again.ok_or_else(refusal::unread)?;
    basis.stands(found, again.as_ref()).map_err(|refusal| refusal::stopped(&refusal))
}
