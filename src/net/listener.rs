//! Accepts connections: bounded in number, for each address and altogether, each in a task of its own, finished in order
//! when the server stops.

mod places;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use self::places::{OpenConnections, Slot};
use super::{
    SPEAKS_HTTPS,
    address::network,
    budget::{Buckets, Budgets},
    connection::{self, Connection, Surroundings},
    counters::Why,
    limits::ConnectionLimits,
    shares::Shares,
};
use crate::transport::{Trouble, of_place};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What the kernel keeps unsent for one connection (Linux doubles it). A client that stops reading is noticed after
/// this much, and a thousand of them cost 256 MB at most; 128 KiB still carry 1 MB/s over a round trip of 100 ms.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// How long to wait before accepting again when the system is out of something (file descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// So much of a plain HTTP request is taken off a socket that speaks TLS, in pieces of at most 4 KiB.
const UNREAD_PIECES: usize = 16;

/// How long cut connections get to let go of what they hold.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// Binds an address with the socket options that the accepted connections inherit.
///
/// # Errors
/// What the system says: the address is in use, not ours, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because they did not finish within `--drain`.
    pub cut: usize,
}

/// Serves until `shutdown`; then takes no new connection, lets the running requests finish for `--drain`, and cuts what
/// is left.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    app: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) -> Drained {
    let gate = Gate::new(limits);
    let tasks = TaskTracker::new();
    let tls = tls.map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_one_clients_fault(&error) {
                    warn!(error = of_place(&error), "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let Some((connection, place)) = gate.admit(peer, Instant::now()) else { continue };
        let surroundings = Surroundings {
            connection,
            peer,
            app: app.clone(),
            limits: Arc::clone(&gate.limits),
            streams: Arc::clone(&gate.streams),
            closing: shutdown.clone(),
        };
        let tls = tls.clone();
        tasks.spawn(async move {
            serve_one(stream, tls, surroundings).await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    drain(&tasks, &gate.open, gate.limits.drain.get()).await
}

/// Who gets in.
struct Gate {
    limits: Arc<ConnectionLimits>,
    open: Arc<OpenConnections>,
    rate: Budgets,
    streams: Arc<Shares>,
}

impl Gate {
    fn new(limits: ConnectionLimits) -> Self {
        let burst = u32::try_from(limits.connections_per_address()).unwrap_or(u32::MAX);
        Self {
            rate: Budgets::new(limits.rate_connections, burst, Buckets::default()),
            streams: Arc::new(Shares::new(limits.max_streams_per_address)),
            open: Arc::default(),
            limits: Arc::new(limits),
        }
    }

    fn admit(&self, peer: SocketAddr, now: Instant) -> Option<(Arc<Connection>, Slot)> {
        let exempt = self.limits.exempt.iter().any(|block| block.contains(peer.ip()));
        let counted = (!exempt).then(|| network(peer.ip()));
        let connection = Connection::new(now, exempt);
        let in_time = counted.is_none_or(|network| self.rate.spend(network).is_ok());
        let place = if in_time {
            self.open.take_place(Arc::clone(&connection), counted, &self.limits, now)
        } else {
            Err(Why::rate)
        };
        match place {
            Ok(place) => Some((connection, place)),
            Err(why) => {
                self.limits.counters.count(why);
                debug!(?why, %peer, "connection turned away");
                None
            }
        }
    }
}

async fn drain(tasks: &TaskTracker, open: &OpenConnections, drain: Duration) -> Drained {
    if tokio::time::timeout(drain, tasks.wait()).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = open.close_all();
    warn!(connections = cut, "connections cut: they did not finish within --drain");
    // Dropping their bodies takes a moment, and only then their outcome is known.
    let _ = tokio::time::timeout(CUT_GRACE, tasks.wait()).await;
    Drained { cut }
}

async fn serve_one(stream: TcpStream, tls: Option<TlsAcceptor>, surroundings: Surroundings) {
    // Answers are small and whole: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return connection::serve(stream, surroundings).await;
    };
    let (connection, closing) = (Arc::clone(&surroundings.connection), surroundings.closing.clone());
    let handshake = tokio::time::timeout(surroundings.limits.tls_handshake_timeout.get(), shake_hands(stream, &tls));
    let shaken = tokio::select! {
        () = closing.cancelled() => return,
        () = connection.closed() => return,
        shaken = handshake => shaken,
    };
    match shaken {
        Ok(Ok(Some(stream))) => connection::serve(stream, surroundings).await,
        Ok(Ok(None)) => debug!("plain HTTP on a port with TLS"),
        Ok(Err(error)) => debug!(error = %Trouble::of_any(&error), "TLS handshake failed"),
        Err(_) => debug!("TLS handshake took too long"),
    }
}

/// The handshake; `None` where the client speaks plain HTTP, which is answered in words. No record of TLS begins with a
/// capital letter, and every method of HTTP does, so one byte tells them apart.
async fn shake_hands(stream: TcpStream, tls: &TlsAcceptor) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        return refuse_plain_http(stream).await.map(|()| None);
    }
    tls.accept(stream).await.map(Some)
}

/// Answers without reading what was asked, and closes. What has come is taken off the socket before: what is left unread
/// makes the system cut the connection, and the client may lose the answer.
async fn refuse_plain_http(mut stream: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{SPEAKS_HTTPS}\n",
        SPEAKS_HTTPS.len() + 1
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = [0; 4096];
    for _ in 0..UNREAD_PIECES {
        if stream.read(&mut unread).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Errors of `accept` that concern the connection that would have been accepted, and no one else.
fn is_one_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
