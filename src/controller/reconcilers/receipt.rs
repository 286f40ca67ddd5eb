//! DownloadReceipts: an outcome for deliveries that no server reported the end of, and deletion when their time is over.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt as _};

use crate::controller::{
    context::Context,
    watch::reconcile::{AFTER_CONFLICT, Again, PassError},
};
use crate::{
    api::{DownloadReceipt, DownloadReceiptStatus, DownloadRequest, Outcome},
    audit,
    cluster::{error::During as _, receipts, status::Written},
    lifecycle,
};

/// A receipt that is due, but whose request is not finished, is reconciled again after this time.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// Writes outcome Unknown where no one reports one, and deletes what is due.
pub(crate) async fn reconcile(context: &Context, cached: &DownloadReceipt) -> Result<Again, PassError> {
    if cached.metadata.deletion_timestamp.is_some() {
        return Ok(Again::OnChange);
    }
    let now = context.clients.clock().second();
    if let Some(overdue) = lifecycle::outcome_overdue(cached, context.intervals.outcome_wait.get()) {
        if overdue > now {
            return Ok(Again::At(overdue));
        }
        let unknown =
            DownloadReceiptStatus { outcome: Some(Outcome::Unknown), bytes_sent: None, finished_at: Some(Time(now)) };
        // Written onto the version that was read: a server that reports at last wins.
        return match receipts::record_outcome(context.clients.writes(), cached, unknown).await? {
            Written::Done(_) => {
                context.counters.outcomes_unknown.inc();
                context.audit.tell(&audit::delivery::downloaded(cached, Outcome::Unknown, None, None, now));
                Ok(Again::OnChange)
            }
            Written::Conflict => Ok(Again::In(AFTER_CONFLICT)),
        };
    }
    let retained = cached.spec.retain_until.0;
    if retained > now {
        return Ok(Again::At(retained));
    }
    let request = request_of(context, cached).await?;
    match lifecycle::receipt_expiry(cached, request.as_ref()) {
        Some(moment) if moment <= now => {
            receipts::delete(context.clients.writes(), cached).await?;
            Ok(Again::OnChange)
        }
        Some(moment) => Ok(Again::At(moment)),
        None => Ok(Again::In(PATIENCE)),
    }
}

async fn request_of(context: &Context, receipt: &DownloadReceipt) -> Result<Option<DownloadRequest>, PassError> {
    let (namespace, name) = (receipt.namespace().unwrap_or_default(), &receipt.spec.request_ref.name);
    let api: Api<DownloadRequest> = Api::namespaced(context.clients.reads().clone(), &namespace);
    Ok(api.get_opt(name).await.during("read", || format!("DownloadRequest {namespace}/{name}"))?)
}
