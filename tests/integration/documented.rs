//! Commands as the pages print them, run by bash and kubectl.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};

use certcourier::api::{Phase, names};
use serde_json::json;
use tokio::process::Command;

use super::{
    stage::Stage,
    world::{World, condition},
};

/// Each `sh` block of a page: who runs it, and what.
fn blocks(page: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap();
    text.split("```sh\n# ")
        .skip(1)
        .map(|block| {
            let (who, rest) = block.split_once('\n').unwrap();
            (who.to_owned(), rest.split("\n```").next().unwrap().to_owned())
        })
        .collect()
}

/// Runs a block as that person in the world's namespace; everything that it printed.
async fn run(world: &World<'_>, who: &str, script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("kubectl");
    let person = world.person(who).await;
    let given =
        world.stage.plane.admin_kubectl().kubeconfig(&person.kubeconfig).command(["--namespace", &world.namespace]);
    let words: Vec<String> = std::iter::once(given.as_std().get_program())
        .chain(given.as_std().get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    fs::write(&wrapper, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]).env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(40), bash.output()).await.expect("it ends in time").unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{who}: {script}\n{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_on_approvals_does_what_it_says() {
    let world = World::new(Stage::shared().await, "documented").await;
    let two = json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 2}});
    world.policy("two", two).await;
    let blocks = blocks("approvals.md");
    let expected = [
        ("alice", "0/2"),
        ("bob", "patched"),
        ("frank", "condition met"),
        ("frank", "condition met"),
        ("alice", "Denied: denied by frank: the change was called off"),
        ("alice", "Denied"),
    ];
    assert_eq!(blocks.len(), expected.len());
    for ((who, script), (by, words)) in blocks.iter().zip(expected) {
        assert_eq!(who, by);
        let said = run(&world, who, script).await;
        assert!(said.contains(words), "`{words}` is not in what {who} saw of\n{script}\n{said}");
    }
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
