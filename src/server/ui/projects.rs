//! Where someone begins: the projects in which they may see certificates.
//!
//! Those of [`visible`], with how many certificates there are where that is known.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use kube::{Api, Client, Resource, ResourceExt as _, api::ListParams};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    page::{self, Frame},
    visible,
    visitor::Visitor,
    words::counted,
};
use crate::{
    api::{Certificate, name},
    cluster::error::{ApiError, During as _, Failure},
    server::{
        http::{
            error::{ErrorCode, ServerError},
            refusal,
        },
        state::ServerState,
    },
};

/// Read at a time, and at most.
const CHUNK: u32 = 500;
const MOST: usize = 10_000;

#[derive(Template)]
#[template(path = "projects.html")]
struct ProjectsPage {
    frame: Frame,
    projects: Vec<Project>,
    /// Whether there may be projects that are not shown.
    partial: bool,
}

struct Project {
    name: String,
    /// How many certificates there are, where that is known.
    certificates: Option<String>,
}

/// A project that someone named.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Named {
    project: String,
}

/// `GET /ui/`.
///
/// # Errors
/// What the API server refuses.
pub async fn all(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    named: Result<Query<Named>, QueryRejection>,
) -> Result<Response, ServerError> {
    let named = named.map(|Query(named)| named.project).unwrap_or_default();
    if !named.is_empty() {
        return if named.parse::<name::Namespace>().is_ok() {
            Ok(page::lead(&format!("{}projects/{named}", visitor.frame.root)))
        } else {
            let words = "this is not the name of a project: it has lower-case letters, digits and `-`";
            Ok(ServerError::new(ErrorCode::NotFound, words).into_response())
        };
    }
    let client = &visitor.caller.client;
    let (projects, partial) = if let Some(projects) = everywhere(client).await.map_err(unavailable)? {
        (projects, false)
    } else {
        let allowed = visible::allowed(&state, client, "certificates").await.map_err(unavailable)?;
        (allowed.into_iter().map(|name| Project { name, certificates: None }).collect(), true)
    };
    let projects = projects.into_iter().filter(|project: &Project| state.serves(&project.name)).collect();
    Ok(page::show(&ProjectsPage { frame: visitor.frame("certificates"), projects, partial }))
}

/// The projects that have Certificates. None: the caller may not list them everywhere.
async fn everywhere(client: &Client) -> Result<Option<Vec<Project>>, ApiError> {
    let Some(found) = names::<Certificate>(client, |object| object.namespace().unwrap_or_default()).await? else {
        return Ok(None);
    };
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for namespace in found {
        *counts.entry(namespace).or_default() += 1;
    }
    let project = |(name, count)| Project { name, certificates: Some(counted(count, "certificate")) };
    Ok(Some(counts.into_iter().map(project).collect()))
}

/// A part of the metadata of every object of a kind. None: the caller may not list them.
async fn names<K>(
    client: &Client,
    part: fn(&kube::core::PartialObjectMeta<K>) -> String,
) -> Result<Option<Vec<String>>, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let mut params = ListParams::default().limit(CHUNK);
        params.continue_token = next.take();
        let listed = match api.list_metadata(&params).await.during("list", || K::plural(&()).into_owned()) {
            Ok(listed) => listed,
            Err(error) if error.failure() == Failure::Forbidden => return Ok(None),
            Err(error) => return Err(error),
        };
        found.extend(listed.items.iter().map(part));
        next = listed.metadata.continue_.filter(|next| !next.is_empty());
        if next.is_none() || found.len() >= MOST {
            return Ok(Some(found));
        }
    }
}

fn unavailable(error: ApiError) -> ServerError {
    refusal::passed_through(
        error,
        "ask for a role that may read certificates.certcourier.io, such as certcourier-viewer",
    )
}
