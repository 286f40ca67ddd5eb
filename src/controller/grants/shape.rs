//! What the controller makes for a token, and whether an object that was found is exactly that. Pure.
//!
//! Any user can write a label and an owner reference, so these alone prove nothing. Labels and annotations that others add,
//! as a mutating webhook may, change nothing of what an object grants and are let pass.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource as _;

use crate::{
    admission,
    api::{DownloadRequest, Requester, names},
    cluster::secrets::SecretObject,
    token::Token,
};

const RBAC: &str = "rbac.authorization.k8s.io";
/// Key of the token in its Secret.
pub(in crate::controller) const TOKEN_KEY: &str = "token";
/// Keys that a token Secret may have besides.
const MORE_KEYS: [&str; 4] = ["url", "curl", names::CA_KEY, "passphrase"];

/// Whose an object of ours is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Owner {
    /// This request's.
    Request {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// No one's: the request was deleted and left it behind (`--cascade=orphan`).
    Nobody,
}

/// A Role of ours: which Secret it lets read, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Grant {
    /// The one Secret.
    pub(in crate::controller) secret: String,
    /// Whose it is.
    pub(in crate::controller) owner: Owner,
}

impl Grant {
    /// Uid of the request that it was made for.
    pub(in crate::controller) fn uid(self) -> Option<String> {
        match self.owner {
            Owner::Request { uid, .. } => Some(uid),
            Owner::Nobody => None,
        }
    }
}

impl Owner {
    /// Whether it is this request's, or was left behind.
    pub(in crate::controller) fn is(&self, request: &DownloadRequest) -> bool {
        match self {
            Self::Request { uid, .. } => Some(uid) == request.metadata.uid.as_ref(),
            Self::Nobody => true,
        }
    }
}

/// What makes an object a request's. It does not hold up the deletion of the request.
pub(in crate::controller) fn owner(request: &DownloadRequest) -> OwnerReference {
    owned_by(request.metadata.name.clone().unwrap_or_default(), request.metadata.uid.clone().unwrap_or_default())
}

fn owned_by(name: String, uid: String) -> OwnerReference {
    OwnerReference {
        api_version: DownloadRequest::api_version(&()).into_owned(),
        kind: DownloadRequest::kind(&()).into_owned(),
        name,
        uid,
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// The labels of everything that belongs to the token of this generation.
pub(in crate::controller) fn labels(generation: i64) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::TOKEN.to_owned(), generation.to_string()),
        (names::VELERO_EXCLUDE.to_owned(), "true".to_owned()),
    ])
}

/// Metadata of a Role and its RoleBinding.
pub(in crate::controller) fn metadata(name: &str, request: &DownloadRequest, generation: i64) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: request.metadata.namespace.clone(),
        labels: Some(labels(generation)),
        owner_references: Some(vec![owner(request)]),
        ..ObjectMeta::default()
    }
}

/// The Role that lets read one Secret.
pub(in crate::controller) fn role(metadata: ObjectMeta, secret: &str) -> Role {
    Role { metadata, rules: Some(vec![rule(secret)]) }
}

fn rule(secret: &str) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["secrets".to_owned()]),
        resource_names: Some(vec![secret.to_owned()]),
        verbs: vec!["get".to_owned()],
        ..PolicyRule::default()
    }
}

/// The binding of the Role of the same name to one requester.
pub(in crate::controller) fn binding(metadata: ObjectMeta, requester: &Requester) -> RoleBinding {
    let role = metadata.name.clone().unwrap_or_default();
    RoleBinding {
        metadata,
        role_ref: RoleRef { api_group: RBAC.to_owned(), kind: "Role".to_owned(), name: role },
        subjects: Some(vec![admission::subject(&requester.username)]),
    }
}

/// An object that grants something, to be compared with another one.
pub(in crate::controller) trait Granting {
    /// Whether both grant the same to the same, and belong to the same.
    fn is_the_same(&self, wanted: &Self) -> bool;
}

impl Granting for Role {
    fn is_the_same(&self, wanted: &Self) -> bool {
        same_metadata(&self.metadata, &wanted.metadata) && self.rules == wanted.rules
    }
}

impl Granting for RoleBinding {
    fn is_the_same(&self, wanted: &Self) -> bool {
        same_metadata(&self.metadata, &wanted.metadata)
            && self.role_ref == wanted.role_ref
            && self.subjects == wanted.subjects
    }
}

fn same_metadata(found: &ObjectMeta, wanted: &ObjectMeta) -> bool {
    let mut labels = wanted.labels.iter().flatten();
    found.owner_references == wanted.owner_references
        && labels.all(|(key, value)| found.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value))
}

/// Whose an object is, by its metadata; `None`: it is not one of ours.
fn owner_of(metadata: &ObjectMeta) -> Option<Owner> {
    let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
    let generation: i64 = label(names::TOKEN)?.parse().ok()?;
    if generation < 1 || label(names::VELERO_EXCLUDE) != Some("true") {
        return None;
    }
    match metadata.owner_references.as_deref().unwrap_or_default() {
        [] => Some(Owner::Nobody),
        [one] if *one == owned_by(one.name.clone(), one.uid.clone()) => {
            Some(Owner::Request { name: one.name.clone(), uid: one.uid.clone() })
        }
        _ => None,
    }
}

fn named(metadata: &ObjectMeta) -> Option<&str> {
    metadata.name.as_deref().filter(|name| names::is_token_reader(name))
}

/// What a Role grants, if it is exactly one of ours.
pub(in crate::controller) fn of_role(found: &Role) -> Option<Grant> {
    named(&found.metadata)?;
    let owner = owner_of(&found.metadata)?;
    let [only] = found.rules.as_deref()? else { return None };
    let [secret] = only.resource_names.as_deref()? else { return None };
    let request = secret.strip_suffix(names::TOKEN_SECRET_SUFFIX)?;
    let fits = match &owner {
        Owner::Request { name, .. } => name == request,
        Owner::Nobody => true,
    };
    (fits && *only == rule(secret)).then(|| Grant { secret: secret.clone(), owner })
}

/// Whose a RoleBinding is, if it is exactly one of ours.
pub(in crate::controller) fn of_binding(found: &RoleBinding) -> Option<Owner> {
    let name = named(&found.metadata)?;
    let owner = owner_of(&found.metadata)?;
    let role = RoleRef { api_group: RBAC.to_owned(), kind: "Role".to_owned(), name: name.to_owned() };
    let one_person =
        matches!(found.subjects.as_deref(), Some([one]) if one.kind == "User" || one.kind == "ServiceAccount");
    (found.role_ref == role && one_person).then_some(owner)
}

/// The token in a Secret and whose it is, if it is exactly one of ours for a request of this name. It must have been read
/// with [`TOKEN_KEY`].
pub(in crate::controller) fn of_secret(found: &SecretObject, namespace: &str, request: &str) -> Option<(Token, Owner)> {
    let owner = owner_of(&found.metadata)?;
    let fits = match &owner {
        Owner::Request { name, .. } => name == request,
        Owner::Nobody => true,
    };
    let known = |key: &String| key == TOKEN_KEY || MORE_KEYS.contains(&key.as_str());
    if !fits || found.type_name != "Opaque" || !found.keys.iter().all(known) {
        return None;
    }
    let token = Token::parse(std::str::from_utf8(found.value(TOKEN_KEY)?.expose()).ok()?).ok()?;
    (token.namespace() == namespace && token.request() == request).then_some((token, owner))
}

/// The token Secrets that a Role lets read, no matter who created it.
pub(in crate::controller) fn secrets_read(role: &Role) -> impl Iterator<Item = &str> {
    let named = role.rules.iter().flatten().flat_map(|rule| rule.resource_names.iter().flatten());
    named.map(String::as_str).filter(|name| name.ends_with(names::TOKEN_SECRET_SUFFIX))
}
