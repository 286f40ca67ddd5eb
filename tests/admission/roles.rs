//! What the operator's own identities may do, and that each right is really there: asked of the real authorizer.

use axum::http::Method;
use serde_json::json;

use crate::{
    case::{Answer, Call},
    world::{CONTROLLER, HOME, SERVER, Session, Who},
};

const GROUP: &str = "certcourier.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// (namespace, group, resource, name, verb); in `payments`, `HOME` or no namespace.
type Right = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Rights of the controller alone.
const CONTROLLERS: [Right; 27] = [
    ("payments", GROUP, "certificates", "", "watch"),
    ("payments", GROUP, "certificatepolicies", "", "watch"),
    ("payments", GROUP, "downloadrequests", "", "watch"),
    ("payments", GROUP, "downloadreceipts", "", "watch"),
    ("payments", GROUP, "certificates/status", "api", "update"),
    ("payments", GROUP, "downloadrequests", "r1", "delete"),
    ("payments", GROUP, "downloadreceipts", "r1", "delete"),
    ("payments", "", "secrets", "r1-download-token", "create"),
    ("payments", "", "secrets", "r1-download-token", "delete"),
    ("payments", RBAC, "roles", "certcourier-token-01", "get"),
    ("payments", RBAC, "roles", "", "list"),
    ("payments", RBAC, "roles", "certcourier-token-01", "create"),
    ("payments", RBAC, "roles", "certcourier-token-01", "delete"),
    ("payments", RBAC, "rolebindings", "certcourier-token-01", "get"),
    ("payments", RBAC, "rolebindings", "", "list"),
    ("payments", RBAC, "rolebindings", "certcourier-token-01", "create"),
    ("payments", RBAC, "rolebindings", "certcourier-token-01", "delete"),
    (HOME, "coordination.k8s.io", "leases", "", "create"),
    (HOME, "coordination.k8s.io", "leases", "certcourier-controller", "get"),
    (HOME, "coordination.k8s.io", "leases", "certcourier-controller", "update"),
    (HOME, "", "configmaps", "", "create"),
    (HOME, "", "configmaps", "certcourier-guard", "update"),
    (HOME, GROUP, "certificates", "", "create"),
    (HOME, GROUP, "certificates", "certcourier-guard", "download"),
    (HOME, GROUP, "downloadrequests", "", "create"),
    (HOME, "", "secrets", "", "create"),
    (HOME, RBAC, "roles", "", "create"),
];
/// Rights of the server alone.
const SERVERS: [Right; 1] = [("payments", GROUP, "downloadreceipts", "r-1", "create")];
/// Rights of both; some that one needs at home only the other has everywhere, being bound everywhere here.
const BOTH: [Right; 16] = [
    ("payments", GROUP, "certificates", "api", "get"),
    ("payments", GROUP, "certificatepolicies", "", "list"),
    ("payments", GROUP, "downloadrequests", "r1", "get"),
    ("payments", GROUP, "downloadrequests/status", "r1", "update"),
    ("payments", GROUP, "downloadreceipts", "r-1", "get"),
    ("payments", GROUP, "downloadreceipts/status", "r-1", "update"),
    ("payments", "", "secrets", "api-tls", "get"),
    ("payments", "events.k8s.io", "events", "", "create"),
    (HOME, "", "configmaps", "certcourier-guard", "get"),
    (HOME, GROUP, "downloadrequests/status", "certcourier-guard", "update"),
    (HOME, GROUP, "downloadreceipts", "", "create"),
    ("", "authorization.k8s.io", "subjectaccessreviews", "", "create"),
    ("", ADMISSION, "validatingadmissionpolicies", "", "list"),
    ("", ADMISSION, "validatingadmissionpolicybindings", "", "list"),
    ("", ADMISSION, "mutatingadmissionpolicies", "", "list"),
    ("", ADMISSION, "mutatingadmissionpolicybindings", "", "list"),
];
/// What neither may do.
const NEITHER: [Right; 27] = [
    ("payments", "", "secrets", "", "list"),
    ("payments", "", "secrets", "", "watch"),
    ("payments", "", "secrets", "api-tls", "update"),
    ("payments", "", "secrets", "api-tls", "patch"),
    ("payments", GROUP, "certificates", "api", "download"),
    ("payments", GROUP, "certificates", "api", "exportkey"),
    ("payments", GROUP, "certificates", "api", "approve"),
    ("payments", GROUP, "certificates", "api", "update"),
    ("payments", GROUP, "certificatepolicies", "strict", "update"),
    ("payments", GROUP, "downloadrequests", "r1", "create"),
    ("payments", GROUP, "downloadrequests", "r1", "patch"),
    ("payments", GROUP, "downloadrequests", "r1", "update"),
    ("payments", GROUP, "downloadreceipts", "r-1", "update"),
    ("payments", RBAC, "roles", "certcourier-token-01", "update"),
    ("payments", RBAC, "roles", "", "watch"),
    ("payments", RBAC, "rolebindings", "certcourier-token-01", "update"),
    ("payments", RBAC, "roles", "certcourier-token-01", "escalate"),
    ("payments", RBAC, "roles", "certcourier-token-01", "bind"),
    ("payments", "", "configmaps", "certcourier-guard", "get"),
    ("payments", "", "pods", "", "list"),
    ("payments", "", "serviceaccounts/token", "default", "create"),
    (HOME, "", "configmaps", "other", "get"),
    (HOME, "coordination.k8s.io", "leases", "other", "update"),
    (HOME, "", "secrets", "", "list"),
    ("", "", "users", "alice", "impersonate"),
    ("", ADMISSION, "validatingadmissionpolicies", "downloadrequests.certcourier.io", "update"),
    ("", ADMISSION, "validatingadmissionpolicies", "", "watch"),
];

fn review(user: &str, (namespace, group, resource, name, verb): Right) -> Call {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let account = user.rsplit(':').next().unwrap();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "uid": account,
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{HOME}"), "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace, "group": group, "resource": resource, "subresource": subresource,
                "name": name, "verb": verb,
            },
        },
    });
    Call::new(Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
}

#[tokio::test]
async fn the_operators_rights_are_those_that_its_code_paths_need() {
    let session = Session::open().await;
    let is = |expected: bool| move |answer: &Answer| answer.body["status"]["allowed"] == expected;
    let mut table = Vec::new();
    table.extend(CONTROLLERS.map(|right| (right, [true, false])));
    table.extend(SERVERS.map(|right| (right, [false, true])));
    table.extend(BOTH.map(|right| (right, [true, true])));
    table.extend(NEITHER.map(|right| (right, [false, false])));
    let mut wrong = Vec::new();
    for (right, expected) in table {
        for (user, expected) in [CONTROLLER, SERVER].into_iter().zip(expected) {
            let answer = session.send(&Who::Admin, &review(user, right)).await;
            if !is(expected)(&answer) {
                wrong.push(format!("{user} {right:?}: expected {expected}, {}", answer.body["status"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
