//! A generated passphrase, and what is left of it while its token is valid. That no secret is found anywhere after all
//! tests is shown by `leaks`.

use certcourier::{
    api::{Phase, names},
    token::{Token, unseal},
};
use kube::ResourceExt as _;
use serde_json::json;
use test_support::{canaries, stage::Stage, world::World};

use super::leaks::search::{Searcher, Secret};

#[tokio::test(flavor = "multi_thread")]
async fn a_pkcs12_request_gets_a_passphrase_beside_its_token_and_no_log_holds_either() {
    let stage = Stage::shared().await;
    let world = World::new(stage, "secrecy").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let token = world.issue("alice", "p12", json!({"format": "pkcs12"})).await;
    let issued = world.get("p12").await;
    let passphrase = world.token_part("alice", "p12", "passphrase").await.unwrap();
    let sealed = issued.status.as_ref().unwrap().token.as_ref().unwrap().sealed_passphrase.clone().unwrap();
    let opened = unseal(&Token::parse(&token).unwrap(), &sealed, &issued.uid().unwrap(), 1).unwrap();
    assert_eq!(opened.as_str(), passphrase);

    world.annotate("alice", "p12", names::REVOKE, "done with secrecy").await.unwrap();
    world.wait_for_phase("p12", Phase::Revoked).await;
    world.until("it is logged", || async { stage.controller.output().contains(": done with secrecy") }).await;
    let secret = |what: &str, text: &str| Secret { what: what.to_owned(), bytes: text.as_bytes().to_vec() };
    let searcher = Searcher::new(&[
        secret("token", canaries::random_part(&token)),
        secret("passphrase", &passphrase),
        secret("key", &canaries::key_parts(&world.leaf.key).1),
    ]);
    for program in std::iter::once(&stage.controller).chain(&stage.servers) {
        assert_eq!(searcher.find(program.output().as_bytes()), Vec::<String>::new());
    }
}
