//! How often strangers may ask before anybody knows who they are.

use axum::{body::Body, http::Request};
use certcourier::{server::connection::Peer, token::Token};

use futures::future::{join, join_all};
use serde_json::Value;
use test_support::waiting::{Wait, wanted};

use super::{
    fake_api::{Fault, GROUP},
    stage::{Answer, NAMESPACE, REQUEST, Stage, get, token},
};

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
    let wait = Wait::usual().every(std::time::Duration::from_millis(100));
    let send = async || wanted(stage.send(from(201, get(&token()))).await, |answer| answer.status != 429);
    let answer = wait.until("the rightful holder is answered", send).await;
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

const NAT: u8 = 77;

fn malformed() -> Request<Body> {
    Request::get("/api/v1/downloads/ccd_garbage").body(Body::empty()).unwrap()
}

/// Carol asks for a file, from this address.
async fn mint(stage: &Stage, number: u8) -> Answer {
    let mint = Request::post("/api/v1/projects/payments/certificates/api/downloads")
        .header("authorization", "Bearer token-of-carol")
        .body(Body::from(r#"{"format":"cert"}"#));
    stage.send(from(number, mint.unwrap())).await
}

/// How many of so many requests had to wait, with these words.
async fn had_to_wait(stage: &Stage, requests: usize, words: &str, request: impl Fn(u8) -> Request<Body>) -> usize {
    let all = (0..u8::try_from(requests).unwrap()).map(|number| stage.send(from(NAT, request(number))));
    let waiting: Vec<Answer> = join_all(all).await.into_iter().filter(|answer| answer.status == 429).collect();
    for answer in &waiting {
        answer.assert_refused(429, "rate_limited", words);
    }
    waiting.len()
}

#[tokio::test]
async fn garbage_and_guesses_from_an_address_use_up_nothing_of_the_people_there() {
    let flags = ["--rate-malformed", "1", "--rate-per-address", "1", "--rate-burst", "4"];
    let stage = Stage::with_flags("cert", &flags).await;
    stage.api.remove(REQUEST);
    assert!(had_to_wait(&stage, 40, "too many invalid requests", |_| malformed()).await > 25);
    let unknown = |_| Request::get("/nothing").body(Body::empty()).unwrap();
    assert!(had_to_wait(&stage, 10, "too many invalid requests", unknown).await > 5, "an unknown path is of that kind");
    // Nobody has seen carol's token yet: it is paid from what the address has for tokens.
    let minted = mint(&stage, NAT).await;
    assert_eq!(minted.status, 201, "{minted:?}");
    let guess = |number: u8| get(&Token::mint(NAMESPACE, "another", &[number; 32]));
    assert!(had_to_wait(&stage, 12, "from your address", guess).await > 4);
    // From now on she and her token have budgets of their own.
    for _ in 0..2 {
        assert_eq!(mint(&stage, NAT).await.status, 201);
    }
    let link = format!("/api/v1/downloads/{}", minted.json()["token"].as_str().unwrap());
    let file = stage.send(from(NAT, Request::get(link).body(Body::empty()).unwrap())).await;
    assert_eq!(file.status, 200, "{file:?}");
    let text = stage.metrics.text();
    for tier in ["malformed", "address"] {
        assert!(text.contains(&format!("certcourier_rate_limited_total{{tier=\"{tier}\"}}")), "{text}");
    }
    assert!(!text.contains("tier=\"person\""), "{text}");
}

#[tokio::test]
async fn a_bearer_token_that_is_refused_later_is_a_strangers_again() {
    let flags = ["--rate-per-address", "1", "--rate-burst", "2"];
    let stage = Stage::with_flags("cert", &flags).await;
    assert_eq!(mint(&stage, NAT).await.status, 201);
    // The API server lets her in no longer.
    stage.api.fail(|_, _| Some(Fault::Refuse(401)));
    let mut last = mint(&stage, NAT).await;
    last.assert_refused(401, "unauthorized", "does not accept");
    for _ in 0..10 {
        last = mint(&stage, NAT).await;
        if last.status == 429 {
            break;
        }
        last.assert_refused(401, "unauthorized", "does not accept");
    }
    last.assert_refused(429, "rate_limited", "from your address");
}

#[tokio::test]
async fn tokens_of_nothing_cost_the_same_and_take_as_long() {
    let stage = Stage::with_flags("cert", &["--watch-namespaces", NAMESPACE]).await;
    let of_nothing = [
        Token::mint(NAMESPACE, "api", &[8; 32]),
        Token::mint(NAMESPACE, "another", &[8; 32]),
        Token::mint("kube-system", "another", &[8; 32]),
    ];
    for token in &of_nothing {
        for suffix in ["", "/status"] {
            stage.api.take_log();
            let began = std::time::Instant::now();
            let path = format!("/api/v1/downloads/{}{suffix}", token.expose());
            let answer = stage.send(Request::get(path).body(Body::empty()).unwrap()).await;
            answer.assert_refused(404, "token_unknown", "not known");
            assert!(began.elapsed() >= std::time::Duration::from_millis(250), "{token:?} is answered at once");
            let calls = stage.api.take_log();
            assert_eq!(calls.len(), 1, "{calls:?}");
            assert!(calls[0].starts_with(&format!("GET {GROUP}/{NAMESPACE}/downloadrequests/")), "{calls:?}");
        }
    }
    // Trouble of the API server does not tell them apart either.
    stage.api.fail(|_, _| Some(Fault::Refuse(500)));
    let mut answers: Vec<Value> = Vec::new();
    for token in &of_nothing {
        let mut answer = stage.send(get(token)).await.json();
        answer["request_id"].take();
        answers.push(answer);
    }
    assert_eq!(answers[0]["error"], "unavailable");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[tokio::test]
async fn a_person_has_so_many_requests_at_the_same_time_wherever_they_call_from() {
    let stage = Stage::with_flags("cert", &["--max-requests-per-person", "1", "--api-timeout", "20s"]).await;
    assert_eq!(mint(&stage, 1).await.status, 201);
    stage
        .api
        .fail(|_, path| path.ends_with("/certificates/api").then_some(Fault::Late(std::time::Duration::from_secs(1))));
    let (one, other) = join(mint(&stage, 1), mint(&stage, 2)).await;
    let (done, waits) = if one.status == 201 { (one, other) } else { (other, one) };
    assert_eq!(done.status, 201, "{done:?}");
    waits.assert_refused(429, "rate_limited", "at the same time");
}
