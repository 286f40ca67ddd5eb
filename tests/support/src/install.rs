//! The operator's manifests and identities on a control plane.

use std::process::{Command, Stdio};

use certcourier::api::names;
use test_cluster::ControlPlane;

use crate::{
    program::binary,
    waiting::{until, wanted},
};

/// The operator's own namespace.
pub const SYSTEM: &str = "certcourier-system";

/// Applies what `certcourier manifests` prints, for these namespaces or cluster-wide, and makes the operator's two
/// ServiceAccounts. May be done again, by another test binary on the same control plane.
pub async fn install(plane: &ControlPlane, watch: &[String]) {
    let kubectl = plane.admin_kubectl();
    let namespace = |name: &str| format!("---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n");
    let namespaces: Vec<String> = watch.iter().map(String::as_str).chain([SYSTEM]).map(namespace).collect();
    let accounts = ["controller", "server"].map(|name| {
        format!("---\n{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {name}, namespace: {SYSTEM}}}}}\n")
    });
    kubectl.apply(&format!("{}{}", namespaces.concat(), accounts.concat())).await.unwrap();
    let stamp: &[&str] = if stamps(plane) { &["--ui"] } else { &["--ui", "--stamp", "never"] };
    kubectl.apply(&manifests(watch, "yaml", stamp)).await.unwrap();
    policies_bite(plane).await;
}

/// Whether the API server has policies that mutate: Kubernetes 1.36 and later. Elsewhere requests name their requester.
pub fn stamps(plane: &ControlPlane) -> bool {
    let minor = plane.version().split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor.unwrap() >= 36
}

/// Name of one of the operator's two users.
pub fn user(name: &str) -> String {
    format!("system:serviceaccount:{SYSTEM}:{name}")
}

/// What `certcourier manifests` prints for this stage.
pub fn manifests(watch: &[String], output: &str, more: &[&str]) -> String {
    let output = Command::new(binary("certcourier"))
        .args(["manifests", "--namespace", SYSTEM, "--controller", &user("controller"), "--server", &user("server")])
        .args(["--output", output])
        .args(more)
        .args(watch.iter().flat_map(|namespace| ["--watch-namespaces", namespace]))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A policy takes a second or so to take effect after it was applied: the label that every one of them refuses tells.
/// The API server may see the first of them a moment before the last.
async fn policies_bite(plane: &ControlPlane) {
    let label = "labels: {certcourier.io/guard-probe: 'yes'}";
    let probes = [
        format!(
            "{{apiVersion: certcourier.io/v1alpha1, kind: DownloadRequest, metadata: {{name: probe, namespace: default, {label}}},\n  \
             spec: {{certificateRef: {{name: x}}, format: cert}}}}\n"
        ),
        format!(
            "{{apiVersion: certcourier.io/v1alpha1, kind: Certificate, metadata: {{name: probe, namespace: default, {label}}},\n  \
             spec: {{environments: [{{name: x, secretRef: {{name: x}}}}]}}}}\n"
        ),
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {}, namespace: {SYSTEM}, {label}}}}}\n",
            names::GUARD
        ),
    ];
    let (probe, count, kubectl) = (probes.join("---\n"), probes.len(), plane.admin_kubectl());
    until("every admission policy is in force", async || {
        let output = kubectl.run_with(["create", "--dry-run=server", "-f", "-"], &probe).await.unwrap();
        wanted(output.stderr, |refusals| refusals.matches("guard probe").count() >= count)
    })
    .await;
}
