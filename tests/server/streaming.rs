//! The file on its way, over real sockets: taken, not taken, broken off, and while the server ends.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use certcourier::{
    server::{args::ConnectionLimits, connection::Peer, listener},
    token::Token,
};
use futures::future::join_all;
use http_body::Body as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::net::SocketAddr;
use test_support::waiting::until;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    certificates::large_leaf,
    stage::{Answer, CERTIFICATE, NAMESPACE, PATIENT, PKI, REQUEST, SECRET, Stage, args, get, path, secret, token},
};

/// A router behind a real listener.
struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<listener::Drained>,
}

fn listen(app: Router, limits: ConnectionLimits) -> Listening {
    let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let ended = tokio::spawn(listener::serve(listener, None, app, limits, stop.clone()));
    Listening { address, stop, ended }
}

/// A stage whose file is larger than what the way to a client holds.
async fn large_stage(flags: &[&str]) -> Stage {
    // An unoptimised build takes its time over so many bytes.
    let stage = Stage::with_flags("der-zip", &[&PATIENT, flags].concat()).await;
    let large = large_leaf(400_000);
    stage.api.put(SECRET, secret(&large.leaf, &large.key, &large.root));
    let environments: Vec<_> =
        (0..4).map(|number| json!({"name": format!("e{number}"), "secretRef": {"name": "api-tls"}})).collect();
    stage.api.edit(CERTIFICATE, |certificate| certificate["spec"]["environments"] = json!(environments));
    stage
}

async fn connect_and_ask(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET /api/v1/downloads/{} HTTP/1.1\r\nhost: test\r\n\r\n", token().expose());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_off_and_its_delivery_is_aborted() {
    let stage = large_stage(&["--stream-timeout", "1s"]).await;
    let listening = listen(stage.app.clone(), args(&[]).connections);
    let mut stream = connect_and_ask(listening.address).await;
    let mut first = [0; 1024];
    stream.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200 OK\r\n"));

    let outcome = stage.outcome().await;
    assert_eq!(outcome["outcome"], "Aborted");
    let (sent, total) = (
        outcome["bytesSent"].as_i64().unwrap(),
        stage.receipt().unwrap()["spec"]["artifact"]["bytes"].as_i64().unwrap(),
    );
    assert!(sent > 0 && sent < total, "{sent} of {total}");
    // The connection is closed, so the rest never comes.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(i64::try_from(rest.len()).unwrap() < total, "{} of {total}", rest.len());
    stage.download().await.assert_refused(410, "token_used", "Aborted");
}

#[tokio::test]
async fn a_hundred_streams_of_one_connection_race_for_one_file() {
    let stage = Stage::with_flags("fullchain", &PATIENT).await;
    let listening = listen(stage.app.clone(), args(&["--max-http2-streams", "128"]).connections);
    let stream = TokioIo::new(TcpStream::connect(listening.address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let racing = (0..100).map(|_| {
        let mut sender = sender.clone();
        async move {
            sender.ready().await.unwrap();
            let url = format!("http://test/api/v1/downloads/{}", token().expose());
            let answer = sender.send_request(Request::get(url).body(String::new()).unwrap()).await.unwrap();
            Answer::read(answer.map(Body::new)).await
        }
    });
    let (delivered, refused): (Vec<_>, Vec<_>) =
        join_all(racing).await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((delivered.len(), refused.len()), (1, 99));
    assert_eq!(delivered[0].body, PKI.leaf.as_bytes());
    for answer in refused {
        answer.assert_refused(410, "token_used", "already used");
    }
    assert_eq!(stage.outcome().await["outcome"], "Delivered");
}

#[tokio::test]
async fn an_http2_client_that_takes_no_more_is_aborted_too() {
    let stage = large_stage(&["--stream-timeout", "1s"]).await;
    let listening = listen(stage.app.clone(), args(&[]).connections);
    let stream = TokioIo::new(TcpStream::connect(listening.address).await.unwrap());
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = client.initial_stream_window_size(16 * 1024).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let url = format!("http://test/api/v1/downloads/{}", token().expose());
    let answer = sender.send_request(Request::get(url).body(String::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    // The stream's window is full, and nobody opens it.
    let outcome = stage.outcome().await;
    assert_eq!(outcome["outcome"], "Aborted");
    let (sent, total) = (
        outcome["bytesSent"].as_u64().unwrap(),
        stage.receipt().unwrap()["spec"]["artifact"]["bytes"].as_u64().unwrap(),
    );
    assert!(sent > 0 && sent < total / 2, "{sent} of {total}");
    assert!(to_bytes(Body::new(answer.into_body()), 1 << 26).await.is_err(), "the rest never comes");
}

#[tokio::test]
async fn a_client_that_goes_away_has_an_aborted_delivery() {
    let stage = large_stage(&[]).await;
    let listening = listen(stage.app.clone(), args(&[]).connections);
    let mut stream = connect_and_ask(listening.address).await;
    stream.read_exact(&mut [0; 1024]).await.unwrap();
    drop(stream);
    assert_eq!(stage.outcome().await["outcome"], "Aborted");
}

#[tokio::test]
async fn an_answer_whose_body_nobody_reads_is_aborted_with_nothing_sent() {
    let stage = Stage::of_format("cert").await;
    let answer = stage.app.clone().oneshot(get(&token())).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.body().is_end_stream());
    drop(answer);
    let outcome = stage.outcome().await;
    assert_eq!((&outcome["outcome"], &outcome["bytesSent"]), (&json!("Aborted"), &json!(0)));
}

#[tokio::test]
async fn a_client_that_leaves_while_its_receipt_is_created_leaves_no_receipt_without_outcome() {
    use super::fake_api::Fault;

    let stage = Stage::of_format("cert").await;
    stage.api.fail(|method, path| {
        (method == "POST" && path.ends_with("downloadreceipts")).then_some(Fault::Late(Duration::from_millis(300)))
    });
    let asking = tokio::spawn(stage.app.clone().oneshot(get(&token())));
    let api = stage.api.clone();
    let mut seen = Vec::new();
    until("the receipt is being created", async || {
        seen.extend(api.take_log());
        seen.iter().any(|call| call.starts_with("POST") && call.ends_with("downloadreceipts"))
    })
    .await;
    asking.abort();
    assert_eq!(stage.outcome().await["outcome"], "Aborted");
}

#[tokio::test]
async fn downloads_under_way_are_finished_before_the_server_ends() {
    let stage = large_stage(&[]).await;
    let listening = listen(stage.app.clone(), args(&[]).connections);
    let mut stream = connect_and_ask(listening.address).await;
    stream.read_exact(&mut [0; 1024]).await.unwrap();
    listening.stop.cancel();
    until("nobody listens any more", async || std::net::TcpStream::connect(listening.address).is_err()).await;
    let total = usize::try_from(stage.receipt().unwrap()["spec"]["artifact"]["bytes"].as_u64().unwrap()).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > total - 1024, "{} of {total}", rest.len());
    assert_eq!(listening.ended.await.unwrap().cut, 0);
    assert_eq!(stage.outcome().await["outcome"], "Delivered");
}

#[tokio::test]
async fn what_is_not_finished_within_the_drain_is_cut_and_recorded() {
    let stage = large_stage(&[]).await;
    let listening = listen(stage.app.clone(), args(&["--drain", "1s"]).connections);
    let mut stream = connect_and_ask(listening.address).await;
    stream.read_exact(&mut [0; 1024]).await.unwrap();
    listening.stop.cancel();
    assert_eq!(listening.ended.await.unwrap().cut, 1);
    assert_eq!(stage.outcome().await["outcome"], "Aborted");
}

#[tokio::test]
async fn more_downloads_than_there_are_places_wait_outside() {
    let stage = large_stage(&["--max-deliveries", "1"]).await;
    let first = stage.app.clone().oneshot(get(&token())).await.unwrap();
    assert_eq!(first.status(), 200);
    // The same token again: it is refused for the lack of a place before anybody looks whether it was used.
    stage.download().await.assert_refused(503, "unavailable", "too many downloads");
    drop(first);
    assert_eq!(stage.outcome().await["outcome"], "Aborted");
    stage.download().await.assert_refused(410, "token_used", "Aborted");
}

#[tokio::test]
async fn a_file_that_does_not_move_is_given_up_long_before_its_time() {
    let stage = large_stage(&["--stall-timeout", "1s"]).await;
    let listening = listen(stage.app.clone(), args(&[]).connections);
    let mut stream = connect_and_ask(listening.address).await;
    stream.read_exact(&mut [0; 1024]).await.unwrap();
    // `outcome` waits 15 s; --stream-timeout is 45 s.
    assert_eq!(stage.outcome().await["outcome"], "Aborted");
    stage.download().await.assert_refused(410, "token_used", "Aborted");
}

#[tokio::test]
async fn one_person_or_address_cannot_hold_all_places_of_downloads() {
    let stage = large_stage(&["--max-deliveries", "16", "--max-deliveries-each", "2"]).await;
    let of = |requester: &str, name: &str| {
        let token = Token::mint(NAMESPACE, name, &[7; 32]);
        let mut request = stage.api.get(REQUEST).unwrap();
        request["metadata"]["name"] = json!(name);
        request["metadata"]["uid"] = json!(format!("uid-of-{name}"));
        request["spec"]["requestedBy"]["username"] = json!(requester);
        request["status"]["token"]["hash"] = json!(token.hash());
        stage.api.put(&path("downloadrequests", name), request);
        token
    };
    let ask = |token: &Token, address: u8| {
        let mut request = get(token);
        request.extensions_mut().insert(Peer(([203, 0, 113, address], 4711).into()));
        stage.app.clone().oneshot(request)
    };
    // Nobody reads these.
    let first = ask(&of("carol", "first"), 1).await.unwrap();
    let second = ask(&of("carol", "second"), 2).await.unwrap();
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    // Her third waits, from whatever address.
    let third = of("carol", "third");
    let refused = Answer::read(ask(&third, 3).await.unwrap()).await;
    refused.assert_refused(503, "unavailable", "for this requester");
    assert!(stage.metrics.text().contains("certcourier_rate_limited_total{tier=\"deliveries\"} 1"));
    // Others do not, until their address has its share.
    let (alice, dave) = (ask(&of("alice", "fourth"), 1).await.unwrap(), ask(&of("dave", "fifth"), 1).await.unwrap());
    assert_eq!((alice.status().as_u16(), dave.status().as_u16()), (200, 503));
    drop(first);
    assert_eq!(ask(&third, 3).await.unwrap().status(), 200, "nothing was used up");
    drop((second, alice));
}
