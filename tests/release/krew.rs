//! krew's manifest, by the checks that krew's own `validate-krew-manifest` makes; `make release-check` runs that one.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use super::{VERSION, printed, root};

/// The manifest for archives that stand in for the real ones.
fn manifest() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let archives: Vec<_> = ["amd64", "arm64"]
        .iter()
        .map(|architecture| folder.path().join(format!("kubectl-certcourier-{VERSION}-linux-{architecture}.tar.gz")))
        .collect();
    for archive in &archives {
        fs::write(archive, archive.to_string_lossy().as_bytes()).unwrap();
    }
    let out = folder.path().join("certcourier.yaml");
    let mut command = Command::new("python3");
    command.arg(root().join("release/package.py")).arg("krew").arg(&out).arg("https://downloads.example.com/");
    printed(command.args(&archives));
    serde_saphyr::from_str(&fs::read_to_string(out).unwrap()).unwrap()
}

#[test]
fn krew_accepts_the_manifest_of_the_plugin() {
    let manifest = manifest();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(
        (&manifest["kind"], &manifest["metadata"]["name"]),
        (&Value::from("Plugin"), &Value::from("certcourier"))
    );
    let spec = manifest["spec"].as_object().unwrap();
    assert_eq!(spec["version"], format!("v{VERSION}"));
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(!short.is_empty() && short.len() <= 50 && !short.contains('\n') && !short.ends_with('.'), "{short}");
    let known = ["version", "homepage", "shortDescription", "description", "caveats", "platforms"];
    assert!(spec.keys().all(|name| known.contains(&name.as_str())), "{:?}", spec.keys());
    for text in ["description", "caveats"] {
        assert!(spec[text].as_str().unwrap().lines().all(|line| line.len() <= 80), "{text} is wider than a terminal");
    }
}

#[test]
fn each_platform_is_chosen_by_system_and_architecture_once_and_has_its_sum() {
    let manifest = manifest();
    let mut chosen = BTreeSet::new();
    for platform in manifest["spec"]["platforms"].as_array().unwrap() {
        let labels = platform["selector"]["matchLabels"].as_object().unwrap();
        assert!(labels.keys().all(|name| ["os", "arch"].contains(&name.as_str())));
        assert!(chosen.insert((labels["os"].to_string(), labels["arch"].to_string())), "{labels:?} twice");
        let sum = platform["sha256"].as_str().unwrap();
        assert!(sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        let file = format!("kubectl-certcourier-{VERSION}-linux-{}.tar.gz", labels["arch"].as_str().unwrap());
        assert_eq!(platform["uri"], format!("https://downloads.example.com/{file}"));
        assert_eq!(platform["bin"], "kubectl-certcourier");
        // krew copies the whole archive then, LICENSE included.
        assert!(platform.get("files").is_none());
    }
    assert_eq!(chosen.len(), 2);
}
