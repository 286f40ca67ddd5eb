//! How often callers may ask: in tiers, so that those of whom nothing is known use up nothing of those who are known.
//!
//! | who asks | pays from |
//! |---|---|
//! | no one, for nothing there is (unknown path, malformed token, no bearer token) | the address's budget for that |
//! | someone who is not known, for a page | the address's budget for pages |
//! | someone with a token that no one has seen: a lookup | the address's budget, and that of all lookups |
//! | someone whom the API server knew lately, by their bearer token | their own budget, wherever they call from |
//! | someone with a download token that was verified | the budget of whose request it is |
//!
//! Half of the budget of all lookups is kept for addresses that have asked for nothing wrong lately.
//!
//! Which tier a request is in depends on what it shows, never on what there is in the cluster: from a 429 no one learns
//! whether a request exists.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
};

use super::client_address::ClientAddress;
use crate::net::budget::{Bucket, Buckets, Budget, Budgets};
use crate::server::http::error::{ErrorCode, ServerError};

/// So many seconds of --rate-malformed may be spent at once.
const MALFORMED_BURST: u32 = 6;

/// So many times --rate-burst pages may be opened at once: an office behind one address comes to work.
const PAGES_BURST: u32 = 4;

/// An address with so many wrong tokens within [`SUSPECT_FOR`] is a suspect.
const WRONG: u8 = 3;
/// How long a wrong token is remembered.
const SUSPECT_FOR: Duration = Duration::from_mins(10);

/// Limits on how often the public routes may be asked.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits on requests")]
pub struct RateLimits {
    /// Requests per second that one client address may send with tokens that were not verified recently; an IPv6
    /// client counts by its /64. A person who was authenticated within 15 minutes, and the holder of a download token
    /// that was verified, have as much of their own wherever they call from. Beyond it: 429 with Retry-After.
    #[arg(long, env = "CERTCOURIER_RATE_PER_ADDRESS", default_value_t = 20, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_per_address: u32,
    /// Requests that one client address may send at once before --rate-per-address counts.
    #[arg(long, env = "CERTCOURIER_RATE_BURST", default_value_t = 60, value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_burst: u32,
    /// Requests per second that one client address may send for nothing that exists: unknown paths, malformed tokens,
    /// no bearer token. They cost no call and use up nothing of --rate-per-address. Beyond it: 429 with Retry-After.
    #[arg(long, env = "CERTCOURIER_RATE_MALFORMED", default_value_t = 5, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_malformed: u32,
    /// Lookups per second at the API server that all callers may cause together with tokens that were not verified
    /// recently: a well-formed download token costs one, a bearer token another. Half of it is kept for addresses
    /// without wrong tokens in the last 10 minutes. Beyond it: 429 with Retry-After.
    #[arg(long, env = "CERTCOURIER_RATE_LOOKUPS", default_value_t = 500, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_lookups: u32,
    /// Requests per second with which one person may request, claim, vote, revoke and export. Beyond it: 429 with
    /// Retry-After.
    #[arg(long, env = "CERTCOURIER_RATE_PER_PERSON", default_value_t = 10, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_per_person: u32,
    /// Such requests that one person may send at once before --rate-per-person counts.
    #[arg(long, env = "CERTCOURIER_RATE_PERSON_BURST", default_value_t = 30, value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_person_burst: u32,
}

/// Who had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are labels")]
pub enum Tier {
    /// Requests for nothing there is.
    malformed,
    /// An address, for pages before anyone is signed in.
    pages,
    /// An address, with tokens that no one has seen, or to sign in at an identity provider.
    address,
    /// All strangers together.
    strangers,
    /// A person.
    person,
    /// The holder of a token that is good.
    holder,
    /// Too many requests at the same time, of a person or an address.
    at_once,
    /// Too many downloads at the same time, of a person, an address, or altogether.
    deliveries,
}

/// The label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByTier {
    tier: Tier,
}

/// How often someone had to wait.
pub type Limited = Family<ByTier, Counter>;

/// The limiters of one server.
#[derive(Debug)]
pub struct RateLimiters {
    malformed: Budgets,
    pages: Budgets,
    addresses: Budgets,
    /// What people do.
    people: Budgets,
    /// What people, and holders of tokens, ask.
    known: Budgets,
    lookups: Budget,
    lookups_of_unsuspected: Budget,
    suspects: Suspects,
    limited: Limited,
}

impl RateLimiters {
    /// Limiters that no one has used yet.
    #[must_use]
    pub fn new(limits: &RateLimits) -> Self {
        let buckets = Buckets::default();
        let budgets = |rate, burst| Budgets::new(rate, burst, buckets.clone());
        let kept = limits.rate_lookups.div_ceil(2);
        Self {
            malformed: budgets(limits.rate_malformed, limits.rate_malformed.saturating_mul(MALFORMED_BURST)),
            pages: budgets(limits.rate_per_address, limits.rate_burst.saturating_mul(PAGES_BURST)),
            addresses: budgets(limits.rate_per_address, limits.rate_burst),
            people: budgets(limits.rate_per_person, limits.rate_person_burst),
            known: budgets(limits.rate_per_address, limits.rate_burst),
            lookups: Budget::new(limits.rate_lookups - kept),
            lookups_of_unsuspected: Budget::new(kept),
            suspects: Suspects::new(buckets),
            limited: Limited::default(),
        }
    }

    /// Counts one request for nothing there is.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`], as everywhere here with the time after which the next one is taken.
    pub fn admit_malformed(&self, client: ClientAddress) -> Result<(), ServerError> {
        let spent = self.malformed.spend(client.network());
        spent.map_err(|wait| self.wait(Tier::malformed, "too many invalid requests from your address", wait))
    }

    /// Counts one page for someone who is not known. It costs no lookup, and many people may have one address.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`].
    pub fn admit_page(&self, client: ClientAddress) -> Result<(), ServerError> {
        let spent = self.pages.spend(client.network());
        spent.map_err(|wait| self.wait(Tier::pages, "too many pages for your address", wait))
    }

    /// Counts one request of an address from which no one is known.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`].
    pub fn admit(&self, client: ClientAddress) -> Result<(), ServerError> {
        let spent = self.addresses.spend(client.network());
        spent.map_err(|wait| self.wait(Tier::address, "too many requests from your address", wait))
    }

    /// The same for one that causes a lookup at the API server.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`].
    pub fn admit_lookup(&self, client: ClientAddress) -> Result<(), ServerError> {
        self.admit(client)?;
        if !self.suspects.holds(client, Instant::now()) && self.lookups_of_unsuspected.spend().is_ok() {
            return Ok(());
        }
        let spent = self.lookups.spend();
        spent.map_err(|wait| self.wait(Tier::strangers, "too many callers at the same time", wait))
    }

    /// Counts one request of a person who was authenticated lately.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`].
    pub fn admit_known(&self, username: &str) -> Result<(), ServerError> {
        let spent = self.known.spend(("person", username));
        spent.map_err(|wait| self.wait(Tier::person, "too many requests in your name", wait))
    }

    /// Counts one request with a download token that was verified, of this person's request.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`].
    pub fn admit_holder(&self, requester: &str) -> Result<(), ServerError> {
        let spent = self.known.spend(("holder", requester));
        spent.map_err(|wait| self.wait(Tier::holder, "too many requests with tokens of one person", wait))
    }

    /// Counts one thing that this person does, by their user name.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`].
    pub fn admit_person(&self, username: &str) -> Result<(), ServerError> {
        let spent = self.people.spend(username);
        spent.map_err(|wait| self.wait(Tier::person, "too many requests in your name", wait))
    }

    /// A token that came from this address belongs to nothing.
    pub fn was_wrong(&self, client: ClientAddress) {
        self.suspects.add(client, Instant::now());
    }

    /// Someone has to wait.
    #[must_use]
    pub fn wait(&self, tier: Tier, what: &str, wait: Duration) -> ServerError {
        self.count(tier);
        ServerError::new(ErrorCode::RateLimited, format!("{what}; wait as long as Retry-After says and try again"))
            .retry_after(wait)
    }

    /// Counts that someone has to wait.
    pub fn count(&self, tier: Tier) {
        self.limited.get_or_create(&ByTier { tier }).inc();
    }

    /// The metric.
    #[must_use]
    pub fn metric(&self) -> Limited {
        self.limited.clone()
    }
}

/// Addresses from which wrong tokens came lately. Bounded as the budgets are.
#[derive(Debug)]
struct Suspects {
    wrong: Mutex<HashMap<Bucket, (u8, Instant)>>,
    buckets: Buckets,
}

impl Suspects {
    fn new(buckets: Buckets) -> Self {
        Self { wrong: Mutex::default(), buckets }
    }

    fn add(&self, client: ClientAddress, now: Instant) {
        let mut wrong = self.wrong();
        let (count, at) = wrong.entry(self.buckets.of(client.network())).or_insert((0, now));
        *count = if is_over(*at, now) { 1 } else { count.saturating_add(1) };
        *at = now;
    }

    fn holds(&self, client: ClientAddress, now: Instant) -> bool {
        let bucket = self.buckets.of(client.network());
        self.wrong().get(&bucket).is_some_and(|(count, at)| *count >= WRONG && !is_over(*at, now))
    }

    fn wrong(&self) -> MutexGuard<'_, HashMap<Bucket, (u8, Instant)>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) >= SUSPECT_FOR
}

#[cfg(test)]
mod tests;
