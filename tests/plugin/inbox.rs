//! `inbox`: what waits for one's own vote, across namespaces and contexts.

use std::fs;

use certcourier::api::{Decision, Phase};
use serde_json::{Value, json};
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

async fn names(shell: &Shell<'_>, flags: &[&str]) -> String {
    shell.run(&[&["inbox", "-o", "name"], flags].concat()).await.ok().replace("downloadrequest.certcourier.io/", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_me_is_there_and_what_i_asked_or_voted_on_is_not() {
    let world = waiting(Stage::shared().await, "inbox", &["one", "two"]).await;
    world.request("alice", "free", json!({"format": "cert"})).await;
    vote(&world, "bob", "two", Decision::Approve).await;
    let bob = Shell::of(&world, "bob").await;
    assert_eq!(names(&bob, &[]).await, "one\n");
    let table = bob.run(&["inbox"]).await.ok();
    let line: Vec<&str> = table.lines().nth(1).unwrap().split("   ").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert_eq!((&line[..5], line[7]), (&["one", "api", "key", "alice", "0/2"][..], "F5"), "{table}");
    let all = bob.run(&["inbox", "--all"]).await.ok();
    assert!(all.lines().any(|line| line.starts_with("two") && line.contains("voted")), "{all}");
    assert!(all.lines().any(|line| line.starts_with("one") && line.contains("vote")), "{all}");
    assert_eq!(names(&Shell::of(&world, "frank").await, &[]).await, "one\ntwo\n");

    // Whoever asked, and whoever may look but not vote, has nothing to do.
    let alice = Shell::of(&world, "alice").await;
    let nothing = alice.run(&["inbox"]).await;
    assert_eq!(nothing.ok(), "");
    assert!(nothing.stderr.contains("Nothing waits for your vote in namespace"), "{}", nothing.stderr);
    assert!(alice.run(&["inbox", "--all"]).await.ok().lines().nth(1).unwrap().contains("asked"));
    assert_eq!(names(&Shell::of(&world, "carol").await, &[]).await, "");
    let mallory = Shell::of(&world, "mallory").await.run(&["inbox"]).await;
    assert!(mallory.failed(1).contains("cannot list downloadrequests"), "{}", mallory.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_namespaces_are_looked_into_by_whoever_may_and_a_right_to_one_certificate_counts_for_that_one() {
    let stage = Stage::shared().await;
    let (one, two) = (waiting(stage, "inbox-a", &["mine"]).await, waiting(stage, "inbox-b", &["theirs"]).await);
    two.certificate("web", &[("production", "api-tls")]).await;
    two.request("alice", "web-key", json!({"format": "key", "certificateRef": {"name": "web"}})).await;
    two.wait_for_phase("web-key", Phase::AwaitingApproval).await;
    // user-05 looks everywhere, votes in the one namespace, and on one Certificate of the other.
    let rights = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {{name: {a}-looks}},\n  \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: user-05}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certcourier-viewer}}}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: user-05, namespace: {a}}},\n  \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: user-05}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certcourier-approver}}}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: web, namespace: {b}}},\n  \
         rules: [{{apiGroups: [certcourier.io], resources: [certificates], resourceNames: [web], verbs: [approve]}}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: web, namespace: {b}}},\n  \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: user-05}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}}}}\n",
        a = one.namespace,
        b = two.namespace
    );
    stage.plane.admin_kubectl().apply(&rights).await.unwrap();
    let shell = Shell::of(&one, "user-05").await;
    let found = async || -> Vec<(String, String)> {
        let table = shell.run(&["inbox", "-A", "--no-headers"]).await.out();
        let cells =
            |line: &str| line.split("   ").map(str::to_owned).filter(|cell| !cell.is_empty()).collect::<Vec<_>>();
        let rows = table.lines().map(|line| (cells(line)[0].clone(), cells(line)[1].trim().to_owned()));
        rows.filter(|(namespace, _)| *namespace == one.namespace || *namespace == two.namespace).collect()
    };
    let expected = [(one.namespace.clone(), "mine".to_owned()), (two.namespace.clone(), "web-key".to_owned())];
    one.until("the rights are there", || async { found().await == expected }).await;
    let bob = Shell::of(&one, "bob").await.run(&["inbox", "-A"]).await;
    assert!(bob.failed(1).contains("cannot list downloadrequests of all namespaces"), "{}", bob.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_cannot_be_reached_is_named_and_hides_no_other() {
    let world = waiting(Stage::shared().await, "inbox-contexts", &["one"]).await;
    let mut bob = Shell::of(&world, "bob").await;
    let mut config: Value = serde_json::from_str(&{
        let view = bob.bash("kubectl config view --raw -o json").await;
        view.ok()
    })
    .unwrap();
    let mut gone = config["clusters"][0].clone();
    gone["name"] = json!("gone");
    gone["cluster"]["server"] = json!("https://127.0.0.1:1");
    config["clusters"].as_array_mut().unwrap().push(gone);
    let context = |name: &str, cluster: &str| json!({"name": name, "context": {"cluster": cluster, "user": config["users"][0]["name"], "namespace": world.namespace}});
    config["contexts"] = json!([context("here", "test"), context("there", "gone"), context("again", "test")]);
    // The current context is the one that cannot be used; nobody asks for it.
    config["current-context"] = json!("absent");
    bob.kubeconfig = bob.folder.path().join("contexts");
    fs::write(&bob.kubeconfig, config.to_string()).unwrap();
    let some = bob.run(&["inbox", "--contexts", "here,there"]).await;
    let words = some.failed(1);
    assert!(
        words.contains("error: context there: cannot ") && words.contains("1 of 2 contexts could not be read: there"),
        "{words}"
    );
    let line: Vec<String> = some.out().lines().nth(1).unwrap().split_whitespace().map(str::to_owned).collect();
    assert_eq!(line[..3], ["here", world.namespace.as_str(), "one"], "{}", some.out());
    let unknown = bob.run(&["inbox", "--contexts", "here,nowhere", "-o", "json"]).await;
    assert!(unknown.failed(1).contains("context nowhere: "), "{}", unknown.stderr);
    let found: Value = serde_json::from_str(&unknown.out()).unwrap();
    assert_eq!(found["contexts"][0]["items"][0]["metadata"]["name"], "one");
    assert!(found["contexts"][1]["error"].as_str().unwrap().contains("nowhere"), "{found}");
    let both = bob.run(&["inbox", "--contexts", "here,again"]).await.ok();
    assert_eq!(both.lines().count(), 3, "{both}");
    vote(&world, "bob", "one", Decision::Approve).await;
    let none = bob.run(&["inbox", "--contexts", "here,again"]).await;
    assert_eq!(none.ok(), "");
    assert!(none.stderr.contains("Nothing waits for your vote in here, again."), "{}", none.stderr);
    let twice = bob.run(&["inbox", "--contexts", "here", "--context", "again"]).await;
    assert!(twice.failed(2).contains("name all of them in --contexts"), "{}", twice.stderr);
}
