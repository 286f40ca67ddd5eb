//! `request`, `wait`, `claim`, `revoke`: the same in steps.

use certcourier::api::{Decision, Phase};
use serde_json::{Value, json};
use test_support::{
    shell::Shell,
    stage::Stage,
    world::{World, condition},
};

use super::kit::{keys_allowed, keys_with_two_approvals, only_request, request_count, vote};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_made_waited_for_claimed_and_its_link_works_once() {
    let world = World::new(Stage::shared().await, "steps").await;
    let carol = Shell::of(&world, "carol").await;
    let name = carol.run(&["request", "api", "--format", "cert", "-o", "name"]).await.ok();
    let request = name.trim_end().strip_prefix("downloadrequest.certcourier.io/").unwrap().to_owned();
    assert!(request.starts_with("api-cert-"), "{request}");
    carol.run(&["wait", name.trim_end()]).await.ok();
    let claimed = carol.run(&["claim", &request]).await;
    assert!(claimed.stderr.contains("works once, until "), "{}", claimed.stderr);
    let line =
        format!("curl -qfsS --noproxy '*' --cacert \"$CERTCOURIER_SERVER_CA\" '{}' -o c.pem", claimed.ok().trim_end());
    carol.bash(&line).await.ok();
    assert_eq!(carol.read("c.pem"), world.leaf.leaf);
    assert_eq!(carol.bash(&line).await.code, Some(22), "the second time it is refused");
    carol.run(&["wait", &request, "--for", "finished"]).await.ok();
    let again = carol.run(&["wait", &request]).await;
    assert!(again.failed(5).contains("its token is used"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_secret_is_claimed_too_and_another_one_when_it_expired() {
    let world = World::new(Stage::shared().await, "secret").await;
    let kubeconfig = world.stage.plane.certificate_kubeconfig("carol", None).unwrap();
    let carol = Shell::with(&world, kubeconfig);
    let line = ["request", "api", "--format", "cert", "--name", "mine", "--delivery", "secret", "--token-ttl", "4s"];
    assert_eq!(carol.run(&line).await.ok(), "downloadrequest.certcourier.io/mine created\n");
    let first = carol.run(&["claim", "mine", "-o", "token"]).await.ok();
    assert!(first.starts_with("ccd_"));
    world.wait("mine", "expired", |status| condition(status, "TokenIssued") == "False/TokenExpired").await;
    let all: Value = serde_json::from_str(&carol.run(&["claim", "mine", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(all["request"], "mine");
    assert_ne!(all["token"], first.trim_end());
    assert!(all["url"].as_str().unwrap().ends_with(all["token"].as_str().unwrap()));
    carol.run(&["download", "--request", "mine", "-o", "c.pem"]).await.ok();
    assert_eq!(carol.read("c.pem"), world.leaf.leaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_passphrase_goes_where_it_was_asked_to_go_and_nowhere_else() {
    let world = World::new(Stage::shared().await, "claimed-p12").await;
    keys_allowed(&world).await;
    let alice = Shell::of(&world, "alice").await;
    alice.run(&["request", "api", "-f", "pkcs12", "--name", "p12"]).await.ok();
    let nowhere = alice.run(&["claim", "p12", "--generate"]).await;
    assert!(nowhere.failed(2).contains("-o json"), "{}", nowhere.stderr);
    let all: Value =
        serde_json::from_str(&alice.run(&["claim", "p12", "--generate", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(all["passphrase"].as_str().unwrap().len(), 24);
    let aside = alice.run(&["claim", "p12", "--generate", "--passphrase-out", "p", "-o", "token"]).await;
    assert!(aside.ok().starts_with("ccd_"));
    assert_eq!(alice.read("p").len(), 24);
    assert!(!aside.stderr.contains(&alice.read("p")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_of_wait_says_what_became_of_a_request() {
    let world = World::new(Stage::shared().await, "codes").await;
    keys_with_two_approvals(&world).await;
    let alice = Shell::of(&world, "alice").await;
    for (name, flags) in [
        ("denied", ["--format", "key"].as_slice()),
        ("revoked", &["--format", "key"]),
        ("waits", &["--format", "key"]),
        ("expired", &["--format", "key", "--deadline", "3s"]),
    ] {
        alice.run(&[&["request", "api", "--name", name], flags].concat()).await.ok();
    }
    // What is refused at once, `request` says itself.
    let lab = ["request", "api", "--name", "failed", "--format", "cert", "--environment", "lab"];
    let refused = alice.run(&lab).await;
    assert!(refused.failed(5).contains("has no environment `lab`"), "{}", refused.stderr);
    world.wait_for_phase("denied", Phase::AwaitingApproval).await;
    vote(&world, "bob", "denied", Decision::Deny).await;
    let bob = Shell::of(&world, "bob").await;
    let revoked = bob.run(&["revoke", "revoked", "--reason", "not needed after all"]).await;
    assert_eq!(revoked.ok(), "downloadrequest.certcourier.io/revoked revoked\n");
    for (name, code, words) in [
        ("denied", 3, "denied by bob: asked alice"),
        ("expired", 4, "before its deadline"),
        ("revoked", 5, "revoked by bob: not needed after all"),
        ("failed", 5, "UnknownEnvironment"),
        ("none", 5, "there is no DownloadRequest `none`"),
    ] {
        for what in ["token", "finished"] {
            let ended = alice.run(&["wait", name, "--for", what]).await;
            assert!(ended.failed(code).contains(words), "{name}: {}", ended.stderr);
        }
    }
    let late = alice.run(&["wait", "waits", "--timeout", "1s"]).await;
    assert!(late.failed(1).contains("waiting for 2 of 2 approvals"), "{}", late.stderr);
    let closed = bob.run(&["revoke", "denied", "waits", "--reason", "x"]).await;
    assert!(closed.failed(1).contains("denied is Denied already"), "{}", closed.stderr);
    assert_eq!(world.wait_finished("waits").await.0, Phase::Revoked, "the other one was revoked all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dry_run_prints_is_an_object_that_the_api_server_takes() {
    let world = World::new(Stage::shared().await, "dry-run").await;
    let carol = Shell::of(&world, "carol").await;
    let line = "kubectl certcourier -n NS request api --format fullchain --name gitops --delivery secret --reason 'a: b #c' \
        --deadline 2099-01-01T00:00:00Z --dry-run -o yaml | tee r.yaml | kubectl create --dry-run=server -f - -o name";
    let taken = carol.bash(&line.replace("NS", &world.namespace)).await.ok();
    assert_eq!(taken, "downloadrequest.certcourier.io/gitops\n");
    let object: Value = serde_json::from_value(
        serde_json::from_str(&carol.run(&["request", "api", "-f", "cert", "--dry-run", "-o", "json"]).await.ok())
            .unwrap(),
    )
    .unwrap();
    assert_eq!(object["metadata"], json!({"generateName": "api-cert-", "namespace": world.namespace}));
    assert_eq!(object["spec"], json!({"certificateRef": {"name": "api"}, "format": "cert"}), "only what was typed");
    let dry = carol.run(&["request", "api", "-f", "cert", "--deadline", "2h", "--dry-run"]).await;
    assert!(dry.ok().contains("deadline: ") && dry.stderr.contains("applies this object is its requester"), "{dry:?}");
    assert!(!dry.stderr.contains("--deadline"), "{dry:?}");
    assert_eq!(request_count(&world).await, 0);
    assert!(carol.read("r.yaml").contains("a: b #c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_requester_claims() {
    let world = World::new(Stage::shared().await, "others").await;
    let (carol, alice) = (Shell::of(&world, "carol").await, Shell::of(&world, "alice").await);
    carol.run(&["request", "api", "--format", "cert"]).await.ok();
    let request = only_request(&world).await;
    let refused = alice.run(&["claim", &request]).await;
    assert!(refused.failed(1).contains("only `carol`"), "{}", refused.stderr);
}
