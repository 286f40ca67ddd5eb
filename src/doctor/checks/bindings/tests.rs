use serde_json::{Value, json};

use crate::doctor::{
    checks::{
        evaluate,
        tests::{SYSTEM, parse, short, sound},
    },
    facts::Facts,
};

fn bound(place: Option<&str>, name: &str, kind: &str, role: &str, subject: &Value) -> Facts {
    let mut facts = sound();
    let binding = json!({
        "metadata": {"name": name, "namespace": place}, "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
    });
    match place {
        Some(_) => facts.rbac.role_bindings.push(parse(binding)),
        None => facts.rbac.cluster_role_bindings.push(parse(binding)),
    }
    facts
}

fn mallory() -> Value {
    json!({"kind": "User", "name": "mallory"})
}

#[test]
fn who_is_bound_to_a_role_of_the_operator_and_is_not_the_operator_is_found() {
    let role = |facts: &mut Facts, name: &str| {
        facts.rbac.cluster_roles.push(parse(json!({"metadata": {"name": name}, "rules": []})));
    };
    let mut facts = bound(Some("payments"), "x", "ClusterRole", "certcourier-server", &mallory());
    role(&mut facts, "certcourier-server");
    assert_eq!(
        short(&evaluate(&facts)),
        [
            "high HoldsOperatorRole User/mallory [payments] is bound to ClusterRole certcourier-server, which is the operator's"
        ]
    );
    let own = json!({"kind": "ServiceAccount", "name": "server", "namespace": SYSTEM});
    let mut facts = bound(None, "certcourier-server", "ClusterRole", "certcourier-server", &own);
    role(&mut facts, "certcourier-server");
    assert_eq!(short(&evaluate(&facts)), [""; 0]);
    let mut facts = bound(Some("payments"), "x", "ClusterRole", "certcourier-operator", &mallory());
    role(&mut facts, "certcourier-operator");
    assert_eq!(short(&evaluate(&facts)), [""; 0], "a role for people");
}

#[test]
fn a_binding_that_waits_for_a_role_of_ours_is_found() {
    let found = |facts: &Facts| short(&evaluate(facts));
    let waiting = "medium DanglingBinding User/mallory";
    assert_eq!(
        found(&bound(None, "x", "ClusterRole", "certcourier-approver", &mallory())),
        [format!("{waiting} [*] is bound to ClusterRole certcourier-approver, which is not there")]
    );
    assert_eq!(
        found(&bound(Some("payments"), "innocent", "Role", "nightly-download-token", &mallory())),
        [format!("{waiting} [payments] is bound to Role nightly-download-token, which is not there")]
    );
    // One that certcourier has made goes with its Role, a moment after it; others' roles are others' business.
    for (name, role) in
        [("nightly-download-token", "nightly-download-token"), ("x", "reader"), ("x", "certcourier-doctor")]
    {
        assert_eq!(found(&bound(Some("payments"), name, "Role", role, &mallory())), [""; 0], "{role}");
    }
    // What could not be read may be there.
    let mut blind = bound(None, "x", "ClusterRole", "certcourier-approver", &mallory());
    blind.rbac.has_gaps = true;
    assert_eq!(found(&blind), [""; 0]);
}

#[test]
fn a_role_that_adds_a_right_to_what_many_have_is_found() {
    let found = |name: &str, labels: Value, rules: Value| {
        let mut facts = sound();
        facts.rbac.cluster_roles.push(parse(json!({"metadata": {"name": name, "labels": labels}, "rules": rules})));
        short(&evaluate(&facts))
    };
    let to = |role: &str| json!({format!("rbac.authorization.k8s.io/aggregate-to-{role}"): "true"});
    let secrets = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
    let export = json!([{"verbs": ["*"], "apiGroups": ["certcourier.io"], "resources": ["certificates"]}]);
    let look = json!([{"verbs": ["get"], "apiGroups": ["certcourier.io"], "resources": ["certificates"]}]);
    let row = "medium AggregatesRights ClusterRole/x []";
    assert_eq!(
        found("x", to("view"), secrets.clone()),
        [format!("{row} adds the reading of Secrets to ClusterRole view")]
    );
    assert_eq!(
        found("x", to("edit"), export.clone()),
        [format!("{row} adds download, exportkey or approve on Certificates to ClusterRole edit")]
    );
    assert_eq!(found("x", to("edit"), secrets.clone()), [""; 0], "edit reads Secrets anyway");
    assert_eq!(found("x", to("view"), look), [""; 0]);
    assert_eq!(found("x", json!({}), export), [""; 0]);
    let mut own = to("view");
    own["kubernetes.io/bootstrapping"] = "rbac-defaults".into();
    assert_eq!(found("system:aggregate-to-view", own.clone(), secrets.clone()), [""; 0]);
    assert_eq!(found("x", own, secrets).len(), 1, "the label is anybody's to write");
}
