//! What the log says of a request, and what it never says. The other tests of this process write to the same log.

use axum::{body::Body, http::Request};
use certcourier::token::seal;
use serde_json::json;
use test_support::waiting::until;

use super::stage::{AUDIT, LOG, PKI, POLICY, REQUEST, Stage, policy, token};

#[tokio::test]
async fn the_log_names_the_route_and_never_the_token_the_passphrase_or_the_key() {
    let stage = Stage::of_format("pkcs12").await;
    stage.api.put(POLICY, policy(&json!({"allowKeyExport": "Always", "token": {"bindToRequester": true}})));
    let sealed = seal(&token(), "canary-passphrase", "uid-of-the-log-test", 1, &[9; 12]).unwrap();
    stage.api.edit(REQUEST, |request| {
        request["metadata"]["uid"] = json!("uid-of-the-log-test");
        request["status"]["token"]["sealedPassphrase"] = json!(sealed);
    });
    let token = token();
    let send = |method: &str, path: String, body: String| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-request-id", "of-the-log-test")
            .header("authorization", "Bearer token-of-carol")
            .header("referer", format!("https://x/{}", token.expose()))
            .body(Body::from(body))
            .unwrap();
        stage.send(request)
    };
    let link = format!("/api/v1/downloads/{}", token.expose());
    assert_eq!(send("HEAD", link.clone(), String::new()).await.status, 405);
    assert_eq!(send("GET", format!("/elsewhere/{0}?token={0}", token.expose()), String::new()).await.status, 404);
    assert_eq!(send("POST", "/api/v1/downloads".into(), format!("{}x", token.expose())).await.status, 404);
    assert_eq!(send("GET", format!("{link}/status"), String::new()).await.status, 200);
    assert_eq!(send("GET", link.clone(), String::new()).await.status, 200);
    stage.outcome().await;
    send("GET", link, String::new()).await.assert_refused(410, "token_used", "already used");

    let told = |line: &str| line.contains("\"cert.downloaded\"") && line.contains("of-the-log-test");
    until("the delivery is on record", async || AUDIT.text().lines().any(told)).await;
    let ended = |line: &str| line.contains("the delivery of ") && line.contains("of-the-log-test");
    until("the end of the delivery is logged", async || LOG.text().lines().any(ended)).await;
    // Every line about it has the id, whoever wrote it and in whichever task.
    let receipt = stage.receipt().unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    let lines = LOG.text();
    let about: Vec<&str> = lines.lines().filter(|line| line.contains(&receipt)).collect();
    assert!(about.len() > 2, "{about:#?}");
    assert!(about.iter().all(|line| line.contains("of-the-log-test")), "{about:#?}");
    let log = lines + &AUDIT.text();
    for line in [
        "HEAD /api/v1/downloads/{token} answered 405 method_not_allowed",
        "GET (unknown) answered 404 not_found",
        "POST /api/v1/downloads answered 404 token_unknown",
        "GET /api/v1/downloads/{token} answered 200",
        "GET /api/v1/downloads/{token} answered 410 token_used",
        "artifact_sha256",
    ] {
        assert!(log.contains(line), "`{line}` was not logged");
    }
    let key = PKI.key.lines().nth(1).unwrap();
    for (secret, what) in [
        (&token.expose()[token.expose().len() - 49..][..20], "the token"),
        ("canary-passphrase", "the passphrase"),
        (key, "the private key"),
        ("token-of-carol", "a bearer token"),
    ] {
        let found = log.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "{what} is in the log");
    }
}
