//! ClusterRoles that an administrator binds to people, in a namespace or everywhere.
//!
//! None grants a Secret: the requester's right to read the token is made for each request. None aggregates to `edit` or
//! `admin`, so no one gains a right by installing certcourier. No rule says `*`: on certificates it would include the
//! verbs `download`, `exportkey` and `approve`.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use super::rights::{allow, cluster_role};
use crate::api::GROUP;

const READ: [&str; 3] = ["get", "list", "watch"];
const EVENTS: &str = "events.k8s.io";
const CATALOGUE: [&str; 2] = ["certificates", "certificatepolicies"];

/// What the operator tells of objects; `kubectl describe` asks for the Events of the core group.
fn events() -> PolicyRule {
    PolicyRule { api_groups: Some(vec![String::new(), EVENTS.to_owned()]), ..allow("", &["events"], &READ) }
}

/// Viewer, downloader, operator, approver, admin, auditor.
pub(super) fn people_roles() -> [ClusterRole; 6] {
    [viewer(), downloader(), operator(), approver(), admin(), auditor()]
}

/// Looks, and downloads nothing. Holders of Kubernetes' own role `view` have this one.
fn viewer() -> ClusterRole {
    let mut role = cluster_role(
        "certcourier-viewer",
        vec![allow(GROUP, &["certificates", "certificatepolicies", "downloadrequests"], &READ), events()],
    );
    role.metadata
        .labels
        .get_or_insert_default()
        .insert("rbac.authorization.k8s.io/aggregate-to-view".to_owned(), "true".to_owned());
    role
}

/// Takes out files that hold no key.
fn downloader() -> ClusterRole {
    cluster_role("certcourier-downloader", requests_with(&["download"]))
}

/// Takes out files with keys too, where policy allows it.
fn operator() -> ClusterRole {
    cluster_role("certcourier-operator", requests_with(&["download", "exportkey"]))
}

fn requests_with(verbs: &[&str]) -> Vec<PolicyRule> {
    vec![
        allow(GROUP, &CATALOGUE, &READ),
        // patch: ask for another token, revoke, re-apply; update: `kubectl replace`; delete: their own. Policy
        // `downloadrequests` keeps others' requests as they are, and there.
        allow(GROUP, &["downloadrequests"], &["get", "list", "watch", "create", "patch", "update", "delete"]),
        allow(GROUP, &["certificates"], verbs),
        events(),
    ]
}

/// Votes on requests of others, and revokes them.
fn approver() -> ClusterRole {
    cluster_role(
        "certcourier-approver",
        vec![
            allow(GROUP, &CATALOGUE, &READ),
            // patch: the annotation that revokes; policy `downloadrequests` lets nothing else pass.
            allow(GROUP, &["downloadrequests"], &["get", "list", "watch", "patch"]),
            // The vote; policy `downloadrequests-status` lets nothing else pass.
            allow(GROUP, &["downloadrequests/status"], &["get", "patch", "update"]),
            allow(GROUP, &["certificates"], &["approve"]),
            events(),
        ],
    )
}

/// Sets which certificates there are and what of them may be released; downloads nothing.
fn admin() -> ClusterRole {
    cluster_role(
        "certcourier-admin",
        vec![
            allow(
                GROUP,
                &CATALOGUE,
                &["get", "list", "watch", "create", "patch", "update", "delete", "deletecollection"],
            ),
            // patch: the annotation that revokes. administer: policy `downloadrequests` lets its holder delete others'.
            allow(
                GROUP,
                &["downloadrequests"],
                &["get", "list", "watch", "patch", "delete", "deletecollection", "administer"],
            ),
            events(),
        ],
    )
}

/// Reads the record.
fn auditor() -> ClusterRole {
    cluster_role(
        "certcourier-auditor",
        vec![
            allow(GROUP, &["certificates", "certificatepolicies", "downloadrequests", "downloadreceipts"], &READ),
            events(),
        ],
    )
}
