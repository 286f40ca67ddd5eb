use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::doctor::{
    checks::{
        evaluate,
        tests::{SYSTEM, give, named, rule, short, sound, with},
    },
    facts::Facts,
    report::{Report, Verdict},
};

const REGISTRATION: &str = "admissionregistration.k8s.io";
const SIGNING: &str = "certificates.k8s.io";
const PAYMENTS: Option<&str> = Some("payments");

fn has(report: &Report, check: Check) -> bool {
    report.findings.iter().any(|finding| finding.check == check)
}

/// Where a part is held alone; `None`: through a ClusterRoleBinding.
fn place_of(part: &Part) -> Option<&'static str> {
    match part.places[0] {
        Place::Certificates | Place::Anywhere => PAYMENTS,
        Place::Operator => Some(SYSTEM),
        Place::KubeSystem => Some("kube-system"),
        Place::Default => Some("default"),
        Place::Cluster => None,
    }
}

/// Each verb on each resource of a part, as rules of one right.
fn each(part: &Part) -> Vec<Value> {
    let one = |verb: &str, right: &Right, resource: &str| rule(&[verb], right.group, &[resource]);
    part.rights
        .iter()
        .flat_map(|right| {
            right.verbs.iter().flat_map(move |verb| right.resources.iter().map(move |r| one(verb, right, r)))
        })
        .collect()
}

/// A cluster in which somebody holds one right of each of these parts.
fn holding(who: &str, parts: &[(&Part, Value)], everywhere: bool) -> Facts {
    // Comparing the policies takes its time, and is not what this is about.
    let mut facts = Facts { admission: None, ..sound() };
    for (part, rules) in parts {
        let place = if everywhere { None } else { place_of(part) };
        give(&mut facts.rbac, who, place, rules, &json!({}));
    }
    facts
}

#[test]
fn each_right_of_the_table_is_found_alone_and_only_with_what_it_needs() {
    let mut tried = 0;
    for row in all() {
        let who = if row.check == Check::EverybodyHolds { "Group/system:authenticated" } else { "User/mallory" };
        for way in row.ways {
            let first: Vec<(&Part, Value)> = way.iter().map(|part| (part, each(part).swap_remove(0))).collect();
            for (index, part) in way.iter().enumerate() {
                for rules in each(part) {
                    let mut parts = first.clone();
                    parts[index].1 = rules;
                    for everywhere in [false, true] {
                        let report = evaluate(&holding(who, &parts, everywhere));
                        assert!(
                            has(&report, row.check),
                            "{:?} {parts:?}: {:?}",
                            row.check,
                            short(&report),
                            parts = parts[index].1
                        );
                        tried += 1;
                    }
                }
                // Without one of the parts it is nothing.
                let mut without = first.clone();
                without.remove(index);
                let report = evaluate(&holding(who, &without, false));
                assert!(!has(&report, row.check), "{:?}: {:?}", row.check, short(&report));
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn each_row_has_an_id_of_its_own_and_says_why_and_what_to_do() {
    let mut ids = BTreeSet::new();
    for row in all() {
        assert!(ids.insert(row.check), "{:?}", row.check);
        assert!(row.why.len() > 20 && row.remedy.len() > 20 && !row.ways.is_empty(), "{:?}", row.check);
        assert!(row.limited >= row.severity && row.severity < Severity::Note, "{:?}", row.check);
    }
}

/// Parts of a way count in one place alone.
#[test]
fn halves_of_a_way_in_two_places_are_not_a_way() {
    let mut facts = with("User/mallory", PAYMENTS, &rule(&["create"], RBAC, &["roles"]));
    give(&mut facts.rbac, "User/mallory", Some("shop"), &rule(&["create"], RBAC, &["rolebindings"]), &json!({}));
    assert_eq!(short(&evaluate(&facts)), [""; 0]);
    give(&mut facts.rbac, "User/mallory", None, &rule(&["create"], RBAC, &["roles"]), &json!({}));
    assert_eq!(short(&evaluate(&facts)), ["medium WritesBindings User/mallory [shop] may create rolebindings, roles"]);
}

/// Who, where, which rules, and the one finding.
type Case = (&'static str, Option<&'static str>, Value, &'static str);

fn one_finding_each(cases: impl IntoIterator<Item = Case>) {
    for (who, place, rules, found) in cases {
        let report = evaluate(&with(who, place, &rules));
        assert_eq!(short(&report), [found]);
        assert_eq!(report.verdict(), Verdict::Findings);
        let finding = &report.findings[0];
        assert!(!finding.why.is_empty() && !finding.remedy.is_empty());
        assert_eq!(finding.via.len(), 1, "{:?}", finding.via);
    }
}

#[test]
fn each_way_to_a_key_past_certcourier_is_one_finding() {
    one_finding_each([
        (
            "User/mallory",
            PAYMENTS,
            rule(&["get"], "", &["secrets"]),
            "high ReadsSecrets User/mallory [payments] may get secrets",
        ),
        (
            "Group/ops",
            PAYMENTS,
            rule(&["list", "watch"], "", &["secrets"]),
            "high ReadsSecrets Group/ops [payments] may list, watch secrets",
        ),
        (
            "User/mallory",
            PAYMENTS,
            rule(&["deletecollection", "patch", "update"], "", &["secrets"]),
            "high ReadsSecrets User/mallory [payments] may deletecollection, patch secrets",
        ),
        (
            "ServiceAccount/ci/bot",
            PAYMENTS,
            named(&["get"], "", &["secrets"], &["web-tls", "other"]),
            "high ReadsSecrets ServiceAccount/ci/bot [payments] may get secrets named web-tls",
        ),
        (
            "Group/system:authenticated",
            PAYMENTS,
            rule(&["get"], "", &["secrets"]),
            "critical ReadsSecrets Group/system:authenticated [payments] may get secrets",
        ),
        (
            "User/mallory",
            Some("shop"),
            rule(&["create"], "apps", &["deployments"]),
            "medium MountsSecrets User/mallory [shop] may create deployments",
        ),
        (
            "User/mallory",
            Some(SYSTEM),
            rule(&["get"], "", &["pods/exec"]),
            "critical BecomesOperator User/mallory [certcourier-system] may get pods/exec",
        ),
        (
            "User/mallory",
            Some(SYSTEM),
            named(&["create"], "", &["serviceaccounts/token"], &["server", "x"]),
            "critical BecomesOperator User/mallory [certcourier-system] may create serviceaccounts/token named server",
        ),
        (
            "User/mallory",
            Some(SYSTEM),
            rule(&["list"], "", &["secrets"]),
            "high ReadsOperatorSecrets User/mallory [certcourier-system] may list secrets",
        ),
        (
            "User/mallory",
            Some(SYSTEM),
            named(&["patch"], "", &["configmaps"], &["certcourier-server", "x"]),
            "high RedirectsPeople User/mallory [certcourier-system] may patch configmaps named certcourier-server",
        ),
        (
            "User/mallory",
            PAYMENTS,
            rule(&["create"], "", &["serviceaccounts/token"]),
            "medium TakesServiceAccountTokens User/mallory [payments] may create serviceaccounts/token",
        ),
        (
            "User/mallory",
            PAYMENTS,
            json!([
                {"verbs": ["create"], "apiGroups": [""], "resources": ["secrets"]},
                {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"]},
            ]),
            "medium TakesServiceAccountTokens User/mallory [payments] may create, get secrets",
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_way_to_be_somebody_else_or_to_change_the_rules_is_one_finding() {
    one_finding_each([
        (
            "User/mallory",
            None,
            rule(&["impersonate"], "", &["users", "groups"]),
            "high Impersonates User/mallory [*] may impersonate groups, users",
        ),
        (
            "User/mallory",
            None,
            rule(&["impersonate:user-info"], "authentication.k8s.io", &["users"]),
            "high Impersonates User/mallory [*] may impersonate:user-info users",
        ),
        (
            "User/mallory",
            None,
            rule(&["impersonate:arbitrary-node"], "authentication.k8s.io", &["nodes"]),
            "high Impersonates User/mallory [*] may impersonate:arbitrary-node nodes",
        ),
        (
            "User/mallory",
            Some(SYSTEM),
            rule(&["update"], "coordination.k8s.io", &["leases"]),
            "medium StopsController User/mallory [certcourier-system] may update leases",
        ),
        (
            "User/mallory",
            None,
            rule(&["create"], "flowcontrol.apiserver.k8s.io", &["flowschemas"]),
            "medium ThrottlesOperator User/mallory [] may create flowschemas",
        ),
        (
            "User/mallory",
            Some(SYSTEM),
            rule(&["patch"], "networking.k8s.io", &["networkpolicies"]),
            "medium CutsOffOperator User/mallory [certcourier-system] may patch networkpolicies",
        ),
        (
            "User/mallory",
            Some("default"),
            rule(&["create"], "discovery.k8s.io", &["endpointslices"]),
            "medium CutsOffOperator User/mallory [default] may create endpointslices",
        ),
        (
            "User/mallory",
            PAYMENTS,
            rule(&["create"], "", &["resourcequotas"]),
            "medium ClosesNamespaces User/mallory [payments] may create resourcequotas",
        ),
        (
            "User/mallory",
            PAYMENTS,
            named(&["update"], "", &["namespaces/finalize"], &["payments"]),
            "medium ClosesNamespaces User/mallory [payments] may update namespaces/finalize named payments",
        ),
        (
            "User/mallory",
            None,
            rule(&["patch"], "apiextensions.k8s.io", &["customresourcedefinitions/status"]),
            "medium UnservesKinds User/mallory [] may patch customresourcedefinitions/status",
        ),
        (
            "User/mallory",
            None,
            named(&["impersonate"], "", &["users"], &["ci"]),
            "medium Impersonates User/mallory [*] may impersonate users named ci",
        ),
        (
            "User/mallory",
            None,
            json!([
                {"verbs": ["approve"], "apiGroups": [SIGNING], "resources": ["signers"],
                 "resourceNames": ["kubernetes.io/kube-apiserver-client"]},
                {"verbs": ["update"], "apiGroups": [SIGNING], "resources": ["certificatesigningrequests/approval"]},
            ]),
            "high IssuesCertificates User/mallory [] may approve signers; update certificatesigningrequests/approval",
        ),
        (
            "User/mallory",
            None,
            rule(&["patch"], REGISTRATION, &["validatingadmissionpolicybindings"]),
            "high EditsAdmission User/mallory [] may patch validatingadmissionpolicybindings",
        ),
        (
            "User/mallory",
            None,
            rule(&["update"], "apiextensions.k8s.io", &["customresourcedefinitions"]),
            "high EditsKinds User/mallory [] may update customresourcedefinitions",
        ),
        (
            "User/mallory",
            PAYMENTS,
            rule(&["bind"], RBAC, &["clusterroles"]),
            "high WidensRoles User/mallory [payments] may bind clusterroles",
        ),
        (
            "User/mallory",
            PAYMENTS,
            named(&["delete"], "", &["namespaces"], &["payments"]),
            "medium DeletesNamespaces User/mallory [payments] may delete namespaces named payments",
        ),
        (
            "User/mallory",
            PAYMENTS,
            json!([{"verbs": ["*"], "apiGroups": ["certcourier.io"], "resources": ["certificates"]}]),
            "medium WildcardRole User/mallory [payments] holds verb * on certificates.certcourier.io",
        ),
        (
            "User/mallory",
            None,
            json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
            "high Everything User/mallory [*] may do everything (verb * on *.*)",
        ),
        (
            "Group/system:authenticated",
            PAYMENTS,
            rule(&["exportkey"], "certcourier.io", &["certificates"]),
            "critical EverybodyHolds Group/system:authenticated [payments] may exportkey certificates",
        ),
    ]);
}

/// What holds everywhere holds in the operator's namespace and in kube-system too, and each is a reason of its own.
#[test]
fn a_right_on_all_namespaces_is_found_where_it_counts() {
    let report = evaluate(&with("Group/ops", None, &rule(&["list", "watch"], "", &["secrets"])));
    assert_eq!(
        short(&report),
        [
            "high ReadsOperatorSecrets Group/ops [*] may list, watch secrets",
            "high ReadsSecrets Group/ops [*] may list, watch secrets",
            "medium ReadsKubeSystemSecrets Group/ops [*] may list, watch secrets",
        ]
    );
}

#[test]
fn what_does_not_reach_a_key_is_no_finding() {
    let everything = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    for (who, place, rules) in [
        // Not in a namespace with Certificates.
        ("User/mallory", Some("elsewhere"), rule(&["get"], "", &["secrets"])),
        // Not a Secret behind a Certificate, or only one of another namespace.
        ("User/mallory", PAYMENTS, named(&["get"], "", &["secrets"], &["other", "shop-tls"])),
        // A write of a Secret answers with what was sent; a Secret that is made is nobody's key yet.
        ("User/mallory", PAYMENTS, rule(&["create", "update"], "", &["secrets"])),
        ("User/mallory", Some(SYSTEM), rule(&["create", "update"], "", &["secrets"])),
        ("User/mallory", PAYMENTS, rule(&["get", "list"], "", &["configmaps", "pods", "pods/log"])),
        // It reaches ports, and these ask who is there.
        ("User/mallory", Some(SYSTEM), rule(&["create"], "", &["pods/portforward"])),
        // The Lease is there already.
        ("User/mallory", Some(SYSTEM), rule(&["create", "get"], "coordination.k8s.io", &["leases"])),
        ("User/mallory", PAYMENTS, rule(&["create"], "", &["pods/eviction"])),
        // Only others' calls, pods and objects.
        ("User/mallory", PAYMENTS, rule(&["create"], "networking.k8s.io", &["networkpolicies"])),
        ("User/mallory", PAYMENTS, rule(&["create"], "discovery.k8s.io", &["endpointslices"])),
        ("User/mallory", Some("default"), named(&["patch"], "", &["endpoints"], &["web"])),
        ("User/mallory", Some("elsewhere"), rule(&["create"], "", &["resourcequotas"])),
        ("User/mallory", PAYMENTS, rule(&["get", "delete"], "", &["resourcequotas"])),
        ("User/mallory", Some(SYSTEM), named(&["update", "patch"], "", &["configmaps"], &["kube-root-ca.crt"])),
        ("User/mallory", Some(SYSTEM), named(&["create"], "", &["serviceaccounts/token"], &["default"])),
        // uids and extras are impersonated beside a user alone.
        ("User/mallory", None, rule(&["impersonate"], "authentication.k8s.io", &["uids", "userextras"])),
        // Half of what it takes.
        ("User/mallory", PAYMENTS, rule(&["create", "update"], RBAC, &["roles"])),
        ("User/mallory", PAYMENTS, rule(&["create", "update"], RBAC, &["rolebindings"])),
        ("User/mallory", None, rule(&["create"], "", &["persistentvolumes"])),
        ("User/mallory", None, rule(&["approve"], SIGNING, &["signers"])),
        // Certificates that make nobody a user of the API server.
        (
            "User/mallory",
            None,
            json!([
                {"verbs": ["approve"], "apiGroups": [SIGNING], "resources": ["signers"],
                 "resourceNames": ["kubernetes.io/kubelet-serving"]},
                {"verbs": ["update"], "apiGroups": [SIGNING], "resources": ["certificatesigningrequests/approval"]},
            ]),
        ),
        // Others' policies, kinds and APIs.
        ("User/mallory", None, named(&["update"], REGISTRATION, &["validatingadmissionpolicies"], &["images"])),
        (
            "User/mallory",
            None,
            named(&["patch"], "apiextensions.k8s.io", &["customresourcedefinitions"], &["issuers.cert-manager.io"]),
        ),
        ("User/mallory", None, rule(&["create"], "apiextensions.k8s.io", &["customresourcedefinitions"])),
        (
            "User/mallory",
            None,
            named(&["update"], "apiregistration.k8s.io", &["apiservices"], &["v1beta1.metrics.k8s.io"]),
        ),
        ("User/mallory", None, rule(&["get"], "", &["nodes", "nodes/metrics", "nodes/stats"])),
        // The status policy decides who writes what.
        ("User/mallory", PAYMENTS, rule(&["update", "patch"], "certcourier.io", &["downloadrequests/status"])),
        ("User/mallory", PAYMENTS, rule(&["delete"], "certcourier.io", &["downloadreceipts"])),
        // A binding in a namespace gives nothing on objects without one.
        ("User/mallory", PAYMENTS, rule(&["patch"], REGISTRATION, &["validatingadmissionpolicies"])),
        ("User/mallory", PAYMENTS, rule(&["get"], "", &["nodes/proxy"])),
        ("User/mallory", PAYMENTS, rule(&["impersonate"], "", &["users", "groups"])),
        ("User/mallory", None, rule(&["get", "list", "watch"], REGISTRATION, &["validatingadmissionpolicies"])),
        // What certcourier's own roles give.
        ("User/alice", PAYMENTS, rule(&["download", "exportkey"], "certcourier.io", &["certificates"])),
        ("User/bob", PAYMENTS, rule(&["approve"], "certcourier.io", &["certificates"])),
        ("User/dave", PAYMENTS, rule(&["patch"], "certcourier.io", &["certificatepolicies"])),
        // Those who run the API server, and the operator.
        ("Group/system:masters", None, everything),
        ("User/system:kube-controller-manager", None, rule(&["list", "watch"], "", &["secrets"])),
        ("ServiceAccount/certcourier-system/controller", None, rule(&["get"], "", &["secrets"])),
    ] {
        assert_eq!(short(&evaluate(&with(who, place, &rules))), [""; 0], "{who} {rules}");
    }
}
