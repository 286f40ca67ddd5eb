//! Roles and bindings in few words. Knows RBAC's types and not who needs what.

use k8s_openapi::{
    api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::admission::subject;

/// The API group of roles themselves.
pub(super) const RBAC: &str = "rbac.authorization.k8s.io";

/// These verbs on these resources of one group.
pub(super) fn allow(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        resource_names: None,
        non_resource_urls: None,
    }
}

/// The same, for objects of these names alone. Never with `create`: a creation is not limited by name.
pub(super) fn only(names: &[&str], rule: PolicyRule) -> PolicyRule {
    PolicyRule { resource_names: Some(owned(names)), ..rule }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn metadata(name: &str, namespace: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some([("app.kubernetes.io/name".to_owned(), "certcourier".to_owned())].into()),
        ..ObjectMeta::default()
    }
}

pub(super) fn cluster_role(name: &str, rules: Vec<PolicyRule>) -> ClusterRole {
    ClusterRole { metadata: metadata(name, None), rules: Some(rules), aggregation_rule: None }
}

pub(super) fn role(namespace: &str, name: &str, rules: Vec<PolicyRule>) -> Role {
    Role { metadata: metadata(name, Some(namespace)), rules: Some(rules) }
}

/// Gives users a ClusterRole everywhere.
pub(super) fn bind_everywhere(name: &str, users: &[&str]) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: metadata(name, None),
        role_ref: reference("ClusterRole", name),
        subjects: Some(subjects(users)),
    }
}

/// Gives a user a ClusterRole in one namespace.
pub(super) fn bind_cluster_role(namespace: &str, name: &str, user: &str) -> RoleBinding {
    bind(namespace, "ClusterRole", name, name, user)
}

/// Gives a user a Role of the same namespace. `name` is the binding's own.
pub(super) fn bind_role(namespace: &str, name: &str, role: &str, user: &str) -> RoleBinding {
    bind(namespace, "Role", name, role, user)
}

fn bind(namespace: &str, kind: &str, name: &str, role: &str, user: &str) -> RoleBinding {
    RoleBinding {
        metadata: metadata(name, Some(namespace)),
        role_ref: reference(kind, role),
        subjects: Some(subjects(&[user])),
    }
}

fn reference(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: RBAC.to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}

fn subjects(users: &[&str]) -> Vec<Subject> {
    users.iter().map(|user| subject(user)).collect()
}
