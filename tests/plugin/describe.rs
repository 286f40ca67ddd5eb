//! `describe`: the next step included, for whoever looks.

use certcourier::api::{Decision, Phase};
use serde_json::json;
use test_support::{shell::Shell, stage::Stage, world::World};

use super::kit::{keys_with_two_approvals, vote};

#[track_caller]
fn holds(text: &str, all: &[&str]) {
    for said in all {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_described_from_the_first_look_to_the_receipt_and_no_secret_is_shown() {
    let world = World::new(Stage::shared().await, "describe").await;
    keys_with_two_approvals(&world).await;
    world.request("alice", "key", json!({"format": "key", "reason": "F5 import"})).await;
    world.wait_for_phase("key", Phase::AwaitingApproval).await;
    vote(&world, "bob", "key", Decision::Approve).await;
    world.wait("key", "counted", |status| status.review.as_ref().is_some_and(|r| r.approvals.given == 1)).await;
    let described = async |who: &str| Shell::of(&world, who).await.run(&["describe", "key"]).await.ok();
    let frank = described("frank").await;
    holds(
        &frank,
        &[
            "Phase:         AwaitingApproval\n",
            "Message:       1 of 2 approvals given for key of api, requested by alice, until ",
            "Why:           F5 import\n",
            "Delivery:      Secret key-download-token, for the requester\n",
            "Approvals:     1 of 2 given (bob)\n",
            "  bob   Approve   yes      asked alice\n",
            "Token:         none yet\n",
            "Next:          approve: kubectl certcourier approve key -n ",
        ],
    );
    holds(&described("bob").await, &["Next:          you have approved it; waiting for 1 of 2 approvals"]);
    holds(
        &described("alice").await,
        &["wait: kubectl certcourier wait key -n ", "revoke it: kubectl certcourier revoke"],
    );

    vote(&world, "frank", "key", Decision::Approve).await;
    let issued = world.wait_for_phase("key", Phase::TokenIssued).await;
    let hash = issued.status.unwrap().token.unwrap().hash.unwrap();
    let alice = described("alice").await;
    holds(
        &alice,
        &[
            "number 1, valid until ",
            ", in Secret key-download-token\n",
            "kubectl certcourier download --request key -n ",
        ],
    );
    assert!(!alice.contains(&hash), "{alice}");

    let token = world.token_part("alice", "key", "token").await.unwrap();
    assert_eq!(world.redeem(&token).await.status, 200);
    world.wait_finished("key").await;
    let erin = described("erin").await;
    holds(
        &erin,
        &["Phase:         Consumed\n", "Outcome:       Delivered\n", "Taken from:    127.0.0.1\n", " bytes, SHA-256 "],
    );
    let carol = described("carol").await;
    holds(
        &carol,
        &[
            "Receipt:       you are not allowed to read it: ask for ClusterRole certcourier-auditor\n",
            "the request is over",
        ],
    );
    holds(&described("alice").await, &["Next:          nothing: the file was delivered\n"]);
    assert!([&alice, &erin, &carol].iter().all(|text| !text.contains(&token)));
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_request_failed_is_said_and_objects_are_printed_as_they_are() {
    let world = World::new(Stage::shared().await, "describe-failed").await;
    let alice = Shell::of(&world, "alice").await;
    world.request("alice", "key", json!({"format": "key"})).await;
    world.wait_for_phase("key", Phase::Failed).await;
    let page = alice.run(&["describe", "key"]).await.ok();
    holds(&page, &[" Failed\n", "KeyExportDisabled: format `key`", "kubectl certcourier policy explain api -n "]);
    assert!(!page.contains("ask again"), "it would be refused again: {page}");
    let json: serde_json::Value =
        serde_json::from_str(&alice.run(&["describe", "key", "-o", "json"]).await.ok()).unwrap();
    assert_eq!((&json["kind"], &json["status"]["phase"]), (&json!("DownloadRequest"), &json!("Failed")));
    assert_eq!(alice.run(&["describe", "key", "-o", "name"]).await.ok(), "downloadrequest.certcourier.io/key\n");
    let nothing = alice.run(&["describe", "absent"]).await;
    assert!(nothing.failed(1).contains("kubectl certcourier list requests -n "), "{}", nothing.stderr);
}
