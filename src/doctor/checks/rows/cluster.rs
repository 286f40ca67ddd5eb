//! What counts for the whole cluster, and in kube-system.

use super::{
    BE_SERVICE_ACCOUNTS, CHANGE, CREATE_SECRETS, MINT_TOKENS, Place, RBAC, READ_SECRETS, RUN_PODS, Row, Target, WRITE,
    part, right,
};
use crate::{
    admission,
    doctor::{check::Check, report::Severity},
};

const HERE: &[Place] = &[Place::Cluster];
const KUBE_SYSTEM: &[Place] = &[Place::KubeSystem];
const SIGNERS: Target = Target::Named(&[
    "kubernetes.io/*",
    "kubernetes.io/kube-apiserver-client",
    "kubernetes.io/kube-apiserver-client-kubelet",
]);
pub(super) const KINDS: Target = Target::Named(&[
    "certificatepolicies.certcourier.io",
    "certificates.certcourier.io",
    "downloadreceipts.certcourier.io",
    "downloadrequests.certcourier.io",
]);
/// Those through which requests, rights and rules come.
const APIS: Target = Target::Named(&[
    "v1.",
    "v1.admissionregistration.k8s.io",
    "v1.apiextensions.k8s.io",
    "v1.authentication.k8s.io",
    "v1.authorization.k8s.io",
    "v1.rbac.authorization.k8s.io",
    "v1alpha1.certcourier.io",
]);

pub(super) const ROWS: [Row; 10] = [
    Row {
        check: Check::Impersonates,
        severity: Severity::High,
        limited: Severity::Medium,
        ways: &[
            &[part(
                &[
                    right(&["impersonate"], "", &["users", "groups"]),
                    right(&["impersonate:user-info"], "authentication.k8s.io", &["users", "groups"]),
                ],
                HERE,
                Target::Any,
            )],
            &[part(BE_SERVICE_ACCOUNTS, &[Place::Certificates, Place::Cluster], Target::Any)],
            // A node reads the Secrets of its pods.
            &[part(
                &[right(
                    &["impersonate:arbitrary-node", "impersonate:associated-node"],
                    "authentication.k8s.io",
                    &["nodes"],
                )],
                HERE,
                Target::Any,
            )],
        ],
        why: "they can ask as one person and approve as another; for certcourier both are real. A subject that acts as a \
              node reads the Secrets of its pods",
        remedy: "remove the right, or limit it by resourceNames to subjects without rights on Certificates",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::IssuesCertificates,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[
            &[
                part(&[right(&["approve"], "certificates.k8s.io", &["signers"])], HERE, SIGNERS),
                part(
                    &[right(&["update", "patch"], "certificates.k8s.io", &["certificatesigningrequests/approval"])],
                    HERE,
                    Target::Any,
                ),
            ],
            &[
                part(&[right(&["sign"], "certificates.k8s.io", &["signers"])], HERE, SIGNERS),
                part(
                    &[right(&["update", "patch"], "certificates.k8s.io", &["certificatesigningrequests/status"])],
                    HERE,
                    Target::Any,
                ),
            ],
        ],
        why: "a certificate of this signer lets its holder act as any person or node: who approves decides in whose name it is, \
              and who signs holds the cluster's CA",
        remedy: "remove the right, or limit it by resourceNames to signers of other certificates, such as \
                 kubernetes.io/kubelet-serving",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::EditsAdmission,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[
            &[part(
                &[right(
                    CHANGE,
                    "admissionregistration.k8s.io",
                    &["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
                )],
                HERE,
                Target::Named(&admission::name::ALL),
            )],
            &[part(
                &[right(
                    CHANGE,
                    "admissionregistration.k8s.io",
                    &[
                        "mutatingadmissionpolicies",
                        "mutatingadmissionpolicybindings",
                        "mutatingwebhookconfigurations",
                        "validatingwebhookconfigurations",
                    ],
                )],
                HERE,
                Target::Any,
            )],
        ],
        why: "they can remove the rules that refuse forged requesters and approvals, change what people write during \
              admission, or have Secrets sent to a webhook. The guard stops keys while one of \
              certcourier's own policies differs; a Certificate that was written meanwhile stays",
        remedy: "leave admission policies and webhooks to cluster administrators and the tools that install them, and \
                 name those with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::EditsKinds,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[&[part(
            &[right(
                &["update", "patch", "delete", "deletecollection"],
                "apiextensions.k8s.io",
                &["customresourcedefinitions"],
            )],
            HERE,
            KINDS,
        )]],
        why: "they can drop what the schema of requests and receipts enforces, such as that votes are written to the \
              status alone, or delete a kind with every object of it, receipts included",
        remedy: "leave CRDs to cluster administrators and the tools that install them, and name those with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::ReplacesAPI,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[&[part(&[right(WRITE, "apiregistration.k8s.io", &["apiservices"])], HERE, APIS)]],
        why: "they can point v1alpha1.certcourier.io at a server of their own: requests, policies, votes and receipts are \
              then whatever it answers",
        remedy: "remove the right, or limit it by resourceNames to APIs that are served outside of the API server, \
                 such as v1beta1.metrics.k8s.io (`create` cannot be limited)",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::ReachesNodes,
        severity: Severity::High,
        limited: Severity::Medium,
        ways: &[
            &[part(&[right(&["get", "create"], "", &["nodes/proxy"])], HERE, Target::Any)],
            // A PersistentVolume of type hostPath is in no way limited by Pod Security.
            &[
                part(&[right(&["create"], "", &["persistentvolumes"])], HERE, Target::Any),
                part(RUN_PODS, &[Place::Anywhere], Target::Any),
            ],
        ],
        why: "they get into every pod of a node, the operator's included, past the API server: nodes/proxy is the kubelet \
              with all that it can do, and a PersistentVolume of type hostPath mounts the node's own files",
        remedy: "remove the right; for metrics, nodes/metrics is enough",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::WritesNodes,
        severity: Severity::Medium,
        limited: Severity::Low,
        ways: &[&[part(&[right(WRITE, "", &["nodes", "nodes/status"])], HERE, Target::Any)]],
        why: "labels and taints of Nodes decide where pods run, the operator's included, and the address in a Node's \
              status decides whom the API server asks for a shell in a pod",
        remedy: "leave Nodes to the kubelets, the cloud controller and cluster administrators, and name those with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::BecomesControlPlane,
        severity: Severity::High,
        limited: Severity::Medium,
        ways: &[
            &[part(MINT_TOKENS, KUBE_SYSTEM, Target::Any)],
            &[part(BE_SERVICE_ACCOUNTS, KUBE_SYSTEM, Target::Any)],
            &[part(RUN_PODS, KUBE_SYSTEM, Target::Any)],
            // Kubernetes fills a Secret of type service-account-token.
            &[part(CREATE_SECRETS, KUBE_SYSTEM, Target::Any), part(READ_SECRETS, KUBE_SYSTEM, Target::Any)],
        ],
        why: "the ServiceAccounts of Kubernetes' own controllers are in kube-system, and one of them, \
              clusterrole-aggregation-controller, may give itself every right",
        remedy: "leave kube-system to cluster administrators, and name the tools that install something there with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::ReadsKubeSystemSecrets,
        severity: Severity::Medium,
        limited: Severity::Low,
        ways: &[&[part(READ_SECRETS, KUBE_SYSTEM, Target::Local(&[]))]],
        why: "tokens of ServiceAccounts that are kept in Secrets, and those by which nodes join the cluster, lie there",
        remedy: "remove the right, or limit it by resourceNames",
        keepers_need_it: false,
        adds_nothing_to: &[Check::BecomesControlPlane],
    },
    Row {
        check: Check::WidensRoles,
        severity: Severity::High,
        limited: Severity::Medium,
        ways: &[&[part(
            &[right(&["escalate", "bind"], RBAC, &["roles", "clusterroles"])],
            &[Place::Certificates, Place::Operator, Place::KubeSystem, Place::Cluster],
            Target::Any,
        )]],
        why: "they can give themselves any right, the reading of Secrets included",
        remedy: "remove escalate, and limit bind by resourceNames to roles that anyone may have",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
];
