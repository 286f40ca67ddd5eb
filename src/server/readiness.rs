//! Whether the API server answers: asked from time to time, so that a replica that has lost it is sent no requests. The
//! answers also teach the clock before the first redemption needs it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::state::ServerState;

/// How often the API server is asked.
const INTERVAL: Duration = Duration::from_secs(5);
/// While there has been no answer, more often.
const FIRST_INTERVAL: Duration = Duration::from_millis(500);
/// An answer older than this is none.
const FRESH: Duration = Duration::from_secs(30);

/// When the API server last answered. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ApiServerSeen(Arc<Mutex<Option<Instant>>>);

impl ApiServerSeen {
    /// Asks for ever.
    pub async fn keep_asking(&self, state: Arc<ServerState>) {
        loop {
            // Everyone may ask for the version, so this needs no right of its own.
            if state.clients.reads().apiserver_version().await.is_ok() {
                self.saw(Instant::now());
            }
            let pause = if self.missing().is_some() { FIRST_INTERVAL } else { INTERVAL };
            tokio::time::sleep(pause).await;
        }
    }

    fn saw(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// What is missing, in words.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        self.missing_at(Instant::now())
    }

    fn missing_at(&self, now: Instant) -> Option<String> {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Some("the API server has not answered yet".to_owned()),
            Some(seen) if now.saturating_duration_since(seen) > FRESH => {
                Some(format!("the API server has not answered for {} s", FRESH.as_secs()))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_answer_is_none() {
        let (seen, now) = (ApiServerSeen::default(), Instant::now());
        assert!(seen.missing_at(now).unwrap().contains("not answered yet"));
        seen.saw(now);
        assert_eq!(seen.missing_at(now + FRESH), None);
        assert!(seen.missing_at(now + FRESH + Duration::from_secs(1)).unwrap().contains("30 s"));
    }
}
