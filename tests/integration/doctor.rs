//! `certcourier doctor` as a process, on a control plane of its own: what it finds, what it says, how it ends.

use std::{path::Path, process::Command};

use certcourier::api::Phase;
use serde_json::{Value, json};
use test_support::{
    program::binary,
    stage::{SYSTEM, Settings, Stage},
    world::World,
};

/// What the doctor said, and how it ended.
pub struct Diagnosis {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Diagnosis {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    /// `severity check subject` of each finding.
    fn findings(&self) -> Vec<String> {
        let report = self.json();
        let of = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        let one = |f: &Value| format!("{} {} {}", of(f, "severity"), of(f, "check"), of(f, "subject"));
        report["findings"].as_array().unwrap().iter().map(one).collect()
    }
}

/// Runs it with these credentials.
pub fn doctor(kubeconfig: &Path, arguments: &[&str]) -> Diagnosis {
    let output = Command::new(binary("certcourier"))
        .arg("doctor")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments)
        .output()
        .unwrap();
    let diagnosis = Diagnosis {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!diagnosis.stderr.contains("panicked"), "{}", diagnosis.stderr);
    diagnosis
}

/// A path and a type for each value, once.
fn shape(value: &Value, path: &str, lines: &mut Vec<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            for item in items {
                shape(item, &format!("{path}[]"), lines);
            }
            "array"
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                shape(value, &format!("{path}.{name}"), lines);
            }
            "object"
        }
    };
    let line = format!("{path}: {kind}");
    if !lines.contains(&line) {
        lines.push(line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_found_and_what_may_not_be_looked_at_is_said() {
    let stage = Stage::own(Settings::default()).await;
    let world = World::new(&stage, "doctor").await;
    let admin = stage.plane.admin_kubeconfig();
    let namespace = world.namespace.clone();
    let look = |more: &[&str]| {
        let mut arguments = vec!["-n", namespace.as_str()];
        arguments.extend(more);
        doctor(&admin, &arguments)
    };

    nothing_is_found(&look, &namespace);
    rights_that_are_missing_are_named_and_granted(&stage, &world).await;
    planted_rights_are_found(&stage, &world, &look).await;
    an_unattended_request_without_deadline_is_found(&stage, &world, &look).await;
    a_guard_that_does_not_stand_is_found(&stage, &world, &look).await;
    everything_of_it_is_in_all_namespaces_too(&admin);
}

fn nothing_is_found(look: &impl Fn(&[&str]) -> Diagnosis, namespace: &str) {
    let clean = look(&["-o", "json"]);
    assert_eq!((clean.code, clean.findings()), (0, Vec::<String>::new()), "{} {}", clean.stdout, clean.stderr);
    let report = clean.json();
    assert_eq!(report["guard"]["state"], "Intact");
    assert!(report["guard"]["probeAgeSeconds"].as_i64().unwrap() <= 60);
    assert_eq!(report["operatorNamespace"], SYSTEM);
    assert_eq!(
        report["operator"],
        json!(["ServiceAccount/certcourier-system/controller", "ServiceAccount/certcourier-system/server"])
    );
    assert_eq!(report["namespaces"], json!([{"name": namespace, "certificates": 1, "secrets": ["api-tls"]}]));
    let holders: Vec<String> = report["holders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|holder| format!("{} {}", holder["right"].as_str().unwrap(), holder["subject"].as_str().unwrap()))
        .collect();
    assert_eq!(holders, ["approve User/bob", "approve User/frank", "exportkey User/alice", "edit policies User/dave"]);
    let aside = report["setAside"].to_string();
    for subject in ["Group/system:masters", "ServiceAccount/certcourier-system/controller"] {
        assert!(aside.contains(subject), "{aside}");
    }

    let table = look(&[]);
    assert_eq!(table.code, 0);
    for words in [
        "GUARD         Intact, probed",
        "No findings.",
        "exportkey      User/alice",
        "CONTROL PLANE User/system:kube-controller-manager, User/system:kube-scheduler, Group/system:masters",
    ] {
        assert!(table.stdout.contains(words), "{words}: {}", table.stdout);
    }
}

/// alice and erin may look at nothing but certcourier's own objects; what is printed makes them able to.
async fn rights_that_are_missing_are_named_and_granted(stage: &Stage, world: &World<'_>) {
    let alice = world.person("alice").await;
    let arguments = ["-n", world.namespace.as_str()];
    let blind = doctor(&alice.kubeconfig, &arguments);
    assert_eq!(blind.code, 2, "{}", blind.stdout);
    for words in [
        "Could not be checked:",
        "missing right: list clusterrolebindings.rbac.authorization.k8s.io",
        "missing right: list validatingadmissionpolicies.admissionregistration.k8s.io",
        &format!("missing right: list rolebindings.rbac.authorization.k8s.io in namespace {}", world.namespace),
        "missing right: get configmaps/certcourier-guard in namespace certcourier-system",
        "An administrator grants what is missing with:",
        "--user=alice",
    ] {
        assert!(blind.stdout.contains(words), "{words}: {}", blind.stdout);
    }
    // What she could not look at comes first. Her own namespace's Certificates she may see.
    assert!(blind.stdout.starts_with("INCOMPLETE: 13 of 15 checks could not be made."), "{}", blind.stdout);
    assert!(!blind.stdout.contains("No findings."), "{}", blind.stdout);
    for words in ["(1 Certificate)", "Nothing was found in what could be checked."] {
        assert!(blind.stdout.contains(words), "{words}: {}", blind.stdout);
    }
    let widest =
        blind.stdout.lines().filter(|line| !line.starts_with("  kubectl")).map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns: {}", blind.stdout);

    let erin = world.person("erin").await;
    let everywhere = doctor(&erin.kubeconfig, &["-A", "-o", "json"]);
    assert_eq!(everywhere.code, 2);
    let missing = everywhere.json()["notLookedAt"].to_string();
    assert!(missing.contains("list certificates.certcourier.io") && missing.contains("erin"), "{missing}");

    let granted = doctor(&alice.kubeconfig, &["-n", &world.namespace, "-o", "json"]).json();
    for command in granted["grant"].as_array().unwrap() {
        let words: Vec<&str> = command.as_str().unwrap().split(' ').collect();
        assert_eq!(words[0], "kubectl");
        stage.plane.admin_kubectl().check(&words[1..]).await.unwrap();
    }
    let seeing = async || {
        let seeing = doctor(&alice.kubeconfig, &arguments);
        if seeing.code == 0 { Ok(()) } else { Err(seeing.stdout) }
    };
    world.until("what was granted suffices", seeing).await;
}

/// Rights that nobody should have.
fn plants(namespace: &str) -> String {
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: peek, namespace: {namespace}}}
rules:
- {{apiGroups: [''], resources: [secrets], resourceNames: [api-tls, unrelated], verbs: [get]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: peek, namespace: {namespace}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: peek}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: edit, namespace: {namespace}}}
subjects: [{{kind: ServiceAccount, name: deployer, namespace: {namespace}}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: all-of-certcourier}}
rules:
- {{apiGroups: [certcourier.io], resources: ['*'], verbs: ['*']}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: all-of-certcourier}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: platform}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all-of-certcourier}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: actor}}
rules:
- {{apiGroups: [''], resources: [users, groups], verbs: [impersonate]}}
- {{apiGroups: [admissionregistration.k8s.io], resources: [validatingadmissionpolicybindings], verbs: [delete]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: actor}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: user-00}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: actor}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: more-admins}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: user-01}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
"
    )
}

async fn planted_rights_are_found(stage: &Stage, world: &World<'_>, look: &impl Fn(&[&str]) -> Diagnosis) {
    let namespace = &world.namespace;
    let plants = plants(namespace);
    stage.plane.admin_kubectl().apply(&plants).await.unwrap();
    let deployer = format!("ServiceAccount/{namespace}/deployer");
    let sick = look(&["-o", "json"]);
    assert_eq!(sick.code, 1);
    assert_eq!(
        sick.findings(),
        [
            "high Everything User/user-01".to_owned(),
            format!("high ReadsSecrets {deployer}"),
            "high ReadsSecrets User/mallory".to_owned(),
            format!("high Impersonates {deployer}"),
            "high Impersonates User/user-00".to_owned(),
            "high EditsAdmission User/user-00".to_owned(),
            format!("medium TakesServiceAccountTokens {deployer}"),
            "medium LoosensPolicies Group/platform".to_owned(),
            "medium WildcardRole Group/platform".to_owned(),
        ]
    );
    let report = sick.json();
    let peek = report["findings"].as_array().unwrap().iter().find(|f| f["subject"] == "User/mallory").unwrap();
    assert_eq!(peek["what"], "may get secrets named api-tls");
    assert_eq!(peek["via"], json!([format!("RoleBinding {namespace}/peek -> Role {namespace}/peek")]));
    let edit = report["findings"].as_array().unwrap().iter().find(|f| f["check"] == "ReadsSecrets").unwrap();
    let through = "ClusterRole edit (aggregated from system:aggregate-to-edit)";
    assert!(edit["via"].to_string().contains(through), "{}", edit["via"]);

    let mut lines = Vec::new();
    shape(&report, "$", &mut lines);
    lines.sort();
    assert_eq!(lines.join("\n"), SHAPE.trim());

    let table = look(&[]);
    assert_eq!(table.code, 1);
    assert!(table.stdout.contains("high      User/mallory may get secrets named api-tls in "), "{}", table.stdout);
    assert_eq!(table.stdout.matches("\n          why  ").count(), sick.findings().len());
    assert_eq!(table.stdout.matches("\n          do   ").count(), sick.findings().len());
    // All but the age of the probe.
    let below = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(below(&look(&[]).stdout), below(&table.stdout), "the order is stable");

    let trusted = look(&["-o", "json", "--trust", "User/user-01", "--trust", &deployer]);
    assert!(
        trusted.findings().iter().all(|f| !f.ends_with("user-01") && !f.ends_with("deployer")),
        "{}",
        trusted.stdout
    );
    assert!(trusted.json()["setAside"].to_string().contains(r#"{"because":"trusted","subject":"User/user-01"}"#));
    assert_eq!(trusted.code, 1);
    stage.plane.admin_kubectl().check_with(["delete", "-f", "-"], &plants).await.unwrap();
    assert_eq!(look(&[]).code, 0);
}

async fn an_unattended_request_without_deadline_is_found(
    stage: &Stage,
    world: &World<'_>,
    look: &impl Fn(&[&str]) -> Diagnosis,
) {
    let robot = stage.plane.service_account(&world.namespace, "robot", &[]).await.unwrap();
    let binding = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: robot, namespace: {0}}},\n  \
         subjects: [{{kind: ServiceAccount, name: robot, namespace: {0}}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certcourier-downloader}}}}\n",
        world.namespace
    );
    stage.plane.admin_kubectl().apply(&binding).await.unwrap();
    let request = format!(
        "{{apiVersion: certcourier.io/v1alpha1, kind: DownloadRequest, metadata: {{name: nightly, namespace: {}}},\n  \
         spec: {{certificateRef: {{name: api}}, format: cert}}}}\n",
        world.namespace
    );
    world
        .until("the robot may ask", || async {
            robot.run_with(["create", "-f", "-"], &request).await.unwrap().succeeded()
        })
        .await;
    world.wait_for_phase("nightly", Phase::Failed).await;
    let sick = look(&["-o", "json"]);
    assert_eq!(sick.code, 1);
    let subject = format!("low UnattendedWithoutDeadline ServiceAccount/{}/robot", world.namespace);
    assert_eq!(sick.findings(), [subject]);
    let deleted = world.kubectl("dave", &["delete", "dlr", "nightly"]).await;
    assert!(deleted.succeeded(), "{deleted:?}");
    assert_eq!(look(&[]).code, 0);
}

async fn a_guard_that_does_not_stand_is_found(stage: &Stage, world: &World<'_>, look: &impl Fn(&[&str]) -> Diagnosis) {
    let kubectl = stage.plane.admin_kubectl();
    let binding = "validatingadmissionpolicybinding/downloadrequests-status.certcourier.io";
    kubectl
        .check(["patch", binding, "--type=merge", "-p", r#"{"spec":{"validationActions":["Audit"]}}"#])
        .await
        .unwrap();
    world.until("the guard sees it", || async { look(&["-o", "json"]).json()["guard"]["state"] == "Broken" }).await;
    let sick = look(&["-o", "json"]);
    assert_eq!(sick.code, 1);
    assert_eq!(
        sick.findings(),
        [
            "critical Guard ConfigMap/certcourier-system/certcourier-guard",
            "critical AdmissionPolicy ValidatingAdmissionPolicyBinding/downloadrequests-status.certcourier.io"
        ]
    );
    assert!(sick.stdout.contains("does not refuse: its validationActions lack Deny"), "{}", sick.stdout);
    kubectl
        .check(["patch", binding, "--type=merge", "-p", r#"{"spec":{"validationActions":["Deny","Audit"]}}"#])
        .await
        .unwrap();
    world.until("all is well again", || async { look(&[]).code == 0 }).await;
    // A controller that is gone proves nothing.
    let elsewhere = look(&["--namespace", "default"]);
    assert_eq!(elsewhere.code, 1);
    assert!(elsewhere.stdout.contains("name the operator's namespace with --namespace"), "{}", elsewhere.stdout);
}

fn everything_of_it_is_in_all_namespaces_too(admin: &Path) {
    let all = doctor(admin, &["-A"]);
    assert_eq!(all.code, 0, "{}", all.stdout);
    // Nothing to protect is nothing found, and said.
    let empty = doctor(admin, &["-n", "default"]);
    assert_eq!(empty.code, 0, "{}", empty.stdout);
    assert!(empty.stdout.contains("NAMESPACES    none with Certificates"), "{}", empty.stdout);
}

const SHAPE: &str = "
$.findings: array
$.findings[].check: string
$.findings[].do: string
$.findings[].names: array
$.findings[].names[]: string
$.findings[].namespaces: array
$.findings[].namespaces[]: string
$.findings[].severity: string
$.findings[].subject: string
$.findings[].via: array
$.findings[].via[]: string
$.findings[].what: string
$.findings[].why: string
$.findings[]: object
$.grant: array
$.guard.epoch: string
$.guard.message: null
$.guard.objects: array
$.guard.objects[].kind: string
$.guard.objects[].name: string
$.guard.objects[].state: string
$.guard.objects[]: object
$.guard.probeAgeSeconds: number
$.guard.reason: null
$.guard.since: string
$.guard.state: string
$.guard: object
$.holders: array
$.holders[].certificates: array
$.holders[].namespaces: array
$.holders[].namespaces[]: string
$.holders[].right: string
$.holders[].subject: string
$.holders[].via: array
$.holders[].via[]: string
$.holders[]: object
$.looks.failed: number
$.looks.tried: number
$.looks: object
$.namespaces: array
$.namespaces[].certificates: number
$.namespaces[].name: string
$.namespaces[].secrets: array
$.namespaces[].secrets[]: string
$.namespaces[]: object
$.notLookedAt: array
$.notes: array
$.operator: array
$.operatorNamespace: string
$.operator[]: string
$.setAside: array
$.setAside[].because: string
$.setAside[].subject: string
$.setAside[]: object
$: object
";

#[test]
fn an_api_server_that_does_not_answer_is_said() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}]\n\
         users: [{name: x, user: {token: canary}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n",
    )
    .unwrap();
    let nothing = doctor(file.path(), &["-A", "--api-timeout", "2s"]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.starts_with("certcourier doctor: ask the API server who you are: "), "{}", nothing.stderr);
    assert!(nothing.stdout.is_empty() && !nothing.stderr.contains("canary"), "{}", nothing.stderr);
    let missing = doctor(Path::new("/nonexistent"), &[]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("read kubeconfig `/nonexistent`"), "{}", missing.stderr);
}
