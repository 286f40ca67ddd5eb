//! Sweeps Roles, RoleBindings and Secrets of tokens whose request is gone, or that a mint which crashed left behind.
//!
//! Mostly the garbage collector does that. It does not where a request was deleted with `--cascade=orphan`, and a
//! crashed mint's request may live on. The operator is not allowed to list Secrets: the Role names its Secret. A Secret
//! that was orphaned without a Role is one that its requester could read anyway; the next mint under its name replaces
//! it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{
    Api, Resource, ResourceExt as _,
    core::NamespaceResourceScope,
    runtime::reflector::{ObjectRef, Store},
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    labelled, next, remove,
    shape::{self, Owner},
};
use crate::controller::{context::Context, watch::stores::Guarded};
use crate::{
    api::{DownloadRequest, names},
    cluster::error::{ApiError, During as _, in_one_line},
};

/// Between two that are removed: however many there are, others come first.
const PACE: Duration = Duration::from_millis(50);

/// A Role and its RoleBinding, or what is left of the two, by namespace and name.
type Found = BTreeMap<(String, String), Leftover>;

struct Leftover {
    /// The Secret; unknown where only the binding is left.
    secret: Option<String>,
    owner: Owner,
}

/// Sweeps one namespace (`None`: all) now, and again and again until `stop`.
pub(in crate::controller) async fn run(
    context: Arc<Context>,
    namespace: Option<String>,
    requests: Store<Guarded<DownloadRequest>>,
    stop: CancellationToken,
) {
    let sweeping = async {
        loop {
            if let Err(error) = pass(&context, namespace.as_deref(), &requests).await {
                tracing::warn!(error = in_one_line(&error), "leftovers of deleted requests could not be removed");
            }
            tokio::time::sleep(context.intervals.sweep_interval.get()).await;
        }
    };
    tokio::select! {
        () = sweeping => {}
        () = stop.cancelled() => {}
    }
}

async fn pass(
    context: &Context,
    namespace: Option<&str>,
    requests: &Store<Guarded<DownloadRequest>>,
) -> Result<(), ApiError> {
    for ((namespace, name), leftover) in found(context, namespace).await? {
        let secret = leftover.secret.as_deref();
        if secret.is_some_and(|secret| context.grants.is_being_made(&namespace, secret, &name))
            || is_in_use(context, &namespace, &name, &leftover.owner, requests).await?
        {
            continue;
        }
        sweep(context, &namespace, &name, &leftover).await?;
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

/// Every Role and RoleBinding that is exactly ours. What the Roles let read is learnt on the way.
async fn found(context: &Context, namespace: Option<&str>) -> Result<Found, ApiError> {
    let (mut found, mut seen, began) = (Found::new(), HashSet::new(), Instant::now());
    let key = |namespace: Option<String>, name: String| (namespace.unwrap_or_default(), name);
    each(context, namespace, |roles: Vec<Role>| {
        context.grants.learn_of(&roles);
        for role in roles {
            let place = key(role.namespace(), role.name_any());
            seen.insert(place.clone());
            if let Some(grant) = shape::of_role(&role) {
                found.insert(place, Leftover { secret: Some(grant.secret), owner: grant.owner });
            }
        }
    })
    .await?;
    context.grants.has_seen_all(namespace, began, &seen);
    each(context, namespace, |bindings: Vec<RoleBinding>| {
        for binding in bindings {
            let place = key(binding.namespace(), binding.name_any());
            if let Some(owner) = shape::of_binding(&binding)
                && !seen.contains(&place)
            {
                found.insert(place, Leftover { secret: None, owner });
            }
        }
    })
    .await?;
    Ok(found)
}

/// Page by page.
async fn each<K>(context: &Context, namespace: Option<&str>, mut take: impl FnMut(Vec<K>)) -> Result<(), ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let reads = context.clients.reads().clone();
    let api: Api<K> =
        namespace.map_or_else(|| Api::all(reads.clone()), |namespace| Api::namespaced(reads.clone(), namespace));
    let what = || {
        format!("{}s in {}", K::kind(&()), namespace.map_or("all namespaces".to_owned(), |n| format!("namespace {n}")))
    };
    let mut token = None;
    loop {
        let page = api.list(&labelled(token)).await.during("list", what)?;
        take(page.items);
        token = next(page.metadata.continue_);
        if token.is_none() {
            return Ok(());
        }
    }
}

/// Whether the status of a living request names it. What the watch knows is enough to keep something, never to remove it.
async fn is_in_use(
    context: &Context,
    namespace: &str,
    name: &str,
    owner: &Owner,
    requests: &Store<Guarded<DownloadRequest>>,
) -> Result<bool, ApiError> {
    let Owner::Request { name: request, uid } = owner else { return Ok(false) };
    let uses = |request: &DownloadRequest| {
        let token = request.token();
        request.metadata.uid.as_ref() == Some(uid) && token.and_then(|token| token.reader_name.as_deref()) == Some(name)
    };
    let known = requests.get(&ObjectRef::new(request).within(namespace));
    if known.is_some_and(|known| known.0.as_ref().is_ok_and(uses)) {
        return Ok(true);
    }
    let api: Api<DownloadRequest> = Api::namespaced(context.clients.reads().clone(), namespace);
    let live = api.get_opt(request).await.during("read", || format!("DownloadRequest {namespace}/{request}"))?;
    // One that is being deleted takes its own along.
    Ok(live.is_some_and(|live| {
        uses(&live) || (live.metadata.deletion_timestamp.is_some() && live.metadata.uid.as_ref() == Some(uid))
    }))
}

async fn sweep(context: &Context, namespace: &str, name: &str, leftover: &Leftover) -> Result<(), ApiError> {
    let whose = |owner: &Owner| *owner == leftover.owner;
    let gone = remove::reader(&context.clients, namespace, name, whose).await?;
    if let Some(secret) = &leftover.secret {
        if gone {
            context.grants.forget(namespace, secret, name);
        }
        // A living request's Secret is its own, whichever Role of an earlier attempt was swept.
        if let Some(request) = secret.strip_suffix(names::TOKEN_SECRET_SUFFIX) {
            secret_of(context, namespace, request, leftover).await?;
        }
    }
    tracing::info!(
        request.namespace = namespace,
        role = name,
        "Role and RoleBinding `{name}` belong to no valid token and are removed"
    );
    Ok(())
}

async fn secret_of(context: &Context, namespace: &str, request: &str, leftover: &Leftover) -> Result<(), ApiError> {
    let api: Api<DownloadRequest> = Api::namespaced(context.clients.reads().clone(), namespace);
    let what = || format!("DownloadRequest {namespace}/{request}");
    let living = api.get_metadata_opt(request).await.during("read", what)?.and_then(|living| living.uid());
    let whose = |owner: &Owner| match owner {
        Owner::Request { uid, .. } => *owner == leftover.owner && living.as_ref() != Some(uid),
        Owner::Nobody => true,
    };
    remove::secret(&context.clients, namespace, request, whose).await
}
