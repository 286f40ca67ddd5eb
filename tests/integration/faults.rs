//! Faults between the operator and the real API server: never two deliveries, never bytes without a receipt, and whoever
//! gets nothing is told 410 or 503.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::Method;
use certcourier::api::{DownloadRequest, Outcome, Phase, names};
use futures::{StreamExt as _, future::join_all, stream};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use serde_json::json;
use test_cluster::Signal;
use test_support::{
    fault_proxy::{Fault, FaultProxy},
    stage::{PATIENT, Server, Settings, Stage},
    waiting::Wait,
    world::{Answer, World, condition},
};

fn is_create_of_receipt(method: &Method, path: &str) -> bool {
    method == Method::POST && path.ends_with("/downloadreceipts")
}

/// Two servers behind one proxy, on the shared stage.
async fn two_servers(stage: &Stage, more: &[&str]) -> (FaultProxy, [Server; 2]) {
    let proxy = FaultProxy::before(&stage.plane).await;
    let (first, second) =
        tokio::join!(stage.another_server(Some(&proxy), more), stage.another_server(Some(&proxy), more));
    (proxy, [first, second])
}

async fn redeem(world: &World<'_>, server: &Server, token: &str) -> Answer {
    world.fetch(world.http().get(format!("{}/api/v1/downloads/{token}", server.url))).await
}

/// How many of these got the file; the others must have been refused in one of the two ways there are.
#[track_caller]
fn delivered(answers: &[Answer], file: &str) -> usize {
    for answer in answers {
        match answer.status {
            200 => assert_eq!(answer.text(), file),
            410 => assert_eq!(answer.json("error"), "token_used"),
            503 => assert!(!answer.header("retry-after").is_empty(), "{}", answer.text()),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_receipt_was_committed_still_means_one_delivery() {
    let world = World::new(Stage::shared().await, "lost").await;
    let (proxy, servers) = two_servers(world.stage, &PATIENT).await;
    for (number, fault) in
        [Fault::DoneButAnswer(504), Fault::DoneButAnswer(500), Fault::DoneThenCut, Fault::Late(Duration::from_secs(3))]
            .into_iter()
            .enumerate()
    {
        let name = format!("lost{number}");
        let token = world.issue("carol", &name, json!({"format": "cert"})).await;
        proxy.fail(move |method, path| is_create_of_receipt(method, path).then_some(fault));
        let answers = join_all((0..16).map(|caller| redeem(&world, &servers[caller % 2], &token))).await;
        assert_eq!(delivered(&answers, &world.leaf.leaf), 1, "{fault:?}");
        assert!(proxy.struck() > 0, "{fault:?}");
        proxy.heal();
        let again = redeem(&world, &servers[0], &token).await;
        assert_eq!((again.status, again.json("error").as_str()), (410, "token_used"), "{fault:?}");
        let (phase, request) = world.wait_finished(&name).await;
        assert_eq!((phase, outcome(&world, &request).await), (Phase::Consumed, Some(Outcome::Delivered)), "{fault:?}");
    }
}

async fn outcome(world: &World<'_>, request: &DownloadRequest) -> Option<Outcome> {
    world.receipt_of(request).await?.status?.outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_refuses_storms_or_stalls_costs_the_caller_a_503_and_not_the_token() {
    let world = World::new(Stage::shared().await, "storm").await;
    let (proxy, servers) = two_servers(world.stage, &["--receipt-timeout", "1s"]).await;
    let token = world.issue("carol", "storm", json!({"format": "cert"})).await;
    let no_receipt = |fault| move |method: &Method, path: &str| is_create_of_receipt(method, path).then_some(fault);
    for fault in [Fault::Refuse(409), Fault::Refuse(504), Fault::Refuse(429), Fault::Cut] {
        proxy.fail(no_receipt(fault));
        let answer = redeem(&world, &servers[0], &token).await;
        assert_eq!((answer.status, answer.json("error").as_str()), (503, "unavailable"), "{fault:?}");
        assert!(!answer.header("retry-after").is_empty() && proxy.struck() > 0, "{fault:?}");
    }
    // Each call takes 3 s: what was read first is then too old to decide on.
    proxy.fail(|_, _| Some(Fault::Late(Duration::from_secs(3))));
    let began = Instant::now();
    let answer = redeem(&world, &servers[0], &token).await;
    assert_eq!((answer.status, answer.json("error").as_str()), (503, "unavailable"), "{}", answer.text());
    assert!(began.elapsed() < Duration::from_secs(9), "the caller waited {:?}", began.elapsed());
    assert!(world.receipts().await.is_empty());
    // One such call alone is waited for. The outcome meets conflicts for a while, and is written again.
    let conflicts = AtomicUsize::new(0);
    proxy.fail(move |method, path| {
        let stormy = method == Method::PUT && path.ends_with("/status") && conflicts.fetch_add(1, Ordering::SeqCst) < 2;
        let stalls = method == Method::GET && path.contains("/secrets/");
        if stormy { Some(Fault::Refuse(409)) } else { stalls.then_some(Fault::Late(Duration::from_secs(3))) }
    });
    let answer = redeem(&world, &servers[1], &token).await;
    assert_eq!((answer.status, answer.text()), (200, world.leaf.leaf.clone()));
    let (_, request) = world.wait_finished("storm").await;
    assert_eq!(outcome(&world, &request).await, Some(Outcome::Delivered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_over_http_whose_answers_are_lost_or_conflict_leaves_one_token_that_works() {
    let world = World::new(Stage::shared().await, "mint").await;
    let (proxy, servers) = two_servers(world.stage, &PATIENT).await;
    let bearer = world.person("carol").await.token;
    let url = format!("{}/api/v1/projects/{}/certificates/api/downloads", servers[0].url, world.namespace);
    let mint = || world.fetch(world.http().post(&url).bearer_auth(bearer.as_str()).body(r#"{"format":"cert"}"#));
    for (number, fault) in [Fault::DoneButAnswer(504), Fault::DoneThenCut, Fault::Refuse(409)].into_iter().enumerate() {
        // The controller writes to the request too, so that conflicts of this test's making must leave room for another.
        let strikes = if fault == Fault::Refuse(409) { 1 } else { 2 };
        let left = AtomicUsize::new(strikes);
        proxy.fail(move |method, path| {
            let write = (method == Method::POST && path.ends_with("/downloadrequests"))
                || (method == Method::PUT && path.contains("/downloadrequests/"));
            // A create that meets a conflict has met another request: that is not this test's.
            let fits = write && (fault != Fault::Refuse(409) || method == Method::PUT);
            (fits && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok())
                .then_some(fault)
        });
        let minted = mint().await;
        assert_eq!(minted.status, 201, "{fault:?}: {}", minted.text());
        assert_eq!(proxy.struck(), strikes, "{fault:?}");
        proxy.heal();
        let requests = world.api::<DownloadRequest>().list(&ListParams::default()).await.unwrap();
        assert_eq!(requests.items.len(), number + 1, "{fault:?}: one mint, one request");
        let answer = redeem(&world, &servers[1], &minted.json("token")).await;
        assert_eq!((answer.status, answer.text()), (200, world.leaf.leaf.clone()), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_between_receipt_and_stream_has_burnt_the_request_and_the_controller_says_unknown() {
    let world = World::new(Stage::shared().await, "killed").await;
    let (proxy, servers) = two_servers(world.stage, &[]).await;
    let token = world.issue("carol", "killed", json!({"format": "fullchain"})).await;
    proxy.fail(|method, path| is_create_of_receipt(method, path).then_some(Fault::DoneAndKept));
    let call = world.http().get(format!("{}/api/v1/downloads/{token}", servers[0].url));
    let caller = tokio::spawn(call.send());
    world.until("the receipt is committed", || async { proxy.struck() == 1 }).await;
    servers[0].program.signal(Signal::Kill);
    assert!(caller.await.unwrap().is_err(), "not a byte came");

    let other = redeem(&world, &servers[1], &token).await;
    assert_eq!((other.status, other.json("error").as_str()), (410, "token_used"), "{}", other.text());
    let (phase, request) = world.wait_finished("killed").await;
    assert_eq!(phase, Phase::Consumed);
    assert_eq!(condition(request.status.as_ref().unwrap(), "Finished"), "True/Unknown");
    let receipt = world.receipt_of(&request).await.unwrap();
    let status = receipt.status.unwrap();
    assert_eq!((status.outcome, status.bytes_sent), (Some(Outcome::Unknown), None));
    // --outcome-wait is 5 s here: not before, since a server might still be sending, and not long after.
    let after = status.finished_at.unwrap().0.duration_since(receipt.spec.consumed_at.0);
    assert!((SignedDuration::from_secs(4)..SignedDuration::from_secs(15)).contains(&after), "{after}");
    assert_eq!(redeem(&world, &servers[1], &token).await.json("error"), "token_used");
}

/// Tokens that are redeemed while the API server dies.
const TOKENS: usize = 40;
/// Callers for each of them.
const CALLERS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn through_conflicts_lost_answers_and_the_death_of_the_api_server_each_token_delivers_at_most_once() {
    let stage = Stage::own(Settings { faults: true, ..Settings::default() }).await;
    let (world, proxy) = (World::new(&stage, "death").await, stage.faults.clone().unwrap());
    minted_in_a_storm(&world, &proxy).await;

    let names: Vec<String> = (0..TOKENS).map(|number| format!("d{number}")).collect();
    let tokens: Vec<String> = stream::iter(&names)
        .map(|name| world.issue("carol", name, json!({"format": "cert"})))
        .buffered(8)
        .collect()
        .await;
    let deliveries: BTreeMap<usize, AtomicUsize> = (0..TOKENS).map(|token| (token, AtomicUsize::new(0))).collect();
    let answered = AtomicUsize::new(0);
    let calling = stream::iter(0..TOKENS * CALLERS).for_each_concurrent(12, |call| {
        let token = call % TOKENS;
        let (world, tokens, deliveries, answered) = (&world, &tokens, &deliveries, &answered);
        async move {
            insist(world, call % 2, &tokens[token], &deliveries[&token]).await;
            answered.fetch_add(1, Ordering::SeqCst);
        }
    });
    let dying = async {
        world.until("redemption has begun", || async { answered.load(Ordering::SeqCst) >= 10 }).await;
        stage.plane.kill_apiserver().await.unwrap();
        stage.plane.start_apiserver().await.unwrap();
    };
    tokio::join!(calling, dying);

    for (number, name) in names.iter().enumerate() {
        let (phase, request) = world.wait_finished(name).await;
        assert_eq!(phase, Phase::Consumed, "{name}");
        let outcome = outcome(&world, &request).await.unwrap();
        let delivered = deliveries[&number].load(Ordering::SeqCst);
        assert!(delivered <= 1, "{name}: {delivered} deliveries");
        assert!(delivered == 1 || outcome != Outcome::Delivered, "{name}: delivered to nobody");
    }
    let delivered: usize = deliveries.values().map(|count| count.load(Ordering::SeqCst)).sum();
    assert!(delivered >= TOKENS - 12, "only those under way when it died may be lost, not {}", TOKENS - delivered);
}

/// Presents a token until it is known to be used. 503 means: try again.
async fn insist(world: &World<'_>, server: usize, token: &str, deliveries: &AtomicUsize) {
    let present = async || {
        let answer = world.redeem_at(server, token).await;
        match answer.status {
            200 => {
                assert_eq!(answer.text(), world.leaf.leaf);
                deliveries.fetch_add(1, Ordering::SeqCst);
            }
            410 => assert_eq!(answer.json("error"), "token_used"),
            503 => return Err(answer.text()),
            other => panic!("{other}: {}", answer.text()),
        }
        Ok(())
    };
    let wait = Wait::at_most(Duration::from_mins(1)).every(Duration::from_millis(200));
    wait.until("the token is known to be used", present).await;
}

/// Requests are minted although the controller's writes conflict, lose their answers and are cut off, and each has one
/// token that works.
async fn minted_in_a_storm(world: &World<'_>, proxy: &FaultProxy) {
    let writes = Arc::new(AtomicUsize::new(0));
    proxy.fail(move |method, path| {
        let write = (method == Method::PUT && path.contains("/downloadrequests/"))
            || (method == Method::POST && path.ends_with("/secrets"));
        if !write {
            return None;
        }
        // Five of six writes fail, in five ways, until it is enough.
        match writes.fetch_add(1, Ordering::SeqCst) {
            40.. => None,
            number => {
                [Fault::Refuse(409), Fault::DoneButAnswer(504), Fault::DoneThenCut, Fault::Cut, Fault::Refuse(503)]
                    .get(number % 6)
                    .copied()
            }
        }
    });
    let requests: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    join_all(requests.iter().map(|name| world.request("carol", name, json!({"format": "cert"})))).await;
    for name in &requests {
        let request = world.wait_for_phase(name, Phase::TokenIssued).await;
        let secret = world.api::<Secret>().get(&names::token_secret(name)).await.unwrap();
        let label = &secret.metadata.labels.unwrap()["certcourier.io/token"];
        assert_eq!(*label, request.status.unwrap().token.unwrap().generation.to_string(), "{name}");
    }
    assert!(proxy.struck() >= 20, "{}", proxy.struck());
    proxy.heal();
    for name in &requests {
        let token = world.token_part("carol", name, "token").await.unwrap();
        assert_eq!(world.redeem(&token).await.status, 200, "{name}");
        assert_eq!(world.redeem(&token).await.json("error"), "token_used", "{name}");
    }
}
