//! `version` and `check`: is it there for me, and does it fit?

use serde_json::Value;
use test_support::{shell::Shell, stage::Stage, world::World};

const OWN: &str = env!("CARGO_PKG_VERSION");

#[tokio::test(flavor = "multi_thread")]
async fn the_versions_of_plugin_and_server_are_shown() {
    let world = World::new(Stage::shared().await, "version").await;
    let carol = Shell::of(&world, "carol").await;
    let shown = carol.run(&["version"]).await.ok();
    let url = &world.stage.urls[0];
    assert_eq!(shown, format!("Client: {OWN}\nServer: {OWN}, {url} (--server or CERTCOURIER_SERVER)\n"));
    let both: Value = serde_json::from_str(&carol.run(&["version", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(both["clientVersion"]["version"], OWN);
    assert_eq!(both["serverVersion"], serde_json::json!({"version": OWN, "address": url}));
    let yaml = carol.run(&["version", "--client", "-o", "yaml"]).await.ok();
    assert_eq!(yaml, format!("clientVersion:\n  version: \"{OWN}\"\n"));
    // Without a cluster the client's own is still there.
    let alone = Shell::with(&world, "/does/not/exist".into()).run(&["version", "--client"]).await;
    assert_eq!(alone.ok(), format!("Client: {OWN}\n"));
    let gone = carol.run(&["version", "--server", "https://127.0.0.1:1"]).await;
    assert!(gone.failed(1).contains("cannot be reached"), "{}", gone.stderr);
    assert_eq!(gone.out(), format!("Client: {OWN}\n"));
}

/// The state of each check.
fn states(shown: &str) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(shown).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["checks"].as_array().unwrap().iter().map(|line| (text(&line["check"]), text(&line["state"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_there_and_what_i_may_do_each_with_its_next_step() {
    let world = World::new(Stage::shared().await, "check").await;
    let carol = Shell::of(&world, "carol").await;
    let shown = carol.run(&["check", "-o", "json"]).await.ok();
    let expected = [
        ("API server", "ok"),
        ("kinds", "ok"),
        ("server", "ok"),
        ("view", "ok"),
        ("download", "ok"),
        ("exportkey", "no"),
        ("approve", "no"),
        ("guard", "unknown"),
    ];
    assert_eq!(states(&shown), expected.map(|(check, state)| (check.to_owned(), state.to_owned())));
    let table = carol.run(&["check"]).await.ok();
    for said in ["it answers, and you are carol", "ask for ClusterRole certcourier-approver there", "doctor"] {
        assert!(table.contains(said), "{said}\n{table}");
    }
    let admin = Shell::with(&world, world.stage.plane.admin_kubeconfig());
    let (url, ca) = (world.stage.urls[0].clone(), world.stage.ca().display().to_string());
    let admin = admin.set("CERTCOURIER_SERVER", &url).set("CERTCOURIER_SERVER_CA", &ca);
    let seen = admin.run(&["check", "-o", "json"]).await.ok();
    assert!(states(&seen).contains(&("guard".into(), "ok".into())), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_one_certificate_is_seen_where_it_is_named() {
    let world = World::new(Stage::shared().await, "check-one").await;
    let (admin, namespace) = (world.stage.plane.admin_kubectl(), world.namespace.as_str());
    let on = |words: &[&str]| -> Vec<String> {
        ["--namespace", namespace, "create"].iter().chain(words).map(ToString::to_string).collect()
    };
    let role = ["role", "one", "--verb=download", "--resource=certificates.certcourier.io", "--resource-name=api"];
    admin.check(on(&role)).await.unwrap();
    admin.check(on(&["rolebinding", "one", "--role=one", "--user=mallory"])).await.unwrap();
    let mallory = Shell::of(&world, "mallory").await;
    let none = mallory.run(&["check"]).await;
    assert!(none.out().contains("`check CERTIFICATE` sees a right to that one only"), "{}", none.out());
    let one = mallory.run(&["check", "api"]).await.ok();
    assert!(one.contains(&format!("in namespace {namespace} with Certificate api")), "{one}");
    let states = states(&mallory.run(&["check", "api", "-o", "json"]).await.ok());
    let state = |name: &str| states.iter().find(|(check, _)| check == name).map(|(_, state)| state.clone());
    assert_eq!((state("download").as_deref(), state("exportkey").as_deref()), (Some("ok"), Some("no")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_fails_where_something_is_missing_and_waits_for_it_as_long_as_it_is_told() {
    let world = World::new(Stage::shared().await, "check-fails").await;
    let mallory = Shell::of(&world, "mallory").await;
    let none = mallory.run(&["check"]).await;
    assert!(none.failed(1).contains("4 checks failed"), "{}", none.said());
    let carol = Shell::of(&world, "carol").await;
    let gone = carol.run(&["check", "-o", "json", "--server", "https://127.0.0.1:1", "--wait", "1s"]).await;
    assert_eq!(gone.failed(1), "error: 1 check failed\n");
    assert!(states(&gone.out()).contains(&("server".into(), "fail".into())), "{}", gone.out());
    // An authority that is not its own.
    let other =
        carol.bash("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -keyout k -out other.crt 2>/dev/null");
    other.await.ok();
    let untrusted = carol.run(&["check", "--server-ca", "other.crt"]).await;
    assert!(
        untrusted.failed(1).contains("1 check failed") && untrusted.out().contains("--server-ca"),
        "{}",
        untrusted.said()
    );
}
