//! What counts in the operator's own namespace.

use super::{
    BE_SERVICE_ACCOUNTS, CHANGE, CREATE_SECRETS, MINT_TOKENS, Place, READ_SECRETS, RUN_PODS, Row, Target, WRITE, part,
    right,
};
use crate::{
    api::names::{SERVER, SERVING, SERVING_CA},
    doctor::{check::Check, report::Severity},
};

const HERE: &[Place] = &[Place::Operator];

pub(super) const ROWS: [Row; 5] = [
    Row {
        check: Check::BecomesOperator,
        severity: Severity::Critical,
        limited: Severity::Critical,
        ways: &[
            &[part(MINT_TOKENS, HERE, Target::OperatorAccount)],
            &[part(BE_SERVICE_ACCOUNTS, HERE, Target::OperatorAccount)],
            &[part(RUN_PODS, HERE, Target::Any)],
            // Kubernetes fills a Secret of type service-account-token.
            &[part(CREATE_SECRETS, HERE, Target::Any), part(READ_SECRETS, HERE, Target::Any)],
        ],
        why: "this is enough to act as the operator's ServiceAccount: with a token of it, a Secret of type \
              service-account-token, a pod that runs as it, or a shell in its pod. The operator reads every Secret behind \
              a Certificate, and writes statuses and receipts",
        remedy: "give the operator a namespace of its own, and no one but its installer rights on workloads, Secrets and \
                 ServiceAccounts there",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::ReadsOperatorSecrets,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[&[part(READ_SECRETS, HERE, Target::Local(&[SERVING]))]],
        why: "the key of the server's certificate is there: with it they answer in the server's place and collect \
              people's tokens. So do tokens of ServiceAccounts that are kept in Secrets",
        remedy: "remove the right: only the operator needs it; cluster-wide rights on Secrets count here too",
        keepers_need_it: false,
        adds_nothing_to: &[Check::BecomesOperator],
    },
    Row {
        check: Check::RedirectsPeople,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[&[part(&[right(WRITE, "", &["configmaps"])], HERE, Target::Named(&[SERVER, SERVING_CA]))]],
        why: "the kubectl plugin sends people's Kubernetes tokens where ConfigMap certcourier-server says that the server \
              is, and trusts the CA that is named there",
        remedy: "remove the right, or limit it by resourceNames to other ConfigMaps (`create` cannot be limited); \
                 people who set CERTCOURIER_SERVER never look there",
        keepers_need_it: false,
        adds_nothing_to: &[Check::BecomesOperator],
    },
    Row {
        check: Check::MovesServer,
        severity: Severity::Medium,
        limited: Severity::Medium,
        ways: &[&[part(
            &[
                right(CHANGE, "", &["endpoints", "services"]),
                right(CHANGE, "discovery.k8s.io", &["endpointslices"]),
                right(CHANGE, "networking.k8s.io", &["ingresses"]),
                right(CHANGE, "gateway.networking.k8s.io", &["grpcroutes", "httproutes", "tlsroutes", "tcproutes"]),
            ],
            HERE,
            Target::Any,
        )]],
        why: "they can redirect people's calls to a program of their own: it sees tokens and links where TLS ends \
              before the server, and people cannot download at all where it does not",
        remedy: "remove the right; use TLS to the server itself, so that the network decides nothing",
        keepers_need_it: false,
        adds_nothing_to: &[Check::BecomesOperator],
    },
    Row {
        check: Check::StopsController,
        severity: Severity::Medium,
        limited: Severity::Low,
        ways: &[&[part(
            &[
                right(&["update", "patch", "delete", "deletecollection"], "coordination.k8s.io", &["leases"]),
                right(&["delete", "deletecollection"], "", &["pods", "replicationcontrollers"]),
                right(&["create"], "", &["pods/eviction"]),
                right(&["delete", "deletecollection"], "apps", &["deployments", "replicasets"]),
                right(&["update", "patch"], "apps", &["deployments/scale", "replicasets/scale"]),
            ],
            HERE,
            Target::Any,
        )]],
        why: "they can stop the controller: requests wait, and what is revoked or runs out is closed late. Afterwards the \
              guard asks the API server which mutating policies and webhooks came by meanwhile; where it cannot tell, an \
              epoch begins, and open requests for keys must be created again",
        remedy: "leave workloads and leases in the operator's namespace to its installer and to the tools that drain nodes, \
                 and name these with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[Check::BecomesOperator],
    },
];
