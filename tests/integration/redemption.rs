//! One delivery, and everything that must not be one.

use certcourier::api::{Outcome, Phase, TokenEnd, names};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use test_support::{
    stage::Stage,
    world::{World, condition, message},
};

#[tokio::test(flavor = "multi_thread")]
async fn carol_who_may_not_read_secrets_downloads_the_full_chain_once_and_it_is_on_record() {
    let world = World::new(Stage::shared().await, "first").await;
    let forbidden = world.kubectl("carol", &["get", "secret", "api-tls"]).await;
    assert!(forbidden.stderr.contains("cannot get resource \"secrets\""), "{}", forbidden.stderr);

    world.request("carol", "full", json!({"format": "fullchain", "reason": "INC-1"})).await;
    let wait = world.kubectl("carol", &["wait", "dlr/full", "--for=condition=TokenIssued", "--timeout=20s"]).await;
    assert!(wait.succeeded(), "{}", wait.stderr);
    let url = world.token_part("carol", "full", "url").await.unwrap();
    assert!(url.starts_with(&format!("{}/", world.stage.urls[0])), "{url:.60}");
    assert!(world.token_part("carol", "full", "ca.crt").await.unwrap().contains("BEGIN CERTIFICATE"));
    assert!(world.token_part("alice", "full", "token").await.is_err(), "nobody but carol reads her token");

    let answer = world.fetch(world.http().get(&url)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.text(), world.leaf.chain());
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-disposition").contains("filename=\"api-fullchain.pem\""), "{:?}", answer.headers);
    assert!(answer.header("content-digest").starts_with("sha-256=:"), "{:?}", answer.headers);

    let again = world.fetch(world.http().get(&url)).await;
    assert_eq!((again.status, again.json("error").as_str()), (410, "token_used"));
    assert!(again.json("error_description").contains("create another DownloadRequest"), "{}", again.text());
    assert_eq!(again.json("request_id"), again.header("x-request-id"));

    let (phase, request) = world.wait_finished("full").await;
    assert_eq!(
        (phase, condition(request.status.as_ref().unwrap(), "Finished").as_str()),
        (Phase::Consumed, "True/Delivered")
    );
    let receipt = world.receipt_of(&request).await.unwrap();
    assert_eq!(
        request.status.as_ref().unwrap().receipt_ref.as_ref().unwrap().name,
        receipt.metadata.name.clone().unwrap()
    );
    assert_eq!(receipt.status.as_ref().unwrap().outcome, Some(Outcome::Delivered));
    assert_eq!(receipt.spec.artifact.bytes, i64::try_from(answer.body.len()).unwrap());
    assert_eq!(receipt.spec.reason.as_deref(), Some("INC-1"));
    assert_eq!(receipt.spec.requested_by.as_ref().unwrap().username, "carol");
    assert_eq!(receipt.spec.client_ip.as_deref(), Some("127.0.0.1"));
    world
        .until("token Secret, Role and RoleBinding are gone", || async {
            let secret = world.api::<Secret>().get_opt("full-download-token").await.unwrap();
            secret.is_none() && world.readers().await.is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_of_the_first_part_holds_what_it_says() {
    let world = World::new(Stage::shared().await, "formats").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let leaf = &world.leaf;
    for (format, name, body) in [
        ("cert", "api-cert.pem", leaf.leaf.clone()),
        ("chain", "api-chain.pem", leaf.intermediate.clone()),
        ("fullchain", "api-fullchain.pem", leaf.chain()),
        ("ca", "api-ca.pem", leaf.root.clone()),
        ("key", "api-key.pem", leaf.key.clone()),
    ] {
        let token = world.issue("alice", &format!("r-{format}"), json!({"format": format})).await;
        let answer = world.redeem(&token).await;
        assert_eq!((answer.status, answer.text()), (200, body.replace("\r\n", "\n")), "{format}");
        assert!(answer.header("content-disposition").contains(name), "{format}: {:?}", answer.headers);
    }
    let token = world.issue("alice", "r-der", json!({"format": "der"})).await;
    let der = world.redeem(&token).await.body;
    assert_eq!(pem_bytes(&leaf.leaf), der);
    let token = world.issue("alice", "r-der-zip", json!({"format": "der-zip"})).await;
    let zip = world.redeem(&token).await;
    assert!(zip.body.starts_with(b"PK") && zip.body.windows(der.len()).any(|part| part == der), "the DER is stored");
}

fn pem_bytes(pem: &str) -> Vec<u8> {
    use base64ct::{Base64, Encoding};
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Base64::decode_vec(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_and_half_hearted_requests_use_nothing_up() {
    let world = World::new(Stage::shared().await, "looks").await;
    let token = world.issue("carol", "look", json!({"format": "cert"})).await;
    let url = format!("{}/api/v1/downloads/{token}", world.stage.urls[0]);
    let http = world.http();

    let status = world.status(&token).await;
    assert_eq!(status.status, 200, "{}", status.text());
    assert_eq!(status.json("format"), "cert");
    let head = world.fetch(http.head(&url)).await;
    assert_eq!((head.status, head.header("allow").contains("GET")), (405, true), "{:?}", head.headers);
    for header in ["purpose", "sec-purpose"] {
        let prefetch = world.fetch(http.get(&url).header(header, "prefetch")).await;
        assert!(prefetch.status >= 400, "{header}: {}", prefetch.status);
    }
    let page = world.fetch(http.get(&url).header("accept", "text/html,application/xhtml+xml")).await;
    assert!(page.header("content-type").starts_with("text/html") && page.text().contains("<form"), "{}", page.text());
    let passphrase = world.fetch(http.get(format!("{url}?passphrase=hunter2"))).await;
    assert_eq!((passphrase.status, passphrase.json("error").as_str()), (400, "bad_request"));
    assert!(!passphrase.text().contains("hunter2"));
    for part in ["bytes=0-9", "bytes=100-", "bytes=0-32767"] {
        let range = world.fetch(http.get(&url).header("range", part)).await;
        assert_eq!((range.status, range.json("error").as_str()), (400, "bad_request"), "{part}");
    }
    assert!(world.receipts().await.is_empty(), "none of this was a delivery");

    let range = world.fetch(http.get(&url).header("range", "bytes=0-")).await;
    assert_eq!((range.status, range.text()), (200, world.leaf.leaf.clone()), "this is the whole file");
    assert_eq!(range.header("accept-ranges"), "none");
    world.wait_finished("look").await;
    assert_eq!(world.status(&token).await.json("error"), "token_used");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_may_stand_in_the_body_of_a_post() {
    let world = World::new(Stage::shared().await, "post").await;
    let token = world.issue("carol", "post", json!({"format": "cert"})).await;
    let url = format!("{}/api/v1/downloads", world.stage.urls[1]);
    let answer = world.fetch(world.http().post(&url).json(&json!({"token": token}))).await;
    assert_eq!((answer.status, answer.text()), (200, world.leaf.leaf.clone()));
    let again = world.fetch(world.http().post(&url).form(&[("token", token.as_str())])).await;
    assert_eq!((again.status, again.json("error").as_str()), (410, "token_used"));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_truncated_altered_and_foreign_tokens_are_told_apart_from_used_ones() {
    let world = World::new(Stage::shared().await, "garbage").await;
    let token = world.issue("carol", "real", json!({"format": "cert"})).await;
    let altered = {
        let mut text = token.clone();
        let last = if text.ends_with('A') { 'B' } else { 'A' };
        text.pop();
        text.push(last);
        text
    };
    let foreign = certcourier::token::Token::mint(&world.namespace, "real", &[7; 32]);
    let nowhere = certcourier::token::Token::mint("no-such-namespace", "real", &[7; 32]);
    for (what, text) in [
        ("garbage", "not-a-token"),
        ("truncated", &token[..token.len() - 3]),
        ("altered", altered.as_str()),
        ("of another secret", foreign.expose()),
        ("of nowhere", nowhere.expose()),
    ] {
        let answer = world.redeem(text).await;
        assert_eq!((answer.status, answer.json("error").as_str()), (404, "token_unknown"), "{what}: {}", answer.text());
        assert!(!answer.text().contains(&text[4..]), "{what}: the answer repeats the token");
    }
    assert_eq!(world.redeem(&token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_made_again_under_the_same_name_knows_nothing_of_the_old_token() {
    let world = World::new(Stage::shared().await, "again").await;
    let old = world.issue("carol", "same", json!({"format": "cert"})).await;
    let deleted = world.kubectl("carol", &["delete", "dlr", "same", "--cascade=foreground", "--timeout=20s"]).await;
    assert!(deleted.succeeded(), "the garbage collector must get through: {}", deleted.stderr);
    let new = world.issue("carol", "same", json!({"format": "cert"})).await;
    let answer = world.redeem(&old).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (404, "token_unknown"));
    assert_eq!(world.redeem(&new).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_between_mint_and_redemption_is_seen() {
    let world = World::new(Stage::shared().await, "between").await;
    world.certificate("gone", &[("production", "api-tls")]).await;
    let orphan = world.issue("carol", "orphan", json!({"format": "cert", "certificateRef": {"name": "gone"}})).await;
    let rotated = world.issue("carol", "rotated", json!({"format": "cert"})).await;
    let unbound = world.issue("carol", "unbound", json!({"format": "cert"})).await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let key = world.issue("alice", "tightened", json!({"format": "key"})).await;

    let kubectl = world.stage.plane.admin_kubectl();
    let run = async |arguments: &[&str]| {
        kubectl.check(["--namespace", world.namespace.as_str()].iter().chain(arguments)).await.unwrap();
    };
    run(&["delete", "certificates.certcourier.io", "gone"]).await;
    let answer = world.redeem(&orphan).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "certificate_gone"), "{}", answer.text());

    world.policy("keys", json!({"allowKeyExport": "Never"})).await;
    let answer = world.redeem(&key).await;
    // The controller may have closed the request before: then the token is dead, not only refused.
    let seen = (answer.status, answer.json("error"));
    assert!(seen == (403, "key_export_disabled".into()) || seen == (410, "token_revoked".into()), "{}", answer.text());

    let renewed = world.stage.pki.leaf("api.payments.example");
    world.secret("api-tls", &renewed).await;
    let answer = world.redeem(&rotated).await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, renewed.leaf.clone()),
        "nobody reviewed it: the current one is delivered"
    );

    run(&["delete", "rolebinding", "carol"]).await;
    let answer = world.redeem(&unbound).await;
    let seen = (answer.status, answer.json("error"));
    assert!(seen == (403, "forbidden".into()) || seen == (410, "token_revoked".into()), "{}", answer.text());
    assert_eq!(world.receipts().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_deleted_or_broken_leaves_the_token_alive_for_its_return() {
    let world = World::new(Stage::shared().await, "broken").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let token = world.issue("alice", "key", json!({"format": "key"})).await;
    world.api::<Secret>().delete("api-tls", &kube::api::DeleteParams::default()).await.unwrap();
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "certificate_gone"), "{}", answer.text());
    let other = world.stage.pki.leaf("api.payments.example");
    let mixed = test_support::pki::Leaf { key: other.key.clone(), ..world.leaf.clone() };
    world.secret("api-tls", &mixed).await;
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (422, "material_unusable"), "{}", answer.text());
    assert!(answer.json("error_description").contains("production"), "{}", answer.text());
    world.secret("api-tls", &other).await;
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.text()), (200, other.key.clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_and_another_is_had_by_annotation_and_the_old_one_says_so() {
    let world = World::new(Stage::shared().await, "expiry").await;
    let first = world.issue("carol", "short", json!({"format": "cert", "tokenTTL": "5s"})).await;
    let request = world.wait("short", "expired", |s| condition(s, "TokenIssued") == "False/TokenExpired").await;
    assert_eq!(request.status.as_ref().unwrap().phase, Some(Phase::Approved));
    assert!(message(request.status.as_ref().unwrap(), "TokenIssued").contains(names::MINT));
    let answer = world.redeem(&first).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_expired"), "{}", answer.text());
    assert!(answer.json("error_description").starts_with("this token expired"), "{}", answer.text());
    world
        .until("the Secret is gone", || async {
            world.api::<Secret>().get_opt("short-download-token").await.unwrap().is_none()
        })
        .await;

    let long = world.issue("carol", "long", json!({"format": "cert"})).await;
    world.annotate("carol", "long", names::MINT, "1").await.unwrap();
    let request = world
        .wait("long", "minted anew", |s| s.token.as_ref().is_some_and(|t| t.generation == 2 && t.hash.is_some()))
        .await;
    assert_eq!(request.status.unwrap().token.unwrap().previous[0].why, TokenEnd::Replaced);
    let answer = world.redeem(&long).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_replaced"), "{}", answer.text());
    let new = world.token_part("carol", "long", "token").await.unwrap();
    assert_eq!(world.redeem(&new).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_request_is_over_for_good() {
    let world = World::new(Stage::shared().await, "revoke").await;
    let token = world.issue("carol", "leaked", json!({"format": "cert"})).await;
    world.annotate("bob", "leaked", names::REVOKE, "seen in a chat").await.unwrap();
    let (phase, request) = world.wait_finished("leaked").await;
    assert_eq!(
        (phase, message(request.status.as_ref().unwrap(), "Finished").as_str()),
        (Phase::Revoked, "revoked by bob: seen in a chat")
    );
    let answer = world.redeem(&token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_revoked"), "{}", answer.text());
}
