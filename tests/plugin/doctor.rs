//! `doctor` through the plugin's connection.

use serde_json::Value;
use test_support::{shell::Shell, stage::Stage, world::World};

use super::inspect::may_read_secrets;

fn findings(report: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(report).unwrap();
    let one =
        |finding: &Value| format!("{} {}", finding["check"].as_str().unwrap(), finding["subject"].as_str().unwrap());
    report["findings"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_and_what_may_not_be_looked_at_end_it_with_one() {
    let world = World::new(Stage::shared().await, "doctor").await;
    let admin = Shell::with(&world, world.stage.plane.admin_kubeconfig());
    let mallory = "ReadsSecrets User/mallory".to_owned();
    let clean = admin.run(&["doctor", "-o", "json"]).await;
    // Others test on the same cluster, and what they planted may be found.
    assert_eq!(clean.code, Some(i32::from(!findings(&clean.out()).is_empty())), "{}", clean.stderr);
    assert!(!findings(&clean.out()).contains(&mallory));
    may_read_secrets(&world, "mallory", "get").await;
    let sick = admin.run(&["doctor", "-o", "json"]).await;
    assert!(sick.failed(1).contains("finding"), "{}", sick.stderr);
    assert!(findings(&sick.out()).contains(&mallory), "{}", sick.out());
    let table = admin.run(&["doctor"]).await;
    assert!(table.out().contains("User/mallory may get secrets in "), "{}", table.out());
    let trusted = admin.run(&["doctor", "-o", "json", "--trust", "User/mallory"]).await;
    assert!(!findings(&trusted.out()).contains(&mallory));
    let carol = Shell::of(&world, "carol").await.run(&["doctor", "-o", "yaml"]).await;
    assert!(
        carol.failed(1).contains("not everything could be checked\nnext:  an administrator runs"),
        "{}",
        carol.stderr
    );
    assert!(carol.out().contains("notLookedAt:"), "{}", carol.out());
    let table = Shell::of(&world, "carol").await.run(&["doctor"]).await;
    assert!(table.out().starts_with("INCOMPLETE: ") && !table.out().contains("No findings."), "{}", table.out());
    let names = admin.run(&["doctor", "-o", "name"]).await;
    assert!(names.failed(2).contains("-o json"), "{}", names.stderr);
}
