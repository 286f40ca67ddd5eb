//! Who may do what. Who exists is up to the control plane: [`test_cluster::people`].

use serde_json::{Value, json};

/// The API group of roles and bindings.
pub const RBAC: &str = "rbac.authorization.k8s.io";

/// Who has which of the roles that come with certcourier, in the namespace of a test.
pub const ROLES: [(&str, &str); 6] = [
    ("alice", "certcourier-operator"),
    ("bob", "certcourier-approver"),
    ("frank", "certcourier-approver"),
    ("carol", "certcourier-downloader"),
    ("dave", "certcourier-admin"),
    ("erin", "certcourier-auditor"),
];

/// A person, or a `ServiceAccount` by its user name, as the subject of a binding.
pub fn user(name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": "User", "name": name})
}

/// A group as the subject of a binding.
pub fn group(name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": "Group", "name": name})
}

/// What a binding refers to: a `Role` or a `ClusterRole`.
pub fn role_ref(kind: &str, name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": kind, "name": name})
}

/// A `RoleBinding` or `ClusterRoleBinding` for these subjects.
pub fn binding(kind: &str, metadata: &Value, role: &Value, subjects: &[Value]) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": kind, "metadata": metadata, "roleRef": role, "subjects": subjects,
    })
}
