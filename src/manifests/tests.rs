//! What is printed, without a cluster.

use serde_json::{Value, json};

use super::{Installation, objects, yaml};
use crate::admission::Identity;

const ACCOUNT: &str = "system:serviceaccount:certcourier-system:certcourier";

fn installation(watch_namespaces: &[&str], stamp: bool) -> Vec<Value> {
    let identity = Identity::new("certcourier-system", ACCOUNT, "server").unwrap();
    let watch_namespaces = watch_namespaces.iter().map(|&namespace| namespace.to_owned()).collect();
    objects(&Installation { identity, watch_namespaces, stamp }).unwrap()
}

/// Kind, namespace and name of each object of these kinds.
fn named(objects: &[Value], kinds: &[&str]) -> Vec<String> {
    objects
        .iter()
        .filter(|object| kinds.contains(&object["kind"].as_str().unwrap()))
        .map(|object| {
            let metadata = &object["metadata"];
            let namespace = metadata["namespace"].as_str().unwrap_or("-");
            format!("{} {namespace} {}", object["kind"].as_str().unwrap(), metadata["name"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn without_listed_namespaces_the_operator_is_bound_everywhere() {
    let objects = installation(&[], true);
    assert_eq!(
        named(&objects, &["ClusterRoleBinding", "RoleBinding"]),
        [
            "ClusterRoleBinding - certcourier-system",
            "ClusterRoleBinding - certcourier-guard",
            "ClusterRoleBinding - certcourier-controller",
            "ClusterRoleBinding - certcourier-server",
            "RoleBinding certcourier-system certcourier-controller-own",
            "RoleBinding certcourier-system certcourier-server-own",
        ]
    );
}

#[test]
fn with_listed_namespaces_the_operator_is_bound_there_alone() {
    let objects = installation(&["payments", "certcourier-system"], true);
    assert_eq!(
        named(&objects, &["ClusterRoleBinding", "RoleBinding"]),
        [
            "ClusterRoleBinding - certcourier-system",
            "ClusterRoleBinding - certcourier-guard",
            "RoleBinding payments certcourier-controller",
            "RoleBinding certcourier-system certcourier-controller",
            "RoleBinding certcourier-system certcourier-controller-own",
            "RoleBinding payments certcourier-server",
            "RoleBinding certcourier-system certcourier-server",
            "RoleBinding certcourier-system certcourier-server-own",
        ]
    );
}

#[test]
fn subjects_are_who_the_operator_is() {
    let objects = installation(&["payments"], true);
    let subjects = |name: &str, kind: &str| {
        let binding = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        binding.unwrap()["subjects"].clone()
    };
    let controller = json!({"kind": "ServiceAccount", "namespace": "certcourier-system", "name": "certcourier"});
    let server = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "server"});
    assert_eq!(subjects("certcourier-controller", "RoleBinding"), json!([controller]));
    assert_eq!(subjects("certcourier-server", "RoleBinding"), json!([server]));
    assert_eq!(subjects("certcourier-system", "ClusterRoleBinding"), json!([controller, server]));
}

#[test]
fn no_two_objects_have_one_name_and_every_role_that_is_bound_is_there() {
    for watch in [&[][..], &["payments", "certcourier-system"]] {
        let objects = installation(watch, true);
        let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        let names = named(&objects, &kinds);
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        for binding in objects.iter().filter(|object| !object["roleRef"].is_null()) {
            let (kind, name) =
                (binding["roleRef"]["kind"].as_str().unwrap(), binding["roleRef"]["name"].as_str().unwrap());
            let namespace = if kind == "Role" { binding["metadata"]["namespace"].as_str().unwrap() } else { "-" };
            assert!(names.contains(&format!("{kind} {namespace} {name}")), "{binding}");
        }
    }
}

#[test]
fn the_stamp_is_there_only_where_it_is_wanted() {
    let stamps = |objects: &[Value]| named(objects, &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]);
    assert_eq!(
        stamps(&installation(&[], true)),
        [
            "MutatingAdmissionPolicy - downloadrequests-stamp.certcourier.io",
            "MutatingAdmissionPolicyBinding - downloadrequests-stamp.certcourier.io",
        ]
    );
    assert_eq!(stamps(&installation(&[], false)), Vec::<String>::new());
}

#[test]
fn every_object_can_be_found_by_one_label_except_the_kinds() {
    for object in installation(&["payments"], true) {
        let labelled = object["metadata"]["labels"]["app.kubernetes.io/name"] == "certcourier";
        assert_eq!(labelled, object["kind"] != "CustomResourceDefinition", "{}", object["metadata"]);
    }
}

#[test]
fn the_yaml_says_what_the_objects_say() {
    for object in installation(&["payments"], true) {
        let text = yaml::document(&object).unwrap();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert!(read == object, "{text}");
    }
}

#[test]
fn whole_numbers_are_written_as_such() {
    let value = yaml::value(&json!({"maximum": 8.0, "nested": [{"minimum": -1.0}], "half": 0.5, "count": 3})).unwrap();
    assert_eq!(value.to_string(), r#"{"count":3,"half":0.5,"maximum":8,"nested":[{"minimum":-1}]}"#);
}

#[test]
fn the_roles_of_the_operator_are_those_that_it_is_bound_to() {
    let identity = Identity::new("certcourier-system", ACCOUNT, "server").unwrap();
    let mut objects = installation(&["payments"], true);
    objects.extend(super::serving_objects(&identity).unwrap());
    objects.extend(super::session_objects(&identity).unwrap());
    let bound: std::collections::BTreeSet<&str> =
        objects.iter().filter_map(|object| object["roleRef"]["name"].as_str()).collect();
    // The controller is bound to this one where it gives the servers' CA to people.
    let all: std::collections::BTreeSet<&str> = super::OPERATOR_ROLES.into();
    assert_eq!(bound, all);
}
