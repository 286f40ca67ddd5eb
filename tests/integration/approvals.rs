//! People agree, or do not: votes by kubectl and patch, on the real API server.

use axum::http::Method;
use certcourier::api::{DownloadRequest, DownloadRequestStatus, Outcome, Phase, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_support::{
    fault_proxy::{Fault, FaultProxy},
    stage::{PATIENT, Stage},
    world::{World, condition, message, words},
};

/// Two people for keys, within an hour.
fn two() -> Value {
    json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 2}})
}

fn digest(request: &DownloadRequest) -> String {
    request.status.as_ref().unwrap().review.as_ref().unwrap().digest.clone()
}

/// A vote as the documentation has it: one JSON patch that appends.
async fn vote(world: &World<'_>, who: &str, name: &str, decision: &str, digest: &str) -> Result<(), kube::Error> {
    let client = world.person(who).await.client;
    let api: Api<DownloadRequest> = Api::namespaced(client, &world.namespace);
    let patch = serde_json::from_value(json!([{"op": "add", "path": "/status/approvals/-", "value":
        {"username": who, "digest": digest, "decision": decision, "reason": "INC-4211"}}]))
    .unwrap();
    api.patch_status(name, &PatchParams::default(), &Patch::<DownloadRequest>::Json(patch)).await.map(drop)
}

async fn approve(world: &World<'_>, who: &str, name: &str) {
    let request = world.get(name).await;
    vote(world, who, name, "Approve", &digest(&request)).await.unwrap();
}

async fn awaiting(world: &World<'_>, name: &str, spec: Value) -> DownloadRequest {
    world.request("alice", name, spec).await;
    world.wait_for_phase(name, Phase::AwaitingApproval).await
}

fn given(status: &DownloadRequestStatus) -> i32 {
    status.review.as_ref().map_or(0, |review| review.approvals.given)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_agree_by_kubectl_and_the_record_names_them() {
    let world = World::new(Stage::shared().await, "agree").await;
    world.policy("two", two()).await;
    let request = awaiting(&world, "key", json!({"format": "key", "reason": "F5 import"})).await;
    let status = request.status.as_ref().unwrap();
    assert_eq!(condition(status, "Approved"), "False/AwaitingApproval");
    let said = message(status, "Approved");
    assert!(said.starts_with("0 of 2 approvals given for key of api, requested by alice, until "), "{said}");
    assert!(said.ends_with(&format!("kubectl certcourier approve key -n {}", world.namespace)), "{said}");

    let value = json!([{"op": "add", "path": "/status/approvals/-", "value":
        {"username": "bob", "digest": digest(&request), "decision": "Approve", "reason": "checked with alice"}}]);
    let patch = world
        .kubectl("bob", &["patch", "dlr", "key", "--subresource=status", "--type=json", "-p", &value.to_string()])
        .await;
    assert!(patch.succeeded(), "{}", patch.stderr);
    world.wait("key", "half approved", |s| given(s) == 1).await;
    let listed = world.kubectl("bob", &["get", "dlr", "key", "--no-headers"]).await;
    assert!(listed.stdout.contains("1/2"), "{}", listed.stdout);
    // Once more does not count twice, and is refused with words.
    let again = vote(&world, "bob", "key", "Approve", &digest(&request)).await.unwrap_err();
    assert!(words(&again).contains("Duplicate value"), "{again}");

    // frank votes by merge patch with the resourceVersion that he saw, as programs do.
    let seen = world.get("key").await;
    let mut approvals = serde_json::to_value(&seen.status.as_ref().unwrap().approvals).unwrap();
    approvals
        .as_array_mut()
        .unwrap()
        .push(json!({"username": "frank", "digest": digest(&seen), "decision": "Approve", "reason": "fine"}));
    let client = world.person("frank").await.client;
    let api: Api<DownloadRequest> = Api::namespaced(client, &world.namespace);
    let merge =
        json!({"metadata": {"resourceVersion": seen.metadata.resource_version}, "status": {"approvals": approvals}});
    api.patch_status("key", &PatchParams::default(), &Patch::Merge(&merge)).await.unwrap();

    let request = world.wait_for_phase("key", Phase::TokenIssued).await;
    let status = request.status.as_ref().unwrap();
    assert_eq!(
        (condition(status, "Approved").as_str(), message(status, "Approved").as_str()),
        ("True/ByPeople", "approved by bob, frank")
    );
    let token = world.token_part("alice", "key", "token").await.unwrap();
    assert_eq!(world.redeem(&token).await.text(), world.leaf.key);
    let receipt = world.receipt_of(&request).await.unwrap();
    let approvers: Vec<(&str, &str)> =
        receipt.spec.approvals.iter().map(|approver| (approver.username.as_str(), approver.reason.as_str())).collect();
    assert_eq!(approvers, [("bob", "checked with alice"), ("frank", "fine")]);
    assert_eq!(receipt.spec.review_digest.as_deref(), Some(digest(&request).as_str()));
    world
        .until("Events tell who and why", || async {
            let events = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
            let told: Vec<String> = events.iter().filter_map(|event| event.reason.clone()).collect();
            ["ApprovalRequested", "ApprovalGranted", "Approved", "TokenIssued"]
                .iter()
                .all(|reason| told.iter().any(|r| r == reason))
        })
        .await;
    // Everybody with a role of ours sees them, in the order in which they happened.
    for who in ["alice", "bob", "carol", "dave", "erin"] {
        let described = world.kubectl(who, &["describe", "dlr", "key"]).await;
        let events = described.stdout.split_once("\nEvents:").map(|(_, events)| events).unwrap_or_default();
        let told: Vec<&str> = events
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .filter(|word| word.starts_with("Approv") || *word == "TokenIssued")
            .collect();
        assert_eq!(
            told,
            ["ApprovalRequested", "ApprovalGranted", "Approved", "TokenIssued"],
            "{who}: {}{}",
            described.stdout,
            described.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_their_own_request_or_in_anothers_name_or_something_else() {
    let world = World::new(Stage::shared().await, "self").await;
    world.policy("two", two()).await;
    // alice is an approver, too; that does not let her approve what she asked for.
    let kubectl = world.stage.plane.admin_kubectl();
    kubectl
        .check([
            "--namespace",
            &world.namespace,
            "create",
            "rolebinding",
            "alice-approves",
            "--clusterrole=certcourier-approver",
            "--user=alice",
        ])
        .await
        .unwrap();
    let request = awaiting(&world, "key", json!({"format": "key"})).await;
    let current = digest(&request);
    for (who, decision, of, expected) in [
        ("alice", "Approve", current.as_str(), "own request"),
        ("bob", "Approve", "0000", "digest"),
        ("carol", "Approve", current.as_str(), "cannot patch resource"),
    ] {
        let error = vote(&world, who, "key", decision, of).await.unwrap_err();
        assert!(words(&error).contains(expected), "{who}: {}", words(&error));
    }
    let status = world.get("key").await.status.unwrap();
    assert_eq!((status.phase, status.approvals.unwrap().len()), (Some(Phase::AwaitingApproval), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_deny_ends_it_before_and_after_the_token_is_minted() {
    let world = World::new(Stage::shared().await, "deny").await;
    world.policy("one", json!({"allowKeyExport": "WithApproval"})).await;
    let request = awaiting(&world, "before", json!({"format": "key"})).await;
    vote(&world, "bob", "before", "Deny", &digest(&request)).await.unwrap();
    let (phase, request) = world.wait_finished("before").await;
    assert_eq!(
        (phase, message(request.status.as_ref().unwrap(), "Finished").as_str()),
        (Phase::Denied, "denied by bob: INC-4211")
    );

    awaiting(&world, "after", json!({"format": "key"})).await;
    approve(&world, "bob", "after").await;
    world.wait_for_phase("after", Phase::TokenIssued).await;
    let token = world.token_part("alice", "after", "token").await.unwrap();
    // A Deny counts with any digest.
    vote(&world, "frank", "after", "Deny", "anything").await.unwrap();
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_revoked"), "{}", answer.text());
    assert_eq!(world.wait_finished("after").await.0, Phase::Denied);
    assert!(world.receipts().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_or_revocation_that_is_stored_before_the_receipt_stops_the_delivery_and_stays() {
    let world = World::new(Stage::shared().await, "intime").await;
    let proxy = FaultProxy::before(&world.stage.plane).await;
    let server = world.stage.another_server(Some(&proxy), &PATIENT).await;
    for (name, phase) in [("denied", Phase::Denied), ("revoked", Phase::Revoked)] {
        let token = world.issue("carol", name, json!({"format": "cert"})).await;
        // The request is read; then the answer to what is read next is kept back until the denial is stored.
        proxy.fail(|method, path| {
            (method == Method::GET && path.ends_with("/certificatepolicies")).then_some(Fault::DoneAndKept)
        });
        let call = world.http().get(format!("{}/api/v1/downloads/{token}", server.url));
        let ending = async {
            world.until("the facts are being read", || async { proxy.struck() == 1 }).await;
            match phase {
                Phase::Denied => vote(&world, "bob", name, "Deny", "anything").await.unwrap(),
                _ => world.annotate("bob", name, names::REVOKE, "no").await.unwrap(),
            }
            proxy.let_go();
        };
        let (answer, ()) = tokio::join!(world.fetch(call), ending);
        assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_revoked"), "{}", answer.text());
        let (ended, request) = world.wait_finished(name).await;
        assert_eq!(ended, phase);
        let receipt = world
            .until("the receipt has its outcome", || async {
                world.receipt_of(&request).await.filter(|receipt| receipt.status.is_some())
            })
            .await;
        let status = receipt.status.unwrap();
        assert_eq!((status.outcome, status.bytes_sent), (Some(Outcome::Aborted), Some(0)));
        world.wait(name, "it names its receipt", |status| status.receipt_ref.is_some()).await;
        assert_eq!(world.get(name).await.phase(), phase, "the receipt does not take the ending back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reviewed_and_changed_needs_new_votes_visibly() {
    let world = World::new(Stage::shared().await, "changed").await;
    world.policy("two", two()).await;
    awaiting(&world, "key", json!({"format": "key"})).await;
    approve(&world, "bob", "key").await;
    world.wait("key", "half approved", |s| given(s) == 1).await;

    // What grants nothing voids nothing.
    let mut longer = two();
    longer["receiptRetention"] = json!("1000h");
    world.policy("two", longer).await;
    approve(&world, "frank", "key").await;
    let request = world.wait_for_phase("key", Phase::TokenIssued).await;
    assert_eq!(request.status.as_ref().unwrap().review.as_ref().unwrap().round, 1);
    let token = world.token_part("alice", "key", "token").await.unwrap();

    // A renewed certificate does.
    let renewed = world.stage.pki.leaf("api.payments.example");
    world.secret("api-tls", &renewed).await;
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (409, "certificate_changed"), "{}", answer.text());
    let request = world.wait("key", "under review again", |s| condition(s, "Approved") == "False/ReviewChanged").await;
    let review = request.status.as_ref().unwrap().review.clone().unwrap();
    assert_eq!((review.round, review.approvals.given), (2, 0));
    assert_eq!(world.redeem(&token).await.json("error"), "certificate_changed", "also after the controller saw it");

    // A policy flipped there and back leaves old votes void.
    approve(&world, "bob", "key").await;
    world.wait("key", "half approved", |s| given(s) == 1).await;
    let mut three = two();
    three["approval"]["approvals"] = json!(3);
    world.policy("two", three).await;
    world.wait("key", "in round 3", |s| s.review.as_ref().unwrap().round == 3).await;
    world.policy("two", two()).await;
    let request = world.wait("key", "in round 4", |s| s.review.as_ref().unwrap().round == 4).await;
    assert_eq!(given(request.status.as_ref().unwrap()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_for_the_request_of_the_same_name_that_was_deleted_are_void() {
    let world = World::new(Stage::shared().await, "samename").await;
    world.policy("one", json!({"allowKeyExport": "WithApproval"})).await;
    let old = awaiting(&world, "key", json!({"format": "key"})).await;
    let deleted = world.kubectl("alice", &["delete", "dlr", "key", "--timeout=20s"]).await;
    assert!(deleted.succeeded(), "{}", deleted.stderr);
    let new = awaiting(&world, "key", json!({"format": "key"})).await;
    assert_ne!(digest(&old), digest(&new));
    let error = vote(&world, "bob", "key", "Approve", &digest(&old)).await.unwrap_err();
    assert!(words(&error).contains(&digest(&new)), "the refusal says what is under review now: {}", words(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_by_pending_ttl() {
    let world = World::new(Stage::shared().await, "pending").await;
    world.policy("soon", json!({"allowKeyExport": "WithApproval", "approval": {"pendingTTL": "2s"}})).await;
    awaiting(&world, "key", json!({"format": "key"})).await;
    let (phase, request) = world.wait_finished("key").await;
    assert_eq!(phase, Phase::Expired);
    assert!(message(request.status.as_ref().unwrap(), "Finished").contains("pendingTTL"));
    let wait =
        world.kubectl("alice", &["wait", "dlr/key", "--for=jsonpath={.status.phase}=Expired", "--timeout=5s"]).await;
    assert!(wait.succeeded(), "{}", wait.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_gets_a_key_only_where_policy_says_and_two_people_agree_and_it_ends() {
    let world = World::new(Stage::shared().await, "robot").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let kubectl = world.stage.plane.admin_kubectl();
    let run = async |arguments: &[&str]| {
        kubectl.check(["--namespace", world.namespace.as_str()].iter().chain(arguments)).await.unwrap();
    };
    run(&["create", "serviceaccount", "deployer"]).await;
    let account = format!("--serviceaccount={}:deployer", world.namespace);
    run(&["create", "rolebinding", "deployer", "--clusterrole=certcourier-operator", &account]).await;
    let robot = world.stage.plane.service_account(&world.namespace, "deployer", &[]).await.unwrap();
    let requests: Api<DownloadRequest> = Api::namespaced(robot.client.clone(), &world.namespace);
    let create = async |name: &str, format: &str, hours: Option<i64>| {
        let deadline = hours.map(|hours| Timestamp::now() + SignedDuration::from_hours(hours));
        let mut spec = json!({"certificateRef": {"name": "api"}, "format": format});
        if let Some(deadline) = deadline {
            spec["deadline"] = json!(deadline);
        }
        let object = json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name}, "spec": spec});
        requests.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    };
    for (name, format, hours, reason) in [
        ("no-deadline", "cert", None, "DeadlineRequired"),
        ("too-far", "cert", Some(25), "DeadlineTooFar"),
        ("key-denied", "key", Some(1), "UnattendedKeyDenied"),
    ] {
        create(name, format, hours).await;
        let (phase, request) = world.wait_finished(name).await;
        assert_eq!((phase, request.status.unwrap().reason.as_deref()), (Phase::Failed, Some(reason)), "{name}");
    }
    create("cert", "cert", Some(1)).await;
    world.wait_for_phase("cert", Phase::TokenIssued).await;

    world.policy("robots", json!({"unattended": {"keyFormats": "WithApproval"}})).await;
    create("key", "key", Some(1)).await;
    let request = world.wait_for_phase("key", Phase::AwaitingApproval).await;
    assert_eq!(
        request.status.unwrap().review.unwrap().approvals.required,
        2,
        "though the policy asks for none of people"
    );
    approve(&world, "bob", "key").await;
    world.wait("key", "half approved", |s| given(s) == 1).await;
    approve(&world, "frank", "key").await;
    world.wait_for_phase("key", Phase::TokenIssued).await;
}
