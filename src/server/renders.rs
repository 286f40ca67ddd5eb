//! The queue in which files are made, off the async threads.
//!
//! It is bounded: when more files are asked for than can be made, the rest is turned away with the token unused, instead
//! of waiting until the facts are too old.

use std::{sync::Arc, time::Duration};

use certcourier_bundle::{Artifact, EnvironmentMaterial, Material, RenderError, RenderOptions, render};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    args::DeliveryLimits,
    http::error::{ErrorCode, SOON, ServerError},
};
use crate::randomness::OperatingSystem;

/// How many files are made at once, and how many may wait for that.
#[derive(Debug)]
pub struct Renders {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Renders {
    /// As the flags say; without a number, one for each processor.
    #[must_use]
    pub fn new(limits: &DeliveryLimits) -> Self {
        let processors = || std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let turns = limits.max_renders.unwrap_or_else(processors);
        let places = turns.saturating_add(limits.max_waiting_renders).min(Semaphore::MAX_PERMITS);
        Self { turns: Arc::new(Semaphore::new(turns)), places: Arc::new(Semaphore::new(places)) }
    }

    /// Waits for a turn. What the file is made of is read in it, so that no queue makes the facts old.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] when too many wait already, or no turn comes in time.
    pub(super) async fn turn(&self, limit: Duration) -> Result<Turn, ServerError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = tokio::time::timeout(limit, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
        Ok(Turn { _place: place, _turn: turn })
    }
}

/// The right to make one file now.
#[derive(Debug)]
pub struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Turn {
    /// Runs a job on a thread that may block.
    async fn run<T: Send + 'static>(self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, ServerError> {
        // The permits go with the job: a client that leaves does not make room for a job that is still running.
        let running = tokio::task::spawn_blocking(move || {
            let made = job();
            drop(self);
            made
        });
        running.await.map_err(|_| ServerError::internal())
    }

    /// Makes a file of environments and their material, which are in the same order.
    ///
    /// # Errors
    /// [`ServerError`] that names the environments and the cause.
    pub(super) async fn render(
        self,
        format: certcourier_bundle::Format,
        environments: Vec<String>,
        materials: impl AsRef<[Material]> + Send + 'static,
        options: RenderOptions,
    ) -> Result<Artifact, ServerError> {
        let named = environments.join(", ");
        let made = self.run(move || render_parts(format, &environments, materials.as_ref(), &options));
        made.await?.map_err(|error| unusable(&named, error))
    }
}

fn busy() -> ServerError {
    let words = "too many files are being made at the moment; nothing was delivered and the token is still valid: \
                 try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}

fn render_parts(
    format: certcourier_bundle::Format,
    environments: &[String],
    materials: &[Material],
    options: &RenderOptions,
) -> Result<Artifact, RenderError> {
    let parts: Vec<_> = environments
        .iter()
        .zip(materials)
        .map(|(environment, material)| EnvironmentMaterial { environment, material })
        .collect();
    render(format, &parts, options, &mut OperatingSystem)
}

fn unusable(environment: &str, error: RenderError) -> ServerError {
    match error {
        RenderError::Manifest(_) | RenderError::Randomness(_) => ServerError::internal().caused_by(error),
        RenderError::PassphraseMissing { .. } => ServerError::new(ErrorCode::PassphraseRequired, error.to_string()),
        error => ServerError::new(ErrorCode::MaterialUnusable, format!("environment `{environment}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn files_beyond_the_queue_are_turned_away_and_the_waiting_ones_are_made() {
        let limits = DeliveryLimits::for_tests(&["--max-renders", "1", "--max-waiting-renders", "1"]);
        let renders = Arc::new(Renders::new(&limits));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (tell, told) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let renders = Arc::clone(&renders);
            async move {
                let turn = renders.turn(LONG).await?;
                turn.run(move || {
                    let _ = tell.send(());
                    held.recv().ok();
                    1
                })
                .await
            }
        });
        told.await.unwrap();
        let second = tokio::spawn({
            let renders = Arc::clone(&renders);
            async move { renders.turn(LONG).await?.run(|| 2).await }
        });
        while renders.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(renders.turn(LONG).await.unwrap_err().code(), ErrorCode::Unavailable);
        release.send(()).unwrap();
        assert_eq!((first.await.unwrap().unwrap(), second.await.unwrap().unwrap()), (1, 2));
        assert_eq!(renders.turn(LONG).await.unwrap().run(|| 4).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_render_that_panics_gives_its_place_back() {
        let renders = Renders::new(&DeliveryLimits::for_tests(&["--max-renders", "1", "--max-waiting-renders", "0"]));
        for _ in 0..3 {
            let refusal = renders.turn(LONG).await.unwrap().run(|| -> u8 { panic!("in a test") }).await.unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::InternalError);
        }
        assert_eq!(renders.turn(LONG).await.unwrap().run(|| 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_in_time_is_not_waited_for() {
        let renders = Renders::new(&DeliveryLimits::for_tests(&["--max-renders", "1", "--max-waiting-renders", "1"]));
        let turn = renders.turn(LONG).await.unwrap();
        assert_eq!(renders.turn(Duration::from_millis(1)).await.unwrap_err().code(), ErrorCode::Unavailable);
        drop(turn);
        renders.turn(LONG).await.unwrap();
    }
}
