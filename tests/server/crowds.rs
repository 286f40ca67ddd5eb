//! One address with many connections: it has its own crowd only, whatever its connections do.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, routing::get};
use certcourier::{
    metrics::{self, Endpoint, Metrics},
    net::counters::Why,
    server::{args::ConnectionLimits, listener},
};
use test_support::waiting::{Wait, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::stage::args;

const HOSTILE: &str = "127.0.0.9";
const HONEST: &str = "127.0.0.2";

/// Preface, SETTINGS with `INITIAL_WINDOW_SIZE` 0, and HEADERS of stream 1 that end it: a GET (RFC 9113, 7541).
const ASK_WITHOUT_WINDOW: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\
    \x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x01x";
const SLOW_BODY: &[u8] = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n";
const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// A server that greets, and waits for bodies; its counters are in the limits.
fn listen(flags: &[&str]) -> (SocketAddr, ConnectionLimits) {
    let app = Router::new()
        .route("/", get(async || "welcome"))
        .route("/body", axum::routing::post(async |body: Bytes| body.len().to_string()));
    let limits = args(flags).connections;
    let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(listener::serve(listener, None, app, limits.clone(), CancellationToken::new()));
    (address, limits)
}

/// A connection from this address that has said this.
async fn says(from: &str, server: SocketAddr, words: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    // A server that turns the connection away need not listen.
    let _ = stream.write_all(words).await;
    stream
}

/// All that the server answers until it closes.
async fn heard(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// So many connections of the hostile address whose body the server waits for.
async fn without_body(server: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let mut slow = Vec::new();
    for _ in 0..connections {
        let mut stream = says(HOSTILE, server, SLOW_BODY).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100");
        slow.push(stream);
    }
    slow
}

async fn is_welcome(from: &str, server: SocketAddr) -> bool {
    heard(says(from, server, ASK).await).await.ends_with("welcome")
}

#[tokio::test]
async fn clients_that_take_no_answer_keep_nobody_out() {
    // As many as there are in all, and most of them of one address.
    let flags = ["--max-connections", "16", "--max-connections-per-address", "12", "--rate-connections", "100000"];
    let (server, limits) = listen(&flags);
    let mut untaken = Vec::new();
    // Until all of them are being answered: then none of its own gives way.
    while limits.counters.counted(Why::address) == 0 {
        assert!(untaken.len() < 400, "it always gets another place");
        untaken.push(says(HOSTILE, server, ASK_WITHOUT_WINDOW).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(is_welcome(HONEST, server).await, "others have places of their own");
    // Its own colleague gets in when its answers have not moved for a moment, long before any limit in time.
    let wait = Wait::at_most(Duration::from_secs(5)).every(Duration::from_millis(50));
    wait.until("a colleague is served", async || is_welcome(HOSTILE, server).await).await;
    assert!(limits.counters.counted(Why::evicted) > 0);
}

#[tokio::test]
async fn an_answer_that_is_not_taken_costs_its_connection_in_seconds() {
    let (server, limits) = listen(&["--answer-timeout", "1s"]);
    let stream = says(HONEST, server, ASK_WITHOUT_WINDOW).await;
    let ended = tokio::time::timeout(Duration::from_secs(8), heard(stream)).await;
    assert!(ended.is_ok(), "it is open still");
    assert_eq!(limits.counters.counted(Why::stalled), 1);
}

#[tokio::test]
async fn clients_that_do_not_send_their_body_give_way() {
    let (server, _) = listen(&["--max-connections-per-address", "4"]);
    let _slow = without_body(server, 4).await;
    // Shorter than any limit in time.
    let wait = Wait::at_most(Duration::from_secs(5)).every(Duration::from_millis(50));
    wait.until("they give way", async || is_welcome(HOSTILE, server).await).await;
}

#[tokio::test]
async fn an_address_has_so_many_requests_on_all_its_connections_and_is_told_so_without_a_body() {
    let (server, _) = listen(&["--max-streams-per-address", "4"]);
    let _slow = without_body(server, 4).await;
    let answer = heard(says(HOSTILE, server, ASK).await).await;
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: 1"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
    assert!(is_welcome(HONEST, server).await);
}

#[tokio::test]
async fn connections_beyond_the_rate_of_an_address_are_closed_unheard() {
    let (server, limits) = listen(&["--rate-connections", "1", "--max-connections-per-address", "4"]);
    let mut welcome = 0;
    for _ in 0..20 {
        welcome += usize::from(is_welcome(HOSTILE, server).await);
    }
    assert!((4..10).contains(&welcome), "{welcome}");
    assert!(limits.counters.counted(Why::rate) > 10);
    assert!(is_welcome(HONEST, server).await);
}

#[tokio::test]
async fn a_trusted_proxy_may_have_all_connections_there_are() {
    let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = listener.local_addr().unwrap();
    let mut limits = args(&["--max-connections-per-address", "2", "--rate-connections", "1"]).connections;
    limits.exempt = vec!["127.0.0.9".parse().unwrap()];
    let app = Router::new().route("/", get(async || "welcome"));
    tokio::spawn(listener::serve(listener, None, app, limits.clone(), CancellationToken::new()));
    let mut proxied = Vec::new();
    for _ in 0..20 {
        proxied.push(says(HOSTILE, server, b"").await);
    }
    for mut stream in proxied {
        stream.write_all(ASK).await.unwrap();
        assert!(heard(stream).await.ends_with("welcome"));
    }
    assert_eq!((limits.counters.counted(Why::rate), limits.counters.counted(Why::evicted)), (0, 0));
}

#[tokio::test]
async fn the_port_of_the_probes_has_limits_of_its_own() {
    let nothing = || Arc::new(Vec::new) as metrics::Readiness;
    let endpoint = Endpoint { metrics: Metrics::new("server"), readiness: nothing(), remarks: nothing() };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    tokio::spawn(metrics::serve(free, endpoint, CancellationToken::new()));
    until("it listens", async || std::net::TcpStream::connect(free).is_ok()).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(says(HOSTILE, free, b"").await);
    }
    // Most were closed for the newer ones; without that they would stay for ever.
    let mut open = idle.len();
    for stream in &mut idle {
        let ended = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut [0; 1])).await;
        open -= usize::from(ended.is_ok());
    }
    assert!(open <= 64, "{open} are open");
    let probe = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(heard(says(HONEST, free, probe).await).await.ends_with("ready\n"));
    // And none of them stays.
    let closing = async {
        for stream in &mut idle {
            let _ = stream.read(&mut [0; 1]).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(15), closing).await.is_ok());
}
