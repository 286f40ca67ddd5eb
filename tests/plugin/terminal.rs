//! With a terminal and without one: the passphrase that is asked for, colours, files that are not for the eye.

use test_support::{
    shell::{Shell, end},
    stage::Stage,
    world::World,
};

use super::{
    kit::{keys_allowed, keys_with_two_approvals, request_count},
    typed::typing,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_asked_for_twice_and_never_shown() {
    let world = World::new(Stage::shared().await, "prompt").await;
    keys_allowed(&world).await;
    let alice = Shell::of(&world, "alice").await;
    let asking = ["download", "api", "--format", "pkcs12", "-o", "a.p12"];
    let typed = typing(&alice, "*correct horse battery|*correct horse battery", &asking).await;
    let shown = typed.ok();
    assert!(shown.contains("Passphrase for the file: ") && !shown.contains("correct"), "{shown}");
    let mut openssl = alice.program("openssl");
    openssl.args(["pkcs12", "-in", "a.p12", "-nodes", "-passin", "pass:correct horse battery"]);
    assert!(end(openssl).await.ok().contains("PRIVATE KEY"));
    let asking = ["download", "api", "--format", "pkcs12", "-o", "b.p12"];
    let slip = typing(&alice, "*correct horse battery|*correct house battery", &asking).await;
    assert!(slip.code == Some(2) && slip.out().contains("not the same"), "{slip:?}");
    let stopped = typing(&alice, "*^C", &asking).await;
    assert!(stopped.code == Some(130) && stopped.out().contains("nothing was started"), "{stopped:?}");
    assert_eq!((alice.files(), request_count(&world).await), (vec!["a.p12".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_a_passphrase_is_not_waited_for() {
    let world = World::new(Stage::shared().await, "no-terminal").await;
    keys_allowed(&world).await;
    let alice = Shell::of(&world, "alice").await;
    // In a session of its own, so that no terminal of whoever runs the tests is asked.
    let line =
        format!("setsid --wait kubectl certcourier -n {} download api --format pkcs12 </dev/null", world.namespace);
    let refused = alice.bash(&line).await;
    assert!(refused.failed(2).contains("--passphrase-file"), "{}", refused.stderr);
    assert_eq!((request_count(&world).await, alice.files().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_the_time_that_is_left_counts_down_on_a_line_of_its_own() {
    let world = World::new(Stage::shared().await, "countdown").await;
    keys_with_two_approvals(&world).await;
    let alice = Shell::of(&world, "alice").await;
    let shown = typing(&alice, "", &["download", "api", "--format", "key", "--timeout", "4s"]).await;
    assert_eq!(shown.code, Some(1), "{shown:?}");
    let shown = shown.out();
    assert_eq!(shown.matches("waiting for 2 of 2 approvals").count(), 1, "{shown:?}");
    assert!(shown.matches("\r\u{1b}[K0 of 2 approvals, 59 min left").count() >= 2, "{shown:?}");
    let after = shown.rsplit("59 min left").next().unwrap();
    assert!(after.starts_with("\r\u{1b}[K") && after.contains("the request stays open"), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_that_want_them_and_keys_for_none() {
    let world = World::new(Stage::shared().await, "colours").await;
    keys_allowed(&world).await;
    let alice = Shell::of(&world, "alice").await;
    world.until("it was looked at", || async { alice.run(&["list"]).await.ok().contains("Usable") }).await;
    let shown = typing(&alice, "", &["list"]).await.ok();
    assert!(shown.contains("\u{1b}[32mUsable\u{1b}[0m"), "{shown:?}");
    let key = typing(&alice, "", &["download", "api", "--format", "key", "-o", "-"]).await;
    assert!(key.code == Some(2) && key.out().contains("not for a terminal"), "{key:?}");
    assert_eq!(request_count(&world).await, 0);
    let chain = typing(&alice, "", &["download", "api", "--format", "cert", "-o", "-"]).await.ok();
    assert!(chain.contains("BEGIN CERTIFICATE"));
    let plain = typing(&alice.set("NO_COLOR", "1"), "", &["list"]).await.ok();
    assert!(plain.contains("Usable") && !plain.contains('\u{1b}'), "{plain:?}");
}
