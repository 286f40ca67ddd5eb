//! One connection: what it is doing, and when it has had its time.
//!
//! A connection costs memory as long as it is open, so each state that a client can prolong has a limit: until the first
//! request, between requests, while a request's header arrives, and while an answer is taken. hyper knows some of these
//! limits for HTTP/1.1 only; here they hold for every version, and before a version is known.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{Request, Version},
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

use super::args::ConnectionLimits;

/// How much of an answer hyper keeps back for one connection. Small, so that bytes counted as handed to the connection
/// are bytes that have nearly left.
const MAX_UNSENT_BYTES: usize = 32 * 1024;

/// One open connection, as the listener and the handlers see it.
#[derive(Debug)]
pub struct Connection {
    activity: Mutex<Activity>,
    end: CancellationToken,
}

#[derive(Debug)]
struct Activity {
    /// Since the connection was accepted, or since its last answer was taken.
    quiet_since: Instant,
    /// First byte of the next request's header (HTTP/1.1).
    header_since: Option<Instant>,
    served: bool,
    multiplexed: bool,
    /// Requests that are being answered, and since when; the key only counts up.
    exchanges: BTreeMap<u64, Instant>,
    next_exchange: u64,
}

impl Connection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(now: Instant) -> Arc<Self> {
        let activity = Activity {
            quiet_since: now,
            header_since: None,
            served: false,
            multiplexed: false,
            exchanges: BTreeMap::new(),
            next_exchange: 0,
        };
        Arc::new(Self { activity: Mutex::new(activity), end: CancellationToken::new() })
    }

    /// Closes the connection at once, whatever it is doing.
    pub fn close(&self) {
        self.end.cancel();
    }

    /// Waits until it is closed from outside.
    pub async fn closed(&self) {
        self.end.cancelled().await;
    }

    /// Since when nothing has been answered on it; None while something is.
    #[must_use]
    pub fn quiet_since(&self) -> Option<Instant> {
        let activity = self.activity();
        activity.exchanges.is_empty().then_some(activity.quiet_since)
    }

    fn activity(&self) -> std::sync::MutexGuard<'_, Activity> {
        // The numbers stay sensible whatever a panicking holder did.
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes_arrived(&self, now: Instant) {
        let mut activity = self.activity();
        // On HTTP/2 bytes also arrive that belong to no request (pings, acknowledgements).
        if activity.exchanges.is_empty() && !activity.multiplexed {
            activity.header_since.get_or_insert(now);
        }
    }

    fn begin(self: &Arc<Self>, version: Version, now: Instant) -> Exchange {
        let mut activity = self.activity();
        activity.header_since = None;
        activity.served = true;
        activity.multiplexed = version == Version::HTTP_2;
        let number = activity.next_exchange;
        activity.next_exchange += 1;
        activity.exchanges.insert(number, now);
        Exchange { connection: Arc::clone(self), number }
    }

    fn finish(&self, number: u64, now: Instant) {
        let mut activity = self.activity();
        activity.exchanges.remove(&number);
        activity.quiet_since = now;
    }

    /// Whether the connection has used up the time for what it is doing.
    fn is_overdue(&self, limits: &ConnectionLimits, now: Instant) -> bool {
        let activity = self.activity();
        let longer_than = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        if let Some((_, oldest)) = activity.exchanges.first_key_value() {
            return longer_than(*oldest, limits.request_timeout.get());
        }
        let quiet_limit = if activity.served { limits.idle_timeout } else { limits.header_timeout };
        longer_than(activity.quiet_since, quiet_limit.get())
            || activity.header_since.is_some_and(|since| longer_than(since, limits.header_timeout.get()))
    }
}

/// A request that is being answered; ends when the answer's body is dropped.
struct Exchange {
    connection: Arc<Connection>,
    number: u64,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.connection.finish(self.number, Instant::now());
    }
}

/// Answers the requests of one connection until it closes, is closed, or is overdue. After `closing` it finishes what
/// it is answering and takes nothing new.
pub async fn serve<S>(
    stream: S,
    connection: Arc<Connection>,
    peer: std::net::SocketAddr,
    app: Router,
    limits: Arc<ConnectionLimits>,
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Watched { stream, connection: Arc::clone(&connection) });
    let service = service_fn(|mut request: Request<Incoming>| {
        let exchange = connection.begin(request.version(), Instant::now());
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Arc::clone(&connection));
        let app = app.clone();
        async move {
            let answer = app.oneshot(request).await?;
            Ok::<_, Infallible>(answer.map(|body| Answer { body, _exchange: exchange }))
        }
    });
    let builder = builder(&limits);
    let mut serving = pin!(builder.serve_connection(io, service));
    // A tick is a quarter of the shortest limit, so that no limit is missed by more than that.
    let shortest = limits.header_timeout.min(limits.idle_timeout).min(limits.request_timeout).get();
    let mut ticks = tokio::time::interval((shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(1)));
    let mut told_to_close = false;
    loop {
        tokio::select! {
            // What a client does wrong on the wire ends its connection; there is nobody else to tell.
            _ = serving.as_mut() => return,
            () = connection.closed() => return,
            () = closing.cancelled(), if !told_to_close => {
                serving.as_mut().graceful_shutdown();
                told_to_close = true;
            }
            _ = ticks.tick() => if connection.is_overdue(&limits, Instant::now()) {
                // First a word of farewell (HTTP/2 has one), a tick later the end.
                if told_to_close {
                    return;
                }
                serving.as_mut().graceful_shutdown();
                told_to_close = true;
            },
        }
    }
}

fn builder(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    // hyper cuts off at twice the limit: between the two the caller gets our own 431, with words.
    let hard_header_limit = limits.max_header_bytes.saturating_mul(2);
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
        .max_send_buf_size(MAX_UNSENT_BYTES);
    builder
}

/// Where a request came from: the other end of the connection, possibly a proxy.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub std::net::SocketAddr);

/// An answer's body that ends its exchange when it is dropped.
struct Answer {
    body: Body,
    _exchange: Exchange,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;

    fn limits() -> ConnectionLimits {
        ConnectionLimits {
            header_timeout: api::Duration::from_seconds(10),
            idle_timeout: api::Duration::from_seconds(60),
            request_timeout: api::Duration::from_seconds(90),
            ..ConnectionLimits::for_tests()
        }
    }

    /// Whether a connection is overdue so many seconds after it was accepted.
    fn overdue(connection: &Connection, accepted: Instant, after_seconds: u64) -> bool {
        connection.is_overdue(&limits(), accepted + Duration::from_secs(after_seconds))
    }

    #[test]
    fn a_connection_without_a_request_is_given_the_time_of_a_header() {
        let accepted = Instant::now();
        let connection = Connection::new(accepted);
        assert!(!overdue(&connection, accepted, 10));
        assert!(overdue(&connection, accepted, 11));
    }

    #[test]
    fn between_requests_a_connection_may_idle_longer_but_not_dawdle_over_a_header() {
        let accepted = Instant::now();
        let connection = Connection::new(accepted);
        connection.begin(Version::HTTP_11, accepted);
        assert!(!overdue(&connection, accepted, 59));
        connection.bytes_arrived(accepted + Duration::from_secs(20));
        connection.bytes_arrived(accepted + Duration::from_secs(29));
        assert!(!overdue(&connection, accepted, 30));
        assert!(overdue(&connection, accepted, 31));
    }

    #[test]
    fn a_ping_on_http2_is_not_the_beginning_of_a_header() {
        let accepted = Instant::now();
        let connection = Connection::new(accepted);
        connection.begin(Version::HTTP_2, accepted);
        connection.bytes_arrived(accepted + Duration::from_secs(1));
        assert!(!overdue(&connection, accepted, 50));
    }

    #[test]
    fn an_answer_that_is_never_taken_ends_the_connection() {
        let accepted = Instant::now();
        let connection = Connection::new(accepted);
        let first = connection.begin(Version::HTTP_2, accepted);
        let second = connection.begin(Version::HTTP_2, accepted + Duration::from_secs(80));
        assert!(connection.quiet_since().is_none());
        assert!(overdue(&connection, accepted, 91));
        drop(first);
        assert!(!overdue(&connection, accepted, 91), "the oldest one counts");
        drop(second);
        assert!(connection.quiet_since().is_some());
    }
}
