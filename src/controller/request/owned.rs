//! The objects that hold a token and let the requester read it: Secret, Role and RoleBinding of the same name.
//!
//! What bears the name but not our label and this request's uid is somebody else's, and is never touched.

use std::{collections::BTreeMap, fmt::Debug};

use ::kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, Preconditions},
    core::{NamespaceResourceScope, PartialObjectMeta},
};
use k8s_openapi::{
    api::{
        core::v1::Secret,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use serde::de::DeserializeOwned;

use super::super::context::Context;
use crate::{
    api::{DownloadRequest, names},
    kube::error::{ApiError, During as _, Failure},
};

/// What makes an object this request's. It does not hold up the deletion of the request.
pub(super) fn owner(request: &DownloadRequest) -> OwnerReference {
    OwnerReference {
        api_version: DownloadRequest::api_version(&()).into_owned(),
        kind: DownloadRequest::kind(&()).into_owned(),
        name: request.name_any(),
        uid: request.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// The labels of everything that belongs to the token of this generation.
pub(super) fn labels(generation: i64) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::TOKEN.to_owned(), generation.to_string()),
        (names::VELERO_EXCLUDE.to_owned(), "true".to_owned()),
    ])
}

/// Whether an object is this request's.
pub(super) fn is_ours(metadata: &ObjectMeta, request: &DownloadRequest) -> bool {
    let labelled = metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(names::TOKEN));
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    labelled && owners.iter().any(|owner| Some(&owner.uid) == request.metadata.uid.as_ref())
}

/// The generation in an object's label.
pub(super) fn generation(metadata: &ObjectMeta) -> Option<i64> {
    metadata.labels.as_ref()?.get(names::TOKEN)?.parse().ok()
}

/// Removes the Secret, Role and RoleBinding of a request, unless the Secret holds the token of generation `keep`.
pub(super) async fn sweep(context: &Context, request: &DownloadRequest, keep: Option<i64>) -> Result<(), ApiError> {
    let (reads, writes) = (context.clients.reads(), context.clients.writes());
    if keep.is_some() {
        let secret = find::<Secret>(reads, request).await?;
        if secret.is_some_and(|secret| is_ours(&secret.metadata, request) && generation(&secret.metadata) == keep) {
            return Ok(());
        }
    }
    let (secret, role, binding) = tokio::join!(
        remove::<Secret>(reads, writes, request),
        remove::<Role>(reads, writes, request),
        remove::<RoleBinding>(reads, writes, request),
    );
    secret.and(binding).and(role)
}

/// Who bears the name, without content.
async fn find<K>(client: &Client, request: &DownloadRequest) -> Result<Option<PartialObjectMeta<K>>, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let (namespace, name) = (request.namespace().unwrap_or_default(), names::token_secret(&request.name_any()));
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    api.get_metadata_opt(&name).await.during("read", || format!("{} {namespace}/{name}", K::kind(&())))
}

async fn remove<K>(reads: &Client, writes: &Client, request: &DownloadRequest) -> Result<(), ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let Some(found) = find::<K>(reads, request).await? else { return Ok(()) };
    if !is_ours(&found.metadata, request) {
        return Ok(());
    }
    let (namespace, name) = (request.namespace().unwrap_or_default(), names::token_secret(&request.name_any()));
    let same = Preconditions { uid: found.uid(), resource_version: None };
    // As metadata only: an answer that cannot be read is logged with its text.
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(writes.clone(), &namespace);
    let deleted = api
        .delete(&name, &DeleteParams::default().preconditions(same))
        .await
        .during("delete", || format!("{} {namespace}/{name}", K::kind(&())));
    match deleted {
        Err(error) if !matches!(error.failure(), Failure::NotFound | Failure::Conflict) => Err(error),
        _ => Ok(()),
    }
}
