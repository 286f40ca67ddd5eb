//! Every example is accepted by the real API server, admission included.

use std::{collections::BTreeSet, fs, path::Path};

use test_support::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_accepted_and_says_what_it_is_for() {
    let stage = Stage::shared().await;
    let kubectl = stage.plane.admin_kubectl();
    // The stories play in one namespace; whoever came first has made it.
    kubectl.apply("{apiVersion: v1, kind: Namespace, metadata: {name: payments}}").await.unwrap();
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // With kustomize, which `gitops::kustomize` applies; or no part of the story: `pipelines` and the chart's tests
        // run those.
        if path.is_dir() || name.starts_with("values-") {
            numbers.extend(name[..2].parse::<u32>());
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{name} begins with what it is for");
        numbers.insert(name[..2].parse::<u32>().unwrap_or_else(|_| panic!("{name} has no number")));
        let output =
            kubectl.run_with(["create", "--dry-run=server", "--validate=strict", "-f", "-"], &text).await.unwrap();
        assert!(output.succeeded(), "{name}: {}", output.stderr);
        assert!(!output.stderr.contains("Warning"), "{name}: {}", output.stderr);
    }
    assert!(numbers.len() >= 6, "examples have gone: {numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_and_policy_of_the_security_page_is_accepted() {
    let kubectl = Stage::shared().await.plane.admin_kubectl();
    kubectl.apply("{apiVersion: v1, kind: Namespace, metadata: {name: payments}}").await.unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md")).unwrap();
    let blocks: Vec<&str> = page.split("\n```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(blocks.len() >= 5, "{} blocks: has the page changed?", blocks.len());
    for block in blocks {
        let arguments = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        let output = kubectl.run_with(arguments, &format!("{block}\n")).await.unwrap();
        assert!(output.succeeded() && !output.stderr.contains("Warning"), "{block}\n{}", output.stderr);
    }
}
