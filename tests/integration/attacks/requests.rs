//! Requests of others: deleted, withdrawn, named like the guard's, and more of them than one may have.

use certcourier::{
    api::{DownloadRequest, Phase, names},
    cluster::access,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};
use test_support::{
    stage::Stage,
    world::{World, condition, words},
};

use crate::audit::{lines, types};

/// A request by this person who says who they are, as clients do where the API server does not write it.
async fn ask(world: &World<'_>, person: &str, name: &str, format: &str) -> DownloadRequest {
    let client = world.person(person).await.client;
    let who = access::who(&client).await.unwrap();
    let request = serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name},
        "spec": {"certificateRef": {"name": "api"}, "format": format, "requestedBy": who},
    }));
    Api::namespaced(client, &world.namespace).create(&PostParams::default(), &request.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_delete_and_withdraw_is_refused_or_on_record() {
    let world = World::new(Stage::shared().await, "deleted").await;
    world.policy("one", json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys"}})).await;
    for name in ["mine", "theirs"] {
        ask(&world, "alice", name, "key").await;
        world.wait_for_phase(name, Phase::AwaitingApproval).await;
    }
    // carol holds certcourier-downloader, and RBAC's `delete` with it.
    let api: Api<DownloadRequest> = Api::namespaced(world.person("carol").await.client, &world.namespace);
    let refused = api.delete("mine", &DeleteParams::default()).await.unwrap_err();
    assert!(words(&refused).contains("only alice, who asked, and who holds verb administer"), "{}", words(&refused));
    let all = world.kubectl("carol", &["delete", "dlr", "--all"]).await;
    assert!(!all.succeeded() && all.stderr.contains("may delete this request"), "{all:?}");
    assert!(all.stderr.contains("to revoke it: kubectl annotate dlr"), "{all:?}");
    assert_eq!(world.get("mine").await.status.unwrap().phase, Some(Phase::AwaitingApproval));
    let replaced = world.kubectl("carol", &["delete", "dlr", "mine", "--force", "--grace-period=0"]).await;
    assert!(replaced.stderr.contains("may delete this request"), "{replaced:?}");

    // bob withdraws, and the object says so.
    let withdrawn = world.post("bob", "requests/theirs/revoke", r#"{"reason":"laptop stolen"}"#).await;
    assert_eq!(withdrawn.status, 200, "{}", withdrawn.text());
    let (_, theirs) = world.wait_finished("theirs").await;
    assert_eq!(theirs.metadata.annotations.unwrap()[names::REVOKED_BY], "bob");
    let other = world.post("carol", "requests/theirs/revoke", r#"{"reason":"laptop stolen"}"#).await;
    other.refused(409, "request_closed");

    let deleted = world.kubectl("alice", &["delete", "dlr", "mine"]).await;
    assert!(deleted.succeeded(), "{deleted:?}");
    let cleared = world.kubectl("dave", &["delete", "dlr", "theirs"]).await;
    assert!(cleared.succeeded(), "dave holds certcourier-admin: {cleared:?}");
    let told = || lines(&world.stage.controller, &world.namespace);
    let gone = |lines: &[Value], name: &str| types(lines, name).iter().any(|kind| kind == "request.deleted");
    world.until("both deletions are told", || async { gone(&told(), "mine") && gone(&told(), "theirs") }).await;
    let told = told();
    let of = |kind: &str, name: &str| {
        told.iter().find(|line| line["type"] == kind && line["data"]["request"] == name).unwrap()["data"].clone()
    };
    assert!(of("request.deleted", "mine")["message"].as_str().unwrap().starts_with("it was open (AwaitingApproval)"));
    assert_eq!(of("request.deleted", "theirs")["message"], "it was over (Revoked)");
    assert_eq!(of("request.revoked", "theirs")["actor"], "bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_the_guards_name_is_one_like_any_other_elsewhere() {
    let world = World::new(Stage::shared().await, "guardname").await;
    ask(&world, "carol", names::GUARD, "cert").await;
    world.wait_for_phase(names::GUARD, Phase::TokenIssued).await;
    let token = world.token_part("carol", names::GUARD, "token").await.unwrap();
    world.annotate("bob", names::GUARD, names::REVOKE, "a drill").await.unwrap();
    world.wait_for_phase(names::GUARD, Phase::Revoked).await;
    assert_eq!(world.redeem(&token).await.json("error"), "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_over_http_ends_where_there_are_as_many_open_requests_as_one_may_have() {
    let world = World::new(Stage::shared().await, "crowd").await;
    let server = world.stage.another_server(None, &["--max-open-requests", "2"]).await;
    let carol = world.person("carol").await;
    let mint = async || {
        let url = format!("{}/api/v1/projects/{}/certificates/api/downloads", server.url, world.namespace);
        let call = world.http().post(url).bearer_auth(carol.token.as_str()).body(r#"{"format":"cert"}"#);
        world.fetch(call).await
    };
    let (first, second) = (mint().await, mint().await);
    assert_eq!((first.status, second.status), (201, 201), "{} {}", first.text(), second.text());
    let third = mint().await;
    assert_eq!((third.status, third.json("error").as_str()), (409, "too_many_open"), "{}", third.text());
    let said = third.json("error_description");
    assert!(said.contains("carol has 2 open requests") && said.contains("use or revoke some"), "{said}");
    // Using one makes room.
    assert_eq!(world.redeem(&first.json("token")).await.status, 200);
    world.wait(&first.json("request"), "used", |status| condition(status, "Finished") == "True/Delivered").await;
    assert_eq!(mint().await.status, 201);
}
