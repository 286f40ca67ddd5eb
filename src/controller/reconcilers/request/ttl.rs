//! Finished requests that are due for deletion: their time is over, or their requester has too many.

use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Preconditions},
};

use super::{View, current};
use crate::controller::{
    context::Context,
    watch::{
        reconcile::{Again, PassError},
        stores::Stores,
    },
};
use crate::{
    api::DownloadRequest,
    cluster::{
        error::{During as _, Failure},
        policies,
    },
    lifecycle::{self, Retention},
    policy::{NamedPolicy, merge},
};

/// Deletes the request if its time is over, else says when that will be.
pub(crate) async fn reconcile(
    context: &Context,
    stores: &Stores,
    cached: &DownloadRequest,
    view: &View,
    now: Timestamp,
) -> Result<Again, PassError> {
    let environments = environments(cached, view);
    let most = context.intervals.max_finished_requests;
    let due = |request: &DownloadRequest, policies: &[NamedPolicy]| {
        if stores.finished.is_beyond(request, most) {
            return Some(now);
        }
        let environments: Vec<&str> = environments.iter().map(String::as_str).collect();
        let effective = merge(policies, &request.spec.certificate_ref.name, &environments);
        let retention = Retention {
            by_policy: effective.finished_request_ttl.value,
            made_by_api: context.intervals.api_request_ttl.get(),
        };
        lifecycle::request_expiry(request, retention)
    };
    match due(cached, &view.known().policies) {
        None => return Ok(Again::OnChange),
        Some(moment) if moment > now => return Ok(Again::At(moment)),
        Some(_) => {}
    }
    // A deletion is final: what it is based on is read again.
    let Some(request) = current(context, cached).await? else { return Ok(Again::OnChange) };
    let namespace = request.namespace().unwrap_or_default();
    let policies = policies::live(context.clients.reads(), &namespace, context.cluster_policy.as_ref()).await?;
    if request.metadata.deletion_timestamp.is_some() {
        return Ok(Again::OnChange);
    }
    match due(&request, &policies) {
        Some(moment) if moment <= now => delete(context, &request).await,
        Some(moment) => Ok(Again::At(moment)),
        None => Ok(Again::OnChange),
    }
}

async fn delete(context: &Context, request: &DownloadRequest) -> Result<Again, PassError> {
    let (namespace, name) = (request.namespace().unwrap_or_default(), request.name_any());
    let same = Preconditions { uid: request.uid(), resource_version: request.resource_version() };
    let api: Api<DownloadRequest> = Api::namespaced(context.clients.writes().clone(), &namespace);
    let deleted = api
        .delete(&name, &DeleteParams::default().preconditions(same))
        .await
        .during("delete", || format!("DownloadRequest {namespace}/{name}"));
    match deleted {
        Err(error) if !matches!(error.failure(), Failure::NotFound | Failure::Conflict) => Err(error.into()),
        _ => {
            tracing::info!(
                request.namespace = namespace,
                request.name = name,
                "finished DownloadRequest `{name}` deleted"
            );
            Ok(Again::OnChange)
        }
    }
}

/// The environments of the file, as far as they are still known.
fn environments(request: &DownloadRequest, view: &View) -> Vec<String> {
    let spec = &request.spec;
    match (&view.known().certificate, spec.format) {
        (Some(certificate), crate::api::Format::DerZip) => {
            certificate.spec.environments.iter().map(|environment| environment.name.clone()).collect()
        }
        (Some(certificate), _) => certificate
            .spec
            .environment(spec.environment.as_deref())
            .map_or_else(|| spec.environment.iter().cloned().collect(), |environment| vec![environment.name.clone()]),
        (None, _) => spec.environment.iter().cloned().collect(),
    }
}
