//! Accepts connections: bounded in number, each in a task of its own, finished in order when the server stops.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{args::ConnectionLimits, connection, connection::Connection};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What the kernel keeps unsent for one connection (Linux doubles it). A client that stops reading is noticed after
/// this much, and a thousand of them cost 256 MB at most; 128 KiB still carry 1 MB/s over a round trip of 100 ms.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// How long to wait before accepting again when the system is out of something (file descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    let limits = Arc::new(limits);
    let open = Arc::new(OpenConnections::default());
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
                    warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let connection = Connection::new(Instant::now());
        let Some(place) = open.take_place(Arc::clone(&connection), limits.max_connections) else {
            debug!("connection refused: all {} are being served", limits.max_connections);
            continue;
        };
        let (tls, app, limits, closing) = (tls.clone(), app.clone(), Arc::clone(&limits), shutdown.clone());
        tasks.spawn(async move {
            serve_one(stream, tls, connection, peer, app, limits, closing).await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    drain(&tasks, &open, limits.drain.get()).await
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

async fn serve_one(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    connection: Arc<Connection>,
    peer: SocketAddr,
    app: Router,
    limits: Arc<ConnectionLimits>,
    closing: CancellationToken,
) {
    // Answers are small and whole: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return connection::serve(stream, connection, peer, app, limits, closing).await;
    };
    let handshake = tokio::time::timeout(limits.tls_handshake_timeout.get(), tls.accept(stream));
    let shaken = tokio::select! {
        () = closing.cancelled() => return,
        () = connection.closed() => return,
        shaken = handshake => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => connection::serve(stream, connection, peer, app, limits, closing).await,
        Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
        Err(_) => debug!("TLS handshake took too long"),
    }
}

/// Errors of `accept` that concern the connection that would have been accepted, and nobody else.
fn is_one_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// The connections that are open now.
#[derive(Debug, Default)]
struct OpenConnections(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    taken: HashMap<u64, Arc<Connection>>,
    next: u64,
}

impl OpenConnections {
    /// Takes a place for a new connection. When none is free, the connection that has been quiet longest gives way: so
    /// clients that connect and say nothing cannot keep others out. None if all are being served.
    fn take_place(self: &Arc<Self>, connection: Arc<Connection>, max: usize) -> Option<Place> {
        let mut places = self.places();
        if places.taken.len() >= max {
            let quiet = places.taken.iter().filter_map(|(number, open)| Some((open.quiet_since()?, *number)));
            let (_, quietest) = quiet.min()?;
            if let Some(evicted) = places.taken.remove(&quietest) {
                evicted.close();
            }
        }
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, connection);
        Some(Place { open: Arc::clone(self), number })
    }

    fn close_all(&self) -> usize {
        let places = self.places();
        places.taken.values().for_each(|connection| connection.close());
        places.taken.len()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among the open ones; free again when dropped.
struct Place {
    open: Arc<OpenConnections>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.places().taken.remove(&self.number);
    }
}
