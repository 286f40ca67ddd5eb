//! One connection: what it is doing, whose turn it is, and when it has had its time.
//!
//! A connection costs memory as long as it is open, so each state that a client can prolong has a limit: until the first
//! request, between requests, while a request's header arrives, and while an answer is taken. hyper knows some of these
//! limits for HTTP/1.1 only; here they hold for every version, and before a version is known.
//!
//! HTTP/2 lets a client ask and forbid the answer (a window of 0), HTTP/1.1 lets it ask and not read. So it is not enough
//! to know that a request is being answered: each exchange also knows whether the next move is its client's.

mod activity;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use self::activity::Connection;
use self::activity::{Exchange, Turn};
use super::{address::network, limits::ConnectionLimits, shares::Shares};

/// How much of an answer hyper keeps back for one connection. Small, so that bytes counted as handed to the connection
/// are bytes that have nearly left.
const MAX_UNSENT_BYTES: usize = 32 * 1024;

/// How much of a request's body a client may send ahead, on one stream and on all of a connection: what no one has read
/// yet is kept in memory. The smallest that HTTP/2 allows for a connection, and more than a body may have.
const RECEIVE_WINDOW_BYTES: u32 = 64 * 1024 - 1;

/// What a header may have beyond `--max-header-bytes` so that the caller gets our own 431, with words; beyond this it
/// is hyper's.
const HEADER_MARGIN_BYTES: u32 = 4 * 1024;

/// An answer goes to the connection in pieces, so that it is seen to move, or not to.
const PIECE_BYTES: usize = 16 * 1024;

/// What one connection is served with.
pub struct Surroundings {
    /// The connection.
    pub connection: Arc<Connection>,
    /// Its other end.
    pub peer: SocketAddr,
    /// What answers.
    pub app: Router,
    /// The limits.
    pub limits: Arc<ConnectionLimits>,
    /// The exchanges that each address may have.
    pub streams: Arc<Shares>,
    /// Cancelled when the server is shutting down.
    pub closing: CancellationToken,
}

/// Answers the requests of one connection until it closes, is closed, or is overdue. After `closing` it finishes what
/// it is answering and takes nothing new.
pub async fn serve<S>(stream: S, surroundings: Surroundings)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Surroundings { connection, peer, app, limits, streams, closing } = surroundings;
    let io = TokioIo::new(Watched { stream, connection: Arc::clone(&connection) });
    let service = service_fn(|mut request: Request<Incoming>| {
        let exchange = begin(&connection, &streams, peer, &request);
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&connection));
        let app = app.clone();
        // Boxed: what is left of it while an answer waits to be taken would be as large as it ever was.
        Box::pin(async move {
            let Some(exchange) = exchange else { return Ok(too_many()) };
            let turn = exchange.turn();
            let answer = app.oneshot(request.map(|body| Body::new(Arriving { body, turn }))).await?;
            exchange.answered(answer.extensions().get::<Paced>().is_some(), Instant::now());
            Ok::<_, Infallible>(answer.map(|body| Answer { body, rest: Bytes::new(), exchange: Some(exchange) }))
        })
    });
    let builder = builder(&limits);
    let mut serving = pin!(builder.serve_connection(io, service));
    let mut ticks = tokio::time::interval(tick(&limits));
    let mut told_to_close = false;
    loop {
        tokio::select! {
            // What a client does wrong on the wire ends its connection; there is no one else to tell.
            _ = serving.as_mut() => return,
            () = connection.closed() => return,
            () = closing.cancelled(), if !told_to_close => {
                serving.as_mut().graceful_shutdown();
                told_to_close = true;
            }
            _ = ticks.tick() => if let Some(why) = connection.overdue(&limits, Instant::now()) {
                // First a word of farewell (HTTP/2 has one), a tick later the end.
                if told_to_close {
                    return;
                }
                limits.counters.count(why);
                serving.as_mut().graceful_shutdown();
                told_to_close = true;
            },
        }
    }
}

/// A quarter of the shortest limit, so that no limit is missed by more than that.
fn tick(limits: &ConnectionLimits) -> Duration {
    let ConnectionLimits { header_timeout, idle_timeout, request_timeout, answer_timeout, .. } = limits;
    let shortest = header_timeout.min(idle_timeout).min(request_timeout).min(answer_timeout).get();
    (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(1))
}

/// None when the address has as many exchanges as it may. Connections of proxies, and those on which someone was
/// authenticated, are not counted.
fn begin(
    connection: &Arc<Connection>,
    streams: &Shares,
    peer: SocketAddr,
    request: &Request<Incoming>,
) -> Option<Exchange> {
    let counts = !connection.is_shared() && !connection.is_proven();
    let share = if counts { Some(streams.take(network(peer.ip()))?) } else { None };
    Some(connection.begin(request.version(), Instant::now(), share))
}

/// Without a body, so that even a client that takes nothing has taken it.
fn too_many() -> Response<Answer> {
    let mut answer = Response::new(Answer { body: Body::empty(), rest: Bytes::new(), exchange: None });
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn builder(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let hard_header_limit = limits.max_header_bytes.saturating_add(HEADER_MARGIN_BYTES);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(usize::try_from(hard_header_limit).unwrap_or(usize::MAX).max(MAX_UNSENT_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_http2_streams)
        .max_header_list_size(hard_header_limit)
        .initial_stream_window_size(RECEIVE_WINDOW_BYTES)
        .initial_connection_window_size(RECEIVE_WINDOW_BYTES)
        .max_send_buf_size(MAX_UNSENT_BYTES);
    builder
}

/// Where a request came from: the other end of the connection, possibly a proxy.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub std::net::SocketAddr);

/// Put into the extensions of an answer that has limits of its own for how it is taken.
#[derive(Clone, Copy, Debug)]
pub struct Paced;

/// A request's body; while it is waited for, the next move is the client's.
struct Arriving {
    body: Incoming,
    turn: Turn,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.turn.awaits_body(polled.is_pending(), Instant::now());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that ends its exchange when it is dropped. It goes out in pieces.
struct Answer {
    body: Body,
    /// Of the piece that the body gave last.
    rest: Bytes,
    exchange: Option<Exchange>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(exchange) = &self.exchange {
            exchange.moved(Instant::now());
        }
        if self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            let Poll::Ready(Some(Ok(frame))) = polled else { return polled };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut both = SizeHint::new();
        both.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            both.set_upper(upper + rest);
        }
        both
    }
}

/// The stream of a connection; notices when bytes arrive.
struct Watched<S> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.connection.bytes_arrived(Instant::now());
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
