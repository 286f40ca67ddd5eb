//! The judge (`gitops/judge`, Go): kstatus by the library that Flux uses, and our health scripts in Argo CD's Lua.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde::Deserialize;
use serde_json::{Value, json};
use test_support::world::World;
use tokio::{io::AsyncWriteExt as _, process::Command, sync::OnceCell};

/// Downloading and building it the first time takes a minute or two.
const BUILD: Duration = Duration::from_mins(9);
const RUN: Duration = Duration::from_secs(30);
/// How the keys of argocd-cm begin.
const SCRIPT: &str = "resource.customizations.health.";

/// What both say of one object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub kstatus: String,
    pub kstatus_message: String,
    pub health: String,
    pub health_message: String,
}

/// Our health scripts, patched into a ConfigMap by the command that docs/gitops.md has, and read as Argo CD reads them.
pub async fn scripts(world: &World<'_>) -> BTreeMap<String, String> {
    let kubectl = world.stage.plane.admin_kubectl();
    let namespace = ["--namespace", world.namespace.as_str()];
    let made = ["create", "configmap", "argocd-cm", "--from-literal=url=https://argocd.example"];
    kubectl.check(namespace.into_iter().chain(made)).await.unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("gitops/argocd-cm.yaml");
    let patch = ["patch", "configmap", "argocd-cm", "--patch-file", file.to_str().unwrap()];
    kubectl.check(namespace.into_iter().chain(patch)).await.unwrap();
    let map: Api<ConfigMap> = world.api();
    let data = map.get("argocd-cm").await.unwrap().data.unwrap();
    assert_eq!(data["url"], "https://argocd.example", "what was there stays");
    let scripts: BTreeMap<String, String> = data
        .into_iter()
        .filter_map(|(key, script)| Some((key.strip_prefix(SCRIPT)?.replacen('_', "/", 1), script)))
        .collect();
    assert_eq!(scripts.len(), 2);
    scripts
}

/// What both say of each object.
pub async fn judge(scripts: &BTreeMap<String, String>, objects: &[Value]) -> Vec<Verdict> {
    let question = json!({"scripts": scripts, "objects": objects}).to_string();
    let mut command = Command::new(program().await);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let answer = async {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(question.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap()
    };
    let output = tokio::time::timeout(RUN, answer).await.expect("the judge ends in time");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdicts: Vec<Verdict> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdicts.len(), objects.len());
    verdicts
}

/// Builds it, once; Go's own cache makes later builds a matter of a second.
async fn program() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT
        .get_or_init(|| async {
            let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gitops-judge");
            let mut go = Command::new("go");
            go.args(["build", "-trimpath", "-o"]).arg(&program).arg(".").kill_on_drop(true);
            go.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/gitops/judge"));
            go.env("GOWORK", "off").env("GOFLAGS", "-mod=readonly -buildvcs=false");
            let output = tokio::time::timeout(BUILD, go.output()).await.expect("go ends in time").unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            program
        })
        .await
}
