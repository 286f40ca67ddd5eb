//! What the doctor knows: each right that leads past certcourier is given to somebody of its own, and named with its id.
//! Those of which it is not obvious are used, so that what the report says is true.

mod proofs;
mod situations;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use test_support::{
    people::{self, RBAC, binding, role_ref},
    stage::{SYSTEM, Stage},
    world::World,
};

use self::situations::{Place, Situation};
use super::super::doctor::doctor;
/// On everything that this test gives, so that it can be taken away again.
const LABEL: &str = "doctor-test";

/// A test's namespace, and the things that it plants in others.
struct Plants<'a> {
    world: World<'a>,
    /// `doctor-table-7`: unique among those who share the control plane.
    unique: String,
}

impl Plants<'_> {
    /// The name that a situation's subject has.
    fn user(&self, situation: &str) -> String {
        format!("{}-{situation}", self.unique)
    }

    fn namespace(&self, place: Place) -> Option<&str> {
        match place {
            Place::Here => Some(&self.world.namespace),
            Place::System => Some(SYSTEM),
            Place::KubeSystem => Some("kube-system"),
            Place::Default => Some("default"),
            Place::Cluster => None,
        }
    }

    /// A role with exactly these rules, bound to one subject.
    fn give(&self, name: &str, place: Place, rules: &Value, subject: &Value) -> [Value; 2] {
        let (role, binding) = match place {
            Place::Cluster => ("ClusterRole", "ClusterRoleBinding"),
            _ => ("Role", "RoleBinding"),
        };
        let metadata = self.metadata(name, place);
        [
            json!({"apiVersion": format!("{RBAC}/v1"), "kind": role, "metadata": metadata, "rules": rules}),
            self.bind(name, place, binding, &role_ref(role, metadata["name"].as_str().unwrap()), subject),
        ]
    }

    fn bind(&self, name: &str, place: Place, kind: &str, role: &Value, subject: &Value) -> Value {
        binding(kind, &self.metadata(name, place), role, std::slice::from_ref(subject))
    }

    fn metadata(&self, name: &str, place: Place) -> Value {
        json!({"name": format!("{}-{name}", self.unique), "namespace": self.namespace(place),
               "labels": {LABEL: self.unique}})
    }

    fn subject(&self, situation: &str) -> Value {
        people::user(&self.user(situation))
    }

    async fn create(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        self.world.stage.plane.admin_kubectl().check_with(["create", "-f", "-"], &list).await.unwrap();
    }

    /// Takes everything away again: others are on this control plane too.
    async fn clear(&self) {
        let (client, all) = (&self.world.admin, ListParams::default().labels(&format!("{LABEL}={}", self.unique)));
        let now = DeleteParams::default();
        Api::<ClusterRoleBinding>::all(client.clone()).delete_collection(&now, &all).await.unwrap();
        Api::<ClusterRole>::all(client.clone()).delete_collection(&now, &all).await.unwrap();
        for namespace in [SYSTEM, "kube-system", "default"] {
            Api::<RoleBinding>::namespaced(client.clone(), namespace).delete_collection(&now, &all).await.unwrap();
            Api::<Role>::namespaced(client.clone(), namespace).delete_collection(&now, &all).await.unwrap();
        }
    }

    /// The report on this namespace, as the administrator sees it.
    fn report(&self) -> Value {
        let kubeconfig = self.world.stage.plane.admin_kubeconfig();
        doctor(&kubeconfig, &["-n", &self.world.namespace, "-o", "json"]).json()
    }
}

/// `severity Check` of each finding about a subject, in the order of the report.
fn found<'a>(report: &'a Value, list: &str, subject: &str) -> Vec<(String, &'a Value)> {
    let findings = report[list].as_array().unwrap().iter().filter(|finding| finding["subject"] == subject);
    let short = |f: &Value| format!("{} {}", f["severity"].as_str().unwrap(), f["check"].as_str().unwrap());
    findings.map(|finding| (short(finding), finding)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_leads_past_certcourier_is_named_with_its_id_and_the_others_are_not() {
    let world = World::new(Stage::shared().await, "doctor-table").await;
    let plants = Plants { unique: world.namespace.clone(), world };
    let situations = situations::all();
    let mut objects = Vec::new();
    for Situation { name, grants, .. } in &situations {
        for (index, (place, rules)) in grants.iter().enumerate() {
            let rules = rules.to_string().replace("HERE", &plants.world.namespace).replace("SYSTEM", SYSTEM);
            let rules: Value = serde_json::from_str(&rules).unwrap();
            objects.extend(plants.give(&format!("{name}-{index}"), *place, &rules, &plants.subject(name)));
        }
    }
    plants.create(&objects).await;
    let planted = special(&plants).await;
    let report = plants.report();
    let mut ids = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for Situation { name, expected, .. } in &situations {
        let subject = format!("User/{}", plants.user(name));
        let found = found(&report, "findings", &subject);
        let short: Vec<&str> = found.iter().map(|(short, _)| short.as_str()).collect();
        if short != *expected {
            wrong.push(format!("{name}: {short:?} instead of {expected:?}"));
        }
        ids.extend(found.into_iter().map(|(_, finding)| finding["check"].as_str().unwrap().to_owned()));
    }
    ids.extend(planted.judge(&plants, &report));
    proofs::what_the_report_says_is_true(&plants).await;
    plants.clear().await;
    assert_eq!(wrong, [""; 0]);
    // Nothing is in the list that no situation here leads to.
    let missing: Vec<&str> = certcourier::doctor::Check::ALL
        .iter()
        .map(|check| check.name())
        .filter(|name| !ids.contains(*name) && !OF_OTHER_TESTS.contains(name))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// Those that are not about rights: `what_is_planted_is_found_and_what_may_not_be_looked_at_is_said` has the first three,
/// and unit tests the others, which are made from what the policies and the guard say.
const OF_OTHER_TESTS: [&str; 5] =
    ["Guard", "AdmissionPolicy", "UnattendedWithoutDeadline", "OperatorIdentity", "MutatesRequests"];

/// What a role with one right cannot show.
struct Planted {
    backup: String,
    everybody: String,
}

/// Aggregated roles, labels that are anybody's to write, bindings that wait, and who keeps Certificates.
async fn special(plants: &Plants<'_>) -> Planted {
    let unique = plants.unique.as_str();
    let secrets = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    let mut part = plants.give("part", Place::Cluster, &secrets, &plants.subject("nobody"));
    part[0]["metadata"]["labels"]["doctor-test-part"] = unique.into();
    let whole = json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
        "metadata": plants.metadata("whole", Place::Cluster), "rules": [],
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"doctor-test-part": unique}}]}});
    // It adds a right on something that does not exist to what many have.
    let export = json!([{"apiGroups": ["certcourier.io"], "resources": ["certificates"],
        "resourceNames": [unique], "verbs": ["exportkey"]}]);
    let mut adds = plants.give("adds", Place::Cluster, &export, &plants.subject("nobody"));
    adds[0]["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] = "true".into();
    let account = json!({"kind": "ServiceAccount", "namespace": "kube-system", "name": unique});
    let mut backup = plants.bind(
        "backup",
        Place::Cluster,
        "ClusterRoleBinding",
        &role_ref("ClusterRole", "cluster-admin"),
        &account,
    );
    backup["metadata"]["labels"]["kubernetes.io/bootstrapping"] = "rbac-defaults".into();
    let bind =
        |name: &str, bound: Value, subject: &Value| plants.bind(name, Place::Here, "RoleBinding", &bound, subject);
    let whole_name = format!("{unique}-whole");
    plants
        .create(&[
            part[0].clone(),
            whole,
            adds[0].clone(),
            backup,
            bind("whole", role_ref("ClusterRole", &whole_name), &plants.subject("aggregated")),
            bind("waits", role_ref("ClusterRole", "certcourier-later"), &plants.subject("waits")),
            bind("innocent", role_ref("Role", "later-download-token"), &plants.subject("waits-for-a-token")),
            bind("server", role_ref("ClusterRole", "certcourier-server"), &plants.subject("server")),
            bind(
                "everybody",
                role_ref("ClusterRole", "certcourier-downloader"),
                &people::group("system:authenticated"),
            ),
            bind("keeper", role_ref("ClusterRole", "certcourier-admin"), &plants.subject("keeper")),
        ])
        .await;
    let exactly =
        json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["api-tls"], "verbs": ["get"]}]);
    plants.create(&plants.give("keeper-reads", Place::Here, &exactly, &plants.subject("keeper"))).await;
    let kubectl = plants.world.stage.plane.admin_kubectl();
    plants
        .world
        .until("the role is aggregated", || async {
            let look = ["get", "clusterrole", &whole_name, "-o", "jsonpath={.rules}"];
            kubectl.check(look).await.unwrap().stdout.contains("secrets")
        })
        .await;
    Planted {
        backup: format!("ServiceAccount/kube-system/{unique}"),
        everybody: "Group/system:authenticated".to_owned(),
    }
}

impl Planted {
    /// The ids that were found.
    fn judge(&self, plants: &Plants<'_>, report: &Value) -> Vec<String> {
        let mut ids = Vec::new();
        let user = |name: &str| format!("User/{}", plants.user(name));
        for (list, subject, expected) in [
            ("findings", user("aggregated"), &["high ReadsSecrets"][..]),
            ("findings", format!("ClusterRole/{}-adds", plants.unique), &["medium AggregatesRights"]),
            ("findings", user("waits"), &["medium DanglingBinding"]),
            ("findings", user("waits-for-a-token"), &["medium DanglingBinding"]),
            ("findings", user("server"), &["high HoldsOperatorRole", "high ReadsSecrets"]),
            ("findings", self.backup.clone(), &["high Everything"]),
            ("findings", self.everybody.clone(), &["critical EverybodyHolds"]),
            ("findings", user("keeper"), &[]),
            ("notes", user("keeper"), &["note KeepsCertificates"]),
        ] {
            let found = found(report, list, &subject);
            let short: Vec<&str> = found.iter().map(|(short, _)| short.as_str()).collect();
            assert_eq!(short, expected, "{subject}");
            ids.extend(found.iter().map(|(_, finding)| finding["check"].as_str().unwrap().to_owned()));
        }
        let aggregated = found(report, "findings", &user("aggregated"));
        let through = format!("(aggregated from {}-part)", plants.unique);
        assert!(aggregated[0].1["via"].to_string().contains(&through), "{}", aggregated[0].1);
        // Kubernetes' own accounts are set aside: by what Kubernetes bound them to itself.
        let aside = report["setAside"].to_string();
        assert!(aside.contains("ServiceAccount/kube-system/generic-garbage-collector"), "{aside}");
        assert!(!aside.contains(&self.backup), "{aside}");
        ids
    }
}
