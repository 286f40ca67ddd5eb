//! Nonsense is refused before anything is made of it, by a message that names the value.

use super::helm::{Helm, chart};

/// A value as it is typed, and what must be in the refusal.
const NONSENSE: [(&str, &str); 28] = [
    ("placement=daemonset", "placement"),
    ("replicas=0", "replicas"),
    ("replicas=two", "replicas"),
    ("replicaCount=3", "replicaCount"),
    ("scope=all", "scope"),
    ("watchNamespaces={Payments}", "watchNamespaces"),
    ("watchNamespaces={a_b}", "watchNamespaces"),
    ("admission.stamp=maybe", "stamp"),
    ("externalURL=certs.example.com", "externalURL"),
    ("externalURL=https://certs.example.com/?x=1", "externalURL"),
    ("clusterPolicy.allowKeyExports=Always", "allowKeyExports"),
    ("clusterPolicy.allowKeyExport=Sometimes", "allowKeyExport"),
    ("clusterPolicy.approval.approvals=9", "approvals"),
    ("clusterPolicy.token.ttl=5min", "ttl"),
    ("tls.source=self-signed", "source"),
    ("tls.source=secret", "secretName"),
    ("tls.source=cert-manager", "issuerRef"),
    ("tls.publishCA=true", "publishCA"),
    ("tls.names={https://a}", "names"),
    ("externalCA.configMap=other", "configMap"),
    ("image.digest=latest", "digest"),
    ("audit.mode=stderr", "mode"),
    ("audit.mode=required", "audit"),
    ("httpRoute.enabled=true", "parentRefs"),
    ("networkPolicy.apiServer.cidrs={10.0.0.1}", "cidrs"),
    ("server.replicas=3", "replicas"),
    ("server.extraArgs={listen}", "extraArgs"),
    ("podDisruptionBudget.maxUnavailable=100%", "maxUnavailable"),
];

#[tokio::test]
async fn the_schema_refuses_nonsense_and_names_it() {
    let (helm, chart) = (Helm::offline(), chart().display().to_string());
    for (typed, named) in NONSENSE {
        let ended = helm.try_run(&["template", "certcourier", &chart, "--set", typed]).await;
        let said = ended.failed(1);
        assert!(said.contains("values don't meet") && said.contains(named), "{typed}: {said}");
    }
    let both = ["template", "certcourier", &chart, "--set", "scope=cluster", "--set", "watchNamespaces={payments}"];
    let ended = helm.try_run(&both).await;
    assert!(ended.failed(1).contains("watchNamespaces"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_only_the_templates_know_to_be_missing_is_named_by_them() {
    let (helm, chart) = (Helm::offline(), chart().display().to_string());
    for typed in ["ingress.enabled=true", "httpRoute.enabled=true,httpRoute.parentRefs[0].name=public"] {
        let ended = helm.try_run(&["template", "certcourier", &chart, "--set", typed]).await;
        assert!(ended.failed(1).contains("set externalURL"), "{typed}: {}", ended.stderr);
    }
}
