//! Finished requests that are due for deletion: their time is over, or their requester has too many.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Preconditions},
    runtime::reflector::ObjectRef,
};

use super::{
    advance,
    observe::{certificate_of, known_policies},
};
use crate::controller::{
    archive::KeptRequest,
    context::Context,
    watch::{
        reconcile::{Again, PassError},
        stores::Stores,
    },
};
use crate::{
    api::{Certificate, DownloadRequest, FinishedRequestTtl, Format},
    cluster::{
        error::{During as _, Failure},
        policies,
    },
    lifecycle::{self, Retention},
    policy::{NamedPolicy, merge},
};

/// What the watches know of how long finished requests stay; for one pass over all of them.
pub(crate) struct Terms<'a> {
    context: &'a Context,
    stores: &'a Stores,
    /// `None`: a policy there cannot be read, and then nothing goes.
    policies: HashMap<Arc<str>, Option<Vec<NamedPolicy>>>,
    by_policy: HashMap<Of, Option<FinishedRequestTtl>>,
}

/// Namespace, certificate, environment, and whether the file holds all environments.
type Of = (Arc<str>, Arc<str>, Option<Arc<str>>, bool);

impl<'a> Terms<'a> {
    pub(crate) fn new(context: &'a Context, stores: &'a Stores) -> Self {
        Self { context, stores, policies: HashMap::new(), by_policy: HashMap::new() }
    }

    /// When a request is due. `None`: it stays for now.
    pub(crate) fn due(&mut self, namespace: &Arc<str>, request: &KeptRequest) -> Option<Timestamp> {
        let (context, stores) = (self.context, self.stores);
        let policies = self
            .policies
            .entry(Arc::clone(namespace))
            .or_insert_with(|| known_policies(context, stores, namespace).ok());
        let policies = policies.as_ref()?;
        let all = request.format == Format::DerZip;
        let of = (Arc::clone(namespace), Arc::clone(&request.certificate), request.environment.clone(), all);
        let by_policy = *self.by_policy.entry(of).or_insert_with(|| {
            let certificate = stores.certificates.get(&ObjectRef::new(&request.certificate).within(namespace));
            let certificate = certificate.as_ref().and_then(|certificate| certificate.0.as_ref().ok());
            ttl(policies, &request.certificate, &environments(certificate, request.environment.as_deref(), all))
        });
        lifecycle::expiry(request.finished, request.by_api, retention(context, by_policy))
    }
}

fn retention(context: &Context, by_policy: Option<FinishedRequestTtl>) -> Retention {
    Retention { by_policy, made_by_api: context.intervals.api_request_ttl.get() }
}

fn ttl(policies: &[NamedPolicy], certificate: &str, environments: &[String]) -> Option<FinishedRequestTtl> {
    let environments: Vec<&str> = environments.iter().map(String::as_str).collect();
    merge(policies, certificate, &environments).finished_request_ttl.value
}

/// The environments of the file, as far as they are still known.
fn environments(certificate: Option<&Certificate>, asked: Option<&str>, all: bool) -> Vec<String> {
    let name = |environment: &crate::api::Environment| environment.name.clone();
    let asked_for = || asked.iter().map(|&name| name.to_owned()).collect();
    match certificate {
        Some(certificate) if all => certificate.spec.environments.iter().map(name).collect(),
        Some(certificate) => {
            certificate.spec.environment(asked).map_or_else(asked_for, |environment| vec![name(environment)])
        }
        None => asked_for(),
    }
}

/// Deletes a finished request if the API server says too that it is due. What is not there, or not finished, is forgotten
/// by the archive.
pub(crate) async fn delete_if_due(
    context: &Context,
    stores: &Stores,
    namespace: &str,
    name: &str,
) -> Result<(), PassError> {
    let Some(request) = living(context, stores, namespace, name).await? else { return Ok(()) };
    let policies = policies::live_together(&context.clients, namespace, context.cluster_policy.as_ref()).await?;
    let (spec, all) = (&request.spec, request.spec.format == Format::DerZip);
    let certificate = certificate_of(stores, &request);
    let environments = environments(certificate.as_ref(), spec.environment.as_deref(), all);
    let by_policy = ttl(&policies, &spec.certificate_ref.name, &environments);
    let due = lifecycle::request_expiry(&request, retention(context, by_policy));
    let now = context.clients.clock().second();
    if due.is_some_and(|due| due <= now) || stores.archive.is_beyond(&request, context.intervals.max_finished_requests)
    {
        delete(context, &request).await?;
    }
    Ok(())
}

/// Looks at a finished request again, because of its receipt.
pub(crate) async fn attend(context: &Context, stores: &Stores, namespace: &str, name: &str) -> Result<(), PassError> {
    if let Some(request) = living(context, stores, namespace, name).await? {
        Box::pin(advance(context, stores, &request)).await?;
    }
    Ok(())
}

/// A finished request as the API server has it.
async fn living(
    context: &Context,
    stores: &Stores,
    namespace: &str,
    name: &str,
) -> Result<Option<DownloadRequest>, PassError> {
    let api: Api<DownloadRequest> = Api::namespaced(context.clients.reads().clone(), namespace);
    let found = api.get_opt(name).await.during("read", || format!("DownloadRequest {namespace}/{name}"))?;
    let finished = found.filter(|found| lifecycle::finished_at(found).is_some());
    if finished.is_none() {
        stores.archive.forget_request(namespace, name);
    }
    Ok(finished.filter(|request| request.metadata.deletion_timestamp.is_none()))
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
