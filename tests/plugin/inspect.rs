//! `inspect`: what the operator saw, and for whoever may read it the Secret.

use serde_json::{Value, json};
use test_support::{shell::Shell, stage::Stage, world::World};

/// Lets a person read Secrets of the namespace.
pub async fn may_read_secrets(world: &World<'_>, person: &str, verbs: &str) {
    let rights = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: secrets-{person}, namespace: {n}}},\n  \
         rules: [{{apiGroups: [''], resources: [secrets], verbs: [{verbs}]}}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: secrets-{person}, namespace: {n}}},\n  \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {person}}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: secrets-{person}}}}}\n",
        n = world.namespace
    );
    world.stage.plane.admin_kubectl().apply(&rights).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_as_the_operator_saw_it_or_as_the_secret_has_it() {
    let world = World::new(Stage::shared().await, "inspect").await;
    may_read_secrets(&world, "dave", "get").await;
    let (carol, dave) = (Shell::of(&world, "carol").await, Shell::of(&world, "dave").await);
    world.until("it was looked at", || async { carol.run(&["list"]).await.ok().contains("Usable") }).await;
    let seen = carol.run(&["inspect", "api"]).await.ok();
    for said in [
        "Environment:  production\n",
        "Source:       Certificate status (you cannot read the Secret)\n",
        "Subject:      CN=api.payments.example\n",
        "DNS names:    api.payments.example\n",
        "Key match:    yes: it matches the certificate\n",
        "Chain:        1 between leaf and root\n",
        "Warnings:     <none>\n",
    ] {
        assert!(seen.contains(said), "{said}\n{seen}");
    }
    let read = async || dave.run(&["inspect", "api"]).await.ok();
    world.until("the right is there", || async { read().await.contains("the Secret, as of now") }).await;
    let secret = read().await;
    assert!(secret.contains("  intermediate   CN=Test Intermediate "), "{secret}");
    assert!(!secret.contains("BEGIN") && !secret.contains(world.leaf.key.lines().nth(1).unwrap()), "{secret}");
    let unread = dave.run(&["inspect", "api", "--no-secret"]).await.ok();
    assert!(unread.contains("Source:       Certificate status\n"), "{unread}");
    let report: Value = serde_json::from_str(&dave.run(&["inspect", "api", "-o", "json"]).await.ok()).unwrap();
    let environment = &report["environments"][0];
    assert_eq!((&environment["keyMatches"], &environment["chain"][0]["place"]), (&json!(true), &json!("leaf")));
    assert!(environment["daysLeft"].as_i64().unwrap() > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_secret_is_a_warning_with_what_to_do() {
    let world = World::new(Stage::shared().await, "inspect-bad").await;
    may_read_secrets(&world, "dave", "get").await;
    let (carol, dave) = (Shell::of(&world, "carol").await, Shell::of(&world, "dave").await);
    let other = world.stage.pki.leaf("other.example");
    let tls = |chain: &str, key: &str| [("tls.crt", chain.to_owned()), ("tls.key", key.to_owned())];
    let soon = world.stage.pki.leaf_with("soon.example", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    for (name, parts) in [("mismatch", tls(&world.leaf.chain(), &other.key)), ("expired", tls(&soon.leaf, &soon.key))] {
        let parts: Vec<(&str, &str)> = parts.iter().map(|(key, text)| (*key, text.as_str())).collect();
        world.raw_secret(name, "kubernetes.io/tls", &parts).await;
    }
    world.certificate("bad", &[("a", "mismatch"), ("b", "expired"), ("c", "missing")]).await;
    let table = || async { carol.run(&["list", "--no-headers"]).await.ok() };
    world.until("all were looked at", || async { !table().await.contains("NotSeenYet") }).await;
    world
        .until("the right is there", || async { dave.run(&["inspect", "api"]).await.ok().contains("as of now") })
        .await;
    for shell in [&carol, &dave] {
        for (environment, said) in [
            ("a", vec!["Key match:    no: it belongs to another certificate\n", "store the two that belong together"]),
            ("b", vec!["it expired at 2020-01-01T00:00:00Z, and can still be downloaded"]),
            ("c", vec!["Secret `missing` does not exist; create it"]),
        ] {
            let shown = shell.run(&["inspect", "bad", "--environment", environment]).await.ok();
            assert!(said.iter().all(|said| shown.contains(said)), "{environment} {said:?}\n{shown}");
        }
    }
    let all = carol.run(&["inspect", "bad"]).await.ok();
    assert_eq!(all.matches("Environment:").count(), 3, "{all}");
    let unknown = carol.run(&["inspect", "bad", "-e", "d"]).await;
    assert!(unknown.failed(1).contains("has no environment `d`\nnext:  it has a, b, c"), "{}", unknown.stderr);
    let absent = carol.run(&["inspect", "absent"]).await;
    assert!(absent.failed(1).contains("there is no Certificate `absent`"), "{}", absent.stderr);
}
