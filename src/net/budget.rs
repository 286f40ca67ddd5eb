//! How often each address, or each person, may come. Memory is bounded however many come.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

/// Addresses, and people, are counted by a keyed hash of 16 bits, so at most 65,536 budgets exist (some 3 MB) and
/// nothing has to be forgotten. Two addresses share a budget with probability 1/65,536, and no one can choose whose.
pub type Bucket = u16;

/// One budget for each.
#[derive(Debug)]
pub struct Budgets {
    each: DefaultKeyedRateLimiter<Bucket>,
    buckets: Buckets,
    clock: DefaultClock,
}

/// Which budget is whose.
#[derive(Clone, Debug, Default)]
pub struct Buckets(RandomState);

impl Buckets {
    /// The bucket of one.
    #[must_use]
    pub fn of(&self, whose: impl Hash) -> Bucket {
        let [.., high, low] = self.0.hash_one(whose).to_be_bytes();
        Bucket::from_be_bytes([high, low])
    }
}

impl Budgets {
    /// Budgets that no one has used yet.
    #[must_use]
    pub fn new(per_second: u32, burst: u32, buckets: Buckets) -> Self {
        Self { each: RateLimiter::keyed(quota(per_second, burst)), buckets, clock: DefaultClock::default() }
    }

    /// Counts one.
    ///
    /// # Errors
    /// After which time the next one is taken.
    pub fn spend(&self, whose: impl Hash) -> Result<(), Duration> {
        let spent = self.each.check_key(&self.buckets.of(whose));
        spent.map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// How many budgets are in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.each.len()
    }
}

/// One budget for all together.
#[derive(Debug)]
pub struct Budget {
    all: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Budget {
    /// So many a second, and at once.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { all: RateLimiter::direct(quota(per_second, per_second)), clock: DefaultClock::default() }
    }

    /// Counts one.
    ///
    /// # Errors
    /// After which time the next one is taken.
    pub fn spend(&self) -> Result<(), Duration> {
        self.all.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst))
}
