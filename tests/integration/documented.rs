//! Commands as the pages print them, run by bash and kubectl.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use certcourier::api::{Phase, names};
use serde_json::json;
use test_support::{
    shell::end,
    stage::Stage,
    world::{World, condition},
};
use tokio::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every fenced block of a page: its language, and its text.
fn fences(page: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let parts: Vec<&str> = text.split("\n```").collect();
    assert!(!parts.len().is_multiple_of(2), "{page}: a block does not end");
    let inside = parts.iter().skip(1).step_by(2);
    inside
        .map(|part| part.split_once('\n').map(|(language, block)| (language.to_owned(), block.to_owned())).unwrap())
        .collect()
}

/// Each `sh` block of a page: who runs it, and what. Its first line is `# person`, or `iam person` where the page has
/// made that a command.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (language, block) in fences(page) {
        match language.as_str() {
            "sh" if block.starts_with("make ") => only_makes_what_there_is(page, &block),
            "sh" => {
                let (first, rest) = block.split_once('\n').unwrap_or((&block, ""));
                let who = first.strip_prefix("# ").or_else(|| first.strip_prefix("iam "));
                let who = who.unwrap_or_else(|| panic!("{page}: nobody runs\n{block}"));
                found.push((who.to_owned(), rest.to_owned()));
            }
            // What cannot be run here, for want of containers, is `text`, and the page says so.
            "text" | "yaml" | "json" => {}
            other => panic!("{page}: a block in `{other}`, of which no test knows what to do\n{block}"),
        }
    }
    found
}

/// What only calls make is run by people and CI; here, that there are such commands.
fn only_makes_what_there_is(page: &str, block: &str) {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for line in block.lines() {
        let target = line.split_whitespace().nth(1).unwrap();
        let there = line.starts_with("make ") && makefile.contains(&format!("\n{target}: "));
        assert!(there, "{page}: {line}");
    }
}

/// A folder to run commands in: the examples, in the world's namespace instead of the demo's.
fn examples(world: &World<'_>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("examples")).unwrap();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace("namespace: payments", &format!("namespace: {}", world.namespace));
            fs::write(folder.path().join("examples").join(path.file_name().unwrap()), text).unwrap();
        }
    }
    folder
}

/// Runs a block as that person in the world's namespace; everything that it printed.
async fn run(world: &World<'_>, who: &str, script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    run_in(world, folder.path(), who, script).await
}

async fn run_in(world: &World<'_>, folder: &Path, who: &str, script: &str) -> String {
    let person = world.person(who).await;
    let given =
        world.stage.plane.admin_kubectl().kubeconfig(&person.kubeconfig).command(["--namespace", &world.namespace]);
    let words: Vec<String> = std::iter::once(given.as_std().get_program())
        .chain(given.as_std().get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let wrapper: PathBuf = folder.join("bin/kubectl");
    fs::create_dir_all(wrapper.parent().unwrap()).unwrap();
    fs::write(&wrapper, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]).env("PATH", path).env("HOME", folder).env("no_proxy", "*");
    bash.current_dir(folder);
    let ended = end(bash).await;
    assert_eq!(ended.code, Some(0), "{who}: {script}\n{}", ended.said());
    ended.said()
}

/// Runs a page's blocks one after the other in one folder; each says what is expected of it.
async fn run_page(world: &World<'_>, page: &str, expected: &[(&str, &str)]) {
    let folder = examples(world);
    let blocks = blocks(page);
    assert_eq!(blocks.iter().map(|(who, _)| who.as_str()).collect::<Vec<_>>(), people(expected), "{page}");
    for ((who, script), (_, words)) in blocks.iter().zip(expected) {
        let said = run_in(world, folder.path(), who, script).await;
        assert!(said.contains(words), "`{words}` is not in what {who} saw of\n{script}\n{said}");
    }
}

fn people<'a>(expected: &[(&'a str, &str)]) -> Vec<&'a str> {
    expected.iter().map(|(who, _)| *who).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_on_approvals_does_what_it_says() {
    let world = World::new(Stage::shared().await, "documented").await;
    let two = json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 2}});
    world.policy("two", two).await;
    let expected = [
        ("alice", "0/2"),
        ("bob", "patched"),
        ("frank", "condition met"),
        ("frank", "condition met"),
        ("alice", "Denied: denied by frank: the change was called off"),
        ("alice", "Denied"),
    ];
    run_page(&world, "docs/approvals.md", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_does_what_it_says() {
    let world = World::new(Stage::shared().await, "readme").await;
    run_page(&world, "README.md", &[("carol", "token_used"), ("erin", "Delivered")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_quickstart_does_what_it_says() {
    let world = World::empty(Stage::shared().await, "quickstart").await;
    world.secret("api-tls", &world.leaf).await;
    world.secret("staging-tls", &world.stage.pki.leaf("api.staging.example")).await;
    let folder = examples(&world);
    let people = fs::read_to_string(folder.path().join("examples/00-people.yaml")).unwrap();
    world.stage.plane.admin_kubectl().apply(&people).await.unwrap();
    let expected = [
        ("dave", "api.payments.example"),
        ("carol", "token_used"),
        ("alice", "allowKeyExport is Never"),
        ("dave", "created"),
        ("alice", "0/2"),
        ("bob", "patched"),
        ("frank", "condition met"),
        ("alice", "TokenIssued"),
        ("alice", "Key is valid"),
        ("carol", "revoked by carol: sent to the wrong partner"),
        ("erin", "Delivered"),
    ];
    run_page(&world, "docs/quickstart.md", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_finished_ends_in_every_outcome() {
    let world = World::new(Stage::shared().await, "outcomes").await;
    world.policy("all", json!({"approval": {"requiredFor": "None"}})).await;
    let wait = async |request: &str| {
        run(&world, "alice", &format!("kubectl wait dlr/{request} --for=condition=Finished --timeout=20s")).await
    };
    let token = world.issue("carol", "consumed", json!({"format": "cert"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    world.issue("carol", "revoked", json!({"format": "cert"})).await;
    world.annotate("bob", "revoked", names::REVOKE, "enough").await.unwrap();
    world.request("alice", "failed", json!({"format": "key"})).await;
    let deadline = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4)).to_string();
    world.request("carol", "expired", json!({"format": "cert", "deadline": deadline})).await;
    for (name, phase, reason) in [
        ("consumed", Phase::Consumed, "True/Delivered"),
        ("revoked", Phase::Revoked, "True/Revoked"),
        ("failed", Phase::Failed, "True/Failed"),
        ("expired", Phase::Expired, "True/Expired"),
    ] {
        wait(name).await;
        let status = world.get(name).await.status.unwrap();
        assert_eq!((status.phase, condition(&status, "Finished").as_str()), (Some(phase), reason), "{name}");
    }
}
