//! A file is asked for, and its token comes back in the same answer.

use certcourier::api::{DownloadRequest, Phase, names};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use test_support::{
    curl::curl,
    stage::{Settings, Stage},
    world::{World, words},
};

const DOWNLOADS: &str = "certificates/api/downloads";

#[tokio::test(flavor = "multi_thread")]
async fn one_curl_mints_another_downloads_and_it_is_on_record() {
    let world = World::new(Stage::shared().await, "mint").await;
    let minted =
        world.curl("carol", &["-X", "POST", "-d", r#"{"format":"fullchain","passphrase":""}"#], DOWNLOADS).await;
    assert_eq!(minted.status, 201, "{}", minted.text());
    let answer = minted.json();
    let fields: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["expires_at", "request", "token", "url"]);
    let (token, name) = (minted.field("token"), minted.field("request"));
    assert!(name.starts_with("api-fullchain-") && name.len() == "api-fullchain-12345".len(), "{name}");
    assert_eq!(minted.field("url"), format!("{}/api/v1/downloads/{token}", world.stage.urls[0]));
    let left = minted.field("expires_at").parse::<jiff::Timestamp>().unwrap().duration_since(jiff::Timestamp::now());
    assert!((240..=300).contains(&left.as_secs()), "{left}");

    let request = world.get(&name).await;
    let by = request.spec.requested_by.clone().unwrap();
    assert_eq!((by.username.as_str(), request.labels()[names::CREATED_BY].as_str()), ("carol", "api"));
    let stored = serde_json::to_string(&request).unwrap();
    assert!(!stored.contains(&token) && !stored.contains(&token[30..60]), "the token is in no object");

    let file = curl(world.stage, &[&format!("{}/api/v1/downloads/{token}", world.stage.urls[0])]).await;
    assert_eq!((file.status, file.text()), (200, world.leaf.chain()));
    let again = curl(world.stage, &[&minted.field("url")]).await;
    again.refused(410, "token_used");
    let (phase, request) = world.wait_finished(&name).await;
    assert_eq!(phase, Phase::Consumed);
    assert_eq!(world.receipt_of(&request).await.unwrap().spec.requested_by.unwrap().username, "carol");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_whatever_its_content_type_says() {
    let world = World::new(Stage::shared().await, "types").await;
    for content_type in ["Content-Type:", "Content-Type: application/json", "Content-Type: text/plain; charset=x"] {
        let minted =
            world.curl("carol", &["-H", content_type, "-d", r#"{"format":"cert"}"#, "-X", "POST"], DOWNLOADS).await;
        assert_eq!(minted.status, 201, "{content_type}: {}", minted.text());
    }
    for (body, said) in [
        ("", "format"),
        ("format=cert", r#"{"format":"fullchain"}"#),
        (r#"{"format":"tar"}"#, "choose one of cert, chain"),
        (r#"{"format":"cert","colour":"red"}"#, "unknown field `colour`"),
        (r#"{"format":"cert","token_ttl":"5 minutes"}"#, "1h30m"),
        (r#"{"format":"cert","token_ttl":"48h"}"#, "`token_ttl` must be between 1s and 24h"),
        (r#"["cert"]"#, "line 1"),
        (r#"{"format":"pkcs12","pkcs12":["Legacy","x"]}"#, "line 1"),
        // These the API server refuses, in its own words.
        (r#"{"format":"cert","pem":{}}"#, "pem applies to format combined only"),
    ] {
        let words = world.post("carol", DOWNLOADS, body).await.refused(400, "bad_request");
        assert!(words.contains(said), "{body}: {words}");
    }
    world.post("carol", "requests/none/revoke", r#"["why"]"#).await.refused(400, "bad_request");
    let url = format!("{DOWNLOADS}?passphrase=canary");
    world.post("carol", &url, r#"{"format":"cert"}"#).await.refused(400, "bad_request");
    assert_eq!(requests(&world).await.len(), 3, "a refusal creates nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policy_or_material_refuses_is_refused_before_anything_is_created() {
    let world = World::new(Stage::shared().await, "refuse").await;
    let key = world.post("alice", DOWNLOADS, r#"{"format":"key"}"#).await.refused(403, "key_export_disabled");
    assert!(key.starts_with("format `key` holds the private key, and allowKeyExport is Never"), "{key}");
    world.certificate("empty", &[("production", "no-such-secret")]).await;
    world
        .policy(
            "rules",
            json!({"allowKeyExport": "Always", "allowedFormats": ["cert", "pkcs12"], "reasonRequired": true}),
        )
        .await;
    for (certificate, body, status, code, said) in [
        ("api", r#"{"format":"chain","reason":"x"}"#, 403, "format_not_allowed", "allowed: cert, pkcs12"),
        ("api", r#"{"format":"cert"}"#, 422, "reason_required", "policy rules"),
        (
            "api",
            r#"{"format":"pkcs12","reason":"x","passphrase":"short"}"#,
            422,
            "passphrase_too_short",
            "12 characters",
        ),
        ("api", r#"{"format":"cert","reason":"x","environment":"moon"}"#, 422, "unknown_environment", "production"),
        ("empty", r#"{"format":"cert","reason":"x"}"#, 422, "material_unusable", "no-such-secret"),
        ("absent", r#"{"format":"cert","reason":"x"}"#, 404, "not_found", "no Certificate `absent`"),
        ("api", r#"{"format":"cert","reason":"x","token_ttl":"2h"}"#, 400, "bad_request", "longest allowed"),
    ] {
        let words =
            world.post("alice", &format!("certificates/{certificate}/downloads"), body).await.refused(status, code);
        assert!(words.contains(said), "{body}: {words}");
    }
    assert!(requests(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_generated_or_given_and_stands_nowhere_in_plain_text() {
    let world = World::new(Stage::shared().await, "sealed").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let generated = world.post("alice", DOWNLOADS, r#"{"format":"pkcs12","passphrase":""}"#).await;
    assert_eq!(generated.status, 201, "{}", generated.text());
    let given = world.post("alice", DOWNLOADS, r#"{"format":"pkcs12","passphrase":"correct horse"}"#).await;
    assert!(given.status == 201 && given.json().get("passphrase").is_none(), "{}", given.text());
    for (answer, passphrase) in [(&generated, generated.field("passphrase")), (&given, "correct horse".to_owned())] {
        assert!(passphrase.len() >= 13, "{passphrase}");
        let name = answer.field("request");
        let stored = world.get(&name).await;
        let sealed = stored.status.as_ref().unwrap().token.as_ref().unwrap().sealed_passphrase.clone();
        assert!(sealed.is_some() && !serde_json::to_string(&stored).unwrap().contains(&passphrase));
        let file = curl(world.stage, &[&answer.field("url")]).await;
        assert_eq!(file.status, 200, "{}", file.text());
        assert_eq!(openssl_reads(&file.body, &passphrase).await, Ok(()));
        assert!(openssl_reads(&file.body, "wrong").await.is_err());
        let (_, request) = world.wait_finished(&name).await;
        assert_eq!(request.status.unwrap().token.unwrap().sealed_passphrase, None, "erased when the token ends");
    }
}

/// Whether openssl opens a PKCS#12 file with this passphrase and finds the key.
async fn openssl_reads(file: &[u8], passphrase: &str) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.p12");
    std::fs::write(&path, file).unwrap();
    let mut command = tokio::process::Command::new("openssl");
    command.args(["pkcs12", "-nodes", "-passin", "env:PASSPHRASE", "-in"]).arg(path).env("PASSPHRASE", passphrase);
    let output = command.output().await.unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() && out.contains("PRIVATE KEY") { Ok(()) } else { Err(error.into_owned()) }
}

async fn requests(world: &World<'_>) -> Vec<DownloadRequest> {
    world.api().list(&ListParams::default()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn where_people_must_agree_the_request_waits_and_its_token_is_claimed_later() {
    let world = World::new(Stage::shared().await, "later").await;
    world.policy("two", json!({"allowKeyExport": "WithApproval", "approval": {"approvals": 2}})).await;
    let waiting = world.post("alice", DOWNLOADS, r#"{"format":"pkcs12","reason":"F5"}"#).await;
    let name = waiting.field("request");
    assert_eq!(waiting.status, 202, "{}", waiting.text());
    let approval = json!({"kind": "download_key", "required": 2, "given": 0});
    assert_eq!(waiting.json(), json!({"request": name, "status": "awaiting_approval", "approval": approval}));

    let claim = format!("requests/{name}/token");
    world.wait_for_phase(&name, Phase::AwaitingApproval).await;
    let words = world.curl("alice", &["-X", "POST"], &claim).await.refused(403, "approval_required");
    assert!(words.contains("0/2"), "{words}");
    for who in ["bob", "frank"] {
        vote(&world, who, &name).await;
    }
    world.wait_for_phase(&name, Phase::Approved).await;
    let words = world.curl("bob", &["-X", "POST"], &claim).await.refused(403, "forbidden");
    assert!(words.contains("only `alice`"), "{words}");
    let claimed = world.post("alice", &claim, r#"{"passphrase":"correct horse"}"#).await;
    assert_eq!(claimed.status, 201, "{}", claimed.text());
    let file = curl(world.stage, &[&claimed.field("url")]).await;
    assert_eq!(openssl_reads(&file.body, "correct horse").await, Ok(()));
    let closed = world.curl("alice", &["-X", "POST"], &claim).await.refused(409, "request_closed");
    assert!(closed.contains("create another"), "{closed}");
}

async fn vote(world: &World<'_>, who: &str, name: &str) {
    let request = world.get(name).await;
    let digest = request.status.unwrap().review.unwrap().digest;
    let patch = json!([{"op": "add", "path": "/status/approvals/-",
        "value": {"username": who, "digest": digest, "decision": "Approve", "reason": "fine"}}]);
    let client = world.person(who).await.client;
    let api: Api<DownloadRequest> = Api::namespaced(client, &world.namespace);
    let patch = Patch::<DownloadRequest>::Json(serde_json::from_value(patch).unwrap());
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_claims_at_once_one_has_the_token_and_no_two_tokens_work() {
    let world = World::new(Stage::shared().await, "race").await;
    let http = world.http();
    let token = world.person("carol").await.token;
    let mut conflicts = 0;
    for round in 0..10 {
        let minted = world.post("carol", DOWNLOADS, r#"{"format":"cert"}"#).await;
        let name = minted.field("request");
        let claims = (0..4).map(|number| {
            let url =
                format!("{}/api/v1/projects/{}/requests/{name}/token", world.stage.urls[number % 2], world.namespace);
            world.fetch(http.post(url).bearer_auth(token.as_str()))
        });
        let mut tokens = vec![minted.field("token")];
        for answer in futures::future::join_all(claims).await {
            match answer.status {
                201 => tokens.push(answer.json("token")),
                409 if answer.json("error") == "claim_conflict" => conflicts += 1,
                _ => panic!("{} {}", answer.status, answer.text()),
            }
        }
        assert!(tokens.len() > 1, "somebody wins");
        let generation = world.get(&name).await.status.unwrap().token.unwrap().generation;
        assert_eq!(usize::try_from(generation).unwrap(), tokens.len(), "each answer is one generation");
        let mut usable = 0;
        for token in &tokens {
            let answer = world.status(token).await;
            let known = serde_json::from_slice::<Value>(&answer.body).unwrap();
            usable += usize::from(known["usable"] == true);
            assert!(known["usable"] == true || known["error"] == "token_replaced", "{known}");
        }
        assert_eq!(usable, 1, "round {round}");
    }
    assert!(conflicts > 0, "four claims at once never met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_needs_the_requester_their_verb_and_delivery_claim() {
    let world = World::new(Stage::shared().await, "claims").await;
    world.issue("carol", "secret", json!({"format": "cert"})).await;
    let words = world.curl("carol", &["-X", "POST"], "requests/secret/token").await.refused(409, "wrong_delivery");
    assert!(words.contains("secret-download-token"), "{words}");

    world.request("carol", "claim", json!({"format": "cert", "delivery": "Claim"})).await;
    world.curl("alice", &["-X", "POST"], "requests/claim/token").await.refused(403, "forbidden");
    world.curl("carol", &["-X", "POST"], "requests/absent/token").await.refused(404, "not_found");
    world.post("carol", "requests/claim/token", r#"{"passphrase":"correct horse"}"#).await.refused(400, "bad_request");
    let first = world.curl("carol", &["-X", "POST"], "requests/claim/token").await;
    assert_eq!(first.status, 201, "{}", first.text());
    let second = world.curl("carol", &["-X", "POST"], "requests/claim/token").await;
    curl(world.stage, &[&first.field("url")]).await.refused(410, "token_replaced");

    // Who has lost the verb since can neither claim nor download.
    let kubectl = world.stage.plane.admin_kubectl();
    kubectl.check(["--namespace", &world.namespace, "delete", "rolebinding", "carol"]).await.unwrap();
    kubectl
        .check([
            "--namespace",
            &world.namespace,
            "create",
            "rolebinding",
            "carol",
            "--clusterrole=certcourier-viewer",
            "--user=carol",
        ])
        .await
        .unwrap();
    world
        .until("the verb is gone", || async {
            let answer = world.curl("carol", &["-X", "POST"], "requests/claim/token").await;
            answer.status == 403 && answer.text().contains("lack verb `download`")
        })
        .await;
    let answer = curl(world.stage, &[&second.field("url")]).await;
    assert!([403, 410].contains(&answer.status), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_gets_a_deadline_that_it_did_not_have_to_think_of() {
    let world = World::new(Stage::shared().await, "robot").await;
    let kubectl = world.stage.plane.admin_kubectl();
    let run = async |arguments: &[&str]| {
        kubectl.check(["--namespace", world.namespace.as_str()].iter().chain(arguments)).await.unwrap();
    };
    run(&["create", "serviceaccount", "deployer"]).await;
    let account = format!("--serviceaccount={}:deployer", world.namespace);
    run(&["create", "rolebinding", "deployer", "--clusterrole=certcourier-downloader", &account]).await;
    let robot = world.stage.plane.service_account(&world.namespace, "deployer", &[]).await.unwrap();
    let minted = world.curl_with(robot.token.as_str(), &["-X", "POST", "-d", r#"{"format":"cert"}"#], DOWNLOADS).await;
    assert_eq!(minted.status, 201, "{}", minted.text());
    let request = world.get(&minted.field("request")).await;
    let wait = request.spec.deadline.unwrap().0.duration_since(request.metadata.creation_timestamp.unwrap().0);
    assert!((3890..=3910).contains(&wait.as_secs()), "an hour and five minutes: {wait}");
    let too_late = r#"{"format":"cert","deadline":"2020-01-01T00:00:00Z"}"#;
    let refused = world.curl_with(robot.token.as_str(), &["-X", "POST", "-d", too_late], DOWNLOADS).await;
    assert!(refused.refused(400, "bad_request").contains("already passed"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_and_without_the_stamp_what_needs_nobodys_approval_is_minted_all_the_same() {
    let stage = Stage::own(Settings::default()).await;
    let world = World::new(&stage, "alone").await;
    stage.controller.stop();
    let minted = world.post("carol", DOWNLOADS, r#"{"format":"cert"}"#).await;
    assert_eq!(minted.status, 201, "{}", minted.text());
    let file = curl(world.stage, &[&minted.field("url")]).await;
    assert_eq!((file.status, file.text()), (200, world.leaf.leaf.clone()));
    world.policy("one", json!({"approval": {"requiredFor": "All"}})).await;
    let waiting = world.post("carol", DOWNLOADS, r#"{"format":"cert"}"#).await;
    assert_eq!(waiting.status, 202, "{}", waiting.text());
    assert_eq!(waiting.json()["approval"]["kind"], "download_certificate");
    let claim = format!("requests/{}/token", waiting.field("request"));
    world.curl("carol", &["-X", "POST"], &claim).await.refused(403, "approval_required");
    stage.controller.start_and_wait().await;
    world.wait_for_phase(&waiting.field("request"), Phase::AwaitingApproval).await;
    without_the_stamp(&world).await;
}

/// As on Kubernetes before 1.36: the server writes who asks, as the API server says it, groups and all.
async fn without_the_stamp(world: &World<'_>) {
    let kubectl = world.stage.plane.admin_kubectl();
    let stamp = "downloadrequests-stamp.certcourier.io";
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        kubectl.check(["delete", kind, stamp]).await.unwrap();
    }
    world.policy("one", json!({"approval": {"requiredFor": "None"}})).await;
    world
        .until("nobody is stamped any more", || async {
            let name = format!("unstamped-{}", world.stage.number());
            let refused = world.try_request("carol", &name, json!({"format": "cert"})).await;
            refused.is_err_and(|error| words(&error).contains("spec.requestedBy must be the caller"))
        })
        .await;
    // user-19 is in five hundred groups.
    for person in ["user-18", "user-19"] {
        let binding = ["create", "rolebinding", person, "--clusterrole=certcourier-downloader"];
        let user = format!("--user={person}");
        kubectl.check(["--namespace", &world.namespace].iter().chain(&binding).chain([&user.as_str()])).await.unwrap();
    }
    for person in ["carol", "user-18", "user-19"] {
        let mint = || world.post(person, DOWNLOADS, r#"{"format":"cert"}"#);
        world.until("the role bites", || async { mint().await.status != 403 }).await;
        let minted = mint().await;
        assert_eq!(minted.status, 201, "{person}: {}", minted.text());
        let by = world.get(&minted.field("request")).await.spec.requested_by.unwrap();
        assert_eq!((by.username.as_str(), by.groups.contains(&"system:authenticated".to_owned())), (person, true));
    }
}
