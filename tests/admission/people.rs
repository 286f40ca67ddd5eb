//! What the roles for people hold, and what they must not: asked of the real authorizer.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    case::{Answer, Call},
    world::{Session, Who},
};

const GROUP: &str = "certcourier.io";

/// (group, resource, verb)
type Right = (&'static str, &'static str, &'static str);

/// The Events too: `kubectl describe` lists those of the core group.
const LOOK: [Right; 6] = [
    (GROUP, "certificates", "get"),
    (GROUP, "certificatepolicies", "list"),
    (GROUP, "downloadrequests", "watch"),
    ("", "events", "list"),
    ("events.k8s.io", "events", "get"),
    ("events.k8s.io", "events", "watch"),
];
/// What no role for people may grant, whatever it is for.
const NEVER: [Right; 14] = [
    ("", "events", "create"),
    ("events.k8s.io", "events", "patch"),
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "secrets", "create"),
    ("", "configmaps", "update"),
    (GROUP, "downloadreceipts", "create"),
    (GROUP, "downloadreceipts", "delete"),
    (GROUP, "downloadreceipts/status", "update"),
    (GROUP, "certificates/status", "update"),
    ("rbac.authorization.k8s.io", "roles", "create"),
    ("rbac.authorization.k8s.io", "rolebindings", "create"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "update"),
];

struct Role {
    name: &'static str,
    may: &'static [Right],
    may_not: &'static [Right],
}

const EXPORTKEY: Right = (GROUP, "certificates", "exportkey");
const DOWNLOAD: Right = (GROUP, "certificates", "download");
const APPROVE: Right = (GROUP, "certificates", "approve");
const ASK: Right = (GROUP, "downloadrequests", "create");
const VOTE: Right = (GROUP, "downloadrequests/status", "patch");
const RULE: Right = (GROUP, "certificatepolicies", "update");
const AUDIT: Right = (GROUP, "downloadreceipts", "list");

const ROLES: [Role; 9] = [
    Role { name: "certcourier-viewer", may: &[], may_not: &[DOWNLOAD, EXPORTKEY, APPROVE, ASK, VOTE, RULE, AUDIT] },
    Role {
        name: "certcourier-downloader",
        may: &[DOWNLOAD, ASK, (GROUP, "downloadrequests", "delete"), (GROUP, "downloadrequests", "update")],
        may_not: &[EXPORTKEY, APPROVE, VOTE, RULE, AUDIT],
    },
    Role { name: "certcourier-operator", may: &[DOWNLOAD, EXPORTKEY, ASK], may_not: &[APPROVE, VOTE, RULE, AUDIT] },
    Role {
        name: "certcourier-approver",
        may: &[APPROVE, VOTE, (GROUP, "downloadrequests", "patch"), (GROUP, "downloadrequests/status", "update")],
        may_not: &[DOWNLOAD, EXPORTKEY, ASK, RULE, AUDIT, (GROUP, "downloadrequests", "delete")],
    },
    Role {
        name: "certcourier-admin",
        may: &[RULE, (GROUP, "certificates", "create"), (GROUP, "certificates", "delete")],
        may_not: &[DOWNLOAD, EXPORTKEY, APPROVE, ASK, VOTE, AUDIT],
    },
    Role { name: "certcourier-auditor", may: &[AUDIT], may_not: &[DOWNLOAD, EXPORTKEY, APPROVE, ASK, VOTE, RULE] },
    // Kubernetes' own: the first has the viewer's role; nobody gains more by installing certcourier.
    Role { name: "view", may: &[], may_not: &[DOWNLOAD, EXPORTKEY, APPROVE, ASK, VOTE, RULE, AUDIT] },
    Role { name: "edit", may: &[], may_not: &[DOWNLOAD, EXPORTKEY, APPROVE, ASK, VOTE, RULE, AUDIT] },
    Role { name: "admin", may: &[], may_not: &[DOWNLOAD, EXPORTKEY, APPROVE, ASK, VOTE, RULE, AUDIT] },
];

fn review(group: &str, right: Right) -> Call {
    let (resource, subresource) = right.1.split_once('/').unwrap_or((right.1, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": "somebody", "groups": [group], "resourceAttributes": {
            "group": right.0, "resource": resource, "subresource": subresource, "verb": right.2,
            "namespace": "default", "name": "api",
        }},
    });
    Call::new(Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
}

fn allowed(answer: &Answer) -> bool {
    answer.body["status"]["allowed"] == true
}

#[tokio::test]
async fn every_role_for_people_holds_its_rights_and_no_others() {
    let session = Session::open().await;
    for role in &ROLES {
        // A group of its own for each role, so that nothing else is asked about.
        let group = format!("only-{}", role.name);
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": group},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
        });
        assert!(session.send(&Who::Admin, &Call::apply(&binding)).await.is_success());
        for right in LOOK.iter().chain(role.may) {
            // The binding takes a moment; `view` waits for Kubernetes to aggregate.
            let what = format!("{} to have {right:?}", role.name);
            session.until(&what, &Who::Admin, &review(&group, *right), allowed).await;
        }
        // edit and admin hold Secrets and ConfigMaps by themselves; what is ours they must not hold.
        let kubernetes = ["edit", "admin"].contains(&role.name);
        let never = NEVER.iter().filter(|right| !kubernetes || right.0 == GROUP);
        for right in never.chain(role.may_not) {
            let answer = session.send(&Who::Admin, &review(&group, *right)).await;
            assert_eq!(answer.body["status"]["allowed"], false, "{} has {right:?}", role.name);
        }
    }
}

#[tokio::test]
async fn no_role_of_ours_has_a_wildcard() {
    let session = Session::open().await;
    let call = Call::new(
        Method::GET,
        "/apis/rbac.authorization.k8s.io/v1/clusterroles?labelSelector=app.kubernetes.io/name=certcourier",
        Value::Null,
    );
    let list = session.send(&Who::Admin, &call).await;
    let roles = list.body["items"].as_array().unwrap();
    assert_eq!(roles.len(), 10);
    for role in roles {
        assert!(!role["rules"].to_string().contains('*'), "{role:#}");
        for rule in role["rules"].as_array().unwrap() {
            let verbs = rule["verbs"].as_array().unwrap();
            let secrets = rule["resources"].as_array().unwrap().contains(&json!("secrets"));
            assert!(!secrets || !verbs.contains(&json!("list")) && !verbs.contains(&json!("watch")), "{role:#}");
        }
    }
}
