//! From the wish to the file.

use std::{fs, os::unix::fs::PermissionsExt as _};

use certcourier::api::{Decision, Outcome, Phase};
use serde_json::json;
use test_support::{
    shell::{Shell, end},
    stage::Stage,
    world::World,
};

use super::kit::{keys_allowed, keys_with_two_approvals, only_request, request_count, vote};

#[tokio::test(flavor = "multi_thread")]
async fn carol_has_the_full_chain_in_one_command_for_her_eyes_alone() {
    let world = World::new(Stage::shared().await, "one-command").await;
    let carol = Shell::of(&world, "carol").await;
    let done = carol.run(&["download", "api", "--format", "fullchain", "-o", "f.pem"]).await;
    assert_eq!(done.ok(), "", "standard output is for what was asked for");
    assert_eq!(carol.read("f.pem"), world.leaf.chain());
    fs::write(carol.path("plain"), "").unwrap();
    let mode = |name: &str| fs::metadata(carol.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("f.pem"), mode("plain"), "a public file is as open as any other of hers");
    fs::remove_file(carol.path("plain")).unwrap();
    assert_eq!(carol.files(), ["f.pem"], "nothing else is left");
    let request = world.get(&only_request(&world).await).await;
    let receipt = world.receipt_of(&request).await.unwrap();
    assert!(done.stderr.contains(&receipt.spec.artifact.sha256), "{}", done.stderr);
    assert!(receipt.spec.user_agent.unwrap().starts_with("kubectl-certcourier/"));
    world
        .until("the outcome is known", || async {
            let receipt = world.receipt_of(&request).await.unwrap();
            receipt.status.and_then(|status| status.outcome) == Some(Outcome::Delivered)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_stays_unless_forced_and_nothing_is_asked_for() {
    let world = World::new(Stage::shared().await, "exists").await;
    let carol = Shell::of(&world, "carol").await;
    fs::write(carol.path("api-cert.pem"), "mine").unwrap();
    let refused = carol.run(&["download", "api", "--format", "cert"]).await;
    assert!(refused.failed(1).contains("--force"), "{}", refused.stderr);
    assert_eq!((carol.read("api-cert.pem").as_str(), request_count(&world).await), ("mine", 0));
    carol.run(&["download", "api", "--format", "cert", "--force", "--quiet"]).await.ok();
    assert_eq!(carol.read("api-cert.pem"), world.leaf.leaf);
    // Through a pipe, byte for byte.
    let piped = carol.run(&["download", "api", "--format", "cert", "-o", "-"]).await;
    assert_eq!(piped.ok(), world.leaf.leaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_waits_for_people_and_comes_when_they_agree() {
    let world = World::new(Stage::shared().await, "agree").await;
    keys_with_two_approvals(&world).await;
    let alice = Shell::of(&world, "alice").await;
    let mut running = alice.start(&["download", "api", "--format", "key", "--reason", "INC-4211", "-o", "k.pem"]);
    running.until_it_says("waiting for 2 of 2 approvals, until ").await;
    let request = only_request(&world).await;
    vote(&world, "bob", &request, Decision::Approve).await;
    running.until_it_says("waiting for 1 of 2 approvals").await;
    vote(&world, "frank", &request, Decision::Approve).await;
    running.ended().await.ok();
    assert_eq!(alice.read("k.pem"), world.leaf.key);
    assert_eq!(alice.files(), ["k.pem"]);
    assert_eq!(world.wait_finished(&request).await.0, Phase::Consumed);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_once_until_when_whom_to_ask_and_what_they_type() {
    let world = World::new(Stage::shared().await, "told").await;
    let contacts = json!({"requiredFor": "Keys", "approvals": 2, "pendingTTL": "30m", "contacts": "#payments-oncall"});
    world.policy("two", json!({"allowKeyExport": "WithApproval", "approval": contacts})).await;
    let alice = Shell::of(&world, "alice").await;
    let mut running = alice.start(&["download", "api", "--format", "key", "-o", "k.pem", "--timeout", "4s"]);
    let said = running.until_it_says("Ctrl-C is safe: the request stays open").await;
    let name = only_request(&world).await;
    let command = format!("kubectl certcourier approve {name} -n {}. Ctrl-C is safe", world.namespace);
    let role = "Approvers (ClusterRole certcourier-approver; ask #payments-oncall): ";
    for words in ["waiting for 2 of 2 approvals, until ", " UTC (29 min left). ", role, &command] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let ended = running.ended().await;
    let all = ended.failed(1);
    assert_eq!(all.matches("waiting for").count(), 1, "one line in a pipe: {all}");
    assert!(!all.contains('\r'), "{all:?}");

    // kubectl alone says as much.
    let status = world.get(&name).await.status.unwrap();
    let review = status.review.as_ref().unwrap();
    assert_eq!(review.contacts, ["#payments-oncall"]);
    let end = review.expires_at.as_ref().unwrap().0;
    assert_eq!(end.duration_since(review.opened_at.0), jiff::SignedDuration::from_mins(30));
    let wide = world.kubectl("alice", &["get", "dlr", &name, "-o", "wide"]).await.stdout;
    assert!(wide.contains("EXPIRES") && wide.contains(&end.to_string()), "{wide}");
    let message = test_support::request::message(&status, "Approved");
    assert!(message.contains(&format!("until {end}")) && message.contains("to ask one: #payments-oncall"), "{message}");

    // Whom to ask may change, and no vote is void.
    vote(&world, "bob", &name, Decision::Approve).await;
    let contacts = json!({"requiredFor": "Keys", "approvals": 2, "pendingTTL": "30m", "contacts": "jane@example.com"});
    world.policy("two", json!({"allowKeyExport": "WithApproval", "approval": contacts})).await;
    let told = world
        .wait(&name, "the new contact", |status| {
            status.review.as_ref().is_some_and(|review| review.contacts == ["jane@example.com"])
        })
        .await;
    let review = told.status.unwrap().review.unwrap();
    assert_eq!((review.round, review.approvals.summary.as_str()), (1, "1/2"));
    assert_eq!(review.expires_at.unwrap().0, end, "and no one has longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_ends_the_wait_with_its_own_exit_code_and_leaves_no_file() {
    let world = World::new(Stage::shared().await, "denied").await;
    keys_with_two_approvals(&world).await;
    let alice = Shell::of(&world, "alice").await;
    let mut running = alice.start(&["download", "api", "--format", "key", "-o", "k.pem"]);
    running.until_it_says("waiting for 2 of 2 approvals").await;
    vote(&world, "bob", &only_request(&world).await, Decision::Deny).await;
    let denied = running.ended().await;
    assert!(denied.failed(3).contains("denied by bob: asked alice"), "{}", denied.stderr);
    assert!(alice.files().is_empty(), "{:?}", alice.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_nothing_half_done_and_the_line_it_prints_goes_on() {
    let world = World::new(Stage::shared().await, "ctrl-c").await;
    keys_with_two_approvals(&world).await;
    let alice = Shell::of(&world, "alice").await;
    let mut running = alice.start(&["download", "api", "--format", "combined", "-o", "k.pem"]);
    running.until_it_says("waiting for 2 of 2 approvals").await;
    running.interrupt().await;
    let stopped = running.ended().await;
    let said = stopped.failed(130).to_owned();
    assert!(alice.files().is_empty(), "{:?}", alice.files());
    let request = only_request(&world).await;
    for person in ["bob", "frank"] {
        vote(&world, person, &request, Decision::Approve).await;
    }
    let line = said.split("Go on with: ").nth(1).and_then(|rest| rest.split(" · ").next());
    let line = line.unwrap_or_else(|| panic!("no line to go on with: {said}"));
    alice.bash(line).await.ok();
    let combined = format!("{}{}{}", world.leaf.leaf, world.leaf.intermediate, world.leaf.key);
    assert_eq!(alice.read("k.pem"), combined);
    assert_eq!(request_count(&world).await, 1, "it was the same request");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_take_too_long_cost_nothing() {
    let world = World::new(Stage::shared().await, "too-long").await;
    keys_with_two_approvals(&world).await;
    let alice = Shell::of(&world, "alice").await;
    let late = alice.run(&["download", "api", "--format", "key", "--timeout", "1s"]).await;
    assert!(late.failed(1).contains("download --request api-key-"), "{}", late.stderr);
    assert_eq!(world.get(&only_request(&world).await).await.status.unwrap().phase, Some(Phase::AwaitingApproval));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pkcs12_opens_with_the_passphrase_from_wherever_it_came() {
    let world = World::new(Stage::shared().await, "p12").await;
    keys_allowed(&world).await;
    let alice = Shell::of(&world, "alice").await.set("SECRET_WORDS", "correct horse battery");
    fs::write(alice.path("pass.txt"), "correct horse battery\n").unwrap();
    let opens = async |file: &str, passphrase: &str| {
        let mut openssl = alice.program("openssl");
        openssl.args(["pkcs12", "-in", file, "-nodes", "-passin", "env:P"]).env("P", passphrase);
        end(openssl).await.ok().contains("PRIVATE KEY")
    };
    alice.run(&["download", "api", "-f", "pkcs12", "--passphrase-file", "pass.txt", "-o", "a.p12"]).await.ok();
    alice.run(&["download", "api", "-f", "pkcs12", "--passphrase-env", "SECRET_WORDS", "-o", "b.p12"]).await.ok();
    for file in ["a.p12", "b.p12"] {
        assert!(opens(file, "correct horse battery").await, "{file}");
    }
    assert_eq!(fs::metadata(alice.path("a.p12")).unwrap().permissions().mode() & 0o777, 0o600);
    // A generated one is all of standard output, or a file of its own.
    let generated = alice.run(&["download", "api", "-f", "pkcs12", "--generate", "-o", "c.p12"]).await.ok();
    assert!(opens("c.p12", generated.strip_suffix('\n').unwrap()).await);
    let quiet = ["download", "api", "-f", "pkcs12", "--generate", "--passphrase-out", "d.txt", "-o", "d.p12"];
    assert_eq!(alice.run(&quiet).await.ok(), "");
    assert!(opens("d.p12", &alice.read("d.txt")).await);
    assert_eq!(fs::metadata(alice.path("d.txt")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_passphrase_may_lie_in_a_secret_that_the_requester_may_read() {
    let world = World::new(Stage::shared().await, "p12-secret").await;
    keys_allowed(&world).await;
    world.raw_secret("p12", "Opaque", &[("words", "correct horse battery")]).await;
    let kubectl = world.stage.plane.admin_kubectl();
    let grant = |kind: &'static str, rest: [&'static str; 2]| {
        ["-n", world.namespace.as_str(), "create", kind, "p12-reader"]
            .into_iter()
            .chain(rest)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut role = grant("role", ["--verb=get", "--resource=secrets"]);
    role.push("--resource-name=p12".into());
    kubectl.check(role).await.unwrap();
    kubectl.check(grant("rolebinding", ["--role=p12-reader", "--user=alice"])).await.unwrap();
    let alice = Shell::of(&world, "alice").await;
    let asking = ["download", "api", "-f", "pkcs12", "--passphrase-secret", "p12/words", "-o", "a.p12"];
    world.until("alice may read the Secret", || async { alice.run(&asking).await.code == Some(0) }).await;
    let mut openssl = alice.program("openssl");
    openssl.args(["pkcs12", "-in", "a.p12", "-nodes", "-passin", "pass:correct horse battery"]);
    assert!(end(openssl).await.ok().contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_said_in_its_words_and_nothing_is_created() {
    let world = World::new(Stage::shared().await, "refused").await;
    let alice = Shell::of(&world, "alice").await;
    for (arguments, words) in [
        (vec!["api", "--format", "key"], "allowKeyExport is Never"),
        (vec!["none", "--format", "cert"], "no Certificate"),
        (vec!["api", "--format", "cert", "--environment", "lab"], "production"),
        (vec!["api", "--format", "cert", "--token-ttl", "2h"], "longer than the longest allowed"),
    ] {
        let refused = alice.run(&[&["download"], arguments.as_slice()].concat()).await;
        assert!(refused.failed(1).contains(words), "{arguments:?}: {}", refused.stderr);
    }
    let mallory = Shell::of(&world, "mallory").await;
    let refused = mallory.run(&["download", "api", "--format", "cert"]).await;
    assert!(refused.failed(1).contains("forbidden"), "{}", refused.stderr);
    assert_eq!((request_count(&world).await, alice.files().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_of_the_hand_is_exit_code_two_and_says_what_to_write() {
    let world = World::new(Stage::shared().await, "slips").await;
    let carol = Shell::of(&world, "carol").await;
    for (line, words) in [
        ("download api", "--format cert|chain"),
        ("download", "CERTIFICATE"),
        ("download api --format jks", "choose one of cert, chain"),
        ("download api --format cert --passphrase secret", "everyone on this machine can read"),
        ("download api --format cert --generate", "takes no passphrase"),
        ("download api --format cert --deadline tomorrow", "2026-11-22T18:00:00Z"),
        ("download ../api --format cert", "lower-case"),
        ("download api --request r", "cannot be used with"),
        ("download --request r --format cert", "leave out --format"),
        ("download api --format zip --generate -o -", "--passphrase-out"),
        ("revoke r", "--reason"),
        ("list --mine", "list requests --mine"),
        ("list --as-group x", "need --as"),
        ("request api --format der --order key-leaf-chain", "combined"),
        ("lits", "list"),
    ] {
        let slip = carol.run(&line.split(' ').collect::<Vec<_>>()).await;
        assert!(slip.failed(2).contains(words), "{line}: {}", slip.stderr);
    }
    assert_eq!((request_count(&world).await, carol.files().len()), (0, 0));
}
