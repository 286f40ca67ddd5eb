//! What counts in the namespaces with Certificates.

use super::{CREATE_SECRETS, MINT_TOKENS, Place, RBAC, READ_SECRETS, RUN_PODS, Row, Target, WRITE, part, right};
use crate::{
    api::GROUP,
    doctor::{check::Check, rbac::Right, report::Severity},
};

const HERE: &[Place] = &[Place::Certificates];
const WRITE_ROLE_BINDINGS: &[Right] = &[right(WRITE, RBAC, &["rolebindings"])];
const WRITE_CLUSTER_ROLES: &[Right] = &[right(WRITE, RBAC, &["clusterroles"])];

pub(super) const ROWS: [Row; 6] = [
    Row {
        check: Check::ReadsSecrets,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[&[part(READ_SECRETS, HERE, Target::Secret)]],
        why: "they read the private key itself, past every policy, approval and receipt of certcourier. A dry run of a \
              patch or a deletion answers with the whole Secret, so patch, delete and deletecollection read it too",
        remedy: "remove the right, or limit it by resourceNames to Secrets that no Certificate names; a download needs \
                 no right on Secrets",
        keepers_need_it: true,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::MountsSecrets,
        severity: Severity::Medium,
        limited: Severity::Medium,
        ways: &[&[part(RUN_PODS, HERE, Target::Any)]],
        why: "a pod of theirs can mount any Secret of its namespace, private keys included; in a pod that runs already \
              they find what it mounts",
        remedy: "keep Certificates in namespaces in which only deployment tools may run workloads",
        keepers_need_it: false,
        adds_nothing_to: &[Check::ReadsSecrets],
    },
    Row {
        check: Check::TakesServiceAccountTokens,
        severity: Severity::Medium,
        limited: Severity::Medium,
        ways: &[
            &[part(MINT_TOKENS, HERE, Target::Any)],
            // Kubernetes fills a Secret of type service-account-token.
            &[part(CREATE_SECRETS, HERE, Target::Any), part(READ_SECRETS, HERE, Target::Any)],
        ],
        why: "they can act as any ServiceAccount of the namespace, and have what it may download",
        remedy: "remove the right, or limit it by resourceNames to ServiceAccounts without rights on Certificates and \
                 Secrets (`create secrets` cannot be limited)",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::WritesBindings,
        severity: Severity::Medium,
        limited: Severity::Low,
        ways: &[
            &[part(&[right(WRITE, RBAC, &["roles"])], HERE, Target::Any), part(WRITE_ROLE_BINDINGS, HERE, Target::Any)],
            &[part(WRITE_CLUSTER_ROLES, &[Place::Cluster], Target::Any), part(WRITE_ROLE_BINDINGS, HERE, Target::Any)],
            &[
                part(WRITE_CLUSTER_ROLES, &[Place::Cluster], Target::Any),
                part(&[right(WRITE, RBAC, &["clusterrolebindings"])], &[Place::Cluster], Target::Any),
            ],
        ],
        why: "they can pass on every right that they have, and bind a subject to a role that is not there yet: \
              Kubernetes checks what a binding grants when it is written, not when its role appears",
        remedy: "leave roles and bindings where Certificates are to the tools that keep them, and name these with --trust",
        keepers_need_it: false,
        adds_nothing_to: &[Check::WidensRoles],
    },
    Row {
        check: Check::DeletesNamespaces,
        severity: Severity::Medium,
        limited: Severity::Medium,
        ways: &[&[part(
            &[right(&["delete", "deletecollection"], "", &["namespaces"])],
            &[Place::Certificates, Place::Operator],
            Target::Namespace,
        )]],
        why: "requests and receipts go with their namespace: afterwards nothing in the cluster says which files left it",
        remedy: "leave namespaces with Certificates to cluster administrators; ship the audit record elsewhere \
                 (docs/audit.md)",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
    Row {
        check: Check::EverybodyHolds,
        severity: Severity::High,
        limited: Severity::High,
        ways: &[&[part(
            &[right(&["download", "exportkey", "approve"], GROUP, &["certificates"])],
            HERE,
            Target::Certificate,
        )]],
        why: "everyone is in this group, so everyone may ask or approve",
        remedy: "bind certcourier's roles to people or to groups with an owner",
        keepers_need_it: false,
        adds_nothing_to: &[],
    },
];
