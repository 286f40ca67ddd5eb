//! How tests wait: for what they need, never for time. A wait that was in vain says what it waited for and what it last
//! saw.

use std::{
    fmt::{Debug, Display},
    time::{Duration, Instant},
};

/// Far above what anything takes; only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks, so as not to keep the API server busy; nothing relies on its length.
const PAUSE: Duration = Duration::from_millis(20);

/// What one look gives: what was waited for, or what there was instead.
pub trait Look {
    /// What was waited for.
    type Found;

    /// What was waited for, or words for what there was instead.
    ///
    /// # Errors
    /// If it is not there yet.
    fn found(self) -> Result<Self::Found, String>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("it is not so".to_owned()) }
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, Seen: Display> Look for Result<T, Seen> {
    type Found = T;

    fn found(self) -> Result<T, String> {
        self.map_err(|seen| seen.to_string())
    }
}

/// The value if it is as wanted, otherwise what it is: for [`until`].
///
/// # Errors
/// If the value is another.
pub fn wanted<T: Debug>(value: T, is_wanted: impl FnOnce(&T) -> bool) -> Result<T, String> {
    if is_wanted(&value) { Ok(value) } else { Err(format!("{value:#?}")) }
}

/// Looks until there is what was waited for, and gives it.
///
/// # Panics
/// After [`PATIENCE`].
pub async fn until<L: Look>(what: &str, look: impl AsyncFnMut() -> L) -> L::Found {
    Wait::usual().until(what, look).await
}

/// How long to wait, and what else to say if it was in vain.
#[derive(Clone, Copy)]
pub struct Wait<'a> {
    limit: Duration,
    pause: Duration,
    more: Option<&'a (dyn Fn() -> String + Sync)>,
}

impl<'a> Wait<'a> {
    /// As [`until`] waits.
    #[must_use]
    pub const fn usual() -> Self {
        Self::at_most(PATIENCE)
    }

    /// For something slower.
    #[must_use]
    pub const fn at_most(limit: Duration) -> Self {
        Self { limit, pause: PAUSE, more: None }
    }

    /// With this pause between two looks, for those that cost something.
    #[must_use]
    pub const fn every(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Adds this to the message of a failure: the log of who should have done it.
    #[must_use]
    pub const fn telling(self, more: &'a (dyn Fn() -> String + Sync)) -> Self {
        Self { more: Some(more), ..self }
    }

    /// Looks until there is what was waited for, and gives it.
    ///
    /// # Panics
    /// If that takes too long: with what it waited for and what it last saw.
    pub async fn until<L: Look>(&self, what: &str, mut look: impl AsyncFnMut() -> L) -> L::Found {
        let start = Instant::now();
        loop {
            let seen = match look().await.found() {
                Ok(found) => return found,
                Err(seen) => seen,
            };
            let more = || self.more.map(|more| format!("\n{}", more())).unwrap_or_default();
            assert!(start.elapsed() < self.limit, "waited {:?} for: {what}; last seen: {seen}{}", self.limit, more());
            tokio::time::sleep(self.pause).await;
        }
    }
}
