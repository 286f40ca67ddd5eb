//! What the operator's two programs may do, each right with the code path that needs it, and nothing that none needs.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};

use super::rights::{self, RBAC, allow, only};
use crate::{
    admission::Identity,
    api::{
        GROUP,
        names::{CRDS, GUARD},
    },
};

/// ClusterRole, Role and bindings of the controller; also the name of its Lease.
pub(super) const CONTROLLER: &str = "certcourier-controller";
/// ClusterRole, Role and bindings of the server.
pub(super) const SERVER: &str = "certcourier-server";
/// What both need of objects without a namespace.
pub(super) const SYSTEM: &str = "certcourier-system";

/// What the controller needs of objects without a namespace, and the server does not.
pub(super) const GUARDING: &str = "certcourier-guard";

/// Everything that binds the operator to its rights.
pub(super) struct OperatorRoles {
    pub(super) cluster_roles: [ClusterRole; 4],
    pub(super) roles: [Role; 2],
    pub(super) cluster_bindings: Vec<ClusterRoleBinding>,
    pub(super) bindings: Vec<RoleBinding>,
}

/// Roles for the operator, bound in each of the listed namespaces or, when none is listed, everywhere.
pub(super) fn operator_roles(identity: &Identity, watch_namespaces: &[String]) -> OperatorRoles {
    let own = identity.namespace();
    let mut cluster_bindings = vec![
        rights::bind_everywhere(SYSTEM, &identity.users()),
        rights::bind_everywhere(GUARDING, &[identity.controller()]),
    ];
    let mut bindings = vec![];
    for (name, user) in [(CONTROLLER, identity.controller()), (SERVER, identity.server())] {
        if watch_namespaces.is_empty() {
            cluster_bindings.push(rights::bind_everywhere(name, &[user]));
        }
        bindings.extend(watch_namespaces.iter().map(|namespace| rights::bind_cluster_role(namespace, name, user)));
        // Another name than the bindings above: the operator's namespace may be among those it watches.
        bindings.push(rights::bind_role(own, &format!("{name}-own"), name, user));
    }
    OperatorRoles {
        cluster_roles: [
            rights::cluster_role(CONTROLLER, controller()),
            rights::cluster_role(SERVER, server()),
            rights::cluster_role(SYSTEM, system()),
            rights::cluster_role(GUARDING, guarding()),
        ],
        roles: [rights::role(own, CONTROLLER, controller_at_home()), rights::role(own, SERVER, server_at_home())],
        cluster_bindings,
        bindings,
    }
}

/// In every namespace that is watched. No right lists or watches Secrets, and none changes one.
fn controller() -> Vec<PolicyRule> {
    vec![
        // Watches; live reads before a step that cannot be undone.
        allow(GROUP, &["certificates", "downloadrequests", "downloadreceipts"], &["get", "list", "watch"]),
        // A watch, and a live list: no policy is ever read alone.
        allow(GROUP, &["certificatepolicies"], &["list", "watch"]),
        // What was observed; every arrow of the state table but the claim; outcome Unknown.
        allow(GROUP, &["certificates/status", "downloadrequests/status", "downloadreceipts/status"], &["update"]),
        // Requests after finishedRequestTTL, receipts after retainUntil.
        allow(GROUP, &["downloadrequests", "downloadreceipts"], &["delete"]),
        // get: material for a Certificate's status, a passphrase, the token Secret of this name. create, delete: token
        // Secrets; policy `operator-secrets` refuses any other.
        allow("", &["secrets"], &["get", "create", "delete"]),
        // The requester's right to read the one token Secret; policy `token-readers` refuses any other. The Role grants
        // `get` on a Secret, which RBAC allows because the rule above holds it. list: what deleted requests left behind.
        allow(RBAC, &["roles", "rolebindings"], &["get", "list", "create", "delete"]),
        events(),
    ]
}

/// In every namespace that is watched.
fn server() -> Vec<PolicyRule> {
    vec![
        // Redemption reads all of it live; receipts after a create whose answer was lost.
        allow(GROUP, &["certificates", "downloadrequests", "downloadreceipts"], &["get"]),
        // Redemption and `policies` in answers: every policy of the namespace.
        allow(GROUP, &["certificatepolicies"], &["list"]),
        // Redemption: the record that goes before the first byte.
        allow(GROUP, &["downloadreceipts"], &["create"]),
        // The outcome behind the last byte; a claim's token and phase.
        allow(GROUP, &["downloadreceipts/status", "downloadrequests/status"], &["update"]),
        // Material, and a passphrase that the requester named.
        allow("", &["secrets"], &["get"]),
        events(),
    ]
}

/// None is told twice, so none is patched.
fn events() -> PolicyRule {
    allow("events.k8s.io", &["events"], &["create"])
}

/// Both programs, for objects that have no namespace.
fn system() -> Vec<PolicyRule> {
    vec![
        // Whether the requester still may: before minting and at redemption.
        allow("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
        // The guard compares the live policies with its own, and sees what else may change requests on their way.
        allow(
            "admissionregistration.k8s.io",
            &[
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
                "mutatingadmissionpolicies",
                "mutatingadmissionpolicybindings",
                "mutatingwebhookconfigurations",
            ],
            &["list"],
        ),
        // The guard compares the live CRDs with its own.
        only(&CRDS, allow("apiextensions.k8s.io", &["customresourcedefinitions"], &["get"])),
    ]
}

/// The controller, for objects that have no namespace.
fn guarding() -> Vec<PolicyRule> {
    vec![
        // What changes requests on their way for a moment only is in no list.
        allow(
            "admissionregistration.k8s.io",
            &["mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations"],
            &["watch"],
        ),
    ]
}

/// The controller in the operator's own namespace.
fn controller_at_home() -> Vec<PolicyRule> {
    vec![
        // Leader election; a creation cannot be limited by name.
        allow("coordination.k8s.io", &["leases"], &["create"]),
        only(&[CONTROLLER], allow("coordination.k8s.io", &["leases"], &["get", "update"])),
        // The guard's findings. `create` also lets the probe of `guard-state` reach the policy.
        allow("", &["configmaps"], &["create"]),
        only(&[GUARD], allow("", &["configmaps"], &["get", "update"])),
        // Events about them.
        events(),
        // The guard's dry-run probes, one for each policy: RBAC must let them pass, the policy must not.
        allow(GROUP, &["certificates", "downloadrequests", "downloadreceipts"], &["create"]),
        allow("", &["secrets"], &["create"]),
        allow(RBAC, &["roles"], &["create"]),
        // The role probe grants this; RBAC lets only those grant it who hold it.
        only(&[GUARD], allow("", &["secrets"], &["get"])),
        // The request that the status policy is probed on: made once, and nothing ever comes of it.
        only(&[GUARD], allow(GROUP, &["certificates"], &["download"])),
        only(&[GUARD], allow(GROUP, &["downloadrequests"], &["get"])),
        only(&[GUARD], allow(GROUP, &["downloadrequests/status"], &["update"])),
    ]
}

/// The server in the operator's own namespace.
fn server_at_home() -> Vec<PolicyRule> {
    vec![
        // Is there a probe younger than 60 s?
        only(&[GUARD], allow("", &["configmaps"], &["get"])),
    ]
}
