//! `approve` and `deny`: what is shown, who may, what is written.

use std::fs;

use certcourier::api::{Decision, DownloadRequest, Phase};
use serde_json::{Value, json};
use test_support::{
    shell::Shell,
    stage::{Settings, Stage},
    world::World,
};

use super::{kit::keys_with_two_approvals, typed::typing};

/// A key request of alice's that waits for two people.
async fn waiting(world: &World<'_>) -> DownloadRequest {
    keys_with_two_approvals(world).await;
    world.until("it was looked at", || async { seen(world).await }).await;
    world.request("alice", "key", json!({"format": "key", "reason": "F5 import"})).await;
    world.wait_for_phase("key", Phase::AwaitingApproval).await
}

async fn seen(world: &World<'_>) -> bool {
    let found = world.api::<certcourier::api::Certificate>().get("api").await.unwrap();
    found.status.is_some_and(|status| !status.environments.is_empty())
}

async fn votes(world: &World<'_>) -> Vec<(String, Decision, String)> {
    let cast = world.get("key").await.status.unwrap().approvals.unwrap_or_default();
    cast.into_iter().map(|vote| (vote.username, vote.decision, vote.reason)).collect()
}

fn vote(who: &str, decision: Decision, reason: &str) -> (String, Decision, String) {
    (who.to_owned(), decision, reason.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_approve_what_they_are_shown_and_a_third_ends_it() {
    let world = World::new(Stage::shared().await, "approve").await;
    let request = waiting(&world).await;
    let fingerprint = request.status.unwrap().review.unwrap().fingerprints.remove(0);
    let (bob, frank) = (Shell::of(&world, "bob").await, Shell::of(&world, "frank").await);
    let approved = bob.run(&["approve", "key", "--reason", "INC-1, checked", "--yes"]).await;
    assert_eq!(approved.ok(), "downloadrequest.certcourier.io/key approved\n");
    for said in [
        "Who asks:      alice (groups: operators)\n".to_owned(),
        "What:          key of api, the default environment: it holds the private key\n".to_owned(),
        "Why:           F5 import\n".to_owned(),
        format!("Fingerprints:  {fingerprint} (production, CN=api.payments.example, expires in "),
        "Policies:      two\n".to_owned(),
        "Approvals:     0 of 2 given\n".to_owned(),
        "1 of 2 approvals are given.\n".to_owned(),
    ] {
        assert!(approved.stderr.contains(&said), "{said}\n{}", approved.stderr);
    }
    let again = bob.run(&["approve", "downloadrequest.certcourier.io/key", "--reason", "once more", "--yes"]).await;
    assert_eq!(again.ok(), "downloadrequest.certcourier.io/key already approved\n");
    assert!(again.stderr.contains("your vote counts once: 1 of 2 given (bob)"), "{}", again.stderr);
    let second = frank.run(&["approve", "key", "--reason", "fine", "-o", "json", "--quiet", "-y"]).await;
    let object: Value = serde_json::from_str(&second.ok()).unwrap();
    assert_eq!(
        (&object["kind"], &object["status"]["approvals"][1]["username"]),
        (&json!("DownloadRequest"), &json!("frank"))
    );
    assert_eq!(second.stderr, "");
    world.wait_for_phase("key", Phase::TokenIssued).await;
    let expected = [vote("bob", Decision::Approve, "INC-1, checked"), vote("frank", Decision::Approve, "fine")];
    assert_eq!(votes(&world).await, expected);
    let late = bob.run(&["approve", "key", "--reason", "late", "--yes"]).await;
    assert_eq!(late.ok(), "downloadrequest.certcourier.io/key already approved\n");

    // One denial ends it though the token lives.
    let denied = frank.run(&["deny", "key", "--reason", "called off", "--yes"]).await;
    assert_eq!(denied.ok(), "downloadrequest.certcourier.io/key denied\n");
    world.wait_for_phase("key", Phase::Denied).await;
    let closed = bob.run(&["deny", "key", "--reason", "me too", "--yes"]).await;
    assert!(
        closed.failed(1).contains("key is closed (Denied) and takes no more votes: denied by frank: called off"),
        "{}",
        closed.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_vote_it_is_not_learns_why_before_anything_is_written() {
    let world = World::new(Stage::shared().await, "no-vote").await;
    waiting(&world).await;
    let kubectl = world.stage.plane.admin_kubectl();
    let binding = ["create", "rolebinding", "alice-approves", "--clusterrole=certcourier-approver", "--user=alice"];
    kubectl.check(["--namespace", &world.namespace].iter().chain(&binding)).await.unwrap();
    let refused = async |who: &str, arguments: &[&str], code: i32| {
        Shell::of(&world, who).await.run(arguments).await.failed(code).to_owned()
    };
    for (who, arguments, code, said) in [
        ("alice", vec!["approve", "key", "--reason", "mine", "--yes"], 1, "no one votes on their own request\nnext:  "),
        ("alice", vec!["deny", "key", "--reason", "mine", "--yes"], 1, "kubectl certcourier revoke key -n "),
        (
            "carol",
            vec!["approve", "key", "--reason", "x", "--yes"],
            1,
            "lack verb approve on certificates.certcourier.io/api",
        ),
        ("mallory", vec!["approve", "key", "--reason", "x", "--yes"], 1, "cannot read DownloadRequest"),
        ("bob", vec!["approve", "absent", "--reason", "x", "--yes"], 1, "there is no DownloadRequest `absent`"),
        ("bob", vec!["approve", "key"], 2, "say why with --reason"),
        ("bob", vec!["approve", "key", "--reason", " "], 2, "the reason is empty"),
        ("bob", vec!["deny", "key"], 2, "--reason <TEXT>"),
        ("bob", vec!["deny", "key", "--reason", "x"], 2, "there is no terminal to confirm at: add --yes"),
        (
            "bob",
            vec!["approve", "key", "--reason", "x", "--digest", "0000"],
            1,
            "is no longer what is under review: nothing was written",
        ),
    ] {
        let words = refused(who, &arguments, code).await;
        assert!(words.contains(said), "{who} {arguments:?}: {words}");
    }
    let robot = world.stage.plane.service_account(&world.namespace, "robot", &[]).await.unwrap();
    let account = format!("--serviceaccount={}:robot", world.namespace);
    let binding = ["create", "rolebinding", "robot", "--clusterrole=certcourier-approver", &account];
    kubectl.check(["--namespace", &world.namespace].iter().chain(&binding)).await.unwrap();
    let robot = Shell::with(&world, robot.kubeconfig);
    let is_no_person = || async {
        let refused = robot.run(&["approve", "key", "--reason", "x", "--yes"]).await;
        refused.code == Some(1) && refused.stderr.contains("approvers are people")
    };
    world.until("programs do not vote", is_no_person).await;
    assert!(votes(&world).await.is_empty());

    // What needs nobody is not approved.
    world.request("carol", "free", json!({"format": "cert"})).await;
    world.wait_for_phase("free", Phase::TokenIssued).await;
    let words = refused("bob", &["approve", "free", "--reason", "x", "--yes"], 1).await;
    assert!(words.contains("free is TokenIssued and waits for no one: none required"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_people_who_vote_at_the_same_moment_none_is_lost() {
    let world = World::new(Stage::shared().await, "crowd").await;
    let four = json!({"allowKeyExport": "WithApproval", "approval": {"approvals": 4}});
    world.policy("four", four).await;
    let kubectl = world.stage.plane.admin_kubectl();
    let binding =
        ["create", "rolebinding", "more", "--clusterrole=certcourier-approver", "--user=grace", "--user=heidi"];
    kubectl.check(["--namespace", &world.namespace].iter().chain(&binding)).await.unwrap();
    let heidi = Shell::of(&world, "heidi").await;
    world.until("they may vote", || async { heidi.run(&["inbox"]).await.code == Some(0) }).await;
    world.request("alice", "key", json!({"format": "key"})).await;
    // Not even looked at yet: whoever votes waits for that.
    let voting = ["bob", "frank", "grace", "heidi"].map(|person| {
        let world = &world;
        async move { Shell::of(world, person).await.run(&["approve", "key", "--reason", person, "--yes"]).await.ok() }
    });
    futures::future::join_all(voting).await;
    world.wait_for_phase("key", Phase::TokenIssued).await;
    let mut voters: Vec<String> = votes(&world).await.into_iter().map(|(who, _, _)| who).collect();
    voters.sort();
    assert_eq!(voters, ["bob", "frank", "grace", "heidi"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_one_is_asked_and_what_changed_meanwhile_is_not_agreed_to() {
    let world = World::new(Stage::shared().await, "asked").await;
    waiting(&world).await;
    let bob = Shell::of(&world, "bob").await;
    let no = typing(&bob, "n", &["approve", "key", "--reason", "x"]).await;
    assert!(no.code == Some(1) && no.out().contains("not approved: nothing was written"), "{no:?}");
    let stopped = typing(&bob, "^C", &["approve", "key", "--reason", "x"]).await;
    assert!(stopped.code == Some(130) && stopped.out().contains("nothing was started"), "{stopped:?}");
    assert!(votes(&world).await.is_empty());

    let looked = bob.path("looked");
    let (late, ()) = tokio::join!(
        async {
            let answer = format!("y@{}", looked.display());
            typing(&bob, &answer, &["approve", "key", "--reason", "x"]).await
        },
        async {
            let before = world.get("key").await.status.unwrap().review.unwrap().round;
            world.until("the prompt is there", || async { bob.path("looked.asked").exists() }).await;
            world.secret("api-tls", &world.stage.pki.leaf("api.payments.example")).await;
            world.wait("key", "of another round", |s| s.review.as_ref().is_some_and(|r| r.round > before)).await;
            fs::write(&looked, "").unwrap();
        }
    );
    assert!(
        late.code == Some(1) && late.out().contains("is no longer what is under review: nothing was written"),
        "{late:?}"
    );
    assert!(votes(&world).await.is_empty());

    let frank = Shell::of(&world, "frank").await;
    let typed = typing(&frank, "INC-7|yes", &["approve", "key"]).await;
    assert!(typed.ok().contains("Approve this? [y/N]: "), "{}", typed.out());
    assert!(votes(&world).await.contains(&vote("frank", Decision::Approve, "INC-7")));
    let unasked = typing(&bob, "", &["deny", "key", "--reason", "no", "--yes"]).await;
    assert!(!unasked.ok().contains("[y/N]"), "{}", unasked.out());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_nobody_approves_what_they_do_not_say_they_saw() {
    let world = World::new(Stage::shared().await, "no-terminal").await;
    let request = waiting(&world).await;
    let bob = Shell::of(&world, "bob").await;
    let approve = format!("kubectl certcourier approve key -n {} --reason x", world.namespace);
    for script in [
        format!("echo n | {approve}"),
        format!("yes | {approve}"),
        format!("{approve} </dev/null"),
        format!("echo key | xargs -I NAME {approve}"),
    ] {
        let words = bob.bash(&script).await.failed(if script.contains("xargs") { 123 } else { 2 }).to_owned();
        assert!(
            words.contains("there is no terminal to confirm at: add --yes, or --digest DIGEST"),
            "{script}: {words}"
        );
    }
    assert!(votes(&world).await.is_empty());
    // What exactly was seen needs no terminal.
    let digest = request.status.unwrap().review.unwrap().digest;
    bob.bash(&format!("{approve} --digest {digest} </dev/null")).await.ok();
    assert_eq!(votes(&world).await, [vote("bob", Decision::Approve, "x")]);
}

/// Turns frank's Deny into an Approve, as somebody with rights on admission policies could.
const TURNS_VOTES: &str = r#"
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicy, metadata: {name: turns-votes}, spec: {
  failurePolicy: Fail, reinvocationPolicy: Never,
  matchConstraints: {resourceRules: [
    {apiGroups: [certcourier.io], apiVersions: ["*"], operations: [UPDATE], resources: [downloadrequests/status]}]},
  matchConditions: [{name: frank, expression: "request.userInfo.username == 'frank'"}],
  mutations: [{patchType: JSONPatch, jsonPatch: {expression:
    "[JSONPatch{op: 'replace', path: '/status/approvals/' + string(size(object.status.approvals) - 1) + '/decision', value: 'Approve'}]"}}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {name: turns-votes},
 spec: {policyName: turns-votes}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_was_turned_round_on_its_way_is_noticed_by_the_voter() {
    let stage = Stage::own(Settings::default()).await;
    let world = World::new(&stage, "turned").await;
    // No key: the policy below begins an epoch, and keys from before it are closed.
    world.policy("two", json!({"approval": {"requiredFor": "All", "approvals": 2}})).await;
    world.stage.plane.admin_kubectl().apply(TURNS_VOTES).await.unwrap();
    let frank = Shell::of(&world, "frank").await;
    // On a request of its own until the policy is in force; a Deny that gets through closes that one.
    let mut number = 0;
    let turned = async || {
        number += 1;
        let name = format!("try-{number}");
        world.request("alice", &name, json!({"format": "cert"})).await;
        world.wait_for_phase(&name, Phase::AwaitingApproval).await;
        let denied = frank.run(&["deny", &name, "--reason", "NO", "--yes"]).await;
        if denied.stderr.contains("changed during admission") { Ok((name, denied)) } else { Err(denied.stderr) }
    };
    let (name, denied) = world.until("the policy turns votes round", turned).await;
    let words = denied.failed(1);
    for said in [
        "your vote was changed during admission: decision was sent as `Deny` and stored as `Approve`",
        "next:  revoke it: kubectl certcourier revoke try-",
        "kubectl certcourier doctor",
    ] {
        assert!(words.contains(said), "{said}: {words}");
    }
    assert!(!denied.out().contains("denied"), "{denied:?}");
    let stored = world.get(&name).await.status.unwrap().approvals.unwrap();
    assert_eq!((stored[0].username.as_str(), stored[0].decision), ("frank", Decision::Approve), "it was the policy");

    world.request("alice", "over-http", json!({"format": "cert"})).await;
    world.wait_for_phase("over-http", Phase::AwaitingApproval).await;
    let answer = world
        .http()
        .post(format!("{}/api/v1/projects/{}/requests/over-http/deny", stage.urls[0], world.namespace))
        .bearer_auth(world.person("frank").await.token.as_str())
        .body(r#"{"reason":"NO"}"#);
    let answer = world.fetch(answer).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (409, "write_altered"), "{}", answer.text());
    let words = answer.json("error_description");
    assert!(
        words.contains("sent as `Deny` and stored as `Approve`") && words.contains("/requests/over-http/revoke"),
        "{words}"
    );
}
