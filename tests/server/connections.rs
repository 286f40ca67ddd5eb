//! The listener on real sockets: slow, silent, many and broken clients, and a certificate that changes.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request, routing::get};
use bytes::Bytes;
use certcourier::server::{
    args::ConnectionLimits,
    connection::Peer,
    listener,
    net::tls::{CertificateFiles, ServingCertificate},
};
use futures::stream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use test_support::{pki::Leaf, waiting::until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{certificates::leaf, stage::args};

/// Long enough for a slow machine, far shorter than any default limit would be.
const PATIENCE: Duration = Duration::from_secs(8);

/// The flags as given; all clients of these tests have one address.
fn limits(flags: &[&str]) -> ConnectionLimits {
    args(&[flags, &["--max-connections-per-address", "100000", "--rate-connections", "100000"]].concat()).connections
}

/// `/` answers at once, `/slow` when it is released, `/endless` never ends.
fn app(release: &Arc<Semaphore>) -> Router {
    let release = Arc::clone(release);
    let slow = async move || {
        release.acquire().await.unwrap().forget();
        "released"
    };
    let endless =
        async || Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 16_384]))));
    let peer = async |axum::Extension(Peer(peer)): axum::Extension<Peer>| peer.ip().to_string();
    Router::new().route("/", get(peer)).route("/slow", get(slow)).route("/endless", get(endless))
}

struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
    release: Arc<Semaphore>,
    ended: tokio::task::JoinHandle<listener::Drained>,
}

fn listen(limits: ConnectionLimits, tls: Option<Arc<ServerConfig>>) -> Listening {
    let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (address, stop, release) =
        (listener.local_addr().unwrap(), CancellationToken::new(), Arc::new(Semaphore::new(0)));
    let ended = tokio::spawn(listener::serve(listener, tls, app(&release), limits, stop.clone()));
    Listening { address, stop, release, ended }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// What one request on a connection of its own is answered.
async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address).await;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

/// After how long the server closes a connection that goes on saying this, a byte each 200 ms.
async fn closed_after(mut stream: TcpStream, says: &[u8]) -> Duration {
    let began = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let talking = async {
        for byte in says.iter().cycle() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let listening = async {
        let mut buffer = [0; 1024];
        while let Ok(read) = reader.read(&mut buffer).await
            && read > 0
        {}
    };
    let closed = tokio::time::timeout(PATIENCE, async {
        if says.is_empty() {
            listening.await;
        } else {
            tokio::select! { () = talking => {}, () = listening => {} }
        }
    });
    closed.await.expect("the server never closed the connection");
    began.elapsed()
}

#[tokio::test]
async fn a_client_that_says_nothing_or_says_it_slowly_is_cut_off_while_others_are_served() {
    let listening = listen(limits(&["--header-timeout", "1s"]), None);
    let silent = tokio::spawn(closed_after(connect(listening.address).await, b""));
    let slow =
        tokio::spawn(closed_after(connect(listening.address).await, b"GET / HTTP/1.1\r\nx: aaaaaaaaaaaaaaaaaaaa"));
    let slow_http2 = tokio::spawn(closed_after(connect(listening.address).await, b"PRI * HTTP/2.0\r\n\r\n"));
    assert!(ask(listening.address, "/").await.ends_with("127.0.0.1"));
    for cut in [silent, slow, slow_http2] {
        let after = cut.await.unwrap();
        assert!(after >= Duration::from_secs(1) && after < Duration::from_secs(4), "{after:?}");
    }
}

#[tokio::test]
async fn between_two_requests_a_connection_may_idle_and_is_then_closed() {
    let listening = listen(limits(&["--header-timeout", "1s", "--idle-timeout", "2s"]), None);
    let mut stream = connect(listening.address).await;
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        let mut answer = [0; 64];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        tokio::time::sleep(Duration::from_millis(1300)).await;
    }
    let after = closed_after(stream, b"").await;
    assert!(after < Duration::from_secs(3), "{after:?}");
}

#[tokio::test]
async fn a_later_header_may_not_be_dawdled_over() {
    let listening = listen(limits(&["--header-timeout", "1s", "--idle-timeout", "60s"]), None);
    let mut stream = connect(listening.address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    let after = closed_after(stream, b"GET / HTTP/1.1\r\nx: aaaaaaaaaaaaaaaaaaaa").await;
    assert!(after < Duration::from_secs(4), "{after:?}");
}

#[tokio::test]
async fn an_answer_that_is_never_taken_is_given_up() {
    let listening = listen(limits(&["--request-timeout", "1s"]), None);
    let mut stream = connect(listening.address).await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut taken = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut taken)).await;
    assert!(ended.is_ok(), "still sending after {} bytes", taken.len());
}

#[tokio::test]
async fn silent_clients_cannot_keep_others_out() {
    let listening = listen(limits(&["--max-connections", "16"]), None);
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(listening.address).await);
    }
    for _ in 0..20 {
        assert!(ask(listening.address, "/").await.ends_with("127.0.0.1"));
    }
    // The oldest have given way.
    assert_eq!(silent[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_connection_that_is_being_answered_does_not_give_way() {
    let listening = listen(limits(&["--max-connections", "2"]), None);
    let busy: Vec<_> = (0..2).map(|_| tokio::spawn(async move { ask(listening.address, "/slow").await })).collect();
    // Both have begun when nobody else gets in any more.
    until("a third connection is refused", async || ask(listening.address, "/").await.is_empty()).await;
    listening.release.add_permits(2);
    for answer in busy {
        assert!(answer.await.unwrap().ends_with("released"));
    }
    assert!(ask(listening.address, "/").await.ends_with("127.0.0.1"));
}

#[tokio::test]
async fn a_header_far_beyond_the_limit_is_refused_without_being_kept() {
    let listening = listen(limits(&[]), None);
    let mut stream = connect(listening.address).await;
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(1 << 20)).as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    // The rest of what was sent may reset the connection before the answer is read.
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    assert!(ask(listening.address, "/").await.ends_with("127.0.0.1"));
}

#[tokio::test]
async fn running_requests_are_finished_and_new_connections_refused_when_the_server_ends() {
    let listening = listen(limits(&[]), None);
    let address = listening.address;
    let mut idle = connect(address).await;
    let running = tokio::spawn(async move { ask(address, "/slow").await });
    // A second request that gets through tells that the first has been accepted.
    assert!(ask(address, "/").await.ends_with("127.0.0.1"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    listening.stop.cancel();
    until("nobody listens any more", async || std::net::TcpStream::connect(address).is_err()).await;
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0, "an idle connection is closed at once");
    listening.release.add_permits(1);
    assert!(running.await.unwrap().ends_with("released"));
    assert_eq!(listening.ended.await.unwrap(), listener::Drained { cut: 0 });
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let listening = listen(limits(&["--drain", "1s"]), None);
    let mut stream = connect(listening.address).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    listening.stop.cancel();
    assert_eq!(listening.ended.await.unwrap(), listener::Drained { cut: 1 });
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

// TLS

struct Served {
    directory: tempfile::TempDir,
    pki: Leaf,
}

impl Served {
    fn new() -> Self {
        let served = Self { directory: tempfile::tempdir().unwrap(), pki: leaf("localhost") };
        write(served.directory.path(), &served.pki.leaf, &served.pki.key);
        served
    }

    async fn certificate(&self) -> ServingCertificate {
        ServingCertificate::load(CertificateFiles {
            certificate: self.directory.path().join("tls.crt"),
            key: self.directory.path().join("tls.key"),
        })
        .await
        .unwrap()
    }
}

fn write(directory: &Path, certificate: &str, key: &str) {
    std::fs::write(directory.join("tls.crt"), certificate).unwrap();
    std::fs::write(directory.join("tls.key"), key).unwrap();
}

async fn shake_hands(address: SocketAddr, trusted: &Leaf, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.root.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::try_from("localhost").unwrap(), connect(address).await).await
}

async fn ask_over(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_is_cut_off() {
    let served = Served::new();
    let tls = served.certificate().await.server_config().unwrap();
    let listening = listen(limits(&["--tls-handshake-timeout", "1s"]), Some(tls));
    for says in [&b""[..], b"\x16\x03\x01"] {
        let after = closed_after(connect(listening.address).await, says).await;
        assert!(after < Duration::from_secs(4), "{after:?}");
    }
    let mut stream = shake_hands(listening.address, &served.pki, &[]).await.unwrap();
    assert!(ask_over(&mut stream).await.ends_with("127.0.0.1"));
}

#[tokio::test]
async fn plain_http_on_a_port_with_tls_is_told_so_and_cut_off() {
    let served = Served::new();
    let tls = served.certificate().await.server_config().unwrap();
    let listening = listen(limits(&["--tls-handshake-timeout", "1s"]), Some(tls));
    for path in ["/", "/api/v1/downloads/ccd_canary"] {
        let answer = ask(listening.address, path).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n") && !answer.contains("canary"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthis port speaks HTTPS: use https://…\n"), "{answer}");
    }
    // The first byte is enough for the answer, and more bytes do not prolong the rest.
    let after = closed_after(connect(listening.address).await, b"G").await;
    assert!(after < Duration::from_secs(4), "{after:?}");
    let mut stream = shake_hands(listening.address, &served.pki, &[]).await.unwrap();
    assert!(ask_over(&mut stream).await.ends_with("127.0.0.1"));
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_a_broken_one_changes_nothing() {
    let served = Served::new();
    let certificate = served.certificate().await;
    let listening = listen(limits(&[]), Some(certificate.server_config().unwrap()));
    tokio::spawn(certificate.keep_fresh(Duration::from_millis(20)));
    let mut old = shake_hands(listening.address, &served.pki, &[]).await.unwrap();

    let (renewed, other) = (leaf("localhost"), leaf("localhost"));
    write(served.directory.path(), &renewed.leaf, &renewed.key);
    let shake = async |leaf: &Leaf| shake_hands(listening.address, leaf, &[]).await.map(drop);
    until("the new certificate is served", async || shake(&renewed).await).await;
    shake_hands(listening.address, &served.pki, &[]).await.unwrap_err();
    assert!(ask_over(&mut old).await.ends_with("127.0.0.1"), "the old connection lives on");

    for (broken_certificate, broken_key) in
        [(other.leaf.as_str(), renewed.key.as_str()), ("", renewed.key.as_str()), (other.leaf.as_str(), "no key")]
    {
        write(served.directory.path(), broken_certificate, broken_key);
        // Several looks later it is still the same.
        tokio::time::sleep(Duration::from_millis(200)).await;
        shake_hands(listening.address, &renewed, &[]).await.unwrap();
    }
    std::fs::remove_file(served.directory.path().join("tls.key")).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    shake_hands(listening.address, &renewed, &[]).await.unwrap();
    write(served.directory.path(), &other.leaf, &other.key);
    until("the repaired certificate is served", async || shake(&other).await).await;
}

#[tokio::test]
async fn files_that_cannot_be_served_stop_the_start_with_their_name() {
    let (served, other) = (Served::new(), leaf("localhost"));
    let directory = served.directory.path().to_owned();
    let files = CertificateFiles { certificate: directory.join("tls.crt"), key: directory.join("tls.key") };
    for (certificate, key, words) in [
        (served.pki.leaf.as_str(), other.key.as_str(), "tls.key does not belong"),
        ("garbage", served.pki.key.as_str(), "tls.crt holds no PEM certificate"),
        (served.pki.leaf.as_str(), "garbage", "tls.key holds no PEM private key"),
    ] {
        write(&directory, certificate, key);
        let error = ServingCertificate::load(files.clone()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    std::fs::remove_file(&files.certificate).unwrap();
    assert!(ServingCertificate::load(files).await.unwrap_err().to_string().contains("cannot read"));
}

#[tokio::test]
async fn http2_is_spoken_and_its_streams_are_limited_in_number() {
    let served = Served::new();
    let tls = served.certificate().await.server_config().unwrap();
    let listening = listen(limits(&["--max-http2-streams", "4"]), Some(tls));
    let stream = shake_hands(listening.address, &served.pki, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = |path: &'static str| {
        let mut sender = sender.clone();
        tokio::spawn(async move {
            sender.ready().await.unwrap();
            sender.send_request(Request::get(format!("https://localhost{path}")).body(String::new()).unwrap()).await
        })
    };
    assert_eq!(ask("/").await.unwrap().unwrap().status(), 200);
    let busy: Vec<_> = (0..8).map(|_| ask("/slow")).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(busy.iter().all(|stream| !stream.is_finished()));
    listening.release.add_permits(8);
    for answer in busy {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200, "those beyond the limit wait for their turn");
    }
}
