//! The control plane that the tests of this binary share.

use test_cluster::{ControlPlane, Options};
use tokio::sync::OnceCell;

use super::helm::provided;

/// Namespaces that value sets name; they are to exist before the chart comes.
pub const WATCHED: [&str; 5] = ["payments", "web", "123", "null", "1e3"];

/// A control plane of the version that `K8S` names, with the kinds of others and the namespaces of the value sets.
pub async fn plane() -> &'static ControlPlane {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    PLANE
        .get_or_init(|| async {
            let plane = ControlPlane::start(Options::default().apply(provided("CHART_KINDS"))).await.unwrap();
            let restricted = "pod-security.kubernetes.io/enforce: restricted";
            let namespaces: Vec<String> = WATCHED
                .iter()
                .chain(&["dry"])
                .map(|name| {
                    format!(
                        "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: \"{name}\", labels: {{{restricted}}}}}}}\n"
                    )
                })
                .collect();
            // What pods name has to exist: admission looks it up.
            let others = "---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: probe, namespace: dry}}\n\
                ---\n{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: platform}, value: 1000}\n\
                ---\n{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: gvisor}, handler: runsc}\n";
            plane.admin_kubectl().apply(&format!("{}{others}", namespaces.concat())).await.unwrap();
            plane
        })
        .await
}
