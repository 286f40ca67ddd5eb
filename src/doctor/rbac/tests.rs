use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn parse<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
    parse(json!({"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names}))
}

const GET_SECRETS: Right = Right { verbs: &["get"], group: "", resources: &["secrets"] };
const LIST_SECRETS: Right = Right { verbs: &["list"], group: "", resources: &["secrets"] };
const CREATE_PODS: Right = Right { verbs: &["create"], group: "", resources: &["pods"] };
const EXEC: Right = Right { verbs: &["create"], group: "", resources: &["pods/exec"] };

#[test]
fn a_rule_is_read_as_the_authorizer_reads_it() {
    for (asked, rule, allowed) in [
        (GET_SECRETS, rule(&["get"], &[""], &["secrets"], &[]), true),
        (GET_SECRETS, rule(&["*"], &[""], &["secrets"], &[]), true),
        (GET_SECRETS, rule(&["get"], &["*"], &["*"], &[]), true),
        (GET_SECRETS, rule(&["list"], &[""], &["secrets"], &[]), false),
        (GET_SECRETS, rule(&["get"], &["apps"], &["secrets"], &[]), false),
        (GET_SECRETS, rule(&["get"], &[""], &["configmaps"], &[]), false),
        (GET_SECRETS, rule(&["get"], &[""], &["*/status"], &[]), false),
        (GET_SECRETS, rule(&["get"], &[""], &["secrets"], &["api-tls"]), true),
        (GET_SECRETS, rule(&["get"], &[], &["secrets"], &[]), false),
        // Whoever may list by name may list with a field selector.
        (LIST_SECRETS, rule(&["list"], &[""], &["secrets"], &["api-tls"]), true),
        // What is being created has no name yet; what is asked of a thing that is there has one.
        (CREATE_PODS, rule(&["create"], &[""], &["pods"], &["web"]), false),
        (EXEC, rule(&["create"], &[""], &["pods/exec"], &["web"]), true),
        (EXEC, rule(&["create"], &[""], &["pods"], &[]), false),
        (EXEC, rule(&["create"], &[""], &["*/exec"], &[]), true),
        (EXEC, rule(&["create"], &[""], &["*"], &[]), true),
        (CREATE_PODS, rule(&["create"], &[""], &["pods/exec"], &[]), false),
    ] {
        assert_eq!(!asked.within(&rule).is_empty(), allowed, "{asked:?} {rule:?}");
    }
}

#[test]
fn names_limit_a_right() {
    let limited = rule(&["get", "list"], &[""], &["secrets"], &["api-tls", "web-tls"]);
    let names = ["api-tls".to_owned(), "web-tls".to_owned()];
    assert_eq!(GET_SECRETS.within(&limited), [("get", "secrets", Names::Only(&names))]);
    let free = rule(&["get"], &[""], &["secrets"], &[]);
    assert_eq!(GET_SECRETS.within(&free), [("get", "secrets", Names::All)]);
    let delete = Right { verbs: &["delete", "deletecollection"], group: "", resources: &["secrets"] };
    let limited = rule(&["*"], &[""], &["secrets"], &["api-tls"]);
    assert_eq!(delete.within(&limited), [("delete", "secrets", Names::Only(&names[..1]))]);
}

#[test]
fn everything_is_every_verb_on_every_resource_of_every_group() {
    assert!(is_everything(&rule(&["*"], &["*"], &["*"], &[])));
    assert!(is_everything(&rule(&["get", "*"], &["", "*"], &["*"], &[])));
    for less in [
        rule(&["*"], &[""], &["*"], &[]),
        rule(&["get"], &["*"], &["*"], &[]),
        rule(&["*"], &["*"], &["secrets"], &[]),
        rule(&["*"], &["*"], &["*"], &["x"]),
    ] {
        assert!(!is_everything(&less), "{less:?}");
    }
}

#[test]
fn subjects_are_written_as_they_are_read() {
    for text in ["User/alice", "User/https://issuer#a/b", "Group/system:masters", "ServiceAccount/ci/deployer"] {
        assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
    }
    assert_eq!("User/system:serviceaccount:ci:x".parse::<Subject>().unwrap().to_string(), "ServiceAccount/ci/x");
    for text in ["", "alice", "User/", "Robot/x", "ServiceAccount/ci", "ServiceAccount//x", "ServiceAccount/ci/"] {
        let error = text.parse::<Subject>().unwrap_err().to_string();
        assert!(error.contains("write User/NAME"), "{text}: {error}");
    }
}

fn cluster_role(name: &str, labels: &[(&str, &str)], rules: &[PolicyRule]) -> ClusterRole {
    let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
    parse(json!({"metadata": {"name": name, "labels": labels}, "rules": rules}))
}

fn role_binding(name: &str, kind: &str, role: &str, subjects: &serde_json::Value) -> RoleBinding {
    parse(json!({
        "metadata": {"name": name, "namespace": "payments"}, "subjects": subjects,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
    }))
}

#[test]
fn a_binding_gives_each_rule_of_its_role_to_each_subject() {
    let get = rule(&["get"], &[""], &["secrets"], &[]);
    let subjects = json!([
        {"kind": "User", "name": "mallory"},
        {"kind": "User", "name": "system:serviceaccount:ci:bot"},
        {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"},
        {"kind": "ServiceAccount", "name": "local"},
        {"kind": "Group", "name": "ops"},
        {"kind": "Robot", "name": "r2d2"},
    ]);
    let rbac = Rbac {
        roles: vec![parse(json!({"metadata": {"name": "reader", "namespace": "payments"}, "rules": [get]}))],
        role_bindings: vec![
            role_binding("b", "Role", "reader", &subjects),
            role_binding("dangling", "Role", "gone", &json!([{"kind": "User", "name": "nobody"}])),
        ],
        ..Rbac::default()
    };
    let grants = rbac.grants();
    let who: Vec<String> = grants.iter().map(|grant| grant.subject.to_string()).collect();
    assert_eq!(who, ["User/mallory", "Group/ops", "ServiceAccount/ci/bot", "ServiceAccount/payments/local"]);
    for grant in &grants {
        assert_eq!((grant.namespace, grant.rule), (Some("payments"), &get));
        assert_eq!(grant.via, "RoleBinding payments/b -> Role payments/reader");
        assert!(!grant.by_default);
    }
}

#[test]
fn a_role_of_another_namespace_grants_nothing() {
    let rbac = Rbac {
        roles: vec![parse(json!({"metadata": {"name": "reader", "namespace": "shop"},
            "rules": [rule(&["get"], &[""], &["secrets"], &[])]}))],
        role_bindings: vec![role_binding("b", "Role", "reader", &json!([{"kind": "User", "name": "mallory"}]))],
        ..Rbac::default()
    };
    assert!(rbac.grants().is_empty());
}

#[test]
fn an_aggregated_role_names_the_roles_that_its_rules_come_from() {
    let get = rule(&["get"], &[""], &["secrets"], &[]);
    let other = rule(&["get"], &[""], &["configmaps"], &[]);
    let mut edit = cluster_role("edit", &[], &[get.clone(), other.clone()]);
    edit.aggregation_rule = parse(json!({"clusterRoleSelectors": [
        {"matchLabels": {"to-edit": "true"}},
        {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]},
    ]}));
    let rbac = Rbac {
        cluster_roles: vec![
            edit,
            cluster_role("part-one", &[("to-edit", "true")], std::slice::from_ref(&get)),
            cluster_role("part-two", &[("team", "b")], std::slice::from_ref(&get)),
            cluster_role("stranger", &[("team", "c")], std::slice::from_ref(&get)),
            cluster_role("part-three", &[("to-edit", "true")], &[other]),
        ],
        role_bindings: vec![role_binding("b", "ClusterRole", "edit", &json!([{"kind": "User", "name": "mallory"}]))],
        ..Rbac::default()
    };
    let via: Vec<String> = rbac.grants().into_iter().map(|grant| grant.via).collect();
    assert_eq!(
        via,
        [
            "RoleBinding payments/b -> ClusterRole edit (aggregated from part-one, part-two)",
            "RoleBinding payments/b -> ClusterRole edit (aggregated from part-three)",
        ]
    );
}

#[test]
fn a_cluster_role_binding_holds_everywhere_and_a_bootstrap_one_is_known() {
    const NAME: &str = "system:controller:job-controller";
    let rbac = |binding: &str, role: &str| Rbac {
        cluster_roles: vec![cluster_role(role, &[], &[rule(&["*"], &["*"], &["*"], &[])])],
        cluster_role_bindings: vec![parse(json!({
            "metadata": {"name": binding, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "subjects": [
                {"kind": "ServiceAccount", "namespace": "kube-system", "name": "job-controller"},
                {"kind": "ServiceAccount", "namespace": "kube-system", "name": "other"},
            ],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        }))],
        ..Rbac::default()
    };
    let kept = rbac(NAME, NAME);
    let grants: Vec<_> =
        kept.grants().into_iter().map(|grant| (grant.namespace, grant.by_default, grant.via)).collect();
    let via = format!("ClusterRoleBinding {NAME} -> ClusterRole {NAME}");
    assert_eq!(grants, [(None, true, via.clone()), (None, false, via)]);
    // Anybody can write the label.
    for (binding, role) in [("job-controller", "job-controller"), (NAME, "cluster-admin"), ("x", NAME)] {
        assert!(rbac(binding, role).grants().iter().all(|grant| !grant.by_default), "{binding} {role}");
    }
}

#[test]
fn a_selector_chooses_as_the_api_server_does() {
    let metadata: ObjectMeta = parse(json!({"labels": {"a": "1"}}));
    for (selector, chosen) in [
        (json!({}), true),
        (json!({"matchLabels": {"a": "1"}}), true),
        (json!({"matchLabels": {"a": "2"}}), false),
        (json!({"matchLabels": {"b": "1"}}), false),
        (json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}), true),
        (json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}), false),
        (json!({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}), true),
        (json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}), false),
        (json!({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}), true),
        (json!({"matchExpressions": [{"key": "a", "operator": "Sounds", "values": ["1"]}]}), false),
    ] {
        let parsed: LabelSelector = parse(selector.clone());
        assert_eq!(selects(&parsed, &metadata), chosen, "{selector}");
    }
}
