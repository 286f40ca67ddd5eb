//! What machines do, as people copy it: the shell parts of the pipelines, run by sh and curl as a ServiceAccount; and
//! the example for Argo CD, applied as its ServiceAccount.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use certcourier::api::Phase;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::process::Command;

use test_support::{
    stage::{self, Stage},
    world::World,
};

/// Longer than any pipeline takes here.
const LIMIT: Duration = Duration::from_mins(1);

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn example(name: &str) -> String {
    fs::read_to_string(examples().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The shell part of each pipeline, as its tool hands it to a shell.
fn scripts() -> [(&'static str, String); 3] {
    let yaml = |name: &str| serde_saphyr::from_str::<Value>(&example(name)).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let gitlab = text(&yaml("pipelines/gitlab-ci.yml")["certificate"]["script"][0]);
    let github = text(&yaml("pipelines/github-actions.yml")["jobs"]["certificate"]["steps"][0]["run"]);
    let jenkins = example("pipelines/Jenkinsfile");
    let jenkins = jenkins.split("sh '''#!/bin/sh\n").nth(1).unwrap().split("'''").next().unwrap();
    let line = |line: &str| format!("{}\n", line.strip_prefix(&" ".repeat(12)).unwrap_or(line.trim_start()));
    let jenkins: String = jenkins.trim_end_matches(' ').lines().map(line).collect();
    [("gitlab", gitlab), ("github", github), ("jenkins", jenkins)]
}

#[test]
fn every_pipeline_runs_the_one_script() {
    let script = example("pipelines/download.sh");
    // Groovy reads a backslash and three quotes in its own way.
    assert!(!script.contains('\\') && !script.contains("'''"));
    for (name, text) in scripts() {
        assert_eq!(text, script, "{name}");
    }
}

/// What a run of a pipeline left behind.
struct Run {
    code: Option<i32>,
    /// What the log of the pipeline shows.
    log: String,
    folder: tempfile::TempDir,
}

impl Run {
    fn file(&self) -> PathBuf {
        self.folder.path().join("fullchain.pem")
    }
}

/// Runs a script as Jenkins does, with tracing on, as a ServiceAccount with this token.
async fn run(world: &World<'_>, script: &str, token: &str, format: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-xe", "-c", script])
        .current_dir(folder.path())
        .env("TMPDIR", &temporary)
        .env("CURL_CA_BUNDLE", world.stage.ca())
        .env("NO_PROXY", "*")
        .env("CERTCOURIER_URL", &world.stage.urls[0])
        .env("CERTCOURIER_PROJECT", &world.namespace)
        .env("CERTCOURIER_CERTIFICATE", "api")
        .env("CERTCOURIER_FORMAT", format)
        .env("CERTCOURIER_FILE", "fullchain.pem")
        .env("CERTCOURIER_REASON", "https://ci.example.com/jobs/7")
        .env("CERTCOURIER_TOKEN", token)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.expect("the pipeline ends").unwrap();
    let log = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!log.contains("ccd_") && !log.contains(token), "the log shows a token: {log}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "what it wrote beside the file is gone");
    Run { code: output.status.code(), log, folder }
}

/// The ServiceAccount of the example with its rights, in this namespace: its token.
async fn ci(world: &World<'_>) -> String {
    let rights = example("pipelines/serviceaccount.yaml");
    let rights = rights.replace("namespace: payments", &format!("namespace: {}", world.namespace));
    world.stage.plane.admin_kubectl().apply(&rights).await.unwrap();
    let person = world.stage.plane.service_account(&world.namespace, "ci", &[]).await.unwrap();
    person.token.as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pipeline_downloads_a_file_that_only_its_user_can_read_and_shows_no_token() {
    let world = World::new(Stage::shared().await, "pipelines").await;
    let token = ci(&world).await;
    for (name, script) in scripts() {
        let run = run(&world, &script, &token, "fullchain").await;
        assert_eq!(run.code, Some(0), "{name}: {}", run.log);
        assert_eq!(fs::read_to_string(run.file()).unwrap(), world.leaf.chain(), "{name}");
        assert_eq!(fs::metadata(run.file()).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let receipts = world.receipts().await;
    let by = format!("system:serviceaccount:{}:ci", world.namespace);
    assert_eq!(receipts.len(), 3);
    assert!(receipts.iter().all(|receipt| receipt.spec.requested_by.as_ref().is_some_and(|who| who.username == by)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_gets_nothing_fails_and_says_why() {
    let world = World::new(Stage::shared().await, "pipelines-refused").await;
    let token = ci(&world).await;
    let script = example("pipelines/download.sh");
    let fails = async |token: &str, format: &str, said: &str| {
        let run = run(&world, &script, token, format).await;
        assert_eq!(run.code, Some(1), "{said}: {}", run.log);
        assert!(run.log.contains(said), "{said}: {}", run.log);
        assert!(!run.file().exists(), "{said}");
    };
    fails(&token, "key", "certcourier: asking for key of api was refused (HTTP 403): ").await;
    fails(&token, "key", "lacks verb exportkey on certificates.certcourier.io/api").await;
    fails(&token, "keys", "(HTTP 400)").await;
    fails("not-a-token-of-anyone", "fullchain", "(HTTP 401)").await;
    world.policy("all", json!({"approval": {"requiredFor": "All"}})).await;
    fails(&token, "fullchain", "people have to approve request api-fullchain-").await;
}

/// The token then works together with the requester's own bearer token alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_downloads_where_tokens_are_bound_to_their_requester() {
    let world = World::new(Stage::shared().await, "pipelines-bound").await;
    world.policy("bound", json!({"token": {"bindToRequester": true}})).await;
    let run = run(&world, &example("pipelines/download.sh"), &ci(&world).await, "fullchain").await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_argo_cd_example_is_applied_with_the_rights_it_brings_and_mints_once() {
    let world = World::empty(Stage::shared().await, "argocd").await;
    world.secret("api-tls", &world.leaf).await;
    let here = |text: &str| text.replace("namespace: payments", &format!("namespace: {}", world.namespace));
    let application: Value = serde_saphyr::from_str(&example("argocd/application.yaml")).unwrap();
    let path = application["spec"]["source"]["path"].as_str().unwrap();
    assert_eq!(path, "examples/argocd/payments");
    let argo = world.stage.plane.service_account("argocd", "argocd-application-controller", &[]).await.unwrap();
    world.stage.plane.admin_kubectl().apply(&here(&example("argocd/rights.yaml"))).await.unwrap();

    // In the order of the waves; the request comes last.
    let all =
        ["certificate.yaml", "policy.yaml", "request.yaml"].map(|file| example(&format!("argocd/payments/{file}")));
    let all = here(&all.join("---\n"));
    let soon = (Timestamp::now() + SignedDuration::from_hours(2)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut all = all.replace("2026-12-01T18:00:00Z", &soon);
    if !stage::stamps(&world.stage.plane) {
        let by = certcourier::cluster::guard::own_user(&argo.client).await.unwrap();
        all = format!("{all}  requestedBy: {}\n", serde_json::to_string(&by).unwrap());
    }
    let sync = ["apply", "--server-side", "--field-manager=argocd-controller", "-f", "-"];
    world.until("the rights have arrived", async || argo.run_with(sync, &all).await.unwrap().succeeded()).await;
    let name = "api-fullchain-chg-1042";
    let issued = world.wait_for_phase(name, Phase::TokenIssued).await;
    assert_eq!(issued.spec.reason.as_deref(), Some("CHG-1042 load balancer import"));
    assert!(argo.run_with(sync, &all).await.unwrap().succeeded());
    let again = world.get(name).await;
    assert_eq!((again.metadata.uid, again.spec), (issued.metadata.uid, issued.spec));
}
