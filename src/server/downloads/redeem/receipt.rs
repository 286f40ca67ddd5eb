//! The receipt: written before the first byte is sent; creating it is the only thing that decides who delivers.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Redeemer, authorize::Decided, refusal, render};
use crate::server::{
    http::{
        error::{ErrorCode, ServerError},
        refusal::{SOON, of_api_error, of_ending_namespace},
    },
    state::ServerState,
};
use crate::{
    api::{
        Artifact, CertificateReference, DownloadReceipt, DownloadReceiptSpec, DownloadRequest, Format, RequestReference,
    },
    cluster::{
        error::Failure,
        receipts::{self, Created},
        settle::{self, Patience},
    },
    hex,
};

/// The longest User-Agent that is kept.
const LONGEST_USER_AGENT: usize = 256;

/// How long to wait before reading again what became of a receipt.
pub const READ_AGAIN: Duration = Duration::from_millis(100);

/// The receipt to be created: what is delivered, to whom, with which approvals.
pub fn draft(
    state: &ServerState,
    request: &DownloadRequest,
    decided: &Decided,
    file: &certcourier_bundle::Artifact,
    redeemer: &Redeemer,
) -> DownloadReceipt {
    let now = state.clients.clock().now();
    let spec = &request.spec;
    let uid = request.metadata.uid.clone().unwrap_or_default();
    let status = request.status.clone().unwrap_or_default();
    let token = status.token.as_ref();
    let retention = decided.grant.effective.receipt_retention.value.get();
    let mut receipt = DownloadReceipt::new(
        &receipts::name_of(&uid),
        DownloadReceiptSpec {
            request_ref: RequestReference { name: request.metadata.name.clone().unwrap_or_default(), uid },
            certificate_ref: CertificateReference { name: spec.certificate_ref.name.clone() },
            environment: (spec.format != Format::DerZip).then(|| decided.environments.first().cloned()).flatten(),
            format: spec.format,
            profile: render::profile(request),
            reason: spec.reason.clone(),
            requested_by: spec.requested_by.clone(),
            approvals: decided.approvals.clone(),
            review_digest: status.review.as_ref().map(|review| review.digest.clone()),
            policies: decided.grant.effective.policy_names(),
            consumed_by: decided.consumed_by.clone(),
            client_ip: Some(redeemer.client.to_string()),
            user_agent: redeemer.user_agent.as_deref().map(printable),
            attempt_id: Uuid::new_v4().to_string(),
            artifact: Artifact {
                sha256: hex::encode(&Sha256::digest(&*file.bytes)),
                bytes: i64::try_from(file.bytes.len()).unwrap_or(i64::MAX),
            },
            fingerprints: decided.fingerprints.clone(),
            token_issued_at: token.and_then(|token| token.issued_at.clone()),
            token_expires_at: token.and_then(|token| token.expires_at.clone()),
            consumed_at: Time(now),
            retain_until: Time(now.saturating_add(retention).unwrap_or(jiff::Timestamp::MAX)),
            cluster: state.cluster_name.clone(),
        },
    );
    receipt.metadata.namespace.clone_from(&request.metadata.namespace);
    receipt
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~')).take(LONGEST_USER_AGENT).collect()
}

/// Creates the receipt, once. No byte is sent without an answer that it is ours.
///
/// # Errors
/// [`ErrorCode::TokenUsed`] when it is another's, [`ErrorCode::Unavailable`] when that cannot be found out in time.
pub async fn commit(
    state: &ServerState,
    namespace: &str,
    receipt: DownloadReceipt,
) -> Result<DownloadReceipt, ServerError> {
    match receipts::create(state.clients.writes(), namespace, &receipt).await {
        Ok(Created::New(ours)) => Ok(*ours),
        Ok(Created::Exists) => settle(state, namespace, &receipt).await,
        // No answer, or one of a server in trouble: it may have been created anyway.
        Err(error) if error.failure() == Failure::Unavailable => {
            settle(state, namespace, &receipt).await.map_err(|refusal| match refusal.code() {
                ErrorCode::Unavailable => refusal.caused_by(error),
                _ => refusal,
            })
        }
        Err(error) if error.ending_namespace().is_some() => Err(of_ending_namespace(error)),
        Err(error) => Err(of_api_error(error)),
    }
}

/// Reads until it is known whose the receipt is.
async fn settle(
    state: &ServerState,
    namespace: &str,
    receipt: &DownloadReceipt,
) -> Result<DownloadReceipt, ServerError> {
    let (reads, uid) = (state.clients.reads(), &receipt.spec.request_ref.uid);
    let patience = Patience { limit: state.deliveries.receipt_timeout.get(), pause: READ_AGAIN };
    let found = settle::read_until(patience, || receipts::of(reads, namespace, uid), settle::once_there).await;
    let found = found.ok_or_else(unknown)?;
    if found.spec.attempt_id == receipt.spec.attempt_id { Ok(found) } else { Err(refusal::used(&found)) }
}

fn unknown() -> ServerError {
    let words = "whether this download began is not known, because the API server does not answer; nothing was sent. \
                 Ask …/status: if the token was used, create another DownloadRequest";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_kept_printable_and_short() {
        assert_eq!(printable("curl/8.1\u{1b}[31m\n"), "curl/8.1[31m");
        assert_eq!(printable(&"ü".repeat(300)), "");
        assert_eq!(printable(&"a".repeat(300)).len(), 256);
    }
}
