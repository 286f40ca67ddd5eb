//! People agree, refuse and withdraw by curl; admission decides whether it counts.

use certcourier::api::Phase;
use serde_json::json;
use test_support::{curl::curl, stage::Stage, world::World};

const DOWNLOADS: &str = "certificates/api/downloads";

/// A project where keys need so many people.
async fn world<'a>(what: &str, people: u8) -> World<'a> {
    let world = World::new(Stage::shared().await, what).await;
    world.policy("people", json!({"allowKeyExport": "WithApproval", "approval": {"approvals": people}})).await;
    world
}

/// An approval of what is under review now, as whoever has looked writes it.
async fn seen(world: &World<'_>, who: &str, name: &str, reason: &str) -> String {
    world.wait_for_phase(name, Phase::AwaitingApproval).await;
    let request = world.curl(who, &[], &format!("requests/{name}")).await.json();
    json!({"reason": reason, "digest": request["approval"]["digest"]}).to_string()
}

/// The name of a key request of alice's.
async fn ask(world: &World<'_>) -> String {
    let waiting = world.post("alice", DOWNLOADS, r#"{"format":"key","reason":"F5"}"#).await;
    assert_eq!(waiting.status, 202, "{}", waiting.text());
    waiting.field("request")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_approve_by_curl_right_after_the_request_and_once_more_changes_nothing() {
    let world = world("votes", 2).await;
    let name = ask(&world).await;
    let approve = format!("requests/{name}/approve");
    let first = world.post("bob", &approve, &seen(&world, "bob", &name, "INC-1").await).await;
    assert_eq!(first.status, 200, "{}", first.text());
    // Counted from the votes, whether or not the controller has looked.
    let said = first.json()["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with("1 of 2 approvals given for key of api, requested by alice, until "), "{said}");
    let approval = first.json()["approval"].clone();
    assert_eq!(
        (&approval["required"], &approval["given"], &approval["kind"]),
        (&json!(2), &json!(1), &json!("download_key"))
    );
    assert_eq!(
        approval["votes"],
        json!([{"username": "bob", "decision": "Approve", "reason": "INC-1", "current": true}])
    );
    let again = world.post("bob", &approve, &seen(&world, "bob", &name, "INC-1, as I said").await).await;
    assert_eq!((again.status, &again.json()["approval"]["given"]), (200, &json!(1)), "{}", again.text());
    let body = seen(&world, "frank", &name, "seen").await;
    let second = world.post("frank", &approve, &body).await;
    assert_eq!((second.status, &second.json()["approval"]["given"]), (200, &json!(2)), "{}", second.text());
    world.wait_for_phase(&name, Phase::Approved).await;
    let claimed = world.curl("alice", &["-X", "POST"], &format!("requests/{name}/token")).await;
    let file = curl(world.stage, &[&claimed.field("url")]).await;
    assert_eq!(file.text(), world.leaf.key);
    let (_, request) = world.wait_finished(&name).await;
    let approvers: Vec<_> =
        world.receipt_of(&request).await.unwrap().spec.approvals.iter().map(|by| by.username.clone()).collect();
    assert_eq!(approvers, ["bob", "frank"]);
    let late = world.post("bob", &approve, &body).await.refused(409, "request_closed");
    assert!(late.contains("Consumed"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admission_refuses_a_voter_is_answered_in_its_words() {
    let world = world("words", 2).await;
    let kubectl = world.stage.plane.admin_kubectl();
    let binding = ["create", "rolebinding", "alice-approves", "--clusterrole=certcourier-approver", "--user=alice"];
    kubectl.check(["--namespace", &world.namespace].iter().chain(&binding)).await.unwrap();
    let name = ask(&world).await;
    world.wait_for_phase(&name, Phase::AwaitingApproval).await;
    let approve = format!("requests/{name}/approve");
    let digest = "0".repeat(64);
    let own = seen(&world, "alice", &name, "mine").await;
    for (who, body, status, code, said) in [
        ("alice", own.as_str(), 403, "forbidden", "no self-approval"),
        (
            "carol",
            r#"{"reason":"x","digest":"0"}"#,
            403,
            "forbidden",
            "cannot patch resource \"downloadrequests/status\"",
        ),
        ("bob", "", 422, "reason_required", "say why"),
        ("bob", r#"{"reason":" "}"#, 422, "reason_required", "say why"),
        (
            "bob",
            &format!(r#"{{"reason":"x","digest":"{digest}"}}"#),
            400,
            "bad_request",
            "for what is under review now",
        ),
        // What nobody has looked at is not approved; what a null or an empty text says is nothing.
        ("bob", r#"{"reason":"x"}"#, 400, "bad_request", "approval.digest in the answer of GET /api/v1/projects/"),
        ("bob", r#"{"reason":"x","digest":""}"#, 400, "bad_request", "status.review.digest"),
        ("bob", r#"{"reason":"x","digest":null}"#, 400, "bad_request", "Read that first"),
        ("bob", r#"{"reason":"x","vote":"yes"}"#, 400, "bad_request", "unknown field `vote`"),
    ] {
        let words = world.post(who, &approve, body).await.refused(status, code);
        assert!(words.contains(said), "{who} {body}: {words}");
    }
    world.post("bob", "requests/absent/approve", r#"{"reason":"x","digest":"0"}"#).await.refused(404, "not_found");
    let request = world.get(&name).await;
    assert_eq!(request.status.unwrap().approvals.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_denial_ends_a_request_and_its_living_token() {
    let world = world("deny", 1).await;
    let name = ask(&world).await;
    let body = seen(&world, "bob", &name, "fine").await;
    assert_eq!(world.post("bob", &format!("requests/{name}/approve"), &body).await.status, 200);
    world.wait_for_phase(&name, Phase::Approved).await;
    let claimed = world.curl("alice", &["-X", "POST"], &format!("requests/{name}/token")).await;
    assert_eq!(claimed.status, 201, "{}", claimed.text());
    let deny = format!("requests/{name}/deny");
    let denied = world.post("frank", &deny, r#"{"reason":"called off"}"#).await;
    assert_eq!(denied.status, 200, "{}", denied.text());
    // Dead with the vote, whether or not the controller has looked.
    curl(world.stage, &[&claimed.field("url")]).await.refused(410, "token_revoked");
    assert_eq!(world.wait_finished(&name).await.0, Phase::Denied);
    let seen = world.curl("alice", &[], &format!("requests/{name}")).await.json();
    assert_eq!((&seen["phase"], &seen["message"]), (&json!("Denied"), &json!("denied by frank: called off")));
    world.post("frank", &deny, r#"{"reason":"called off"}"#).await.refused(409, "request_closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_patch_withdraws_a_request_for_good() {
    let world = World::new(Stage::shared().await, "revoke").await;
    let minted = world.post("carol", DOWNLOADS, r#"{"format":"cert"}"#).await;
    let revoke = format!("requests/{}/revoke", minted.field("request"));
    world.post("carol", &revoke, "{}").await.refused(422, "reason_required");
    let words = world.post("erin", &revoke, r#"{"reason":"x"}"#).await.refused(403, "forbidden");
    assert!(
        words.contains("cannot patch resource \"downloadrequests\"") && words.contains("certcourier-approver"),
        "{words}"
    );
    let revoked = world.post("bob", &revoke, r#"{"reason":"laptop stolen"}"#).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    curl(world.stage, &[&minted.field("url")]).await.refused(410, "token_revoked");
    let words = world.post("carol", &revoke, r#"{"reason":"another"}"#).await.refused(409, "request_closed");
    assert!(words.contains("stays revoked"), "{words}");
    assert_eq!(world.wait_finished(&minted.field("request")).await.0, Phase::Revoked);

    let used = world.post("carol", DOWNLOADS, r#"{"format":"cert"}"#).await;
    assert_eq!(curl(world.stage, &[&used.field("url")]).await.status, 200);
    world.wait_for_phase(&used.field("request"), Phase::Consumed).await;
    let revoke = format!("requests/{}/revoke", used.field("request"));
    world.post("carol", &revoke, r#"{"reason":"x"}"#).await.refused(409, "request_closed");
}
