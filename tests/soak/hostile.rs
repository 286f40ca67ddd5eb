//! What one address can do without credentials, cheaply.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use certcourier::token::Token;
use futures::{StreamExt as _, stream};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use test_support::{stage::Server, world::World};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Where all of it comes from.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// How many connections are begun at the same time.
const AT_ONCE: usize = 32;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP/2 that asks, and allows no answer.
    WindowZero,
    /// A header that never ends.
    SlowHeader,
    /// A body that never comes.
    SlowBody,
    /// Nothing at all.
    Idle,
    /// Malformed tokens, one after the other, as fast as they are refused.
    Garbage,
    /// The same with tokens that could be some.
    Guesses,
}

pub const KINDS: [Kind; 6] =
    [Kind::WindowZero, Kind::SlowHeader, Kind::SlowBody, Kind::Idle, Kind::Garbage, Kind::Guesses];

/// Preface, SETTINGS with `INITIAL_WINDOW_SIZE` 0, and HEADERS of stream 1 that end it: a GET (RFC 9113, 7541).
const ASK_WITHOUT_WINDOW: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\
    \x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x87\x84\x41\x01x";

/// The hostile address.
pub struct Hostile {
    server: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Hostile {
    pub fn new(world: &World<'_>, server: &Server) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(world.stage.pki.root().as_bytes()).unwrap()).unwrap();
        let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Self { server: server.url.trim_start_matches("https://").parse().unwrap(), tls: Arc::new(tls) }
    }

    /// Connects so often, at least, and holds what it gets until the end. How often it was tried.
    pub async fn connect(&self, kind: Kind, connections: usize, end: Instant) -> usize {
        let tried = AtomicUsize::new(0);
        let attempts = stream::iter(0..connections)
            .map(|_| async {
                tried.fetch_add(1, Ordering::Relaxed);
                // What is refused was tried.
                timeout_at(end, self.begin(kind)).await.ok()?.ok()
            })
            .buffer_unordered(AT_ONCE);
        let held: Vec<_> = attempts.filter_map(async |held| held).collect().await;
        let _ = timeout_at(end, stream::iter(held).for_each_concurrent(None, |held| go_on(kind, held))).await;
        tried.into_inner()
    }

    async fn begin(&self, kind: Kind) -> std::io::Result<Held> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((ADDRESS, 0).into())?;
        let plain = socket.connect(self.server).await?;
        if kind == Kind::Idle {
            return Ok(Held::Plain(plain));
        }
        let mut tls = Arc::clone(&self.tls);
        if kind != Kind::WindowZero {
            Arc::make_mut(&mut tls).alpn_protocols.clear();
        }
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = TlsConnector::from(tls).connect(name, plain).await?;
        let says: &[u8] = match kind {
            Kind::WindowZero => ASK_WITHOUT_WINDOW,
            Kind::SlowHeader => b"GET / HTTP/1.1\r\nhost: x\r\nx: ",
            Kind::SlowBody => b"POST /api/v1/downloads HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n",
            Kind::Idle | Kind::Garbage | Kind::Guesses => b"",
        };
        stream.write_all(says).await?;
        stream.flush().await?;
        Ok(Held::Tls(Box::new(stream)))
    }
}

enum Held {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Until the server closes it.
async fn go_on(kind: Kind, held: Held) {
    let mut buffer = [0; 2048];
    match held {
        Held::Plain(mut stream) => while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {},
        Held::Tls(mut stream) => {
            let token = match kind {
                Kind::Garbage => "ccd_garbage".to_owned(),
                Kind::Guesses => Token::mint("payments", "api", &[3; 32]).expose().to_owned(),
                _ => return while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {},
            };
            let request = format!("GET /api/v1/downloads/{token} HTTP/1.1\r\nhost: x\r\n\r\n");
            while stream.write_all(request.as_bytes()).await.is_ok()
                && stream.read(&mut buffer).await.is_ok_and(|read| read > 0)
            {}
        }
    }
}
