//! How often strangers may ask before anybody knows who they are.

use axum::{body::Body, http::Request};
use certcourier::{server::connection::Peer, token::Token};

use super::stage::{Answer, NAMESPACE, Stage, get, token};

/// From an address of its own each time.
fn from(number: u8, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(Peer(([203, 0, 113, number], 4711).into()));
    request
}

#[tokio::test]
async fn lookups_for_strangers_have_one_budget_however_many_addresses_they_come_from() {
    let stage = Stage::with_flags("cert", &["--rate-lookups", "3"]).await;
    let guess = |number: u8| Token::mint(NAMESPACE, "api", &[number; 32]);
    let mut refused: Option<Answer> = None;
    for number in 10..100 {
        let answer = stage.send(from(number, get(&guess(number)))).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.assert_refused(404, "token_unknown", "not known");
    }
    let refused = refused.expect("somebody has to wait");
    refused.assert_refused(429, "rate_limited", "too many callers");
    assert_eq!(refused.header("retry-after"), "1");
    // Garbage costs no lookup, and so it is answered all the same.
    stage.api.take_log();
    let garbage = Request::get("/api/v1/downloads/ccd_garbage").body(Body::empty()).unwrap();
    stage.send(from(200, garbage)).await.assert_refused(404, "token_unknown", "");
    assert_eq!(stage.api.take_log(), Vec::<String>::new());
    // Nothing was used up: the rightful holder waits as long as they are told.
    let mut answer = stage.send(from(201, get(&token()))).await;
    while answer.status == 429 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = stage.send(from(201, get(&token()))).await;
    }
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn bearer_tokens_that_nobody_knows_yet_are_lookups_too() {
    let stage = Stage::with_flags("cert", &["--rate-lookups", "3"]).await;
    let mut statuses = Vec::new();
    for number in 10..60 {
        let mint = Request::post("/api/v1/projects/payments/certificates/api/downloads")
            .header("authorization", format!("Bearer made-up-{number}"))
            .body(Body::from(r#"{"format":"cert"}"#))
            .unwrap();
        statuses.push(stage.send(from(number, mint)).await.status.as_u16());
        if statuses.last() == Some(&429) {
            break;
        }
    }
    assert!(statuses.starts_with(&[401, 401, 401]) && statuses.ends_with(&[429]), "{statuses:?}");
}
