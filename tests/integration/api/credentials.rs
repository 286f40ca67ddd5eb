//! Whoever the API server does not know is nobody here: 401, and how to authenticate.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::DeleteParams;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};
use test_support::{
    curl::{Reply, curl},
    stage::Stage,
    world::World,
};

#[track_caller]
fn unauthorized(reply: &Reply) {
    let words = reply.refused(401, "unauthorized");
    assert!(words.contains("token"), "{words}");
    assert!(reply.header("www-authenticate").starts_with("Bearer "), "{:?}", reply.headers);
}

/// A mint, a read and a vote with this token.
async fn all(world: &World<'_>, token: &str) -> [Reply; 4] {
    [
        world.curl_with(token, &["-X", "POST", "-d", r#"{"format":"cert"}"#], "certificates/api/downloads").await,
        world.curl_with(token, &[], "certificates").await,
        world.curl_with(token, &["-X", "POST", "-d", r#"{"reason":"x","digest":"x"}"#], "requests/x/approve").await,
        world.curl_with(token, &["-X", "POST"], "requests/x/token").await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_nothing_at_all_are_unauthorized() {
    let world = World::new(Stage::shared().await, "garbage").await;
    for token in ["nonsense", "eyJhbGciOiJub25lIn0.e30.", "a.b.c", &"x".repeat(4000)] {
        all(&world, token).await.iter().for_each(unauthorized);
    }
    for header in
        ["Authorization: Basic YTpi", "Authorization: Bearer", "X-Remote-User: admin", "Impersonate-User: admin"]
    {
        unauthorized(&curl(world.stage, &["-H", header, &world.url("certificates")]).await);
    }
}

/// Over HTTP/2 a server that refuses early cuts the body off, and curl then says so instead of showing the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_does_not_wait_for_the_body_arrives_all_the_same() {
    let world = World::new(Stage::shared().await, "early").await;
    let body = format!(r#"{{"reason":"{}"}}"#, "x".repeat(40_000));
    for _ in 0..20 {
        let url = format!("{}?passphrase=x", world.url("certificates/api/downloads"));
        curl(world.stage, &["-X", "POST", "-d", r#"{"format":"cert"}"#, &url]).await.refused(400, "bad_request");
        unauthorized(&curl(world.stage, &["-X", "POST", "-d", &body, &world.url("requests/x/approve")]).await);
        world.post("bob", "requests/x/approve", &body).await.refused(413, "too_large");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_nobody_but_themselves() {
    let world = World::new(Stage::shared().await, "self").await;
    let token = world.person("mallory").await.token;
    // What the API server reads from its own clients is not passed on.
    for header in ["Impersonate-User: carol", "Impersonate-Group: system:masters", "X-Remote-User: carol"] {
        let reply = world.curl_with(token.as_str(), &["-H", header], "certificates").await;
        let words = reply.refused(403, "forbidden");
        assert!(words.contains("\"mallory\""), "{header}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_for_others_expired_and_revoked_ones_are_unauthorized() {
    let world = World::new(Stage::shared().await, "expired").await;
    let plane = &world.stage.plane;
    let robot = plane.service_account(&world.namespace, "ci", &[]).await.unwrap();
    let good = robot.token.as_str();
    let reply = world.curl_with(good, &[], "certificates").await;
    reply.refused(403, "forbidden");

    let audience = ["https://vault.example.com"];
    let other = plane.service_account_token(&world.namespace, "ci", &audience, Duration::from_mins(10)).await.unwrap();
    all(&world, other.as_str()).await.iter().for_each(unauthorized);

    // The cluster's own key signs it again, with an hour ago as its end: everything else about it is right.
    let expired = signed_again(world.stage, good, &json!({"exp": jiff::Timestamp::now().as_second() - 3600}));
    all(&world, &expired).await.iter().for_each(unauthorized);
    let proof = signed_again(world.stage, good, &json!({}));
    world.curl_with(&proof, &[], "certificates").await.refused(403, "forbidden");

    world.api::<ServiceAccount>().delete("ci", &DeleteParams::default()).await.unwrap();
    // The API server itself remembers a good token for ten seconds.
    world
        .until("the token of a deleted ServiceAccount is revoked", || async {
            world.curl_with(good, &[], "certificates").await.status == 401
        })
        .await;
    all(&world, good).await.iter().for_each(unauthorized);
}

/// A JWT with other claims, signed with the key of the cluster.
fn signed_again(stage: &Stage, token: &str, changes: &Value) -> String {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    let mut claims: Value = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(claims).unwrap()).unwrap();
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let signed = format!("{header}.{}", Base64UrlUnpadded::encode_string(claims.to_string().as_bytes()));
    let key = std::fs::read_to_string(stage.plane.directory().join("pki/service-account.key")).unwrap();
    let signature = KeyPair::from_pem(&key).unwrap().sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&fixed_length(&signature)))
}

/// JWTs have the two numbers of an ECDSA signature side by side, X.509 has them as DER.
fn fixed_length(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut fixed = Vec::new();
    for _ in 0..2 {
        let (number, behind) = rest[2..].split_at(rest[1].into());
        let number = &number[number.len().saturating_sub(32)..];
        fixed.extend(std::iter::repeat_n(0, 32 - number.len()).chain(number.iter().copied()));
        rest = behind;
    }
    fixed
}
