//! How many requests are worked on at the same time: for each person, and for each address from which no one is known.

use std::sync::{Arc, Mutex, PoisonError};

use super::client_address::ClientAddress;
use crate::net::shares::{Share, Shares};
use crate::server::args::RequestLimits;

/// The places of all requests that are being worked on.
#[derive(Debug)]
pub struct InFlight {
    people: Shares,
    addresses: Shares,
}

/// The place of one request, from its header until its answer begins.
#[derive(Clone, Debug)]
pub struct Slot(Arc<Mutex<Option<Share>>>);

impl InFlight {
    /// As the flags say.
    #[must_use]
    pub fn new(limits: &RequestLimits) -> Self {
        Self {
            people: Shares::new(limits.max_requests_per_person),
            addresses: Shares::new(limits.max_requests_per_address),
        }
    }

    /// A place for a request: of the person, where that is known; of whose request the download token is, where it was
    /// seen to be good; else of the address. None when all of theirs are taken.
    #[must_use]
    pub fn begin(&self, person: Option<&str>, requester: Option<&str>, client: ClientAddress) -> Option<Slot> {
        let share = match (person, requester) {
            (Some(person), _) => self.people.take(person),
            (None, Some(requester)) => self.people.take(("holder", requester)),
            (None, None) => self.addresses.take(client.network()),
        };
        Some(Slot(Arc::new(Mutex::new(Some(share?)))))
    }

    /// The request is this person's, as is now known: it takes a place of theirs and gives that of the address back.
    /// Whether there was one.
    #[must_use]
    pub fn is_of(&self, slot: &Slot, person: &str) -> bool {
        let share = self.people.take(person);
        let found = share.is_some();
        if found {
            *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = share;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ServerArgs;

    #[test]
    fn a_crowd_at_an_address_takes_no_place_of_a_person_there() {
        let flags = ["--max-requests-per-address", "2", "--max-requests-per-person", "1"];
        let in_flight = InFlight::new(&ServerArgs::for_tests(&flags).requests);
        let client = ClientAddress("203.0.113.9".parse().unwrap());
        let first = in_flight.begin(None, None, client).unwrap();
        let _second = in_flight.begin(None, None, client).unwrap();
        assert!(in_flight.begin(None, None, client).is_none());
        let known = in_flight.begin(Some("carol"), None, client).unwrap();
        assert!(in_flight.begin(Some("carol"), None, client).is_none(), "a person has a limit, too");
        drop(known);
        assert!(in_flight.begin(None, Some("carol"), client).is_some(), "the holder of a good token has one, too");
        // Someone becomes known while their request is worked on.
        assert!(in_flight.is_of(&first, "carol"));
        assert!(in_flight.begin(None, None, client).is_some(), "the address has its place back");
        assert!(in_flight.begin(Some("carol"), None, client).is_none());
    }
}
