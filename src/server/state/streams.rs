//! What open pages are told by the server: how many such streams there are, whose, and how long each may be.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    net::shares::{Share, Shares},
    server::args::ServerArgs,
};

/// Streams of all people together: each is a watch at the API server.
const MOST: usize = 512;
/// A stream ends by itself after this, and the browser asks again: then the API server looks at the token again, too.
const LONGEST: Duration = Duration::from_mins(1);

/// The streams of one server.
pub struct PageStreams {
    all: Arc<Semaphore>,
    people: Shares,
    longest: Duration,
    closing: CancellationToken,
}

/// A place among them, given back when it is dropped.
pub struct StreamPlace {
    _share: Share,
    _place: OwnedSemaphorePermit,
}

impl PageStreams {
    /// As the flags say: a quarter of the requests that one person may have at the same time, and shorter than any
    /// request may take.
    #[must_use]
    pub fn new(args: &ServerArgs) -> Self {
        let each = (args.requests.max_requests_per_person / 4).max(1);
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            people: Shares::new(each),
            longest: LONGEST.min(args.connections.request_timeout.get() / 2),
            closing: CancellationToken::new(),
        }
    }

    /// A place for this person's page. None when all of theirs are taken, or all there are.
    #[must_use]
    pub fn take(&self, person: &str) -> Option<StreamPlace> {
        let share = self.people.take(person)?;
        Some(StreamPlace { _share: share, _place: Arc::clone(&self.all).try_acquire_owned().ok()? })
    }

    /// How long a stream may be.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// Cancelled when the server shuts down: pages then ask another replica.
    #[must_use]
    pub const fn closing(&self) -> &CancellationToken {
        &self.closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_a_few_streams_and_no_stream_is_longer_than_a_request_may_be() {
        let flags = ["--max-requests-per-person", "8", "--request-timeout", "10s"];
        let streams = PageStreams::new(&ServerArgs::for_tests(&flags));
        assert_eq!(streams.longest(), Duration::from_secs(5));
        let first = streams.take("bob").unwrap();
        let _second = streams.take("bob").unwrap();
        assert!(streams.take("bob").is_none());
        assert!(streams.take("frank").is_some());
        drop(first);
        assert!(streams.take("bob").is_some());
        assert_eq!(PageStreams::new(&ServerArgs::for_tests(&[])).longest(), Duration::from_secs(45));
    }
}
