//! Files under a passphrase, and what every file is delivered with.

use std::{fs, process::Command};

use base64ct::{Base64, Encoding as _};
use certcourier::api::{DownloadReceipt, Phase};
use k8s_openapi::api::{
    core::v1::Secret,
    events::v1::Event,
    rbac::v1::{Role, RoleBinding},
};
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use test_support::{
    stage::Stage,
    world::{Answer, World, words},
};

/// What openssl finds in a PKCS#12 file: its words, and the key as PKCS#8 PEM.
fn opened(bytes: &[u8], passphrase: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bundle"), bytes).unwrap();
    fs::write(folder.path().join("pass"), passphrase).unwrap();
    let openssl = |more: &[&str]| {
        let arguments = ["20", "openssl", "pkcs12", "-in", "bundle", "-passin", "file:pass"];
        let output = Command::new("timeout").args(arguments).args(more).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
    };
    let key = openssl(&["-nodes", "-nocerts"]);
    (openssl(&["-info", "-nokeys"]), key[key.find("-----BEGIN PRIVATE KEY").unwrap()..].to_owned())
}

/// Lets a person read a Secret.
async fn let_read(world: &World<'_>, person: &str, secret: &str) {
    let name = format!("{person}-reads-{secret}");
    let role: Role = serde_json::from_value(json!({
        "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["get"]}],
    }))
    .unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}],
    }))
    .unwrap();
    world.api::<Role>().create(&PostParams::default(), &role).await.unwrap();
    world.api::<RoleBinding>().create(&PostParams::default(), &binding).await.unwrap();
}

fn refused(answer: &Answer, status: u16, code: &str, text: &str) {
    assert_eq!((answer.status, answer.json("error").as_str()), (status, code), "{}", answer.text());
    assert!(answer.json("error_description").contains(text), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_passphrase_opens_what_openssl_reads_and_is_written_nowhere_else() {
    let world = World::new(Stage::shared().await, "generated").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let mut passphrases = Vec::new();
    for (name, spec, friendly_name, words) in [
        (
            "modern",
            json!({"format": "pkcs12"}),
            "api",
            "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256",
        ),
        (
            "legacy",
            json!({"format": "pkcs12", "pkcs12": {"profile": "Legacy", "friendlyName": "Alte Büchse"}}),
            "Alte B",
            "pbeWithSHA1And3-KeyTripleDES-CBC",
        ),
    ] {
        let token = world.issue("alice", name, spec).await;
        let passphrase = world.token_part("alice", name, "passphrase").await.unwrap();
        assert_eq!(passphrase.len(), 24);
        let answer = world.redeem(&token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (info, key) = opened(&answer.body, &passphrase);
        assert_eq!(key, world.leaf.key.replace("\r\n", "\n"), "{name}");
        assert!(info.contains(words) && info.contains(&format!("friendlyName: {friendly_name}")), "{name}: {info}");
        passphrases.push(passphrase);
    }
    let token = world.issue("alice", "all", json!({"format": "zip"})).await;
    let passphrase = world.token_part("alice", "all", "passphrase").await.unwrap();
    let answer = world.redeem(&token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("all.zip"), &answer.body).unwrap();
    let script = "import zipfile; z = zipfile.ZipFile('all.zip'); assert z.testzip() is None; z.extractall()";
    let unpacked = Command::new("python3").args(["-c", script]).current_dir(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let bundle = fs::read(folder.path().join("bundle.p12")).unwrap();
    assert_eq!(opened(&bundle, &passphrase).1, world.leaf.key.replace("\r\n", "\n"));
    passphrases.push(passphrase);
    assert_nowhere(&world, &passphrases).await;
}

/// No log, status, Event or receipt holds one of these.
async fn assert_nowhere(world: &World<'_>, secrets: &[String]) {
    let mut places: Vec<(String, String)> = vec![("controller's log".into(), world.stage.controller.output())];
    for (number, server) in world.stage.servers.iter().enumerate() {
        places.push((format!("log of server {number}"), server.output()));
    }
    let all = ListParams::default();
    let text = |value: Value| value.to_string();
    let requests = world.api::<certcourier::api::DownloadRequest>().list(&all).await.unwrap();
    let events = world.api::<Event>().list(&all).await.unwrap();
    let receipts = world.api::<DownloadReceipt>().list(&all).await.unwrap();
    assert!(!requests.items.is_empty() && !events.items.is_empty() && !receipts.items.is_empty());
    places.push(("requests".into(), text(serde_json::to_value(&requests.items).unwrap())));
    places.push(("Events".into(), text(serde_json::to_value(&events.items).unwrap())));
    places.push(("receipts".into(), text(serde_json::to_value(&receipts.items).unwrap())));
    for secret in secrets {
        for (place, content) in &places {
            assert!(!content.contains(secret.as_str()), "the {place} hold a passphrase");
            assert!(!content.contains(&Base64::encode_string(secret.as_bytes())), "the {place} hold an encoded one");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referenced_passphrase_is_read_at_the_download_and_each_mistake_is_named_without_its_content() {
    let world = World::new(Stage::shared().await, "referenced").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let spec = || json!({"format": "pkcs12", "passphraseSecretRef": {"name": "pass", "key": "passphrase"}});
    let store = async |text: &str| world.raw_secret("pass", "Opaque", &[("passphrase", text)]).await;
    store("only for the importer").await;
    let refusal = words(&world.try_request("alice", "not-hers", spec()).await.unwrap_err());
    assert!(refusal.contains("pass") && refusal.contains("get"), "{refusal}");

    let_read(&world, "alice", "pass").await;
    let token = world.issue("alice", "hers", spec()).await;
    let secret = world.api::<Secret>().get("hers-download-token").await.unwrap();
    assert!(!secret.data.unwrap().contains_key("passphrase"), "none is generated beside hers");
    store("tiny-8#").await;
    let answer = world.redeem(&token).await;
    refused(&answer, 422, "passphrase_too_short", "12 characters");
    assert!(!answer.text().contains("tiny-8#"));
    store("pässphräse-für-später").await;
    let answer = world.redeem(&token).await;
    refused(&answer, 422, "passphrase_required", "Secret `pass`, key `passphrase`");
    assert!(!answer.text().contains("pässphr"));
    world.raw_secret("pass", "Opaque", &[("other", "only for the importer")]).await;
    refused(&world.redeem(&token).await, 422, "passphrase_required", "has no key `passphrase`");
    world.api::<Secret>().delete("pass", &DeleteParams::default()).await.unwrap();
    refused(&world.redeem(&token).await, 422, "passphrase_required", "does not exist; create it");

    store("only for the importer\n").await;
    let answer = world.redeem(&token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(opened(&answer.body, "only for the importer").1, world.leaf.key.replace("\r\n", "\n"));
    world.wait_finished("hers").await;
    assert_nowhere(&world, &["only for the importer".into(), "tiny-8#".into(), "pässphr".into()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_against_legacy_files_refuses_them_by_name_and_lets_modern_ones_pass() {
    let world = World::new(Stage::shared().await, "legacy").await;
    world.policy("modern-only", json!({"allowKeyExport": "Always", "pkcs12": {"allowLegacy": false}})).await;
    world.request("alice", "old", json!({"format": "pkcs12", "pkcs12": {"profile": "Legacy"}})).await;
    let (phase, request) = world.wait_finished("old").await;
    let status = request.status.unwrap();
    assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some("LegacyNotAllowed")));
    let text = serde_json::to_string(&status.conditions).unwrap();
    assert!(text.contains("modern-only") && text.contains("use Modern"), "{text}");
    let token = world.issue("alice", "new", json!({"format": "pkcs12"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_every_environment_names_the_one_that_fails_and_is_whole_or_not_at_all() {
    let world = World::new(Stage::shared().await, "every").await;
    world.secret("two-test", &world.leaf).await;
    world.certificate("two", &[("production", "api-tls"), ("test", "two-test")]).await;
    let spec = json!({"certificateRef": {"name": "two"}, "format": "der-zip"});
    let token = world.issue("carol", "every", spec).await;
    world.raw_secret("two-test", "kubernetes.io/tls", &[("tls.crt", "not PEM"), ("tls.key", "")]).await;
    refused(&world.redeem(&token).await, 422, "material_unusable", "environment `test`");
    world.secret("two-test", &world.leaf).await;
    let answer = world.redeem(&token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let names = ["two-production.cer", "two-test.cer"];
    assert!(names.iter().all(|name| answer.body.windows(name.len()).any(|part| part == name.as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_says_what_it_is_how_long_it_is_and_its_digest() {
    let world = World::new(Stage::shared().await, "headers").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    for (format, content_type, name) in [
        ("cert", "application/pem-certificate-chain", "api-cert.pem"),
        ("chain", "application/pem-certificate-chain", "api-chain.pem"),
        ("fullchain", "application/pem-certificate-chain", "api-fullchain.pem"),
        ("ca", "application/pem-certificate-chain", "api-ca.pem"),
        ("der", "application/pkix-cert", "api-cert.cer"),
        ("der-zip", "application/zip", "api-certificates.zip"),
        ("key", "application/x-pem-file", "api-key.pem"),
        ("pkcs12", "application/x-pkcs12", "api-bundle.p12"),
        ("combined", "application/x-pem-file", "api-combined.pem"),
        ("zip", "application/zip", "api-bundle.zip"),
    ] {
        let token = world.issue("alice", &format!("r-{format}"), json!({"format": format})).await;
        let answer = world.redeem(&token).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.text());
        assert_eq!(answer.header("content-type"), content_type, "{format}");
        let disposition = format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}");
        assert_eq!(answer.header("content-disposition"), disposition, "{format}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{format}");
        let digest = Base64::encode_string(&Sha256::digest(&answer.body));
        assert_eq!(answer.header("content-digest"), format!("sha-256=:{digest}:"), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_combined_file_has_the_order_that_the_request_asks_for() {
    let world = World::new(Stage::shared().await, "orders").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let (chain, key) = (world.leaf.chain().replace("\r\n", "\n"), world.leaf.key.replace("\r\n", "\n"));
    for (name, order, wanted) in [
        ("leaf-first", "LeafChainKey", format!("{chain}{key}")),
        ("key-first", "KeyLeafChain", format!("{key}{chain}")),
    ] {
        let token = world.issue("alice", name, json!({"format": "combined", "pem": {"order": order}})).await;
        assert_eq!(world.redeem(&token).await.text(), wanted, "{order}");
    }
}
