//! Asks the API server for everything that findings are made from, with the user's own rights.
//!
//! What cannot be read is a gap in the report and not the end of it. Never reads a Secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::ConfigMap,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{DeserializeGuard, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;

use super::{
    checks,
    facts::{Facts, Seen},
    gaps::Missing,
    rbac::{Rbac, Subject},
};
use crate::{
    admission::{Object, name},
    api::{Certificate, DownloadRequest, names::GUARD},
    cluster::{
        access,
        client::Clients,
        error::{ApiError, During as _},
    },
};

/// The operator's namespace where neither flag nor policy says.
const USUAL_NAMESPACE: &str = "certcourier-system";
/// The `ServiceAccount`s of Kubernetes' own controllers are here.
const KUBE_SYSTEM: &str = "kube-system";
/// Service `kubernetes`, which leads to the API server, is here.
const DEFAULT: &str = "default";
/// Objects in one answer of the API server.
const PAGE: u32 = 500;

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The operator's own namespace, if the user says which.
    pub operator_namespace: Option<String>,
    /// The namespace whose Certificates matter; `None`: all.
    pub namespace: Option<String>,
    /// Subjects that the user vouches for.
    pub trusted: Vec<Subject>,
}

/// Gathers the facts.
///
/// # Errors
/// [`ApiError`] when the API server does not say who is asking: then it says nothing else either.
pub async fn facts(clients: &Clients, scope: Scope) -> Result<Facts, ApiError> {
    let client = clients.reads();
    let caller = caller(client).await?;
    let within = scope.namespace.as_deref();
    let mut missing = Missing::default();
    let (policies, bindings, certificates, requests) = tokio::join!(
        all::<ValidatingAdmissionPolicy>(client),
        all::<ValidatingAdmissionPolicyBinding>(client),
        namespaced::<DeserializeGuard<Certificate>>(client, within),
        namespaced::<DeserializeGuard<DownloadRequest>>(client, within),
    );
    let policies = missing.note("which admission policies there are", None, policies);
    let bindings = missing.note("whether the admission policies refuse: their bindings", None, bindings);
    let certificates = missing.note("which namespaces and Secrets matter: the Certificates", within, certificates);
    let requests = missing.note("requests without deadline: the DownloadRequests", within, requests);
    let admission = policies.zip(bindings).map(|(policies, bindings)| ours(policies, bindings));
    let operator_namespace = scope
        .operator_namespace
        .or_else(|| checks::operator_namespace(admission.as_deref().unwrap_or_default()))
        .unwrap_or_else(|| USUAL_NAMESPACE.to_owned());
    let guard = guard(client, &operator_namespace, &mut missing).await;
    let namespaces = within.map(|one| [one, operator_namespace.as_str(), KUBE_SYSTEM, DEFAULT]);
    let rbac = rbac(client, namespaces, &mut missing).await;
    Ok(Facts {
        now: clients.clock().now(),
        certificates: readable("Certificate", certificates, &mut missing),
        requests: readable("DownloadRequest", requests, &mut missing),
        rbac,
        guard,
        admission,
        trusted: scope.trusted,
        grant: missing.commands(&caller),
        looks: missing.looks,
        gaps: missing.gaps,
        operator_namespace,
    })
}

/// Who asks. Everyone may ask that, so a refusal means that the credentials are not valid.
async fn caller(client: &Client) -> Result<Subject, ApiError> {
    let caller = access::who(client).await.during("ask the API server", || "who you are".to_owned())?;
    Ok(Subject::user(&caller.username))
}

fn ours(policies: Vec<ValidatingAdmissionPolicy>, bindings: Vec<ValidatingAdmissionPolicyBinding>) -> Vec<Object> {
    let policies = policies.into_iter().map(|policy| Object::Policy(Box::new(policy)));
    let bindings = bindings.into_iter().map(|binding| Object::Binding(Box::new(binding)));
    policies.chain(bindings).filter(|object| name::ALL.contains(&object.name().as_str())).collect()
}

async fn guard(client: &Client, namespace: &str, missing: &mut Missing) -> Seen<BTreeMap<String, String>> {
    let found = Api::<ConfigMap>::namespaced(client.clone(), namespace)
        .get_opt(GUARD)
        .await
        .during("get", || format!("ConfigMap {namespace}/{GUARD}"));
    match missing.note_one("what the guard last found", namespace, GUARD, found) {
        None => Seen::Unknown,
        Some(None) => Seen::Missing,
        Some(Some(found)) => Seen::There(found.data.unwrap_or_default()),
    }
}

/// Roles and bindings of these namespaces (`None`: all), and those of the cluster.
async fn rbac(client: &Client, namespaces: Option<[&str; 4]>, missing: &mut Missing) -> Rbac {
    let failed = missing.looks.failed;
    let (cluster_roles, cluster_role_bindings) =
        tokio::join!(all::<ClusterRole>(client), all::<ClusterRoleBinding>(client));
    let cluster_roles = missing.note("what ClusterRoles allow", None, cluster_roles).unwrap_or_default();
    let cluster_role_bindings = missing
        .note("who has rights everywhere: the ClusterRoleBindings", None, cluster_role_bindings)
        .unwrap_or_default();
    let places: BTreeSet<Option<&str>> = match &namespaces {
        Some(some) => some.iter().copied().map(Some).collect(),
        None => [None].into(),
    };
    let (mut roles, mut role_bindings) = (Vec::new(), Vec::new());
    for place in places {
        let (some_roles, some_bindings) =
            tokio::join!(namespaced::<Role>(client, place), namespaced::<RoleBinding>(client, place));
        roles.extend(missing.note("what Roles allow", place, some_roles).unwrap_or_default());
        role_bindings
            .extend(missing.note("who has rights: the RoleBindings", place, some_bindings).unwrap_or_default());
    }
    let has_gaps = missing.looks.failed > failed;
    Rbac { cluster_roles, cluster_role_bindings, roles, role_bindings, has_gaps }
}

/// Those that this version understands; the others are gaps.
fn readable<K>(kind: &str, found: Option<Vec<DeserializeGuard<K>>>, missing: &mut Missing) -> Vec<K> {
    let mut readable = Vec::new();
    for object in found.unwrap_or_default() {
        match object.0 {
            Ok(object) => readable.push(object),
            Err(error) => {
                let namespace = error.metadata.namespace.unwrap_or_default();
                let name = error.metadata.name.unwrap_or_default();
                let what = format!("{kind} {namespace}/{name}");
                missing.add(what, None, format!("this version of certcourier cannot read it: {}", error.error));
            }
        }
    }
    readable
}

async fn all<K>(client: &Client) -> Result<Vec<K>, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    pages(&Api::all(client.clone())).await
}

async fn namespaced<K>(client: &Client, namespace: Option<&str>) -> Result<Vec<K>, ApiError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    match namespace {
        Some(namespace) => pages(&Api::namespaced(client.clone(), namespace)).await,
        None => pages(&Api::all(client.clone())).await,
    }
}

/// Every page of a list.
async fn pages<K>(api: &Api<K>) -> Result<Vec<K>, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut found = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let mut params = ListParams::default().limit(PAGE);
        params.continue_token.clone_from(&from);
        let page = api.list(&params).await.during("list", || super::gaps::resource::<K>())?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|rest| !rest.is_empty()) {
            // The same page again would never end.
            Some(rest) if from.as_ref() != Some(&rest) => from = Some(rest),
            _ => return Ok(found),
        }
    }
}
