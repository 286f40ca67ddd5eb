//! The older API's export, to the letter.

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};
use test_support::{
    curl::{Reply, curl},
    stage::Stage,
    world::World,
};

async fn export(world: &World<'_>, who: &str, certificate: &str, slash: &str) -> Reply {
    let token = world.person(who).await.token;
    let url =
        format!("{}/apiops/projects/{}/certificates/{certificate}/export{slash}", world.stage.urls[0], world.namespace);
    curl(world.stage, &["-H", &format!("Authorization: Bearer {}", token.as_str()), &url]).await
}

/// The two fields and no other.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) -> String {
    let json = reply.json();
    let fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((reply.status, fields), (status, vec!["error", "error_description"]), "{}", reply.text());
    assert_eq!(json["error"], code);
    json["error_description"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_the_leaf_of_every_environment_and_leaves_an_event() {
    let world = World::new(Stage::shared().await, "export").await;
    let staging = world.stage.pki.leaf("staging.payments.example");
    world.secret("staging-tls", &staging).await;
    world.certificate("web", &[("production", "api-tls"), ("staging", "staging-tls")]).await;
    let mut bodies = Vec::new();
    for slash in ["/", ""] {
        let zip = export(&world, "carol", "web", slash).await;
        assert_eq!(zip.status, 200, "{}", zip.text());
        assert_eq!(zip.header("content-type"), "application/octet-stream");
        assert!(zip.header("content-disposition").contains("filename=\"web-certificates.zip\""), "{:?}", zip.headers);
        assert_eq!(zip.header("content-length"), zip.body.len().to_string());
        bodies.push(zip.body);
    }
    assert_eq!(bodies[0], bodies[1]);
    for (environment, leaf) in [("production", &world.leaf.leaf), ("staging", &staging.leaf)] {
        assert_eq!(&der_to_pem(&bodies[0], &format!("web-{environment}.cer")).await, leaf);
    }
    assert!(world.receipts().await.is_empty());
    world
        .until("an Event tells of it", || async {
            let events = world.api::<Event>().list(&ListParams::default()).await.unwrap().items;
            events.iter().any(|event| {
                event.reason.as_deref() == Some("CertExported")
                    && event.note.as_deref().is_some_and(|note| note.contains("by carol from 127.0.0.1"))
            })
        })
        .await;
}

/// What openssl makes of one file of a ZIP that unzip opens.
async fn der_to_pem(zip: &[u8], name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.zip"), zip).unwrap();
    let script = format!("unzip -p a.zip {name} | openssl x509 -inform DER");
    let output = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(directory.path())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_refusals_have_the_two_fields_of_the_older_api() {
    let world = World::new(Stage::shared().await, "exportno").await;
    let words = refused(&export(&world, "carol", "absent", "/").await, 400, "bad_request");
    assert_eq!(words, "Certificate (name: absent) is not found!");
    refused(&export(&world, "carol", "Not_A_Name", "/").await, 400, "bad_request");
    // Who lacks the verb learns nothing of what there is.
    let (known, unknown) = (export(&world, "erin", "api", "/").await, export(&world, "erin", "absent", "/").await);
    assert!(refused(&known, 403, "forbidden").contains("verb `download`"));
    assert_eq!(known.text().replace("/api", "/absent"), unknown.text());
    let url = format!("{}/apiops/projects/{}/certificates/api/export/", world.stage.urls[0], world.namespace);
    let none = curl(world.stage, &[&url]).await;
    refused(&none, 401, "unauthorized");
    assert!(none.header("www-authenticate").starts_with("Bearer"));
    let post = curl(world.stage, &["-X", "POST", &url]).await;
    refused(&post, 405, "method_not_allowed");
    assert_eq!(post.header("allow"), "GET");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_obeys_the_policies_of_all_environments() {
    let world = World::new(Stage::shared().await, "exportpol").await;
    world.certificate("web", &[("production", "api-tls"), ("staging", "api-tls")]).await;
    for (spec, status, code) in [
        (json!({"environments": ["staging"], "allowedFormats": ["cert"]}), 403, "format_not_allowed"),
        (json!({"environments": ["staging"], "approval": {"requiredFor": "All"}}), 403, "approval_required"),
        (json!({"environments": ["staging"], "reasonRequired": true}), 422, "reason_required"),
    ] {
        world.policy("staging", spec).await;
        refused(&export(&world, "carol", "web", "/").await, status, code);
        assert_eq!(export(&world, "carol", "api", "/").await.status, 200, "{code}");
    }
    world.policy("staging", json!({"environments": ["staging"], "allowKeyExport": "Never"})).await;
    assert_eq!(export(&world, "carol", "web", "/").await.status, 200);
    world.certificate("half", &[("production", "api-tls"), ("moon", "no-secret")]).await;
    let words = refused(&export(&world, "carol", "half", "/").await, 422, "material_unusable");
    assert!(words.contains("moon"), "{words}");

    // A program needs no deadline for what leaves nothing behind.
    let kubectl = world.stage.plane.admin_kubectl();
    let account = format!("--serviceaccount={}:ci", world.namespace);
    let robot = world.stage.plane.service_account(&world.namespace, "ci", &[]).await.unwrap();
    let binding = ["create", "rolebinding", "ci", "--clusterrole=certcourier-downloader", &account];
    kubectl.check(["--namespace", world.namespace.as_str()].iter().chain(&binding)).await.unwrap();
    let url = format!("{}/apiops/projects/{}/certificates/web/export/", world.stage.urls[0], world.namespace);
    let bearer = format!("Authorization: Bearer {}", robot.token.as_str());
    world
        .until("the robot's role bites", || async { curl(world.stage, &["-H", &bearer, &url]).await.status == 200 })
        .await;
    let requests: Vec<Value> = world.curl("erin", &[], "requests").await.json()["items"].as_array().unwrap().clone();
    assert!(requests.is_empty());
}
