//! What the status of a Certificate says.

use certcourier::api::Certificate;
use serde_json::json;

use crate::world::{Pki, World};

fn ready(certificate: &Certificate) -> Option<(String, String, String)> {
    let conditions = &certificate.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((ready.status.clone(), ready.reason.clone(), ready.message.clone()))
}

#[tokio::test]
async fn a_certificate_says_what_is_missing_and_becomes_ready_when_it_is_there() {
    let world = World::new("certificates").await;
    world.certificate_only().await;
    let _controller = world.controller(&[]).await;
    let is =
        |value: &'static str| move |certificate: &Certificate| ready(certificate).is_some_and(|ready| ready.0 == value);
    let missing = world.until_object::<Certificate>("api", "not ready", is("False")).await;
    let (_, reason, message) = ready(&missing).unwrap();
    assert_eq!(reason, "Unusable");
    assert_eq!(
        message,
        "environment `production`: Secret `api-tls` does not exist; create it, or correct its secretRef"
    );

    world.tls_secret("api-tls", &Pki::new()).await;
    let usable = world.until_object::<Certificate>("api", "ready", is("True")).await;
    let status = usable.status.unwrap();
    assert_eq!(status.environments[0].key_matches, Some(true));
    assert_eq!(status.observed_generation, usable.metadata.generation);
    let before = status.environments[0].sha256_fingerprint.clone();

    // A renewal is seen without any event, at the next look.
    world.tls_secret("api-tls", &Pki::new()).await;
    let renewed = |certificate: &Certificate| {
        certificate.status.as_ref().is_some_and(|status| status.environments[0].sha256_fingerprint != before)
    };
    world.until_object::<Certificate>("api", "renewed", renewed).await;
}

#[tokio::test]
async fn a_certificate_is_written_only_when_something_changed() {
    let world = World::new("certificates").await;
    world.certificate().await;
    let controller = world.controller(&[]).await;
    let described = |certificate: &Certificate| ready(certificate).is_some();
    let first = world.until_object::<Certificate>("api", "described", described).await;
    let looks = || world.asked().iter().filter(|event| event.name() == "api-tls" && event.verb() == "get").count();
    let so_far = looks();
    world.eventually("looked at three times more", async || looks() >= so_far + 3).await;
    let later = world.api::<Certificate>().get("api").await.unwrap();
    assert_eq!(later.metadata.resource_version, first.metadata.resource_version, "{}", controller.log());
}

#[tokio::test]
async fn secrets_of_other_types_stay_closed() {
    let world = World::new("certificates").await;
    let text = Pki::new();
    let data = json!({"tls.crt": text.chain, "tls.key": text.key});
    let secret = json!({"metadata": {"name": "api-tls"}, "type": "example.com/other", "stringData": data});
    world.create::<k8s_openapi::api::core::v1::Secret>(secret).await;
    world.certificate_only().await;
    let _controller = world.controller(&[]).await;
    let closed =
        world.until_object::<Certificate>("api", "looked at", |certificate| ready(certificate).is_some()).await;
    let environment = &closed.status.unwrap().environments[0];
    assert_eq!(environment.reason.as_deref(), Some("WrongType"));
    assert!(environment.sha256_fingerprint.is_none());
}
