//! Every value set goes through the real API server: its schemas, its CEL, its admission. Also run on other versions
//! (`make test-matrix`), which is why the names of these tests hold `value_set`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    helm::{Helm, documents, key, value_sets},
    world::plane,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_every_object_of_every_value_set() {
    let (plane, helm) = (plane().await, Helm::offline());
    let kubectl = plane.admin_kubectl().timeout(Duration::from_mins(1));
    for (name, file) in value_sets() {
        let arguments = ["--values", &file.display().to_string(), "--kube-version", plane.version()];
        let text = helm.template("dry", &arguments).await;
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "name", "-f", "-"];
        let answer = kubectl.run_with(apply, &text).await.unwrap();
        assert!(answer.succeeded(), "{name}: {}", answer.stderr);
        // Without a warning, such as of a field that the API server does not know.
        assert_eq!(answer.stderr, "", "{name}");
        assert_eq!(answer.stdout.lines().count(), documents(&text).len(), "{name}");
    }
}

/// As pods, because of Deployments Pod Security only warns.
#[tokio::test(flavor = "multi_thread")]
async fn the_pods_of_every_value_set_are_allowed_where_pod_security_is_restricted() {
    let (plane, helm) = (plane().await, Helm::offline());
    let kubectl = plane.admin_kubectl();
    for (name, file) in value_sets() {
        let text = helm.template("dry", &["--values", &file.display().to_string()]).await;
        for deployment in documents(&text).into_iter().filter(|object| object["kind"] == "Deployment") {
            let mut pod = deployment["spec"]["template"].clone();
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            pod["metadata"]["name"] = json!("probe");
            pod["metadata"]["namespace"] = json!("dry");
            // Of another account, since the chart's own are not there.
            pod["spec"]["serviceAccountName"] = json!("probe");
            let create = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
            let answer = kubectl.run_with(create, &pod.to_string()).await.unwrap();
            assert!(answer.succeeded(), "{name}: {}: {}", key(&deployment), answer.stderr);
            let created: Value = serde_json::from_str(&answer.stdout).unwrap();
            let volumes = created["spec"]["volumes"].as_array().unwrap();
            let tokens =
                volumes.iter().filter(|volume| volume["projected"]["sources"][0]["serviceAccountToken"].is_object());
            assert_eq!(tokens.count(), 1, "{name}: the API server mounted a token of its own: {volumes:?}");
        }
    }
}

/// The same pod with one thing changed is refused, so the namespace is really restricted.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_runs_as_root_is_refused_there() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": "dry"},
        "spec": {"containers": [{"name": "root", "image": "x"}]},
    });
    let kubectl = plane().await.admin_kubectl();
    let answer = kubectl.run_with(["create", "--dry-run=server", "-f", "-"], &pod.to_string()).await.unwrap();
    assert!(answer.stderr.contains("violates PodSecurity"), "{}", answer.stderr);
}
