//! docs/plugin.md: each block, run as the person that it names.

use std::{fs, path::Path};

use certcourier::api::{Decision, Phase};
use serde_json::json;
use test_support::{shell::Shell, stage::Stage, world::World};

use super::{
    inspect::may_read_secrets,
    kit::{keys_with_two_approvals, only_request, vote},
};

fn blocks() -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugin.md")).unwrap();
    page.split("```sh\n# ")
        .skip(1)
        .map(|block| {
            let (who, rest) = block.split_once('\n').unwrap();
            (who.to_owned(), rest.split("\n```").next().unwrap().to_owned())
        })
        .collect()
}

/// A shell whose kubeconfig names the namespace.
async fn home<'a>(world: &'a World<'a>, person: &str) -> Shell<'a> {
    let mut shell = Shell::of(world, person).await;
    let text = fs::read_to_string(&shell.kubeconfig).unwrap();
    let text = text.replace("    cluster: test\n", &format!("    cluster: test\n    namespace: {}\n", world.namespace));
    shell.kubeconfig = shell.folder.path().join("kubeconfig");
    fs::write(&shell.kubeconfig, text).unwrap();
    shell
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_on_the_page_does_what_it_says() {
    let world = World::new(Stage::shared().await, "documented").await;
    let blocks = blocks();
    let expected = [
        "carol, who begins",
        "carol",
        "carol",
        "alice, and two approve",
        "alice, later",
        "alice",
        "alice",
        "bob",
        "bob, whose vote is waited for",
        "frank",
        "alice, before she asks",
        "dave, who may read the Secrets",
        "erin",
    ];
    assert_eq!(blocks.iter().map(|(who, _)| who.as_str()).collect::<Vec<_>>(), expected);
    let block = |number: usize| blocks[number].1.as_str();
    let (carol, bob, erin) = (home(&world, "carol").await, home(&world, "bob").await, home(&world, "erin").await);
    let alice = home(&world, "alice").await.set("P12_PASSPHRASE", "correct horse battery");
    let checked = carol.bash(block(0)).await.ok();
    assert!(checked.contains("you are carol") && checked.contains("Client: "), "{checked}");
    world.until("it was looked at", || async { carol.bash(block(1)).await.ok().contains("Usable") }).await;
    carol.bash(block(2)).await.ok();
    assert_eq!(carol.read("fullchain.pem"), world.leaf.chain());
    let requests = kube::Api::<certcourier::api::DownloadRequest>::namespaced(world.admin.clone(), &world.namespace);
    requests.delete_collection(&kube::api::DeleteParams::default(), &kube::api::ListParams::default()).await.unwrap();

    keys_with_two_approvals(&world).await;
    let agree = async |request: &str| {
        world.wait_for_phase(request, Phase::AwaitingApproval).await;
        for person in ["bob", "frank"] {
            vote(&world, person, request, Decision::Approve).await;
        }
    };
    let (downloaded, ()) = tokio::join!(alice.bash(block(3)), async { agree(&only_request(&world).await).await });
    downloaded.ok();
    assert_eq!(alice.read("key.pem"), world.leaf.key);
    fs::remove_file(alice.path("key.pem")).unwrap();
    alice.bash("kubectl certcourier request api --format key --name stopped").await.ok();
    agree("stopped").await;
    alice.bash(&format!("R=stopped\n{}", block(4))).await.ok();
    assert_eq!(alice.read("key.pem"), world.leaf.key);

    world.policy("two", json!({"allowKeyExport": "Always"})).await;
    fs::write(alice.path("pass.txt"), "correct horse battery\n").unwrap();
    world
        .until("the policy is seen", || async {
            alice.bash(&format!("rm -f *.p12 generated.txt\n{}", block(5))).await.code == Some(0)
        })
        .await;
    assert_eq!(alice.read("generated.txt").len(), 24);
    alice.bash(block(6)).await.ok();
    assert_eq!(alice.read("cert.pem"), world.leaf.leaf);

    carol.bash("kubectl certcourier request api --format cert --name open").await.ok();
    assert_eq!(bob.bash(block(7)).await.ok(), "downloadrequest.certcourier.io/open revoked\n");
    keys_with_two_approvals(&world).await;
    alice.bash("kubectl certcourier request api --format key --name agreed").await.ok();
    world.wait_for_phase("agreed", Phase::AwaitingApproval).await;
    let agreed = bob.bash(&format!("R=agreed\n{}", block(8))).await.ok();
    assert!(agreed.contains("agreed   api") && agreed.ends_with("agreed approved\n"), "{agreed}");
    let denied = home(&world, "frank").await.bash(&format!("R=agreed\n{}", block(9))).await.ok();
    assert_eq!(denied, "downloadrequest.certcourier.io/agreed denied\n");
    let explained = alice.bash(block(10)).await.ok();
    assert!(explained.contains("needs 2 approvals") && explained.contains("Key match:"), "{explained}");
    may_read_secrets(&world, "dave", "get, list").await;
    let dave = home(&world, "dave").await;
    world.until("dave may list Secrets", || async { dave.bash(block(11)).await.code == Some(0) }).await;

    let record = erin.bash(block(12)).await.ok();
    assert!(record.contains("Delivered") && record.contains("pkcs12") && record.contains("fullchain"), "{record}");
}
