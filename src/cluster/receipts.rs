//! The receipt of a request: its name, and the three things that are ever done with it.
//!
//! The name is made from the request's uid, so one request has at most one receipt, no matter who tries to create it
//! and how often. That `create` is the only compare-and-set of a delivery.

use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, PostParams, Preconditions},
};
use sha2::{Digest as _, Sha256};

use super::{
    error::{ApiError, During as _, Failure},
    status::{self, Written},
};
use crate::{
    api::{DownloadReceipt, DownloadReceiptStatus},
    hex,
};

/// 160 bits of the hash: enough that no one makes two uids meet, short enough to be read.
const HASH_BYTES: usize = 20;

/// The name of the receipt of the request with this uid.
#[must_use]
pub fn name_of(request_uid: &str) -> String {
    format!("r-{}", hex::encode(&Sha256::digest(request_uid.as_bytes())[..HASH_BYTES]))
}

/// How the creation of a receipt ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Created {
    /// It is ours.
    New(Box<DownloadReceipt>),
    /// There is one already; whose, only reading it tells.
    Exists,
}

/// The receipt of the request with this uid, read from the API server.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn of(client: &Client, namespace: &str, request_uid: &str) -> Result<Option<DownloadReceipt>, ApiError> {
    let name = name_of(request_uid);
    Api::namespaced(client.clone(), namespace)
        .get_opt(&name)
        .await
        .during("read", || format!("DownloadReceipt {namespace}/{name}"))
}

/// Creates a receipt. `client` must be one that never retries by itself.
///
/// # Errors
/// [`ApiError`]; unless the API server refused, the receipt may have been created anyway.
pub async fn create(client: &Client, namespace: &str, receipt: &DownloadReceipt) -> Result<Created, ApiError> {
    let result = Api::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), receipt)
        .await
        .during("create", || format!("DownloadReceipt {namespace}/{}", receipt.name_any()));
    match result {
        Ok(receipt) => Ok(Created::New(Box::new(receipt))),
        Err(error) if error.failure() == Failure::Conflict => Ok(Created::Exists),
        Err(error) => Err(error),
    }
}

/// Writes the outcome into a receipt that has none; the first one to write wins.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn record_outcome(
    client: &Client,
    receipt: &DownloadReceipt,
    outcome: DownloadReceiptStatus,
) -> Result<Written<DownloadReceipt>, ApiError> {
    if receipt.status.as_ref().is_some_and(|status| status.outcome.is_some()) {
        return Ok(Written::Conflict);
    }
    status::write(client, &DownloadReceipt { status: Some(outcome), ..receipt.clone() }).await
}

/// Deletes a receipt if it is still the same; whether it was there.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn delete(client: &Client, receipt: &DownloadReceipt) -> Result<bool, ApiError> {
    let (namespace, name) = (receipt.namespace().unwrap_or_default(), receipt.name_any());
    let same = Preconditions { uid: receipt.uid(), resource_version: receipt.resource_version() };
    let api: Api<DownloadReceipt> = Api::namespaced(client.clone(), &namespace);
    let result = api
        .delete(&name, &DeleteParams::default().preconditions(same))
        .await
        .during("delete", || format!("DownloadReceipt {namespace}/{name}"));
    match result {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.failure(), Failure::NotFound | Failure::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_named_after_its_request_alone() {
        let name = name_of("6b0c1d0e-7a51-4f0e-9f0c-0c1d0e7a514f");
        assert_eq!(name, name_of("6b0c1d0e-7a51-4f0e-9f0c-0c1d0e7a514f"));
        assert_ne!(name, name_of("6b0c1d0e-7a51-4f0e-9f0c-0c1d0e7a514e"));
        assert_eq!(name.len(), 42);
        assert!(name.starts_with("r-") && name[2..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }

    #[test]
    fn the_name_does_not_change_from_release_to_release() {
        // printf uid | sha256sum | cut -c-40
        assert_eq!(name_of("uid"), "r-17b788a70eeccbdc2fcb2d2d3db216c02fa88ac6");
    }
}
