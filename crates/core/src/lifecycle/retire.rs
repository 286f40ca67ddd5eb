//! When finished things go: requests, receipts, and deliveries no one reported the end of.

use jiff::Timestamp;

use super::draft::after;
use crate::api::{DownloadReceipt, DownloadRequest, Duration, FinishedRequestTtl, names, words::ConditionType};

/// How long finished requests stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What the policies say (`finishedRequestTTL`); `None`: nothing.
    pub by_policy: Option<FinishedRequestTtl>,
    /// For requests that the HTTP API made, where no policy says.
    pub made_by_api: std::time::Duration,
}

/// For other requests, where no policy says.
pub const DEFAULT_FINISHED_TTL: Duration = Duration::from_seconds(720 * 3600);

/// When a finished request is due for deletion. `None`: it is open, or it stays.
#[must_use]
pub fn request_expiry(request: &DownloadRequest, retention: Retention) -> Option<Timestamp> {
    let finished = finished_at(request)?;
    let by_api = request
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(names::CREATED_BY))
        .is_some_and(|value| value == names::CREATED_BY_API);
    expiry(finished, by_api, retention)
}

/// The same of one that finished then. `by_api`: whether the HTTP API made it.
#[must_use]
pub fn expiry(finished: Timestamp, by_api: bool, retention: Retention) -> Option<Timestamp> {
    let stay = match retention.by_policy {
        Some(FinishedRequestTtl::Never) => return None,
        Some(FinishedRequestTtl::For(time)) => time.get(),
        None if by_api => retention.made_by_api,
        None => DEFAULT_FINISHED_TTL.get(),
    };
    Some(after(finished, stay))
}

/// When a receipt is due for deletion: not before its retention is over, and not while its request is still open.
/// `None`: it stays for now.
#[must_use]
pub fn receipt_expiry(receipt: &DownloadReceipt, request: Option<&DownloadRequest>) -> Option<Timestamp> {
    let same = request.filter(|request| request.metadata.uid.as_deref() == Some(receipt.spec.request_ref.uid.as_str()));
    match same {
        Some(request) if finished_at(request).is_none() => None,
        _ => Some(receipt.spec.retain_until.0),
    }
}

/// When the outcome of a delivery becomes Unknown, because no server reported it. `None`: it was reported.
#[must_use]
pub fn outcome_overdue(receipt: &DownloadReceipt, patience: std::time::Duration) -> Option<Timestamp> {
    match receipt.status.as_ref().and_then(|status| status.outcome) {
        Some(_) => None,
        None => Some(after(receipt.spec.consumed_at.0, patience)),
    }
}

/// When the request was finished. `None`: it is not, and a delivery under way is not.
#[must_use]
pub fn finished_at(request: &DownloadRequest) -> Option<Timestamp> {
    request.status.as_ref()?.condition_true(ConditionType::Finished).map(|condition| condition.last_transition_time.0)
}
