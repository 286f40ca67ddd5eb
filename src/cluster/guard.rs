//! The guard's calls: admission objects and CRDs as they are, the probes, and the record of what was found.
//!
//! Decides nothing: [`crate::guard`] does. The controller probes and writes, servers only look.

use std::fmt::Debug;

use futures::future::{join_all, try_join_all};
use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    access,
    client::Clients,
    error::{ApiError, During as _, Failure, in_one_line},
    status::Written,
};
use crate::{
    admission::{
        Identity,
        probe::{self, Probe},
    },
    api::{
        DownloadRequest, Requester,
        names::{CRDS, GUARD},
    },
    guard::{Evidence, Kind, Live, LiveObject, Outcome, Record},
};

/// Who we are, as the API server says. Everyone may ask.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn own_user(client: &Client) -> Result<Requester, ApiError> {
    access::who(client).await.during("review", || "who the operator is".to_owned())
}

/// The policies, bindings and CRDs as they are now, and whatever else mutates; never out of a cache.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn live(client: &Client) -> Result<Live, ApiError> {
    let (policies, bindings, stamps, stamp_bindings, webhooks, crds) = tokio::try_join!(
        list(client, Kind::Policy),
        list(client, Kind::Binding),
        list(client, Kind::Stamp),
        list(client, Kind::StampBinding),
        list(client, Kind::Webhooks),
        try_join_all(CRDS.map(|name| get(client, Kind::Crd, name)))
    )?;
    let listed = [policies, bindings, stamps, stamp_bindings, webhooks].into_iter().flatten();
    Ok(Live::of(listed.chain(crds.into_iter().flatten())))
}

pub(super) fn resource(kind: Kind, version: &str) -> ApiResource {
    ApiResource {
        group: kind.group().to_owned(),
        version: version.to_owned(),
        api_version: format!("{}/{version}", kind.group()),
        kind: kind.name().to_owned(),
        plural: kind.plural().to_owned(),
    }
}

pub(super) const fn versions(kind: Kind) -> &'static [&'static str] {
    if kind.is_optional() { &["v1", "v1beta1", "v1alpha1"] } else { &["v1"] }
}

/// Kubernetes before 1.36 serves some kinds only as a beta, an alpha, or not at all. What is served mutates.
async fn list(client: &Client, kind: Kind) -> Result<Vec<LiveObject>, ApiError> {
    for version in versions(kind) {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind, version));
        match api.list(&ListParams::default()).await.during("list", || kind.plural().to_owned()) {
            Ok(found) => return Ok(found.items.into_iter().map(|object| as_seen(kind, object)).collect()),
            Err(error) if kind.is_optional() && error.failure() == Failure::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Vec::new())
}

async fn get(client: &Client, kind: Kind, name: &str) -> Result<Option<LiveObject>, ApiError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind, "v1"));
    let found = api.get_opt(name).await.during("read", || format!("{kind} {name}"))?;
    Ok(found.map(|object| as_seen(kind, object)))
}

pub(super) fn as_seen(kind: Kind, mut object: DynamicObject) -> LiveObject {
    LiveObject {
        kind,
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        spec: object.data.get_mut(kind.content()).map(Value::take).unwrap_or_default(),
    }
}

/// The record as it is stored, and the object that holds it.
pub struct Stored {
    /// What it is worth.
    pub evidence: Evidence,
    config_map: ConfigMap,
}

/// Reads the record. `None`: there is none.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn stored(client: &Client, namespace: &str) -> Result<Option<Stored>, ApiError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(GUARD).await.during("read", || format!("ConfigMap {namespace}/{GUARD}"))?;
    Ok(found.map(|config_map| {
        let record = config_map.data.as_ref().and_then(Record::read);
        let resource_version = config_map.resource_version().unwrap_or_default();
        Stored { evidence: Evidence { record, resource_version }, config_map }
    }))
}

/// Writes the record over the very version that was read, or where there was none.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer; then it may be written or not.
pub async fn write(
    client: &Client,
    namespace: &str,
    record: &Record,
    read: Option<&Stored>,
) -> Result<Written<ConfigMap>, ApiError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let object = || format!("ConfigMap {namespace}/{GUARD}");
    let result = if let Some(Stored { config_map, .. }) = read {
        let changed = ConfigMap { data: Some(record.data()), binary_data: None, ..config_map.clone() };
        api.replace(GUARD, &PostParams::default(), &changed).await.during("write", object)
    } else {
        let metadata = ObjectMeta {
            name: Some(GUARD.to_owned()),
            labels: Some([("app.kubernetes.io/name".to_owned(), "certcourier".to_owned())].into()),
            ..ObjectMeta::default()
        };
        let new = ConfigMap { metadata, data: Some(record.data()), ..ConfigMap::default() };
        api.create(&PostParams::default(), &new).await.during("create", object)
    };
    match result {
        Ok(written) => Ok(Written::Done(written)),
        Err(error) if matches!(error.failure(), Failure::Conflict | Failure::NotFound) => Ok(Written::Conflict),
        Err(error) => Err(error),
    }
}

/// Sends every probe once, side by side: what became of each.
pub async fn probe(clients: &Clients, identity: &Identity, own: &Requester) -> Vec<(&'static str, Outcome)> {
    let probes = probe::probes(identity);
    let probing = probes
        .iter()
        .map(|probe| async move { (probe.policy(), Box::pin(send(clients, identity.namespace(), own, probe)).await) });
    join_all(probing).await
}

async fn send(clients: &Clients, namespace: &str, own: &Requester, probe: &Probe) -> Outcome {
    let client = clients.writes();
    let answer = match probe {
        Probe::Request(object) => create(client, namespace, object.as_ref()).await,
        Probe::Receipt(object) => create(client, namespace, object.as_ref()).await,
        Probe::Certificate(object) => create(client, namespace, object.as_ref()).await,
        Probe::Token(object) | Probe::OperatorSecret(object) => create(client, namespace, object.as_ref()).await,
        Probe::GuardState(object) => create(client, namespace, object.as_ref()).await,
        Probe::TokenReader(object) => create(client, namespace, object.as_ref()).await,
        Probe::Votes => match probed_request(client, namespace, own).await {
            Ok(request) => update_status(clients, namespace, request).await,
            Err(error) => Err(error),
        },
    };
    match answer {
        Ok(()) => Outcome::Accepted,
        Err(kube::Error::Api(status)) => Outcome::of_status(probe.policy(), status.code, &status.message),
        Err(error) => Outcome::NoAnswer { cause: in_one_line(&error) },
    }
}

const fn dry_run() -> PostParams {
    PostParams { dry_run: true, field_manager: None }
}

async fn create<K>(client: &Client, namespace: &str, object: &K) -> Result<(), kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    Api::namespaced(client.clone(), namespace).create(&dry_run(), object).await.map(drop)
}

/// The request that the policy of votes is probed on, made where it is missing.
async fn probed_request(client: &Client, namespace: &str, own: &Requester) -> Result<DownloadRequest, kube::Error> {
    let api: Api<DownloadRequest> = Api::namespaced(client.clone(), namespace);
    match api.get_opt(GUARD).await? {
        Some(request) => Ok(request),
        None => api.create(&PostParams::default(), &probe::request(namespace, Some(own.clone()))).await,
    }
}

async fn update_status(clients: &Clients, namespace: &str, request: DownloadRequest) -> Result<(), kube::Error> {
    let api: Api<DownloadRequest> = Api::namespaced(clients.writes().clone(), namespace);
    let probing = probe::under_probe(request, Time(clients.clock().second()));
    api.replace_status(GUARD, &dry_run(), &probing).await.map(drop)
}
