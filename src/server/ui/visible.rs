//! In which projects someone may see things of a kind: asked of the API server in their own name.
//!
//! Whoever may list a kind everywhere sees all projects. Others see those, of the namespaces whose names they may list
//! or that this server serves, in which the API server says that they may; and anyone can name a project.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    cluster::{
        access,
        error::{ApiError, During as _, Failure},
    },
    server::state::ServerState,
};

/// Names read at a time, and at most.
const CHUNK: u32 = 500;
const MOST: usize = 10_000;
/// So many projects are asked about, so many at a time.
const MOST_ASKED: usize = 300;
const AT_ONCE: usize = 16;

/// Where someone may list things of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In every project.
    Everywhere,
    /// In these, as far as is known.
    In(Vec<String>),
}

/// Where the caller may list things of this kind, by its plural.
///
/// # Errors
/// [`ApiError`] when the API server refuses the question, or does not answer.
pub async fn reach(state: &ServerState, caller: &Client, plural: &str) -> Result<Reach, ApiError> {
    if access::caller_may(caller, "", ("list", plural, "")).await? {
        return Ok(Reach::Everywhere);
    }
    allowed(state, caller, plural).await.map(Reach::In)
}

/// The projects, of those that are known, in which the caller may list things of this kind.
///
/// # Errors
/// [`ApiError`] when the API server refuses the question, or does not answer.
pub async fn allowed(state: &ServerState, caller: &Client, plural: &str) -> Result<Vec<String>, ApiError> {
    let mut known = match namespaces(caller).await? {
        Some(names) => names,
        // A kubeconfig names a namespace, most often one of their own.
        None => state.of_one.as_ref().map_or_else(|| state.served().to_vec(), |one| vec![one.namespace.clone()]),
    };
    known.sort();
    known.truncate(MOST_ASKED);
    let ask = async |name: String| {
        let may = access::caller_may(caller, &name, ("list", plural, "")).await?;
        Ok::<_, ApiError>(may.then_some(name))
    };
    let answers: Vec<Option<String>> = stream::iter(known).map(ask).buffered(AT_ONCE).try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}

/// The names of all namespaces. None: the caller may not list them.
async fn namespaces(caller: &Client) -> Result<Option<Vec<String>>, ApiError> {
    let api: Api<Namespace> = Api::all(caller.clone());
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let mut params = ListParams::default().limit(CHUNK);
        params.continue_token = next.take();
        let listed = match api.list_metadata(&params).await.during("list", || "namespaces".to_owned()) {
            Ok(listed) => listed,
            Err(error) if error.failure() == Failure::Forbidden => return Ok(None),
            Err(error) => return Err(error),
        };
        found.extend(listed.items.iter().map(ResourceExt::name_any));
        next = listed.metadata.continue_.filter(|next| !next.is_empty());
        if next.is_none() || found.len() >= MOST {
            return Ok(Some(found));
        }
    }
}
