//! What nobody may find in a log, however fine.

use base64ct::{Base64, Encoding as _};
use certcourier::{
    api::{Phase, names},
    token::{Token, unseal},
};
use kube::ResourceExt as _;
use serde_json::json;

use super::{
    stage::{Settings, Stage},
    world::World,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_pkcs12_request_gets_a_passphrase_beside_its_token_and_a_log_at_its_finest_holds_neither() {
    let finest = ["--log", "trace", "--log-format", "json"].map(str::to_owned).to_vec();
    let stage = Stage::own(Settings { controller: finest, ..Settings::default() }).await;
    let world = World::new(&stage, "secrecy").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let token = world.issue("alice", "p12", json!({"format": "pkcs12"})).await;
    let issued = world.get("p12").await;
    let passphrase = world.token_part("alice", "p12", "passphrase").await.unwrap();
    let sealed = issued.status.as_ref().unwrap().token.as_ref().unwrap().sealed_passphrase.clone().unwrap();
    let opened = unseal(&Token::parse(&token).unwrap(), &sealed, &issued.uid().unwrap(), 1).unwrap();
    assert_eq!(opened.as_str(), passphrase);

    world.annotate("alice", "p12", names::REVOKE, "done").await.unwrap();
    world.wait_for_phase("p12", Phase::Revoked).await;
    world.until("it is logged", || async { stage.controller.output().contains("revoked: done") }).await;
    let log = stage.controller.output();
    assert!(log.contains("\"level\":\"TRACE\""), "nothing is traced");
    let kubeconfig = std::fs::read_to_string(stage.controller.kubeconfig()).unwrap();
    let bearer = kubeconfig.split("token: ").nth(1).unwrap().split_whitespace().next().unwrap().trim_matches('"');
    let stored = |text: &str| Base64::encode_string(text.as_bytes());
    let key = world.leaf.key.clone();
    for (what, secret) in [
        ("token", token.clone()),
        ("stored token", stored(&token)),
        ("passphrase", passphrase.clone()),
        ("stored passphrase", stored(&passphrase)),
        ("key", key.lines().nth(1).unwrap().to_owned()),
        ("stored key", stored(&key)[..64].to_owned()),
        ("the operator's own credentials", bearer.to_owned()),
    ] {
        assert!(secret.len() > 20, "{what}: {secret}");
        assert!(!log.contains(&secret), "the log holds the {what}");
    }
}
