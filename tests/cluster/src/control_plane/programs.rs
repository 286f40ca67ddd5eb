//! How the three programs are called. Only arguments: what each needs, and why where it is not plain.

use std::path::Path;

use crate::{
    description::Description,
    options::{AuditLevel, Options},
    pki::Pki,
};

/// The loopback ports of one control plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) apiserver: u16,
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
}

/// What certcourier's tests need of kube-controller-manager; without nodes the others have nothing to do.
const CONTROLLERS: [&str; 10] = [
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "namespace-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "ttl-after-finished-controller",
    // Writes the warnings of type checking into the status of policies.
    "validatingadmissionpolicy-status-controller",
];

pub(super) fn etcd(directory: &Path, ports: Ports, options: &Options) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let mut arguments = vec![
        format!("--data-dir={}", directory.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ];
    if !options.fsync {
        arguments.push("--unsafe-no-fsync".to_owned());
    }
    arguments
}

pub(super) fn apiserver(description: &Description, ports: Ports, options: &Options) -> Vec<String> {
    let pki = Pki::at(&description.pki());
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let mut arguments = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--secure-port={}", ports.apiserver),
        "--bind-address=127.0.0.1".to_owned(),
        // Found out from the network interfaces otherwise, which fails on a machine without a route.
        "--advertise-address=127.0.0.1".to_owned(),
        // A loopback address must not be an endpoint of the Service `kubernetes`.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        // It would insist on ServiceAccounts for pods, of which there are none.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("service-account-key-file", &pki.service_account_public_key()),
        file("service-account-signing-key-file", &pki.service_account_key()),
        file("tls-cert-file", &pki.serving_certificate()),
        file("tls-private-key-file", &pki.serving_key()),
        file("client-ca-file", &pki.ca()),
        file("token-auth-file", &token_file(&description.directory)),
        file("cert-dir", &description.directory.join("run")),
    ];
    if options.audit != AuditLevel::Off {
        arguments.extend([
            file("audit-policy-file", &audit_policy_file(&description.directory)),
            file("audit-log-path", &description.audit_log()),
            // In MB: beyond it the log is moved aside, and events would be missed.
            "--audit-log-maxsize=10000".to_owned(),
        ]);
    }
    arguments.extend(options.apiserver_arguments.iter().cloned());
    arguments
}

pub(super) fn controller_manager(description: &Description) -> Vec<String> {
    let pki = Pki::at(&description.pki());
    vec![
        format!("--kubeconfig={}", controller_manager_kubeconfig(&description.directory).display()),
        format!("--service-account-private-key-file={}", pki.service_account_key().display()),
        format!("--root-ca-file={}", pki.ca().display()),
        format!("--controllers={}", CONTROLLERS.join(",")),
        // Each controller is a ServiceAccount of kube-system, as in real clusters: admission policies tell them apart.
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        // No server of its own.
        "--secure-port=0".to_owned(),
    ]
}

pub(super) fn token_file(directory: &Path) -> std::path::PathBuf {
    directory.join("tokens.csv")
}

pub(super) fn audit_policy_file(directory: &Path) -> std::path::PathBuf {
    directory.join("audit-policy.yaml")
}

pub(super) fn controller_manager_kubeconfig(directory: &Path) -> std::path::PathBuf {
    directory.join("kube-controller-manager.kubeconfig")
}

/// Each call once, when it is over.
pub(super) fn audit_policy(level: AuditLevel) -> String {
    let level = match level {
        AuditLevel::Off => "None",
        AuditLevel::Metadata => "Metadata",
        AuditLevel::RequestResponse => "RequestResponse",
    };
    format!(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\nrules:\n- level: {level}\n"
    )
}
