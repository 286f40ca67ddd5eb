//! Bad input meets a clear, typed answer, and nothing is lost or half done.

use certcourier::api::{Certificate, Phase};
use k8s_openapi::api::core::v1::Secret;
use rcgen::CertificateParams;
use serde_json::json;
use test_support::{
    stage::Stage,
    world::{World, condition, message},
};

/// Waits until the Certificate's status speaks of its environment, and returns reason and message.
async fn environment(world: &World<'_>, name: &str) -> (String, String) {
    let seen = |it: &Certificate| it.status.as_ref().is_some_and(|status| !status.environments.is_empty());
    let environment = world.wait_for(name, "looked at", seen).await.status.unwrap().environments.remove(0);
    (environment.reason.unwrap_or_default(), environment.message.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_secrets_are_named_with_their_cause_in_certificate_and_request() {
    let world = World::empty(Stage::shared().await, "unusable").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let leaf = &world.leaf;
    let other = world.stage.pki.leaf("other.example");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let huge = leaf.leaf.repeat(1024 * 1024 / leaf.leaf.len() + 1);
    let huge = &huge[..1_000_000];
    let tls = "kubernetes.io/tls";
    let cases: Vec<(&str, &str, String, String, &str)> = vec![
        ("type", "Opaque", leaf.chain(), leaf.key.clone(), "type"),
        ("mismatch", tls, leaf.chain(), other.key.clone(), "key"),
        ("encrypted", tls, leaf.chain(), encrypted.into(), "encrypted"),
        (
            "garbage",
            tls,
            "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n".into(),
            leaf.key.clone(),
            "certificate",
        ),
        ("huge", tls, huge.into(), leaf.key.clone(), "16"),
        (
            "lost-leaf",
            tls,
            leaf.chain()[1..].into(),
            leaf.key.clone(),
            "certificate 1 in the certificate file (tls.crt)",
        ),
        (
            "lost-intermediate",
            tls,
            format!("{}tls.crt: {}", leaf.leaf, leaf.intermediate),
            leaf.key.clone(),
            "certificate 2 in the certificate file (tls.crt) cannot be read, because its BEGIN line is damaged",
        ),
        (
            "envelope",
            tls,
            format!("{}{}", leaf.leaf, leaf.intermediate.replace("CERTIFICATE", "PKCS7")),
            leaf.key.clone(),
            "openssl pkcs7 -print_certs",
        ),
    ];
    for (name, kind, certificate, key, _) in &cases {
        world
            .raw_secret(&format!("{name}-tls"), kind, &[("tls.crt", certificate.as_str()), ("tls.key", key.as_str())])
            .await;
        world.certificate(name, &[("production", &format!("{name}-tls"))]).await;
        world.request("alice", name, json!({"format": "key", "certificateRef": {"name": name}})).await;
    }
    for (name, _, _, _, word) in &cases {
        let (reason, text) = environment(&world, name).await;
        let certificate = world.api::<Certificate>().get(name).await.unwrap();
        let ready = &certificate.status.as_ref().unwrap().conditions[0];
        assert_eq!((ready.type_.as_str(), ready.status.as_str()), ("Ready", "False"), "{name}");
        assert!(!reason.is_empty() && text.contains(word), "{name}: {reason}: {text}");
        let (phase, request) = world.wait_finished(name).await;
        let status = request.status.unwrap();
        assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some(reason.as_str())), "{name}");
        let words = message(&status, "Finished");
        assert!(words.contains("production") && words.contains(word), "{name}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_leaf_can_still_be_had_and_a_chain_out_of_order_is_put_in_order() {
    let world = World::empty(Stage::shared().await, "odd").await;
    let expired = world.stage.pki.leaf_with("old.example", |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    world.secret("old-tls", &expired).await;
    world.certificate("old", &[("production", "old-tls")]).await;
    let token = world.issue("carol", "old", json!({"format": "cert", "certificateRef": {"name": "old"}})).await;
    assert_eq!(world.redeem(&token).await.text(), expired.leaf);
    let certificate = world.api::<Certificate>().get("old").await.unwrap();
    let status = certificate.status.unwrap();
    assert!(status.earliest_not_after.unwrap().to_string().starts_with("2021-01-01"));

    let leaf = &world.leaf;
    let turned = format!("{}{}", leaf.intermediate, leaf.leaf);
    world.raw_secret("turned-tls", "kubernetes.io/tls", &[("tls.crt", &turned), ("tls.key", &leaf.key)]).await;
    world.certificate("turned", &[("production", "turned-tls")]).await;
    let token =
        world.issue("carol", "turned", json!({"format": "fullchain", "certificateRef": {"name": "turned"}})).await;
    assert_eq!(world.redeem(&token).await.text(), leaf.chain());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_never_expires_says_so_wherever_its_end_is_shown() {
    let world = World::empty(Stage::shared().await, "never").await;
    let leaf = world.stage.pki.leaf_with("never.example", |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(0, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31) + std::time::Duration::from_secs(86_399);
    });
    world.secret("api-tls", &leaf).await;
    world.certificate("api", &[("production", "api-tls")]).await;
    assert_eq!(environment(&world, "api").await, (String::new(), String::new()));
    let printed = world.kubectl("carol", &["get", "ccert", "api", "--no-headers"]).await;
    assert!(printed.stdout.contains("9999-12-31T23:59:59Z"), "{}{}", printed.stdout, printed.stderr);
    let shown = world.curl("carol", &[], "certificates/api").await.json();
    assert_eq!(shown["earliest_not_after"], "9999-12-31T23:59:59Z", "{shown:#}");
    assert_eq!(shown["environments"][0]["not_before"], "0000-01-01T00:00:00Z", "{shown:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_format_needs_and_the_secret_lacks_is_said() {
    let world = World::empty(Stage::shared().await, "lacks").await;
    let leaf = &world.leaf;
    let stranger = test_support::pki::Pki::new().leaf("stranger.example");
    let broken = format!("{}{}", leaf.leaf, stranger.intermediate);
    world.raw_secret("broken-tls", "kubernetes.io/tls", &[("tls.crt", &broken), ("tls.key", &leaf.key)]).await;
    world.certificate("broken", &[("production", "broken-tls")]).await;
    world.raw_secret("bare-tls", "kubernetes.io/tls", &[("tls.crt", &leaf.leaf), ("tls.key", &leaf.key)]).await;
    world.certificate("bare", &[("production", "bare-tls")]).await;
    for (certificate, format, words) in
        [("broken", "fullchain", "Test Intermediate"), ("bare", "ca", "ca.crt"), ("bare", "chain", "intermediate")]
    {
        let name = format!("{certificate}-{format}");
        world.request("carol", &name, json!({"format": format, "certificateRef": {"name": certificate}})).await;
        let (phase, request) = world.wait_finished(&name).await;
        let text = message(&request.status.unwrap(), "Finished");
        assert!(phase == Phase::Failed && text.contains(words), "{name}: {phase:?} {text}");
    }
    // The leaf alone needs no chain.
    let token = world.issue("carol", "leaf", json!({"format": "cert", "certificateRef": {"name": "broken"}})).await;
    assert_eq!(world.redeem(&token).await.text(), leaf.leaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_wishes_fail_with_what_to_write_instead() {
    let world = World::new(Stage::shared().await, "wishes").await;
    world.policy("short", json!({"token": {"maxTTL": "1m"}, "approval": {"validity": "1h"}})).await;
    for (name, spec, reason, words) in [
        ("env", json!({"format": "cert", "environment": "nowhere"}), "UnknownEnvironment", "production"),
        ("ttl", json!({"format": "cert", "tokenTTL": "2m"}), "TokenTTLTooLong", "1m"),
    ] {
        world.request("carol", name, spec).await;
        let (phase, request) = world.wait_finished(name).await;
        let status = request.status.unwrap();
        assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some(reason)));
        assert!(message(&status, "Finished").contains(words), "{name}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_of_the_tokens_name_is_never_touched() {
    let world = World::new(Stage::shared().await, "taken").await;
    world.raw_secret("mine-download-token", "Opaque", &[("keep", "me")]).await;
    world.request("carol", "mine", json!({"format": "cert"})).await;
    let request = world.wait("mine", "stalled", |s| condition(s, "Stalled") == "True/SecretNameTaken").await;
    let status = request.status.unwrap();
    assert_eq!(status.phase, Some(Phase::Approved));
    assert!(message(&status, "Stalled").contains("mine-download-token"), "{status:?}");
    let secret = world.api::<Secret>().get("mine-download-token").await.unwrap();
    assert_eq!(secret.data.unwrap()["keep"].0, b"me");
    world.api::<Secret>().delete("mine-download-token", &kube::api::DeleteParams::default()).await.unwrap();
    world.wait_for_phase("mine", Phase::TokenIssued).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admission_refuses_with_the_words_to_write_instead() {
    let world = World::new(Stage::shared().await, "words").await;
    let refused = world.try_request("carol", "key", json!({"format": "key"})).await.unwrap_err();
    let words = test_support::world::words(&refused);
    assert!(words.contains("exportkey") && words.contains("certificates.certcourier.io"), "{words}");
    let refused = world.try_request("mallory", "x", json!({"format": "cert"})).await.unwrap_err();
    assert!(test_support::world::words(&refused).contains("cannot create resource"), "{refused}");
    world.request("carol", "fixed", json!({"format": "cert"})).await;
    let patch =
        world.kubectl("carol", &["patch", "dlr", "fixed", "--type=merge", "-p", r#"{"spec":{"format":"der"}}"#]).await;
    assert!(patch.stderr.contains("Create one with another metadata.name"), "{}", patch.stderr);
}
