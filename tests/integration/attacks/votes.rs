//! Votes of people who may no longer vote, and rights of people who no longer have them.

use certcourier::{
    api::{DownloadRequest, Phase},
    cluster::access,
};
use k8s_openapi::api::{authorization::v1::SubjectAccessReview, core::v1::Secret};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_support::{
    stage::Stage,
    world::{World, message, words},
};

/// A request for a file without a key, so that nothing here waits for the guard.
async fn ask(world: &World<'_>, name: &str, mut spec: Value) {
    // Before Kubernetes 1.36 nobody but the client writes who asks.
    spec["requestedBy"] = json!(access::who(&world.person("carol").await.client).await.unwrap());
    world.request("carol", name, spec).await;
    world.wait_for_phase(name, Phase::AwaitingApproval).await;
}

/// A vote that lists these groups; without any it says nothing of groups.
async fn approve(
    world: &World<'_>,
    client: kube::Client,
    who: &str,
    name: &str,
    groups: Option<&[&str]>,
) -> Result<(), kube::Error> {
    let digest = world.get(name).await.status.unwrap().review.unwrap().digest;
    let mut vote = json!({"username": who, "digest": digest, "decision": "Approve", "reason": "checked"});
    if let Some(groups) = groups {
        vote["groups"] = json!(groups);
    }
    let patch = serde_json::from_value(json!([{"op": "add", "path": "/status/approvals/-", "value": vote}])).unwrap();
    let requests: Api<DownloadRequest> = Api::namespaced(client, &world.namespace);
    requests.patch_status(name, &PatchParams::default(), &Patch::<DownloadRequest>::Json(patch)).await.map(drop)
}

async fn people_for_everything(world: &World<'_>, people: u8) {
    world.policy("people", json!({"approval": {"requiredFor": "All", "approvals": people}})).await;
}

async fn kubectl(world: &World<'_>, arguments: &[&str]) {
    let kubectl = world.stage.plane.admin_kubectl();
    kubectl.check(["--namespace", world.namespace.as_str()].iter().chain(arguments)).await.unwrap();
}

async fn bind(world: &World<'_>, name: &str, role: &str, subject: &str) {
    kubectl(world, &["create", "rolebinding", name, &format!("--clusterrole={role}"), subject]).await;
}

/// Waits until the API server says so of somebody's verb on the Certificate.
async fn until_they_may(world: &World<'_>, who: &str, group: &str, verb: &str, may: bool) {
    let attributes = json!({"namespace": world.namespace, "verb": verb, "group": "certcourier.io", "resource": "certificates", "name": "api"});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": who, "groups": [group], "resourceAttributes": attributes}});
    let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
    let reviews: Api<SubjectAccessReview> = Api::all(world.admin.clone());
    let asked = || async {
        reviews.create(&PostParams::default(), &review).await.unwrap().status.is_some_and(|said| said.allowed) == may
    };
    world.until("the binding counts", asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_who_lost_the_right_does_not_count_at_the_mint_nor_at_the_download() {
    let world = World::new(Stage::shared().await, "lapsed").await;
    people_for_everything(&world, 2).await;
    ask(&world, "cert", json!({"format": "cert"})).await;
    approve(&world, world.person("bob").await.client, "bob", "cert", None).await.unwrap();
    world.wait("cert", "half approved", |s| s.review.as_ref().unwrap().approvals.given == 1).await;
    kubectl(&world, &["delete", "rolebinding", "bob"]).await;
    until_they_may(&world, "bob", "none", "approve", false).await;

    approve(&world, world.person("frank").await.client, "frank", "cert", None).await.unwrap();
    let lapsed = world.wait("cert", "without bob", |s| s.review.as_ref().unwrap().approvals.lapsed == ["bob"]).await;
    let status = lapsed.status.as_ref().unwrap();
    let approvals = status.review.as_ref().unwrap().approvals.clone();
    assert_eq!((status.phase, approvals.summary.as_str()), (Some(Phase::AwaitingApproval), "1/2"));
    assert_eq!((approvals.by, status.approvals.as_ref().unwrap().len()), (vec!["frank".to_owned()], 2), "on record");
    let said = message(status, "Approved");
    assert!(
        said.contains("the vote of bob no longer counts") && said.contains("another person must approve"),
        "{said}"
    );
    let listed = world.kubectl("frank", &["get", "dlr", "cert", "--no-headers"]).await;
    assert!(listed.stdout.contains("1/2"), "{}", listed.stdout);

    // One vote more is enough, and the record names those who count.
    bind(&world, "heidi", "certcourier-approver", "--user=heidi").await;
    until_they_may(&world, "heidi", "none", "approve", true).await;
    approve(&world, world.person("heidi").await.client, "heidi", "cert", None).await.unwrap();
    world.wait_for_phase("cert", Phase::TokenIssued).await;
    let token = world.token_part("carol", "cert", "token").await.unwrap();
    kubectl(&world, &["delete", "rolebinding", "frank"]).await;
    until_they_may(&world, "frank", "none", "approve", false).await;
    let refused = world.redeem(&token).await;
    assert_eq!((refused.status, refused.json("error").as_str()), (403, "approval_required"), "{}", refused.text());
    let words = refused.json("error_description");
    assert!(words.contains("1/2 (an approver has lost the right to approve since)"), "{words}");
    assert!(!words.contains("frank"), "who holds the link learns no names: {words}");
    bind(&world, "frank", "certcourier-approver", "--user=frank").await;
    until_they_may(&world, "frank", "none", "approve", true).await;
    assert_eq!(world.redeem(&token).await.text(), world.leaf.leaf);
    let receipt = world.receipt_of(&lapsed).await.unwrap();
    let approvers: Vec<&str> = receipt.spec.approvals.iter().map(|by| by.username.as_str()).collect();
    assert_eq!(approvers, ["frank", "heidi"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_through_a_group_counts_while_the_group_may_vote_and_lists_no_other_group() {
    let world = World::new(Stage::shared().await, "by-group").await;
    people_for_everything(&world, 1).await;
    bind(&world, "voters", "certcourier-approver", "--group=group-499").await;
    until_they_may(&world, "user-19", "group-499", "approve", true).await;
    ask(&world, "named", json!({"format": "cert", "delivery": "Claim"})).await;
    let voter = world.person("user-19").await.client;
    let foreign = approve(&world, voter.clone(), "user-19", "named", Some(&["group-499", "admins"])).await.unwrap_err();
    assert!(words(&foreign).contains("groups in a vote are the voter's own"), "{foreign}");
    // Over HTTP the server writes the groups, here the last of 500 among them.
    let digest = world.get("named").await.status.unwrap().review.unwrap().digest;
    let body = json!({"reason": "checked", "digest": digest}).to_string();
    let answer = world.post("user-19", "requests/named/approve", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.wait_for_phase("named", Phase::Approved).await;
    ask(&world, "silent", json!({"format": "cert"})).await;
    approve(&world, voter, "user-19", "silent", None).await.unwrap();
    let silent = world.wait("silent", "not counted", |s| !s.review.as_ref().unwrap().approvals.lapsed.is_empty()).await;
    let said = message(silent.status.as_ref().unwrap(), "Approved");
    assert!(said.contains("through a group that the vote lists"), "{said}");

    kubectl(&world, &["delete", "rolebinding", "voters"]).await;
    until_they_may(&world, "user-19", "group-499", "approve", false).await;
    let claimed = world.post("carol", "requests/named/token", "").await;
    let said = claimed.refused(403, "approval_required");
    assert!(said.contains("the vote of user-19 no longer counts"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_requester_is_there_in_person_the_groups_of_this_moment_count() {
    let world = World::new(Stage::shared().await, "left").await;
    world.policy("bound", json!({"allowKeyExport": "Always", "token": {"bindToRequester": true}})).await;
    world.raw_secret("p12", "Opaque", &[("passphrase", "correct horse")]).await;
    // user-18 is in group actors when they ask, and has left it when they come with a bearer token.
    bind(&world, "team", "certcourier-operator", "--group=actors").await;
    kubectl(&world, &["create", "role", "p12", "--verb=get", "--resource=secrets", "--resource-name=p12"]).await;
    kubectl(&world, &["create", "rolebinding", "p12", "--role=p12", "--group=actors"]).await;
    until_they_may(&world, "user-18", "actors", "exportkey", true).await;
    let ask = async |name: &str, spec: Value| {
        let object = json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
            "metadata": {"name": name, "namespace": world.namespace}, "spec": spec,
        });
        let acted = ["create", "-f", "-", "--as=user-18", "--as-group=actors"];
        let admin = world.stage.plane.admin_kubectl();
        let created = admin.run_with(acted, &object.to_string()).await.unwrap();
        assert!(created.succeeded(), "{}", created.stderr);
    };
    let by = json!({"username": "user-18", "groups": ["actors", "system:authenticated"]});
    ask("key", json!({"certificateRef": {"name": "api"}, "format": "cert", "requestedBy": by})).await;
    world.wait_for_phase("key", Phase::TokenIssued).await;
    let secret = world.api::<Secret>().get("key-download-token").await.unwrap();
    let token = String::from_utf8(secret.data.unwrap()["token"].0.clone()).unwrap();
    test_support::canaries::token(&token);
    let bearer = world.person("user-18").await.token;
    let redeem = async || {
        let url = format!("{}/api/v1/downloads/{token}", world.stage.urls[0]);
        world.fetch(world.http().get(url).bearer_auth(bearer.as_str())).await
    };
    let refused = redeem().await;
    assert_eq!((refused.status, refused.json("error").as_str()), (403, "forbidden"), "{}", refused.text());
    assert!(refused.json("error_description").contains("lacks verb `download`"), "{}", refused.text());
    // With a right of their own they have the file: the token was not used.
    bind(&world, "own", "certcourier-operator", "--user=user-18").await;
    until_they_may(&world, "user-18", "none", "exportkey", true).await;
    assert_eq!(redeem().await.text(), world.leaf.leaf);

    // The same of the Secret with a passphrase, at the claim.
    let passphrase = json!({"name": "p12", "key": "passphrase"});
    ask(
        "p12",
        json!({"certificateRef": {"name": "api"}, "format": "pkcs12", "delivery": "Claim",
               "passphraseSecretRef": passphrase, "requestedBy": by}),
    )
    .await;
    world.wait_for_phase("p12", Phase::Approved).await;
    let claimed = world.post("user-18", "requests/p12/token", "").await;
    let said = claimed.refused(403, "forbidden");
    assert!(said.contains("is not allowed to get Secret `p12`"), "{said}");
}
