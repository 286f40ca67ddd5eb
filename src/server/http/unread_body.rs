//! What a handler leaves unread of a request's body, so that a refusal can be sent after it.
//!
//! A refusal often does not wait for the body: the token is missing, the client asks too often. In HTTP/2 the rest of the
//! body is then cut off with the answer, and some clients (curl 7.88) report the cut instead of the answer. So a little
//! is read, for a little while, and thrown away.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::Request,
};
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// The first window of HTTP/2: as much as a client sends without being asked for more.
const MOST_BYTES: usize = 64 * 1024;
/// A body that is on its way is here by then.
const MOST_TIME: Duration = Duration::from_millis(500);

/// Receives a body that is dropped before its end.
pub struct Leftover(Option<oneshot::Receiver<Body>>);

/// Replaces a request's body by one that comes back when it is dropped before its end.
pub fn watch(request: Request<Body>) -> (Request<Body>, Leftover) {
    if request.body().is_end_stream() {
        return (request, Leftover(None));
    }
    let (back, leftover) = oneshot::channel();
    (request.map(|body| Body::new(Watched { body, back: Some(back) })), Leftover(Some(leftover)))
}

impl Leftover {
    /// Reads what is left, within bounds.
    pub async fn drain(self) {
        // A body that was read to its end, or that someone still holds, does not come back.
        let Some(Ok(body)) = self.0.map(|mut leftover| leftover.try_recv()) else { return };
        // Whatever goes wrong with it is not worth a word: its request is refused.
        let _ = tokio::time::timeout(MOST_TIME, read(body)).await;
    }
}

async fn read(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > MOST_BYTES {
            return;
        }
    }
}

struct Watched {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = frame {
            self.back = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            let _ = back.send(std::mem::take(&mut self.body));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::{StreamExt as _, stream};

    use super::*;

    /// A body of so many pieces of 1 KiB, and how many were taken.
    fn body(pieces: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let pieces = stream::iter(0..pieces).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024]))
        });
        (Body::from_stream(pieces), taken)
    }

    #[tokio::test]
    async fn what_was_not_read_is_read_now_and_no_more_than_a_little() {
        for (pieces, read) in [(1, 1), (16, 16), (1000, 65)] {
            let (body, taken) = body(pieces);
            let (request, leftover) = watch(Request::new(body));
            drop(request);
            leftover.drain().await;
            assert_eq!(taken.load(Ordering::Relaxed), read);
        }
    }

    #[tokio::test]
    async fn a_body_that_was_read_or_is_held_or_never_comes_keeps_nobody_waiting() {
        let (request, leftover) = watch(Request::new(body(3).0));
        axum::body::to_bytes(request.into_body(), 4096).await.unwrap();
        leftover.drain().await;
        let (request, leftover) = watch(Request::new(body(3).0));
        leftover.drain().await;
        drop(request);
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let (request, leftover) = watch(Request::new(never));
        drop(request);
        tokio::time::timeout(Duration::from_secs(5), leftover.drain()).await.unwrap();
        let (_, leftover) = watch(Request::new(Body::empty()));
        leftover.drain().await;
    }
}
