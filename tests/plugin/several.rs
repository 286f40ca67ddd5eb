//! Several requests at once; and that a command does what its name says and no more.

use certcourier::api::{Decision, Phase};
use serde_json::json;
use test_support::{shell::Shell, stage::Stage, world::World};

use super::kit::{keys_with_two_approvals, vote};

async fn waiting<'a>(stage: &'a Stage, what: &str, names: &[&str]) -> World<'a> {
    let world = World::new(stage, what).await;
    keys_with_two_approvals(&world).await;
    for name in names {
        world.request("alice", name, json!({"format": "key", "reason": "F5"})).await;
    }
    for name in names {
        world.wait_for_phase(name, Phase::AwaitingApproval).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_approved_each_shown_for_itself_and_one_that_cannot_be_keeps_no_other() {
    let world = waiting(Stage::shared().await, "several", &["one", "two", "three"]).await;
    let alice = Shell::of(&world, "alice").await;
    alice.bash(&format!("kubectl -n {} label dlr one two app=web", world.namespace)).await.ok();
    let (bob, frank) = (Shell::of(&world, "bob").await, Shell::of(&world, "frank").await);
    let refused = bob.run(&["approve", "one", "two", "--reason", "INC-1"]).await;
    assert!(refused.failed(2).contains("add --yes"), "{}", refused.stderr);
    let some = bob.run(&["approve", "one", "none", "two", "--reason", "INC-1", "--yes"]).await;
    assert!(some.failed(1).contains("there is no DownloadRequest `none`"), "{}", some.stderr);
    assert_eq!(
        some.out(),
        "downloadrequest.certcourier.io/one approved\ndownloadrequest.certcourier.io/two approved\n"
    );
    assert_eq!(some.stderr.matches("Who asks:").count(), 2, "{}", some.stderr);
    // Each line says of which request it is.
    let early = alice.run(&["wait", "one", "three", "--timeout", "2s"]).await;
    let told = early.failed(1);
    assert!(told.contains("one: waiting for 1 of 2 approvals"), "{told}");
    assert!(told.contains("three: waiting for 2 of 2 approvals"), "{told}");
    let digest = bob.run(&["approve", "one", "two", "--reason", "x", "--digest", "d", "--yes"]).await;
    assert!(digest.failed(2).contains("--digest is of one request"), "{}", digest.stderr);

    // By label, the same a second time is no error.
    let again = bob.run(&["approve", "-l", "app=web", "--reason", "INC-1", "--yes"]).await;
    assert_eq!(
        again.ok(),
        "downloadrequest.certcourier.io/one already approved\ndownloadrequest.certcourier.io/two already approved\n"
    );
    frank.run(&["approve", "-l", "app=web", "--reason", "fine", "--yes"]).await.ok();
    let both = alice.run(&["wait", "one", "two", "--timeout", "30s"]).await.ok();
    let mut lines: Vec<&str> = both.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["downloadrequest.certcourier.io/one condition met", "downloadrequest.certcourier.io/two condition met"]
    );
    let pages = alice.run(&["describe", "one", "three"]).await.ok();
    assert_eq!(pages.lines().filter(|line| line.starts_with("Name:")).count(), 2, "{pages}");
    frank.run(&["deny", "three", "--reason", "no", "--yes"]).await.ok();
    let nothing = frank.run(&["deny", "-l", "app=none", "--reason", "no", "--yes"]).await;
    assert!(nothing.failed(1).contains("app=none"), "{}", nothing.stderr);
    let ended = bob.run(&["revoke", "-l", "app=web", "--reason", "called off"]).await.ok();
    assert_eq!(ended.lines().count(), 2, "{ended}");
    let late = alice.run(&["wait", "one", "three", "--timeout", "30s"]).await;
    assert!(late.failed(3).contains("denied by frank") && late.stderr.contains("revoked by bob"), "{}", late.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_for_nobody_unless_it_is_told_how_long() {
    let world = waiting(Stage::shared().await, "claim-now", &["key"]).await;
    let alice = Shell::of(&world, "alice").await;
    alice.run(&["request", "api", "--format", "key", "--name", "claimed", "--reason", "F5"]).await.ok();
    world.wait_for_phase("claimed", Phase::AwaitingApproval).await;
    for name in ["claimed", "key"] {
        let now = alice.run(&["claim", name]).await;
        assert!(now.failed(1).contains(&format!("{name} has no token yet: ")), "{}", now.stderr);
        assert!(now.stderr.contains("kubectl certcourier wait ") && now.stderr.contains("--timeout"), "{}", now.stderr);
    }
    let late = alice.run(&["claim", "claimed", "--timeout", "1s"]).await;
    assert!(late.failed(1).contains("no token after 1 s; the request stays open"), "{}", late.stderr);
    let mut waits = alice.start(&["claim", "claimed", "--timeout", "1m", "-o", "token"]);
    waits.until_it_says("waiting").await;
    vote(&world, "bob", "claimed", Decision::Approve).await;
    vote(&world, "frank", "claimed", Decision::Approve).await;
    assert!(waits.ended().await.ok().starts_with("ccd_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_issues_no_token() {
    let world = World::new(Stage::shared().await, "wait-only").await;
    let carol = Shell::of(&world, "carol").await;
    let line = ["request", "api", "--format", "cert", "--name", "old", "--delivery", "secret", "--token-ttl", "2s"];
    carol.run(&line).await.ok();
    let over = |status: &certcourier::api::DownloadRequestStatus| {
        test_support::world::condition(status, "TokenIssued") == "False/TokenExpired"
    };
    world.wait("old", "expired", over).await;
    let before = world.get("old").await;
    let waited = carol.run(&["wait", "old", "--timeout", "5s"]).await;
    assert!(waited.failed(1).contains("old: its token expired"), "{}", waited.stderr);
    assert!(waited.stderr.contains("kubectl certcourier claim old"), "{}", waited.stderr);
    let after = world.get("old").await;
    assert_eq!(before.metadata.resource_version, after.metadata.resource_version, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_at_once_is_said_at_once_and_only_the_requester_gets_the_token() {
    let world = World::new(Stage::shared().await, "refused-now").await;
    let (alice, carol) = (Shell::of(&world, "alice").await, Shell::of(&world, "carol").await);
    let long = ["request", "api", "--format", "cert", "--name", "long", "--token-ttl", "12h"];
    let refused = alice.run(&long).await;
    assert!(refused.failed(5).contains("ask again with a shorter --token-ttl"), "{}", refused.said());
    assert_eq!(refused.out(), "downloadrequest.certcourier.io/long created\n");
    let again = alice.run(&long).await;
    assert!(again.failed(1).contains("choose another with --name"), "{}", again.said());
    let described = alice.run(&["describe", "long"]).await.ok();
    assert!(!described.contains("Expires:"), "{described}");

    alice.run(&["request", "api", "--format", "cert", "--name", "hers", "--delivery", "secret"]).await.ok();
    world.wait_for_phase("hers", Phase::TokenIssued).await;
    let others = carol.run(&["claim", "hers"]).await;
    let told = others.failed(1);
    assert!(told.contains("only alice, who asked, gets the token of `hers`"), "{told}");
    assert!(told.contains("kubectl certcourier download api --format cert"), "{told}");
}
