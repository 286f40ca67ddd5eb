//! How often one address, and all together, may ask. Memory is bounded however many addresses come.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use super::{
    client_address::ClientAddress,
    error::{ErrorCode, ServerError},
};

/// Addresses, and people, are counted by a keyed hash of 16 bits, so at most 65,536 budgets exist (some 3 MB) and nothing has to be
/// forgotten. Two addresses share a budget with probability 1/65,536, and nobody can choose whose.
type Bucket = u16;

/// Limits on how often the public routes may be asked.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits on requests")]
pub struct RateLimits {
    /// Requests per second that one client address may send. An IPv6 client counts by its /64.
    /// Beyond it: 429 with Retry-After.
    #[arg(long, env = "CERTCOURIER_RATE_PER_ADDRESS", default_value_t = 20, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_per_address: u32,
    /// Requests that one client address may send at once before --rate-per-address counts.
    #[arg(long, env = "CERTCOURIER_RATE_BURST", default_value_t = 60, value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_burst: u32,
    /// Lookups per second at the API server that all callers may cause together before anybody has authenticated them: a
    /// well-formed download token costs one, a bearer token another. Beyond it: 429 with Retry-After.
    #[arg(long, env = "CERTCOURIER_RATE_LOOKUPS", default_value_t = 500, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_lookups: u32,
    /// Requests per second with which one person may mint, claim, vote, revoke and export. Beyond it: 429 with
    /// Retry-After.
    #[arg(long, env = "CERTCOURIER_RATE_PER_PERSON", default_value_t = 10, value_name = "PER_SECOND",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_per_person: u32,
    /// Such requests that one person may send at once before --rate-per-person counts.
    #[arg(long, env = "CERTCOURIER_RATE_PERSON_BURST", default_value_t = 30, value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_person_burst: u32,
}

/// The limiters of one server.
#[derive(Debug)]
pub struct RateLimiters {
    addresses: DefaultKeyedRateLimiter<Bucket>,
    people: DefaultKeyedRateLimiter<Bucket>,
    lookups: DefaultDirectRateLimiter,
    clock: DefaultClock,
    hash: RandomState,
}

impl RateLimiters {
    /// Limiters that nobody has used yet.
    #[must_use]
    pub fn new(limits: &RateLimits) -> Self {
        Self {
            addresses: RateLimiter::keyed(quota(limits.rate_per_address, limits.rate_burst)),
            people: RateLimiter::keyed(quota(limits.rate_per_person, limits.rate_person_burst)),
            lookups: RateLimiter::direct(quota(limits.rate_lookups, limits.rate_lookups)),
            clock: DefaultClock::default(),
            hash: RandomState::new(),
        }
    }

    /// Counts one request of this address.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`] with the time after which the next one is taken.
    pub fn admit(&self, client: ClientAddress) -> Result<(), ServerError> {
        self.addresses
            .check_key(&self.bucket(client.network()))
            .map_err(|until| self.refusal("too many requests from your address", &until))
    }

    /// Counts one request of this person, by their user name.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`] with the time after which the next one is taken.
    pub fn admit_person(&self, username: &str) -> Result<(), ServerError> {
        self.people
            .check_key(&self.bucket(username))
            .map_err(|until| self.refusal("too many requests in your name", &until))
    }

    fn bucket(&self, whose: impl Hash) -> Bucket {
        let [.., high, low] = self.hash.hash_one(whose).to_be_bytes();
        Bucket::from_be_bytes([high, low])
    }

    /// Counts one lookup at the API server for a caller that nobody has authenticated.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`] with the time after which the next one is taken.
    pub fn admit_lookup(&self) -> Result<(), ServerError> {
        self.lookups.check().map_err(|until| self.refusal("too many callers at the same time", &until))
    }

    fn refusal(&self, what: &str, until: &NotUntil<<DefaultClock as Clock>::Instant>) -> ServerError {
        let wait = until.wait_time_from(self.clock.now());
        ServerError::new(ErrorCode::RateLimited, format!("{what}; wait as long as Retry-After says and try again"))
            .retry_after(wait)
    }
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RateLimits =
        RateLimits { rate_per_address: 1, rate_burst: 3, rate_lookups: 2, rate_per_person: 1, rate_person_burst: 2 };

    fn client(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    /// An address that does not share the budget of `taken` by chance.
    fn another(limiters: &RateLimiters, taken: ClientAddress, pattern: &str) -> ClientAddress {
        (1..250)
            .map(|number| client(&pattern.replace('#', &number.to_string())))
            .find(|candidate| limiters.bucket(candidate.network()) != limiters.bucket(taken.network()))
            .unwrap()
    }

    #[test]
    fn an_address_has_its_burst_and_then_waits() {
        let (limiters, greedy) = (RateLimiters::new(&LIMITS), client("203.0.113.1"));
        for _ in 0..3 {
            limiters.admit(greedy).unwrap();
        }
        assert_eq!(limiters.admit(greedy).unwrap_err().code(), ErrorCode::RateLimited);
        limiters.admit(another(&limiters, greedy, "198.51.100.#")).unwrap();
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let limiters = RateLimiters::new(&LIMITS);
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"] {
            limiters.admit(client(host)).unwrap();
        }
        limiters.admit(client("2001:db8::4")).unwrap_err();
        limiters.admit(another(&limiters, client("2001:db8::4"), "2001:db8:0:#::4")).unwrap();
    }

    #[test]
    fn a_person_has_one_budget_wherever_they_call_from() {
        let limiters = RateLimiters::new(&LIMITS);
        limiters.admit_person("carol").unwrap();
        limiters.admit_person("carol").unwrap();
        let refusal = limiters.admit_person("carol").unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::RateLimited);
        assert!(refusal.description().contains("in your name"), "{refusal}");
        let other = (0..99)
            .map(|number| format!("alice-{number}"))
            .find(|name| limiters.bucket(name) != limiters.bucket("carol"));
        limiters.admit_person(&other.unwrap()).unwrap();
    }

    #[test]
    fn lookups_have_one_budget_for_everybody() {
        let limiters = RateLimiters::new(&LIMITS);
        limiters.admit_lookup().unwrap();
        limiters.admit_lookup().unwrap();
        assert_eq!(limiters.admit_lookup().unwrap_err().code(), ErrorCode::RateLimited);
    }

    #[test]
    fn however_many_addresses_come_the_number_of_budgets_is_bounded() {
        let limiters = RateLimiters::new(&LIMITS);
        for number in 0_u32..200_000 {
            let _ = limiters.admit(ClientAddress(std::net::Ipv4Addr::from_bits(number).into()));
        }
        assert!(limiters.addresses.len() <= 65_536, "{}", limiters.addresses.len());
    }
}
