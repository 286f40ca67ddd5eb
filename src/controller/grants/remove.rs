//! Removes single objects of ours: each is deleted only if it is still the one that this process made, or that was read
//! and compared.

use std::fmt::Debug;

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, Preconditions},
    core::{NamespaceResourceScope, PartialObjectMeta},
};
use serde::de::DeserializeOwned;

use super::{
    Made,
    shape::{self, Owner, TOKEN_KEY},
};
use crate::{
    api::names,
    cluster::{
        client::Clients,
        error::{ApiError, During as _, Failure},
        secrets::{self, SecretObject},
    },
};

/// Removes a Role and its RoleBinding where they are exactly ours and `theirs` confirms; whether no such Role is there
/// now.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub(in crate::controller) async fn reader(
    clients: &Clients,
    namespace: &str,
    name: &str,
    theirs: impl Fn(&Owner) -> bool,
) -> Result<bool, ApiError> {
    let (role, binding) = tokio::join!(
        remove(clients, namespace, name, |role: &Role| shape::of_role(role).is_some_and(|grant| theirs(&grant.owner))),
        remove(clients, namespace, name, |binding: &RoleBinding| shape::of_binding(binding)
            .is_some_and(|owner| theirs(&owner))),
    );
    let gone = role?;
    binding?;
    Ok(gone)
}

/// Removes Role and RoleBinding that this process made, by their uids; whether both are gone. Others of their name are left
/// alone.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub(in crate::controller) async fn made_reader(
    clients: &Clients,
    namespace: &str,
    name: &str,
    made: &Made,
) -> Result<bool, ApiError> {
    let (role, binding) = tokio::join!(
        delete::<Role>(clients, namespace, name, Some(made.role.clone())),
        delete::<RoleBinding>(clients, namespace, name, Some(made.binding.clone())),
    );
    Ok(role? & binding?)
}

/// Removes the token Secret that this process made, by its uid; whether it is gone. Another of its name is left alone.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub(in crate::controller) async fn made_secret(
    clients: &Clients,
    namespace: &str,
    name: &str,
    made: &Made,
) -> Result<bool, ApiError> {
    match secrets::delete(clients.writes(), namespace, name, &made.secret).await {
        Ok(_) => Ok(true),
        Err(error) if error.failure() == Failure::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the token Secret of the request of this name where it is exactly ours and `theirs` confirms.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub(in crate::controller) async fn secret(
    clients: &Clients,
    namespace: &str,
    request: &str,
    theirs: impl Fn(&Owner) -> bool,
) -> Result<(), ApiError> {
    let name = names::token_secret(request);
    match secrets::read(clients.reads(), namespace, &name, &[TOKEN_KEY]).await? {
        Some(found) if shape::of_secret(&found, namespace, request).is_some_and(|(_, owner)| theirs(&owner)) => {
            this_secret(clients, namespace, &found).await
        }
        _ => Ok(()),
    }
}

/// Deletes this very Secret.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub(in crate::controller) async fn this_secret(
    clients: &Clients,
    namespace: &str,
    found: &SecretObject,
) -> Result<(), ApiError> {
    let (name, uid) = (found.metadata.name.as_deref(), found.metadata.uid.as_deref());
    let deleted = secrets::delete(clients.writes(), namespace, name.unwrap_or_default(), uid.unwrap_or_default()).await;
    match deleted {
        Err(error) if error.failure() != Failure::Conflict => Err(error),
        _ => Ok(()),
    }
}

/// Whether the object is not there any more.
async fn remove<K>(clients: &Clients, namespace: &str, name: &str, ours: impl Fn(&K) -> bool) -> Result<bool, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let what = || format!("{} {namespace}/{name}", K::kind(&()));
    let api: Api<K> = Api::namespaced(clients.reads().clone(), namespace);
    let Some(found) = api.get_opt(name).await.during("read", what)? else { return Ok(true) };
    if !ours(&found) {
        return Ok(false);
    }
    delete::<K>(clients, namespace, name, found.uid()).await
}

/// Deletes the object of this name that has this uid; whether it is not there any more.
async fn delete<K>(clients: &Clients, namespace: &str, name: &str, uid: Option<String>) -> Result<bool, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let what = || format!("{} {namespace}/{name}", K::kind(&()));
    let same = Preconditions { uid, resource_version: None };
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(clients.writes().clone(), namespace);
    match api.delete(name, &DeleteParams::default().preconditions(same)).await.during("delete", what) {
        Ok(_) => Ok(true),
        Err(error) => match error.failure() {
            Failure::NotFound => Ok(true),
            // Another one has taken its place.
            Failure::Conflict => Ok(false),
            _ => Err(error),
        },
    }
}
