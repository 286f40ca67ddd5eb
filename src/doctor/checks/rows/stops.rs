//! What stops the operator from the outside: it reads no key, and no file is delivered or nothing is revoked in time.

use super::{CHANGE, Place, Row, Target, WRITE, part, right};
use crate::doctor::{check::Check, report::Severity};

const CLUSTER: &[Place] = &[Place::Cluster];
const UPDATE: &[&str] = &["update", "patch"];

pub(super) const ROWS: [Row; 4] = [
    Row {
        check: Check::ThrottlesOperator,
        severity: Severity::Medium,
        limited: Severity::Low,
        ways: &[&[part(
            &[right(CHANGE, "flowcontrol.apiserver.k8s.io", &["flowschemas", "prioritylevelconfigurations"])],
            CLUSTER,
            Target::Any,
        )]],
        why: "they decide whom the API server serves: with a FlowSchema for the operator's ServiceAccounts and a priority \
              level without seats, every call of the operator is refused. Nothing is delivered, and what is revoked or \
              expires is closed late",
        remedy: "leave FlowSchemas and PriorityLevelConfigurations to cluster administrators and the tools that install \
                 them, and name those with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::CutsOffOperator,
        severity: Severity::Medium,
        limited: Severity::Low,
        ways: &[
            &[part(&[right(WRITE, "networking.k8s.io", &["networkpolicies"])], &[Place::Operator], Target::Any)],
            // Service `kubernetes` is how every pod finds the API server.
            &[part(
                &[right(CHANGE, "", &["endpoints"]), right(CHANGE, "discovery.k8s.io", &["endpointslices"])],
                &[Place::Default],
                Target::Named(&["kubernetes"]),
            )],
        ],
        why: "they can cut the operator off from the API server: by a NetworkPolicy in its namespace, or by endpoints of \
              Service default/kubernetes that lead elsewhere (TLS keeps its calls secret, but they fail). Nothing is \
              delivered, and what is revoked or expires is closed late",
        remedy: "leave NetworkPolicies in the operator's namespace, and endpoints in namespace default, to cluster \
                 administrators",
        keepers_need_it: false,
        adds_nothing_to: &[Check::BecomesOperator],
    },
    Row {
        check: Check::ClosesNamespaces,
        severity: Severity::Medium,
        limited: Severity::Medium,
        ways: &[
            &[part(
                &[right(UPDATE, "", &["namespaces/finalize", "namespaces/status"])],
                &[Place::Certificates, Place::Operator],
                Target::Namespace,
            )],
            &[part(&[right(WRITE, "", &["resourcequotas"])], &[Place::Certificates, Place::Operator], Target::Any)],
        ],
        why: "they can have the API server refuse everything new in the namespace: requests, receipts and token Secrets, or \
              the operator's Leases, by a ResourceQuota that counts them or a namespace whose status says that it ends. \
              With namespaces/finalize, a namespace goes before what is in it has been cleared away",
        remedy: "leave quotas and the status of namespaces to cluster administrators and the tools that keep them, and \
                 name those with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::UnservesKinds,
        severity: Severity::Medium,
        limited: Severity::Medium,
        ways: &[&[part(
            &[right(UPDATE, "apiextensions.k8s.io", &["customresourcedefinitions/status"])],
            CLUSTER,
            super::cluster::KINDS,
        )]],
        why: "the status of a CRD says whether the API server serves its kind, and which versions are stored: they can have \
              requests, policies and receipts vanish from the API for a while",
        remedy: "leave the status of CRDs to the API server: remove the right",
        keepers_need_it: false,
        adds_nothing_to: &[Check::EditsKinds],
    },
];
