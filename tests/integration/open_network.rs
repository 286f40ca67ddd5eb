//! What strangers on the network may try against a server in a process of its own.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use certcourier::server::open_files;
use futures::{StreamExt as _, future::join_all, stream};
use serde_json::json;
use test_support::{
    stage::{PATIENT, Stage},
    world::World,
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_at_once_over_each_version_of_http_get_one_file_between_them() {
    let world = World::new(Stage::shared().await, "versions").await;
    let flags = [&PATIENT[..], &["--max-http2-streams", "128"]].concat();
    let server = world.stage.another_server(None, &flags).await;
    let root = || reqwest::Certificate::from_pem(world.stage.pki.root().as_bytes()).unwrap();
    let builder = || reqwest::Client::builder().no_proxy().tls_certs_only([root()]).timeout(Duration::from_mins(1));
    // With prior knowledge there is one connection to a host, and a hundred streams on it.
    let clients = [
        (reqwest::Version::HTTP_2, builder().http2_prior_knowledge().build().unwrap()),
        (reqwest::Version::HTTP_11, builder().http1_only().build().unwrap()),
    ];
    for (version, client) in clients {
        let name = format!("{version:?}").to_lowercase().replace(['/', '.'], "-");
        let token = world.issue("carol", &name, json!({"format": "fullchain"})).await;
        let url = format!("{}/api/v1/downloads/{token}", server.url);
        let answers = join_all((0..100).map(|_| async {
            let answer = client.get(&url).send().await.unwrap();
            assert_eq!(answer.version(), version);
            (answer.status().as_u16(), answer.text().await.unwrap())
        }))
        .await;
        let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
        for (status, text) in &answers {
            *seen.entry(*status).or_default() += 1;
            let expected = if *status == 200 { &world.leaf.chain() } else { "\"token_used\"" };
            assert!(text.contains(expected), "{status}: {text}");
        }
        assert_eq!(seen, BTreeMap::from([(200, 1), (410, 99)]), "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_silent_clients_keep_nobody_out_where_files_may_be_open_in_small_number() {
    // The test itself holds the other ends.
    assert!(open_files::places(2500) >= 2500, "raise the limit of open files for this test: ulimit -n 4096");
    let world = World::new(Stage::shared().await, "silent").await;
    let token = world.issue("carol", "silent", json!({"format": "cert"})).await;
    // As containers often start: 1,024 files, though more connections than that are allowed.
    let flags = ["--max-connections", "4096", "--header-timeout", "300s", "--tls-handshake-timeout", "300s"];
    let server = world.stage.another_server_in(Some("ulimit -n 1024"), None, &flags).await;
    server.program.start_and_wait().await;
    let address: SocketAddr = server.url.trim_start_matches("https://").parse().unwrap();
    let mut silent: Vec<TcpStream> =
        stream::iter(0..2000).map(|_| TcpStream::connect(address)).buffered(64).map(Result::unwrap).collect().await;
    let url = format!("{}/api/v1/downloads/{token}", server.url);
    let answer = world.fetch(world.http().get(&url).timeout(Duration::from_secs(5))).await;
    assert_eq!((answer.status, answer.text()), (200, world.leaf.leaf.clone()));
    // The oldest gave way for the newest; none of it was an error.
    assert_eq!(silent[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
    let log = server.program.output();
    assert!(log.contains("exceeds the limit of open files"), "{log}");
    assert!(!log.contains("no connection can be accepted"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_of_no_use_to_whoever_finds_it() {
    let world = World::new(Stage::shared().await, "bound").await;
    world.policy("bound", json!({"token": {"bindToRequester": true}})).await;
    let token = world.issue("carol", "bound", json!({"format": "cert"})).await;
    let url = format!("{}/api/v1/downloads/{token}", world.stage.urls[0]);
    let with = async |bearer: Option<&str>| {
        let request = world.http().get(&url);
        world
            .fetch(match bearer {
                Some(bearer) => request.bearer_auth(bearer),
                None => request,
            })
            .await
    };
    let (alice, carol) = (world.person("alice").await.token, world.person("carol").await.token);
    for (bearer, status, code) in
        [(None, 401, "unauthorized"), (Some("nonsense"), 401, "unauthorized"), (Some(alice.as_str()), 403, "forbidden")]
    {
        let answer = with(bearer).await;
        assert_eq!((answer.status, answer.json("error").as_str()), (status, code), "{}", answer.text());
        assert_eq!(answer.header("www-authenticate").is_empty(), status != 401);
    }
    assert!(world.receipts().await.is_empty(), "the refusals used nothing up");
    assert_eq!(with(Some(carol.as_str())).await.status, 200);
    let request = world.get("bound").await;
    let receipt = world.receipt_of(&request).await.unwrap();
    assert_eq!(receipt.spec.consumed_by.unwrap().username, "carol");
}
