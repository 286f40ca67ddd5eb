//! One subject for each right: what it is given, and what the doctor has to say of it.

use serde_json::{Value, json};

/// Where a right is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the namespace with the Certificate.
    Here,
    /// In the operator's.
    System,
    KubeSystem,
    /// Where Service `kubernetes` is.
    Default,
    /// Through a ClusterRoleBinding.
    Cluster,
}
use Place::{Cluster, Default, Here, KubeSystem, System};

pub(super) struct Situation {
    /// Part of the subject's name.
    pub(super) name: String,
    pub(super) grants: Vec<(Place, Value)>,
    /// `severity Check` of each finding; none: the doctor has to be silent.
    pub(super) expected: &'static [&'static str],
}

/// `verbs group/resources` and names, as in `get,list secrets api-tls`; the core group has no name.
fn rule(text: &str) -> Value {
    let mut words = text.split(' ');
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let verbs = list(words.next().unwrap());
    let what = words.next().unwrap();
    let (group, resources) = match what.split_once(':') {
        Some((group, resources)) => (group, resources),
        None => ("", what),
    };
    let names: Vec<&str> = words.collect();
    json!({"verbs": verbs, "apiGroups": [group], "resources": list(resources), "resourceNames": names})
}

/// Each line is a subject: its rights, several behind `+`.
fn subjects(place: Place, prefix: &str, expected: &'static [&'static str], lines: &[&str]) -> Vec<Situation> {
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| Situation {
            name: format!("{prefix}-{index}"),
            grants: vec![(place, line.split(" + ").map(rule).collect())],
            expected,
        })
        .collect()
}

/// Those of attacks that were run, and their kin.
pub(super) fn all() -> Vec<Situation> {
    let mut all = here();
    all.extend(system());
    all.extend(kube_system());
    all.extend(cluster());
    all
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn here() -> Vec<Situation> {
    [
        subjects(
            Here,
            "reads",
            &["high ReadsSecrets"],
            &[
                "get secrets",
                "list secrets",
                "watch secrets",
                "patch secrets",
                "delete secrets",
                "deletecollection secrets",
                "get secrets api-tls other",
                "list secrets api-tls",
                "get *",
            ],
        ),
        subjects(
            Here,
            "closes",
            &["medium ClosesNamespaces"],
            &["create,update resourcequotas", "update namespaces/finalize HERE", "patch namespaces/status"],
        ),
        subjects(
            Here,
            "makes-and-reads",
            &["high ReadsSecrets", "medium TakesServiceAccountTokens"],
            &["create,patch secrets"],
        ),
        subjects(
            Here,
            "runs",
            &["medium MountsSecrets"],
            &[
                "create pods",
                "patch pods",
                "get pods/exec",
                "create pods/exec",
                "get pods/attach",
                "create pods/attach",
                "patch pods/ephemeralcontainers",
                "create replicationcontrollers",
                "create apps:deployments",
                "patch apps:daemonsets",
                "update apps:statefulsets",
                "create apps:replicasets",
                "create batch:jobs",
                "patch batch:cronjobs",
                "create */exec",
            ],
        ),
        subjects(
            Here,
            "is",
            &["medium TakesServiceAccountTokens"],
            &["create serviceaccounts/token", "create serviceaccounts/token ci", "create secrets + get secrets mine"],
        ),
        subjects(Here, "acts", &["high Impersonates"], &["impersonate serviceaccounts"]),
        subjects(
            Here,
            "binds",
            &["medium WritesBindings"],
            &[
                "create rbac.authorization.k8s.io:roles,rolebindings + get,list certcourier.io:downloadrequests",
                "create,delete rbac.authorization.k8s.io:roles + create rbac.authorization.k8s.io:rolebindings",
            ],
        ),
        subjects(
            Here,
            "widens",
            &["high WidensRoles"],
            &["escalate rbac.authorization.k8s.io:roles", "bind rbac.authorization.k8s.io:clusterroles"],
        ),
        subjects(Here, "binds-one", &["medium WidensRoles"], &["bind rbac.authorization.k8s.io:clusterroles view"]),
        subjects(Here, "ends", &["medium DeletesNamespaces"], &["delete namespaces HERE", "delete namespaces"]),
        subjects(Here, "all-verbs", &["medium WildcardRole"], &["* certcourier.io:certificates"]),
        subjects(
            Here,
            "rules",
            &["medium LoosensPolicies"],
            &["update certcourier.io:certificatepolicies + exportkey certcourier.io:certificates"],
        ),
        subjects(
            Here,
            "silent",
            &[],
            &[
                "create,update secrets",
                "get secrets other",
                "create pods/portforward",
                "get pods,pods/log",
                "create pods/eviction",
                "create,update rbac.authorization.k8s.io:roles",
                "create,update rbac.authorization.k8s.io:rolebindings",
                "update,patch certcourier.io:downloadrequests/status",
                "delete,deletecollection certcourier.io:downloadreceipts",
                "patch admissionregistration.k8s.io:validatingadmissionpolicies",
                "get nodes/proxy",
                "delete namespaces other",
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn system() -> Vec<Situation> {
    [
        subjects(
            System,
            "operates",
            &["critical BecomesOperator"],
            &[
                "create serviceaccounts/token",
                "create serviceaccounts/token server",
                "impersonate serviceaccounts controller",
                "create pods",
                "patch apps:deployments",
                "create batch:jobs",
                "get pods/exec",
                "create pods/attach",
                "update pods/ephemeralcontainers",
                "create,get secrets",
                "create secrets + get secrets mine",
            ],
        ),
        subjects(
            System,
            "reads-system",
            &["high ReadsOperatorSecrets"],
            &["get secrets", "list secrets", "patch secrets", "get secrets certcourier-serving"],
        ),
        subjects(
            System,
            "redirects",
            &["high RedirectsPeople"],
            &[
                "create configmaps",
                "update,patch configmaps",
                "patch configmaps certcourier-server",
                "update configmaps certcourier-serving-ca",
            ],
        ),
        subjects(
            System,
            "moves",
            &["medium MovesServer"],
            &[
                "update services",
                "patch endpoints",
                "create discovery.k8s.io:endpointslices",
                "patch networking.k8s.io:ingresses",
                "create gateway.networking.k8s.io:httproutes",
            ],
        ),
        subjects(
            System,
            "stops",
            &["medium StopsController"],
            &[
                "update coordination.k8s.io:leases",
                "patch,delete coordination.k8s.io:leases",
                "delete pods",
                "create pods/eviction",
                "delete apps:deployments",
                "patch apps:deployments/scale",
            ],
        ),
        subjects(
            System,
            "cuts-off",
            &["medium CutsOffOperator"],
            &["create networking.k8s.io:networkpolicies", "patch networking.k8s.io:networkpolicies"],
        ),
        subjects(
            Default,
            "cuts-off-all",
            &["medium CutsOffOperator"],
            &["create discovery.k8s.io:endpointslices", "update endpoints"],
        ),
        subjects(Default, "cuts-off-one", &["low CutsOffOperator"], &["update endpoints kubernetes"]),
        subjects(
            Default,
            "silent-default",
            &[],
            &["update endpoints web", "create resourcequotas", "create networking.k8s.io:networkpolicies"],
        ),
        subjects(
            System,
            "closes-system",
            &["medium ClosesNamespaces"],
            &["create resourcequotas", "patch namespaces/status SYSTEM"],
        ),
        subjects(System, "ends-system", &["medium DeletesNamespaces"], &["delete namespaces SYSTEM"]),
        subjects(
            System,
            "silent-system",
            &[],
            &[
                "create,get,list,watch coordination.k8s.io:leases",
                "patch configmaps certcourier-guard kube-root-ca.crt",
                "delete configmaps",
                "create,update secrets",
                "create serviceaccounts/token default",
                "create pods/portforward",
                "get,list,watch pods,configmaps",
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn kube_system() -> Vec<Situation> {
    [
        subjects(
            KubeSystem,
            "controls",
            &["high BecomesControlPlane"],
            &[
                "create serviceaccounts/token",
                "impersonate serviceaccounts",
                "create pods",
                "get pods/exec",
                "patch apps:daemonsets",
                "create,get secrets",
            ],
        ),
        subjects(
            KubeSystem,
            "controls-one",
            &["medium BecomesControlPlane"],
            &["create serviceaccounts/token coredns"],
        ),
        subjects(
            KubeSystem,
            "reads-kube-system",
            &["medium ReadsKubeSystemSecrets"],
            &["list secrets", "patch secrets"],
        ),
        subjects(
            KubeSystem,
            "widens-kube-system",
            &["high WidensRoles"],
            &["escalate rbac.authorization.k8s.io:roles"],
        ),
        subjects(KubeSystem, "silent-kube-system", &[], &["get,list configmaps,pods", "create,update secrets"]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn cluster() -> Vec<Situation> {
    let mut all: Vec<Situation> = [
        rules(),
        subjects(Cluster, "reaches", &["high ReachesNodes"], &["get nodes/proxy", "create nodes/proxy"]),
        subjects(Cluster, "nodes", &["medium WritesNodes"], &["patch nodes", "update nodes/status"]),
        subjects(
            Cluster,
            "signs",
            &["high IssuesCertificates"],
            &[
                "approve certificates.k8s.io:signers kubernetes.io/kube-apiserver-client + \
             update certificates.k8s.io:certificatesigningrequests/approval",
                "approve certificates.k8s.io:signers + patch certificates.k8s.io:certificatesigningrequests/approval",
                "sign certificates.k8s.io:signers kubernetes.io/* + \
             update certificates.k8s.io:certificatesigningrequests/status",
            ],
        ),
        subjects(
            Cluster,
            "acts-as-people",
            &["high Impersonates"],
            &["impersonate users", "impersonate groups", "impersonate:arbitrary-node authentication.k8s.io:nodes"],
        ),
        subjects(
            Cluster,
            "acts-as-programs",
            &["critical BecomesOperator", "high Impersonates", "high BecomesControlPlane"],
            &["impersonate serviceaccounts"],
        ),
        subjects(Cluster, "widens-all", &["high WidensRoles"], &["escalate rbac.authorization.k8s.io:clusterroles"]),
        subjects(
            Cluster,
            "binds-all",
            &["medium WritesBindings"],
            &["create rbac.authorization.k8s.io:clusterroles,clusterrolebindings"],
        ),
        subjects(Cluster, "ends-all", &["medium DeletesNamespaces"], &["delete namespaces", "delete namespaces HERE"]),
        subjects(
            Cluster,
            "reads-all",
            &["high ReadsOperatorSecrets", "high ReadsSecrets", "medium ReadsKubeSystemSecrets"],
            &["list secrets"],
        ),
        subjects(Cluster, "everything", &["high Everything"], &["* *:*"]),
        silent(),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.push(Situation {
        name: "mounts-nodes".to_owned(),
        grants: vec![(Cluster, json!([rule("create persistentvolumes")])), (Here, json!([rule("create pods")]))],
        expected: &["high ReachesNodes", "medium MountsSecrets"],
    });
    all
}

fn rules() -> Vec<Situation> {
    [
        subjects(
            Cluster,
            "admission",
            &["high EditsAdmission"],
            &[
                "update admissionregistration.k8s.io:validatingadmissionpolicies",
                "delete admissionregistration.k8s.io:validatingadmissionpolicybindings",
                "patch admissionregistration.k8s.io:validatingadmissionpolicies downloadrequests.certcourier.io",
                "create admissionregistration.k8s.io:mutatingadmissionpolicies",
                "update admissionregistration.k8s.io:mutatingadmissionpolicybindings",
                "patch admissionregistration.k8s.io:validatingwebhookconfigurations",
                "create admissionregistration.k8s.io:mutatingwebhookconfigurations",
            ],
        ),
        subjects(
            Cluster,
            "kinds",
            &["high EditsKinds"],
            &[
                "patch apiextensions.k8s.io:customresourcedefinitions",
                "update apiextensions.k8s.io:customresourcedefinitions downloadrequests.certcourier.io",
                "delete apiextensions.k8s.io:customresourcedefinitions",
            ],
        ),
        subjects(
            Cluster,
            "throttles",
            &["medium ThrottlesOperator"],
            &[
                "create flowcontrol.apiserver.k8s.io:flowschemas",
                "update,patch flowcontrol.apiserver.k8s.io:prioritylevelconfigurations",
                "delete flowcontrol.apiserver.k8s.io:flowschemas",
            ],
        ),
        subjects(
            Cluster,
            "unserves",
            &["medium UnservesKinds"],
            &[
                "patch apiextensions.k8s.io:customresourcedefinitions/status",
                "update apiextensions.k8s.io:customresourcedefinitions/status downloadrequests.certcourier.io",
            ],
        ),
        subjects(
            Cluster,
            "apis",
            &["high ReplacesAPI"],
            &[
                "update,patch apiregistration.k8s.io:apiservices",
                "create apiregistration.k8s.io:apiservices",
                "patch apiregistration.k8s.io:apiservices v1alpha1.certcourier.io",
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn silent() -> Vec<Situation> {
    subjects(
        Cluster,
        "silent-cluster",
        &[],
        &[
            "impersonate authentication.k8s.io:uids",
            "impersonate authentication.k8s.io:userextras/scopes",
            "create apiextensions.k8s.io:customresourcedefinitions",
            "patch apiextensions.k8s.io:customresourcedefinitions issuers.cert-manager.io",
            "update admissionregistration.k8s.io:validatingadmissionpolicies images",
            "patch apiregistration.k8s.io:apiservices v1beta1.metrics.k8s.io",
            "approve certificates.k8s.io:signers",
            "approve certificates.k8s.io:signers kubernetes.io/kubelet-serving + \
         update certificates.k8s.io:certificatesigningrequests/approval",
            "create persistentvolumes",
            "get nodes,nodes/metrics",
            "get,list,watch admissionregistration.k8s.io:validatingadmissionpolicies",
            "create authorization.k8s.io:subjectaccessreviews",
        ],
    )
}
