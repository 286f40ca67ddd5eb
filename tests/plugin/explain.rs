//! `policy explain`: what one would get; compared with what one gets.

use std::fs;

use certcourier::api::{Format, Phase};
use serde_json::{Value, json};
use test_support::{shell::Shell, stage::Stage, world::World};

async fn explained(shell: &Shell<'_>, flags: &[&str]) -> Value {
    let ended = shell.run(&[&["policy", "explain", "api", "-o", "json"], flags].concat()).await;
    serde_json::from_str(&ended.out()).unwrap_or_else(|_| panic!("{ended:?}"))
}

fn answer<'a>(explained: &'a Value, format: &str) -> &'a Value {
    explained["formats"].as_array().unwrap().iter().find(|answer| answer["format"] == format).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_explained_is_what_one_gets_in_every_format() {
    let world = World::new(Stage::shared().await, "explain").await;
    let two = json!({"allowKeyExport": "WithApproval", "approval": {"approvals": 2}, "reasonRequired": true});
    world.policy("two", two).await;
    world.policy("some", json!({"allowedFormats": ["cert", "chain", "ca", "der", "key", "combined", "pkcs12"]})).await;
    let alice = Shell::of(&world, "alice").await;
    world.until("it was looked at", || async { alice.run(&["list"]).await.ok().contains("Usable") }).await;
    let said = explained(&alice, &[]).await;
    assert_eq!((&said["requester"], &said["policies"]), (&json!("alice"), &json!(["some", "two"])));
    for format in Format::ALL {
        world.request("alice", format.name(), json!({"format": format, "reason": "asked"})).await;
    }
    for format in Format::ALL {
        let expected = match answer(&said, format.name())["answer"].as_str().unwrap() {
            "Allowed" => Phase::TokenIssued,
            "NeedsApproval" => Phase::AwaitingApproval,
            "Refused" => Phase::Failed,
            other => panic!("{other}"),
        };
        world.wait_for_phase(format.name(), expected).await;
    }
    let key = answer(&said, "key");
    assert_eq!((&key["approvals"], &key["notes"][0]), (&json!(2), &json!("2 approvals of others, by policy two")));
    let zip = answer(&said, "zip");
    assert_eq!(zip["refusedBecause"][0]["reason"], "FormatNotAllowed");

    let table = alice.run(&["policy", "explain", "api", "-o", "wide"]).await.ok();
    for line in [
        "For:          alice\n",
        "\nkey         yes   needs 2 approvals   2 approvals of others, by policy two\n",
        "\nfullchain   no    refused             format `fullchain` is not allowed by policy some; allowed: cert, chain",
        "\napproval.approvals      2 ",
        "the cluster policy (--cluster-policy), if there is one, is not known here",
    ] {
        assert!(table.contains(line), "{line}\n{table}");
    }
    // The cluster policy is the ceiling, for anyone who has its file.
    fs::write(alice.path("own.yaml"), "allowKeyExport: Never\n").unwrap();
    let with_own = explained(&alice, &["--cluster-policy", "own.yaml"]).await;
    let why = answer(&with_own, "key")["refusedBecause"][0]["message"].as_str().unwrap();
    assert!(why.contains("Never by policy (operator)") && with_own["notes"] == json!([]), "{with_own}");
    fs::write(alice.path("own.yaml"), "allowKeyExports: Never\n").unwrap();
    let slip = alice.run(&["policy", "explain", "api", "--cluster-policy", "own.yaml"]).await;
    assert!(slip.failed(2).contains("field `allowKeyExports` is not known"), "{}", slip.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_explained_for_whoever_asks_and_what_they_may_not_see_is_said() {
    let world = World::new(Stage::shared().await, "explain-whom").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let carol = explained(&Shell::of(&world, "carol").await, &[]).await;
    assert_eq!(answer(&carol, "cert")["answer"], "Allowed");
    assert_eq!(answer(&carol, "key")["refusedBecause"][0]["reason"], "AccessRefused");
    let admin = Shell::with(&world, world.stage.plane.admin_kubeconfig());
    let as_carol = explained(&admin, &["--as", "carol"]).await;
    assert_eq!(as_carol["formats"], carol["formats"]);

    // Certificates, and no policies.
    let rights = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: blind, namespace: {n}}},\n  \
         rules: [{{apiGroups: [certcourier.io], resources: [certificates], verbs: [get, download]}}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: blind, namespace: {n}}},\n  \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: blind}}}}\n",
        n = world.namespace
    );
    world.stage.plane.admin_kubectl().apply(&rights).await.unwrap();
    let mallory = Shell::of(&world, "mallory").await;
    let looked =
        || async { !mallory.run(&["policy", "explain", "api"]).await.stderr.contains("cannot read Certificate") };
    world.until("the right is there", looked).await;
    let blind = mallory.run(&["policy", "explain", "api"]).await;
    let words = blind.failed(1);
    assert!(
        words.contains(
            "without the policies this is not the whole answer\nnext:  ask for ClusterRole certcourier-viewer"
        ),
        "{words}"
    );
    let table = blind.out();
    assert!(table.contains("the policies are not known: you are not allowed to list them"), "{table}");
    assert!(table.contains("you are not allowed to create DownloadRequests here"), "{table}");
    assert!(table.contains("\ncert        no    unknown"), "{table}");
    assert!(table.contains("\nkey         yes   refused   user `mallory` lacks verb `exportkey`"), "{table}");
    let unknown = mallory.run(&["policy", "explain", "api", "-e", "nowhere"]).await;
    assert!(unknown.failed(1).contains("no environment `nowhere`\nnext:  it has production"), "{}", unknown.stderr);
}
