//! What the status of a Certificate says.

use certcourier::api::Certificate;
use serde_json::json;
use test_support::request::{condition, message};

use crate::world::{World, leaf};

#[tokio::test]
async fn a_certificate_says_what_is_missing_and_becomes_ready_when_it_is_there() {
    let world = World::new("certificates").await;
    world.certificate_only().await;
    let _controller = world.controller(&[]).await;
    let missing =
        world.wait_for("api", "not ready", |it: &Certificate| condition(it, "Ready").starts_with("False/")).await;
    assert_eq!(condition(&missing, "Ready"), "False/Unusable");
    assert_eq!(
        message(&missing, "Ready"),
        "environment `production`: Secret `api-tls` does not exist; create it, or correct its secretRef"
    );

    world.tls_secret("api-tls", &leaf()).await;
    let usable = world.wait_for("api", "ready", |it: &Certificate| condition(it, "Ready").starts_with("True/")).await;
    let status = usable.status.unwrap();
    assert_eq!(status.environments[0].key_matches, Some(true));
    assert_eq!(status.observed_generation, usable.metadata.generation);
    let before = status.environments[0].sha256_fingerprint.clone();

    // A renewal is seen without any event, at the next look.
    world.tls_secret("api-tls", &leaf()).await;
    let renewed = |certificate: &Certificate| {
        certificate.status.as_ref().is_some_and(|status| status.environments[0].sha256_fingerprint != before)
    };
    world.wait_for::<Certificate>("api", "renewed", renewed).await;
}

#[tokio::test]
async fn a_certificate_is_written_only_when_something_changed() {
    let world = World::new("certificates").await;
    world.furnish().await;
    let controller = world.controller(&[]).await;
    let described = |certificate: &Certificate| !condition(certificate, "Ready").is_empty();
    let first = world.wait_for::<Certificate>("api", "described", described).await;
    let looks = || world.asked().iter().filter(|event| event.name() == "api-tls" && event.verb() == "get").count();
    let so_far = looks();
    world.until("looked at three times more", async || looks() >= so_far + 3).await;
    let later = world.api::<Certificate>().get("api").await.unwrap();
    assert_eq!(later.metadata.resource_version, first.metadata.resource_version, "{}", controller.log());
}

#[tokio::test]
async fn secrets_of_other_types_stay_closed() {
    let world = World::new("certificates").await;
    let leaf = leaf();
    let data = json!({"tls.crt": leaf.chain(), "tls.key": leaf.key});
    let secret = json!({"metadata": {"name": "api-tls"}, "type": "example.com/other", "stringData": data});
    world.create::<k8s_openapi::api::core::v1::Secret>(secret).await;
    world.certificate_only().await;
    let _controller = world.controller(&[]).await;
    let closed = world
        .wait_for::<Certificate>("api", "looked at", |certificate| !condition(certificate, "Ready").is_empty())
        .await;
    let environment = &closed.status.unwrap().environments[0];
    assert_eq!(environment.reason.as_deref(), Some("WrongType"));
    assert!(environment.sha256_fingerprint.is_none());
}
