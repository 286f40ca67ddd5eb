//! DownloadReceipts: an outcome for deliveries that no server reported the end of, and deletion when their time is over.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt as _};

use crate::controller::{
    context::Context,
    watch::{
        reconcile::{AFTER_CONFLICT, Again, PassError},
        stores::Stores,
    },
};
use crate::{
    api::{DownloadReceipt, DownloadReceiptStatus, DownloadRequest, Outcome},
    audit,
    cluster::{error::During as _, receipts, status::Written},
    lifecycle,
};

/// Writes outcome Unknown where no one reports one. What has an outcome goes into the archive until it is due.
pub(crate) async fn reconcile(
    context: &Context,
    stores: &Stores,
    cached: &DownloadReceipt,
) -> Result<Again, PassError> {
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
    stores.over.receipt(cached);
    Ok(Again::OnChange)
}

/// Deletes a receipt whose time is over, unless its request is still open.
pub(crate) async fn delete_if_due(
    context: &Context,
    stores: &Stores,
    namespace: &str,
    name: &str,
) -> Result<(), PassError> {
    let api: Api<DownloadReceipt> = Api::namespaced(context.clients.reads().clone(), namespace);
    let found = api.get_opt(name).await.during("read", || format!("DownloadReceipt {namespace}/{name}"))?;
    let Some(receipt) = found.filter(|found| found.metadata.deletion_timestamp.is_none()) else {
        stores.archive.forget_receipt(namespace, name);
        return Ok(());
    };
    let request = request_of(context, &receipt).await?;
    let due = lifecycle::receipt_expiry(&receipt, request.as_ref());
    if due.is_some_and(|due| due <= context.clients.clock().second()) {
        receipts::delete(context.clients.writes(), &receipt).await?;
    }
    Ok(())
}

async fn request_of(context: &Context, receipt: &DownloadReceipt) -> Result<Option<DownloadRequest>, PassError> {
    let (namespace, name) = (receipt.namespace().unwrap_or_default(), &receipt.spec.request_ref.name);
    let api: Api<DownloadRequest> = Api::namespaced(context.clients.reads().clone(), &namespace);
    Ok(api.get_opt(name).await.during("read", || format!("DownloadRequest {namespace}/{name}"))?)
}
