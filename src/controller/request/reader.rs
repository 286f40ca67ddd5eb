//! Lets the requester read the Secret that holds the token, and only this Secret: a Role and a RoleBinding of its name.
//!
//! Nothing is granted to somebody who may read it anyway. An admission policy keeps the operator from granting anything
//! else.

use std::{fmt::Debug, time::Duration};

use ::kube::{Api, Client, Resource, ResourceExt as _, api::PostParams, core::NamespaceResourceScope};
use k8s_openapi::{
    api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{
    super::{context::Context, pass::PassError},
    owned,
};
use crate::{
    admission,
    api::{DownloadRequest, Requester},
    kube::{
        access,
        error::{ApiError, During as _, Failure},
    },
};

const GROUP: &str = "rbac.authorization.k8s.io";
/// The API server learns of a Role from its own watch; asked this often, then ever less often.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Whether the requester may read the Secret.
pub(super) enum Reader {
    /// The API server says so.
    MayRead,
    /// All is granted, but the API server has not said so in time.
    NotYet,
    /// A Role or RoleBinding of this name is somebody else's.
    Taken {
        /// `Role` or `RoleBinding`.
        kind: String,
    },
}

/// Whether the API server says that the requester may read the Secret.
pub(super) async fn may_read(context: &Context, request: &DownloadRequest, secret: &str) -> Result<bool, ApiError> {
    let (namespace, nobody) = (request.namespace().unwrap_or_default(), Requester::default());
    let requester = request.spec.requested_by.as_ref().unwrap_or(&nobody);
    access::may_get_secret(context.clients.reads(), requester, &namespace, secret).await
}

/// Grants what is missing, and waits until the API server says that the requester may read the Secret.
pub(super) async fn let_read(
    context: &Context,
    request: &DownloadRequest,
    generation: i64,
    secret: &str,
) -> Result<Reader, PassError> {
    let namespace = request.namespace().unwrap_or_default();
    let nobody = Requester::default();
    let requester = request.spec.requested_by.as_ref().unwrap_or(&nobody);
    let metadata = ObjectMeta {
        name: Some(secret.to_owned()),
        namespace: Some(namespace.clone()),
        labels: Some(owned::labels(generation)),
        owner_references: Some(vec![owned::owner(request)]),
        ..ObjectMeta::default()
    };
    let clients = (context.clients.reads(), context.clients.writes());
    // The Role first: the API server refuses a RoleBinding whose Role it cannot look into.
    if !make(clients, request, &role(metadata.clone(), secret)).await? {
        return Ok(Reader::Taken { kind: Role::kind(&()).into_owned() });
    }
    if !make(clients, request, &binding(metadata, secret, requester)).await? {
        return Ok(Reader::Taken { kind: RoleBinding::kind(&()).into_owned() });
    }
    let (asked, mut pause) = (Instant::now(), FIRST_PAUSE);
    while asked.elapsed() < context.intervals.reader_wait.get() {
        if may_read(context, request, secret).await? {
            return Ok(Reader::MayRead);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(Reader::NotYet)
}

fn role(metadata: ObjectMeta, secret: &str) -> Role {
    Role {
        metadata,
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["secrets".to_owned()]),
            resource_names: Some(vec![secret.to_owned()]),
            verbs: vec!["get".to_owned()],
            ..PolicyRule::default()
        }]),
    }
}

fn binding(metadata: ObjectMeta, role: &str, requester: &Requester) -> RoleBinding {
    RoleBinding {
        metadata,
        role_ref: RoleRef { api_group: GROUP.to_owned(), kind: "Role".to_owned(), name: role.to_owned() },
        subjects: Some(vec![admission::subject(&requester.username)]),
    }
}

/// Creates an object, or finds that it is there and ours; `false`: it is somebody else's.
async fn make<K>((reads, writes): (&Client, &Client), request: &DownloadRequest, object: &K) -> Result<bool, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let what = || format!("{} {namespace}/{name}", K::kind(&()));
    let created = Api::namespaced(writes.clone(), &namespace).create(&PostParams::default(), object).await;
    match created.during("create", what) {
        Ok(_) => Ok(true),
        Err(error) if error.failure() == Failure::Conflict => {
            let api: Api<K> = Api::namespaced(reads.clone(), &namespace);
            // One that is gone again by now is made at the next look.
            let found = api.get_metadata(&name).await.during("read", what)?;
            Ok(owned::is_ours(&found.metadata, request))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_grants_the_reading_of_one_secret_and_nothing_else() {
        let rules = role(ObjectMeta::default(), "api-download-token").rules.unwrap();
        let [rule] = rules.as_slice() else { panic!("one rule: {rules:?}") };
        assert_eq!(rule.verbs, ["get"]);
        assert_eq!(rule.resources.as_deref(), Some(&["secrets".to_owned()][..]));
        assert_eq!(rule.resource_names.as_deref(), Some(&["api-download-token".to_owned()][..]));
    }
}
