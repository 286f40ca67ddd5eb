//! Status writes that cannot undo what someone else has written.
//!
//! Every write is an update carrying the resourceVersion of the object that the decision was made on. If the object has
//! changed since, nothing is written and the caller observes again.

use std::fmt::Debug;

use kube::{Api, Client, Resource, ResourceExt as _, api::PostParams, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};

use super::error::{ApiError, During as _, Failure};

/// How a guarded write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written<K> {
    /// It is written; this is the object now.
    Done(K),
    /// The object has changed since it was observed, or is gone: nothing is written; observe again.
    Conflict,
}

/// The object as the API server has it now; `None` when it is gone, or another one has its name.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn current<K>(client: &Client, object: &K) -> Result<Option<K>, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let found = api.get_opt(&name).await.during("read", || format!("{} {namespace}/{name}", K::kind(&())))?;
    Ok(found.filter(|found| found.uid() == object.uid()))
}

/// Writes the status in `object` if the object is still the one that was observed (its resourceVersion says so).
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer; then it may be written or not.
pub async fn write<K>(client: &Client, object: &K) -> Result<Written<K>, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    // Without a version the API server would overwrite whatever is there; without a uid, a namesake.
    if object.resource_version().is_none() || object.uid().is_none() {
        return Ok(Written::Conflict);
    }
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let result = api
        .replace_status(&name, &PostParams::default(), object)
        .await
        .during("write the status of", || format!("{} {namespace}/{name}", K::kind(&())));
    match result {
        Ok(written) => Ok(Written::Done(written)),
        Err(error) if matches!(error.failure(), Failure::Conflict | Failure::NotFound) => Ok(Written::Conflict),
        Err(error) => Err(error),
    }
}
