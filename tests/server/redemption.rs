//! From token to file, step by step.

use axum::{
    body::Body,
    http::{Method, Request},
};
use certcourier::token::{Token, seal};
use futures::future::join_all;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use test_support::waiting::until;

use super::{
    certificates::leaf,
    fake_api::Fault,
    stage::{
        Answer, CERTIFICATE, EVENTS, NAMESPACE, PATIENT, PKI, POLICY, RECEIPTS, REQUEST, SECRET, Stage, ago, get, path,
        policy, secret, token,
    },
};

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn a_token_delivers_its_file_once_and_then_says_when_it_did() {
    let stage = Stage::of_format("fullchain").await;
    let mut request = get(&token());
    request.headers_mut().insert("user-agent", "curl/8.1".parse().unwrap());
    let answer = stage.send(request).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.body, PKI.leaf.as_bytes());
    for (name, value) in [
        ("content-length", PKI.leaf.len().to_string().as_str()),
        ("content-disposition", "attachment; filename=\"api-fullchain.pem\"; filename*=UTF-8''api-fullchain.pem"),
        ("accept-ranges", "none"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("content-digest").starts_with("sha-256=:"));
    assert!(answer.header("content-security-policy").contains("sandbox"));

    let outcome = stage.outcome().await;
    assert_eq!((&outcome["outcome"], &outcome["bytesSent"]), (&json!("Delivered"), &json!(PKI.leaf.len())));
    let receipt = stage.receipt().unwrap();
    for (field, value) in [
        ("/spec/requestRef", json!({"name": "api", "uid": "request-uid"})),
        ("/spec/certificateRef/name", json!("api")),
        ("/spec/environment", json!("production")),
        ("/spec/format", json!("fullchain")),
        ("/spec/reason", json!("INC-4211")),
        ("/spec/requestedBy/username", json!("carol")),
        ("/spec/userAgent", json!("curl/8.1")),
        ("/spec/artifact/bytes", json!(PKI.leaf.len())),
        ("/spec/artifact/sha256", json!(hexadecimal(&Sha256::digest(PKI.leaf.as_bytes())))),
        ("/spec/fingerprints/0", json!(fingerprint(&PKI.leaf))),
    ] {
        assert_eq!(receipt.pointer(field), Some(&value), "{field} of {receipt:#}");
    }
    until("there is an Event", async || !stage.api.list(EVENTS).is_empty()).await;
    let event = &stage.api.list(EVENTS)[0];
    assert_eq!((&event["reason"], &event["regarding"]["name"]), (&json!("CertDownloaded"), &json!("api")));

    // The controller has not seen the receipt yet: the phase is still TokenIssued.
    let again = stage.download().await;
    again.assert_refused(410, "token_used", receipt["spec"]["consumedAt"].as_str().unwrap());
    again.assert_refused(410, "token_used", "create another DownloadRequest");
    stage.api.edit(REQUEST, |request| request["status"]["phase"] = json!("Consumed"));
    stage.download().await.assert_refused(410, "token_used", "Delivered");
    assert_eq!(stage.api.list(RECEIPTS).len(), 1);
}

fn fingerprint(pem: &str) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = <base64ct::Base64 as base64ct::Encoding>::decode_vec(&base64).unwrap();
    hexadecimal(&Sha256::digest(der))
}

#[tokio::test]
async fn the_token_may_also_stand_in_the_body() {
    let token = token();
    for body in
        [token.expose().to_owned(), format!("token={}", token.expose()), json!({"token": token.expose()}).to_string()]
    {
        let stage = Stage::of_format("cert").await;
        let request = Request::post("/api/v1/downloads").header("accept", "text/html").body(Body::from(body)).unwrap();
        let answer = stage.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, PKI.leaf.as_bytes()));
    }
}

#[tokio::test]
async fn whatever_only_looks_consumes_nothing() {
    let stage = Stage::of_format("cert").await;
    let url = format!("/api/v1/downloads/{}", token().expose());
    for (method, name, value, status) in [
        ("HEAD", "accept", "*/*", 405),
        ("GET", "sec-purpose", "prefetch", 400),
        ("GET", "sec-purpose", "Prefetch", 400),
        ("GET", "x-purpose", "preview", 400),
        ("GET", "range", "bytes=100-", 400),
        ("GET", "range", "bytes=0-32767", 400),
        ("OPTIONS", "access-control-request-method", "GET", 405),
    ] {
        let request = Request::builder().method(method).uri(&url).header(name, value).body(Body::empty()).unwrap();
        let answer = stage.send(request).await;
        assert_eq!(answer.status, status, "{method} {name}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    assert_eq!(stage.api.take_log(), Vec::<String>::new(), "nothing was even looked up");
    for _ in 0..2 {
        assert_eq!(stage.status().await.json()["usable"], true);
    }
    let request = Request::get(&url).header("accept", "text/html").body(Body::empty()).unwrap();
    stage.api.take_log();
    let page = stage.send(request).await;
    assert_eq!(page.status, 200);
    assert!(stage.api.take_log().iter().all(|call| call.starts_with("GET ")), "a page looks, and writes nothing");
    assert!(stage.receipt().is_none());
    let request = Request::get(&url).header("range", "bytes=0-").body(Body::empty()).unwrap();
    let answer = stage.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, PKI.leaf.len()), "this is the whole file");
}

#[tokio::test]
async fn a_part_of_the_file_is_refused_and_the_whole_one_kept_for_later() {
    let stage = Stage::of_format("cert").await;
    for range in ["bytes=100-", "bytes=0-32767", "bytes=-5", "bytes=0-1,3-4"] {
        let mut link = get(&token());
        link.headers_mut().insert("range", range.parse().unwrap());
        let form = Request::post("/api/v1/downloads").header("range", range);
        for request in [link, form.body(Body::from(format!("token={}", token().expose()))).unwrap()] {
            let answer = stage.send(request).await;
            answer.assert_refused(400, "bad_request", "delete the partial file and ask without Range");
            answer.assert_refused(400, "bad_request", "the token is still valid");
        }
    }
    assert_eq!(stage.api.take_log(), Vec::<String>::new(), "nothing was even looked up");
    assert_eq!(stage.download().await.body, PKI.leaf.as_bytes());
}

#[tokio::test]
async fn a_java_program_gets_the_file_and_not_the_page() {
    let stage = Stage::of_format("cert").await;
    let mut request = get(&token());
    let accept = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2";
    request.headers_mut().insert("accept", accept.parse().unwrap());
    request.headers_mut().insert("user-agent", "Java/17.0.15".parse().unwrap());
    let answer = stage.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, PKI.leaf.as_bytes()));
}

#[tokio::test]
async fn a_certificate_that_is_lost_in_its_secret_is_named_and_nothing_is_delivered_without_it() {
    let stage = Stage::of_format("fullchain").await;
    let damaged = PKI.leaf.replacen("-----BEGIN", "----BEGIN", 1);
    stage.api.put(SECRET, secret(&format!("{damaged}{}", PKI.root), &PKI.key, &PKI.root));
    stage.download().await.assert_refused(422, "material_unusable", "certificate 1 in the certificate file (tls.crt)");
    stage.api.put(SECRET, secret(&PKI.leaf, &PKI.key, &PKI.root));
    assert_eq!(stage.download().await.body, PKI.leaf.as_bytes());
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_says_so_and_sends_nobody_for_a_role() {
    let stage = Stage::of_format("cert").await;
    stage.api.fail(|method, path| (method == Method::POST && path == RECEIPTS).then_some(Fault::NamespaceEnds));
    let answer = stage.download().await;
    answer.assert_refused(410, "certificate_gone", "namespace payments is being terminated");
    assert!(!String::from_utf8_lossy(&answer.body).contains("try again"));
}

#[tokio::test]
async fn of_many_at_once_on_two_replicas_exactly_one_gets_the_file() {
    let stage = Stage::with_flags("fullchain", &PATIENT).await;
    let replicas = [stage.app.clone(), Stage::replica(&stage.api, &PATIENT)];
    let racing = (0..64).map(|number| {
        let app = replicas[number % 2].clone();
        async move { Answer::read(tower::ServiceExt::oneshot(app, get(&token())).await.unwrap()).await }
    });
    let mut delivered = 0;
    for answer in join_all(racing).await {
        match answer.status.as_u16() {
            200 => delivered += 1,
            _ => answer.assert_refused(410, "token_used", "already used"),
        }
    }
    assert_eq!(delivered, 1);
    assert!(stage.receipt().is_some());
}

#[tokio::test]
async fn nothing_is_written_but_receipt_outcome_and_event() {
    let stage = Stage::of_format("cert").await;
    assert_eq!(stage.download().await.status, 200);
    stage.outcome().await;
    until("there is an Event", async || !stage.api.list(EVENTS).is_empty()).await;
    let log = stage.api.take_log();
    let writes: Vec<&str> = log
        .iter()
        .filter(|call| !call.starts_with("GET") && !call.ends_with("reviews"))
        .map(|call| call.rsplit_once('/').map_or(call.as_str(), |(_, last)| last))
        .collect();
    assert_eq!(writes, ["downloadreceipts", "status", "events"], "{log:#?}");
    assert!(!log.iter().any(|call| call.ends_with("/secrets")), "Secrets are read by name only: {log:#?}");
}

#[tokio::test]
async fn each_dead_token_is_refused_in_its_own_words() {
    for (edit, status, code, words) in [
        (json!({"token": {"expiresAt": ago(1)}}), 410, "token_expired", "this token expired"),
        (json!({"phase": "Expired"}), 410, "token_expired", "this token expired"),
        (json!({"phase": "Consumed"}), 410, "token_used", "already used"),
        (json!({"phase": "Denied", "reason": "Denied"}), 410, "token_revoked", "Denied"),
        (json!({"phase": "Revoked"}), 410, "token_revoked", "Revoked"),
        (json!({"phase": "Failed", "reason": "PolicyRefused"}), 410, "token_revoked", "PolicyRefused"),
        (json!({"phase": "Approved"}), 404, "token_unknown", "not known"),
        (json!({"token": {"hash": "0".repeat(64)}}), 404, "token_unknown", "not known"),
        (
            json!({"token": {"hash": "0".repeat(64),
                "previous": [{"hash": token().hash(), "ended": ago(5), "why": "Replaced"}]}}),
            410,
            "token_replaced",
            "use the newer one",
        ),
        (
            json!({"phase": "AwaitingApproval", "token": {"hash": null,
                "previous": [{"hash": token().hash(), "ended": ago(5), "why": "ReviewChanged"}]}}),
            409,
            "certificate_changed",
            "wait for new approvals",
        ),
    ] {
        let stage = Stage::of_format("cert").await;
        stage.api.edit(REQUEST, |request| merge(&mut request["status"], &edit));
        stage.download().await.assert_refused(status, code, words);
        assert!(stage.receipt().is_none(), "{edit}");
    }
}

#[tokio::test]
async fn the_page_of_a_link_says_what_it_is_for_and_one_that_is_dead_has_no_button() {
    let browser = |path: &str| {
        let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
        Request::get(format!("/api/v1/downloads/{path}")).header("accept", accept).body(Body::empty()).unwrap()
    };
    let token = token();
    let stage = Stage::of_format("key").await;
    let page = stage.send(browser(token.expose())).await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert_eq!(page.status, 200);
    for words in ["Certificate <b>api</b>", "format <b>key</b>", "holds the private key", ", until 20", "<button>"] {
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
    for (edit, status, words) in [
        (json!({"token": {"expiresAt": ago(1)}}), 410, "this token expired at"),
        (json!({"phase": "Consumed"}), 410, "already used"),
        (json!({"phase": "Revoked"}), 410, "the request is closed (Revoked)"),
        (json!({"token": {"hash": "0".repeat(64)}}), 404, "this token is not known"),
    ] {
        let stage = Stage::of_format("cert").await;
        stage.api.edit(REQUEST, |request| merge(&mut request["status"], &edit));
        let page = stage.send(browser(token.expose())).await;
        let text = String::from_utf8(page.body.clone()).unwrap();
        assert_eq!(page.status, status, "{text}");
        assert!(page.header("content-type").starts_with("text/html"), "{text}");
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(text.contains(words) && !text.contains("<button"), "`{words}` is not in {text}");
        assert!(!text.contains("carol"), "who asked is not for every holder of a link: {text}");
    }
}

#[tokio::test]
async fn a_button_that_fails_is_a_page_in_words_for_a_browser_and_json_for_a_program() {
    let stage = Stage::of_format("cert").await;
    assert_eq!(stage.download().await.status, 200);
    let form = || Request::post("/api/v1/downloads").header("content-type", "application/x-www-form-urlencoded");
    let body = || Body::from(format!("token={}", token().expose()));
    let page = stage.send(form().header("sec-fetch-mode", "navigate").body(body()).unwrap()).await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert_eq!(page.status, 410);
    assert!(page.header("content-type").starts_with("text/html") && text.contains("already used"), "{text}");
    stage.send(form().body(body()).unwrap()).await.assert_refused(410, "token_used", "already used");
}

fn merge(object: &mut serde_json::Value, change: &serde_json::Value) {
    match (object, change) {
        (serde_json::Value::Object(object), serde_json::Value::Object(change)) => {
            for (key, value) in change {
                merge(object.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (object, change) => *object = change.clone(),
    }
}

#[tokio::test]
async fn tokens_of_nothing_are_alike_whether_or_not_there_is_something_of_that_name() {
    let stage = Stage::with_flags("cert", &["--watch-namespaces", NAMESPACE]).await;
    let mut answers = Vec::new();
    for token in [
        Token::mint(NAMESPACE, "api", &[8; 32]),
        Token::mint(NAMESPACE, "another", &[8; 32]),
        Token::mint("kube-system", "api", &[8; 32]),
    ] {
        let mut answer = stage.send(get(&token)).await.json();
        answer["request_id"].take();
        answers.push(answer);
    }
    assert_eq!(answers[0]["error"], "token_unknown");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let log = stage.api.take_log();
    assert!(!log.iter().any(|call| call.contains("kube-system")), "a namespace not served is not looked into: {log:?}");
}

#[tokio::test]
async fn a_request_made_again_under_the_same_name_does_not_know_the_old_token() {
    let stage = Stage::of_format("cert").await;
    stage.api.edit(REQUEST, |request| {
        request["metadata"]["uid"] = json!("another-uid");
        request["status"] = json!({"phase": "Pending"});
    });
    stage.download().await.assert_refused(404, "token_unknown", "older request of the same name");
}

#[tokio::test]
async fn a_request_that_is_being_deleted_delivers_nothing() {
    let stage = Stage::of_format("cert").await;
    stage.api.edit(REQUEST, |request| request["metadata"]["deletionTimestamp"] = json!(ago(1)));
    stage.download().await.assert_refused(410, "token_revoked", "Deleted");
}

#[tokio::test]
async fn policies_and_rights_count_as_of_now() {
    for (format, spec, status, code, words) in [
        ("key", json!({}), 403, "key_export_disabled", "allowKeyExport is Never"),
        ("cert", json!({"allowedFormats": ["fullchain"]}), 403, "format_not_allowed", "policy policy"),
        ("key", json!({"allowKeyExport": "WithApproval"}), 409, "certificate_changed", "round 2"),
        ("cert", json!({"approval": {"requiredFor": "All"}}), 409, "certificate_changed", "round 2"),
    ] {
        let stage = Stage::of_format(format).await;
        stage.api.put(POLICY, policy(&spec));
        stage.download().await.assert_refused(status, code, words);
        assert!(stage.receipt().is_none(), "{spec}");
    }
    let stage = Stage::of_format("cert").await;
    stage.api.put("/refused/download/api", json!({}));
    stage.download().await.assert_refused(403, "forbidden", "lacks verb `download`");
    assert!(stage.receipt().is_none());
    stage.api.remove("/refused/download/api");
    assert_eq!(stage.download().await.status, 200, "the refusals left the token alive");
}

#[tokio::test]
async fn the_operators_own_policy_is_a_ceiling_at_the_download_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "allowedFormats: [cert]\n").unwrap();
    let stage = Stage::with_flags("fullchain", &["--cluster-policy", &file.path().to_string_lossy()]).await;
    stage.api.put(POLICY, policy(&json!({"allowedFormats": ["cert", "fullchain"]})));
    stage.download().await.assert_refused(403, "format_not_allowed", "policy (operator)");
    assert!(stage.receipt().is_none());
}

#[tokio::test]
async fn a_policy_that_cannot_be_understood_stops_everything() {
    let stage = Stage::of_format("cert").await;
    stage.api.put(POLICY, policy(&json!({"allowKeyExport": "OnSundays"})));
    stage.download().await.assert_refused(503, "unavailable", "cannot be read by this version");
}

#[tokio::test]
async fn unusable_material_is_named_and_the_token_stays_good() {
    let (good, other) = (&*PKI, leaf("other.example.com"));
    for (format, leaf, key, ca, status, code, words) in [
        ("key", &good.leaf, &other.key, &good.root, 422, "material_unusable", "environment `production`"),
        ("cert", &"garbage".to_owned(), &good.key, &good.root, 422, "material_unusable", "environment `production`"),
        ("chain", &good.leaf, &good.key, &good.root, 422, "material_unusable", "intermediate"),
        ("ca", &good.leaf, &good.key, &String::new(), 422, "material_unusable", "ca.crt"),
    ] {
        let stage = Stage::of_format(format).await;
        stage.api.put(POLICY, policy(&json!({"allowKeyExport": "Always"})));
        stage.api.put(SECRET, secret(leaf, key, ca));
        stage.download().await.assert_refused(status, code, words);
        assert!(stage.receipt().is_none());
        assert_eq!(stage.status().await.json()["usable"], true, "{format}");
    }
    let stage = Stage::of_format("cert").await;
    stage.api.remove(SECRET);
    stage.download().await.assert_refused(410, "certificate_gone", "Secret `api-tls` does not exist");
    stage.api.remove(CERTIFICATE);
    stage.download().await.assert_refused(410, "certificate_gone", "no Certificate `api`");
    let stage = Stage::of_format("cert").await;
    stage.api.edit(REQUEST, |request| request["spec"]["environment"] = json!("staging"));
    stage.download().await.assert_refused(422, "unknown_environment", "it has production");
}

#[tokio::test]
async fn a_rotated_certificate_is_delivered_as_it_is_now() {
    let stage = Stage::of_format("cert").await;
    let renewed = leaf("api.example.com");
    stage.api.put(SECRET, secret(&renewed.leaf, &renewed.key, &renewed.root));
    assert_eq!(stage.download().await.body, renewed.leaf.as_bytes());
}

#[tokio::test]
async fn every_format_that_needs_no_passphrase_is_delivered() {
    for (format, name) in [
        ("cert", "api-cert.pem"),
        ("ca", "api-ca.pem"),
        ("der", "api-cert.cer"),
        ("der-zip", "api-certificates.zip"),
        ("key", "api-key.pem"),
        ("combined", "api-combined.pem"),
    ] {
        let stage = Stage::of_format(format).await;
        stage.api.put(POLICY, policy(&json!({"allowKeyExport": "Always"})));
        let answer = stage.download().await;
        assert_eq!(answer.status, 200, "{format}: {}", String::from_utf8_lossy(&answer.body));
        assert!(answer.header("content-disposition").contains(name), "{format}");
        assert!(answer.headers.contains_key("content-type"), "{format}");
    }
}

#[tokio::test]
async fn a_bound_token_works_only_for_its_requester_in_person() {
    let stage = Stage::of_format("cert").await;
    stage.api.put(POLICY, policy(&json!({"token": {"bindToRequester": true}})));
    let with = |bearer: &str| {
        let mut request = get(&token());
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        request
    };
    let answer = stage.download().await;
    answer.assert_refused(401, "unauthorized", "bound to its requester");
    assert!(answer.headers.contains_key("www-authenticate"));
    stage.send(with("Bearer stolen")).await.assert_refused(401, "unauthorized", "does not accept");
    stage.send(with("Bearer token-of-mallory")).await.assert_refused(403, "forbidden", "you are not the requester");
    assert!(stage.receipt().is_none());
    assert_eq!(stage.send(with("Bearer token-of-carol")).await.status, 200);
    assert_eq!(stage.receipt().unwrap()["spec"]["consumedBy"]["username"], "carol");
}

#[tokio::test]
async fn a_sealed_passphrase_is_opened_with_the_token() {
    let stage = Stage::of_format("pkcs12").await;
    stage.api.put(POLICY, policy(&json!({"allowKeyExport": "Always"})));
    stage.download().await.assert_refused(422, "passphrase_required", "without a passphrase");
    let sealed = seal(&token(), "correct horse battery", "request-uid", 1, &[9; 12]).unwrap();
    stage.api.edit(REQUEST, |request| request["status"]["token"]["sealedPassphrase"] = json!(sealed));
    let answer = stage.download().await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.body[0], 0x30, "a PKCS#12 file is a DER sequence");
    assert_eq!(stage.receipt().unwrap()["spec"]["profile"], "Modern");
}

#[tokio::test]
async fn a_passphrase_in_a_secret_is_read_when_the_token_is_used() {
    let stage = Stage::of_format("pkcs12").await;
    stage.api.put(POLICY, policy(&json!({"allowKeyExport": "Always", "passphrase": {"minLength": 12}})));
    stage.api.edit(REQUEST, |request| request["spec"]["passphraseSecretRef"] = json!({"name": "p12", "key": "pass"}));
    let passphrase = |text: &str| {
        let data = <base64ct::Base64 as base64ct::Encoding>::encode_string(text.as_bytes());
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "p12"}, "data": {"pass": data}})
    };
    let path = "/api/v1/namespaces/payments/secrets/p12";
    stage.download().await.assert_refused(422, "passphrase_required", "Secret `p12`");
    stage.api.put(path, passphrase("canary"));
    let answer = stage.download().await;
    answer.assert_refused(422, "passphrase_too_short", "12 characters");
    assert!(!String::from_utf8_lossy(&answer.body).contains("canary"));
    stage.api.put("/refused/get/p12", json!({}));
    stage.download().await.assert_refused(403, "forbidden", "is not allowed to get Secret `p12`");
    stage.api.remove("/refused/get/p12");
    stage.api.put(path, passphrase("correct horse battery\n"));
    assert_eq!(stage.download().await.status, 200);
}

#[tokio::test]
async fn status_says_where_the_request_stands_and_consumes_nothing() {
    let stage = Stage::of_format("fullchain").await;
    let answer = stage.status().await;
    assert_eq!(answer.status, 200);
    let status = answer.json();
    for (field, value) in [
        ("request", json!("api")),
        ("project", json!("payments")),
        ("certificate", json!("api")),
        ("environment", json!(null)),
        ("format", json!("fullchain")),
        ("phase", json!("TokenIssued")),
        ("usable", json!(true)),
    ] {
        assert_eq!(status[field], value, "{field}");
    }
    assert!(status["expires_at"].as_str().unwrap().ends_with('Z'), "{status}");
    assert!(status.get("error").is_none());
    assert_eq!(stage.download().await.status, 200);
    // The controller has not looked yet: only the receipt knows.
    let status = stage.status().await.json();
    assert_eq!((&status["phase"], &status["usable"]), (&json!("TokenIssued"), &json!(false)));
    assert!(status["error_description"].as_str().unwrap().contains("receipt r-"), "{status}");
    stage.api.edit(REQUEST, |request| request["status"]["phase"] = json!("Consumed"));
    let status = stage.status().await.json();
    assert_eq!((&status["usable"], &status["error"]), (&json!(false), &json!("token_used")));
    assert_eq!(status["expires_at"], json!(null));
    let unknown =
        Request::get(format!("/api/v1/downloads/{}/status", Token::mint(NAMESPACE, "api", &[1; 32]).expose()));
    stage.send(unknown.body(Body::empty()).unwrap()).await.assert_refused(404, "token_unknown", "not known");
    assert_eq!(path("downloadrequests", "api"), REQUEST);
}
