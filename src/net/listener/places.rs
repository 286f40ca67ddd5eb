//! The connections that are open now, and which of them gives way to a new one.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::net::{connection::Connection, counters::Why, limits::ConnectionLimits};

/// How long an authenticated connection that is quiet is kept from strangers.
const KEPT_FOR_ITS_OWNER: Duration = Duration::from_secs(20);

/// The connections that are open now.
#[derive(Debug, Default)]
pub struct OpenConnections(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    taken: HashMap<u64, Held>,
    /// How many each address holds; those of proxies are not counted.
    of_address: HashMap<IpAddr, usize>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    connection: Arc<Connection>,
    /// The address that it counts for; None for a proxy's.
    address: Option<IpAddr>,
}

impl OpenConnections {
    /// Takes a place for a new connection. Where none is free, of the address or altogether, one on which nothing moves
    /// gives way. So neither clients that connect and say nothing, nor clients that ask and take no answer, keep others
    /// out, and one address has its own crowd only.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take_place(
        self: &Arc<Self>,
        connection: Arc<Connection>,
        address: Option<IpAddr>,
        limits: &ConnectionLimits,
        now: Instant,
    ) -> Result<Slot, Why> {
        let mut places = self.places();
        if let Some(own) = address
            && places.held_by(address) >= limits.connections_per_address()
        {
            places.make_room(now, |held| held.address == Some(own)).ok_or(Why::address)?;
            limits.counters.count(Why::evicted);
        }
        if places.taken.len() >= limits.max_connections {
            places.make_room(now, |_| true).ok_or(Why::full)?;
            limits.counters.count(Why::evicted);
        }
        let number = places.next;
        places.next += 1;
        if let Some(own) = address {
            *places.of_address.entry(own).or_default() += 1;
        }
        places.taken.insert(number, Held { connection, address });
        Ok(Slot { open: Arc::clone(self), number })
    }

    /// Closes all that are left, and says how many.
    pub fn close_all(&self) -> usize {
        let places = self.places();
        places.taken.values().for_each(|held| held.connection.close());
        places.taken.len()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn held_by(&self, address: Option<IpAddr>) -> usize {
        address.and_then(|address| self.of_address.get(&address)).copied().unwrap_or_default()
    }

    /// Closes the connection that gives way: an unauthenticated one before an authenticated one, then one of the address
    /// that holds most, then the one on which nothing has moved for longest.
    ///
    /// Those who come are not authenticated yet. So while others like them are in the way, an authenticated connection
    /// that was used just now stays, though it is the only quiet one.
    fn make_room(&mut self, now: Instant, may: impl Fn(&Held) -> bool) -> Option<()> {
        let (mut first, mut strangers) = (None, false);
        for (number, held) in self.taken.iter().filter(|(_, held)| may(held)) {
            let proven = held.connection.is_proven();
            strangers |= !proven;
            if let Some(since) = held.connection.gives_way_since(now) {
                let candidate = (proven, Reverse(self.held_by(held.address)), since, *number);
                first = Some(first.map_or(candidate, |first: (_, _, _, _)| candidate.min(first)));
            }
        }
        let (proven, _, since, number) = first?;
        if proven && strangers && now.saturating_duration_since(since) < KEPT_FOR_ITS_OWNER {
            return None;
        }
        self.remove(number)?.connection.close();
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.taken.remove(&number)?;
        if let Some(own) = held.address
            && let Some(count) = self.of_address.get_mut(&own)
        {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&own);
            }
        }
        Some(held)
    }
}

/// A connection's place among the open ones; free again when dropped.
pub struct Slot {
    open: Arc<OpenConnections>,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.places().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten places, four for each address, and what has come so far.
    struct Gate {
        open: Arc<OpenConnections>,
        limits: ConnectionLimits,
        begin: Instant,
        places: Vec<Slot>,
    }

    impl Gate {
        fn new() -> Self {
            let limits = ConnectionLimits {
                max_connections: 10,
                max_connections_per_address: Some(4),
                ..ConnectionLimits::of_probes()
            };
            Self { open: Arc::default(), limits, begin: Instant::now(), places: Vec::new() }
        }

        /// A new connection of an address, so many seconds after the beginning.
        fn comes(&mut self, address: Option<&str>, after: u64) -> Result<Arc<Connection>, Why> {
            let now = self.begin + Duration::from_secs(after);
            let connection = Connection::new(now, address.is_none());
            let address = address.map(|address| address.parse().unwrap());
            let place = self.open.take_place(Arc::clone(&connection), address, &self.limits, now)?;
            self.places.push(place);
            Ok(connection)
        }
    }

    fn is_closed(connection: &Connection) -> bool {
        futures::FutureExt::now_or_never(connection.closed()).is_some()
    }

    #[test]
    fn an_address_with_all_its_places_makes_room_among_its_own() {
        let mut gate = Gate::new();
        let honest = gate.comes(Some("192.0.2.1"), 0).unwrap();
        let crowd: Vec<_> = (1..=4).map(|after| gate.comes(Some("203.0.113.9"), after).unwrap()).collect();
        gate.comes(Some("203.0.113.9"), 5).unwrap();
        assert!(is_closed(&crowd[0]) && !is_closed(&crowd[1]) && !is_closed(&honest));
        assert_eq!(gate.limits.counters.counted(Why::evicted), 1);
    }

    #[test]
    fn where_nothing_can_give_way_the_new_one_is_turned_away_and_others_are_not() {
        let mut gate = Gate::new();
        let busy: Vec<_> = (0..4).map(|_| gate.comes(Some("203.0.113.9"), 0).unwrap()).collect();
        let now = gate.begin;
        let _answering: Vec<_> = busy.iter().map(|busy| busy.begin_for_tests(now)).collect();
        assert_eq!(gate.comes(Some("203.0.113.9"), 60).unwrap_err(), Why::address);
        gate.comes(Some("192.0.2.1"), 60).unwrap();
    }

    #[test]
    fn the_most_crowded_address_gives_way_first_and_those_known_last() {
        let mut gate = Gate::new();
        let honest = gate.comes(Some("192.0.2.1"), 0).unwrap();
        let known = gate.comes(Some("203.0.113.9"), 0).unwrap();
        known.prove();
        let crowd: Vec<_> = (1..=3).map(|after| gate.comes(Some("203.0.113.9"), after).unwrap()).collect();
        for number in 1..=5 {
            gate.comes(Some(&format!("198.51.100.{number}")), 4).unwrap();
        }
        gate.comes(Some("192.0.2.2"), 5).unwrap();
        assert!(is_closed(&crowd[0]) && !is_closed(&honest) && !is_closed(&known));
    }

    #[test]
    fn a_colleague_at_a_crowded_address_keeps_the_connection_that_is_hers() {
        let mut gate = Gate::new();
        let colleague = gate.comes(Some("203.0.113.9"), 0).unwrap();
        colleague.prove();
        let crowd: Vec<_> = (0..3).map(|_| gate.comes(Some("203.0.113.9"), 0).unwrap()).collect();
        let now = gate.begin;
        let answering: Vec<_> = crowd.iter().map(|busy| busy.begin_for_tests(now)).collect();
        assert_eq!(gate.comes(Some("203.0.113.9"), 1).unwrap_err(), Why::address, "hers is the only quiet one");
        assert!(!is_closed(&colleague));
        // Not for ever, and not from others who are known.
        gate.comes(Some("203.0.113.9"), 20).unwrap();
        assert!(is_closed(&colleague));
        drop(answering);
        let mut gate = Gate::new();
        let known: Vec<_> = (0..4).map(|_| gate.comes(Some("203.0.113.9"), 0).unwrap()).collect();
        for known in &known {
            known.prove();
        }
        gate.comes(Some("203.0.113.9"), 1).unwrap();
    }

    #[test]
    fn trusted_proxies_are_not_counted_by_address() {
        let mut gate = Gate::new();
        let proxied: Vec<_> = (0..8).map(|after| gate.comes(None, after).unwrap()).collect();
        assert!(proxied.iter().all(|connection| !is_closed(connection)));
        // A stranger's goes before a proxy's.
        let stranger = gate.comes(Some("203.0.113.9"), 9).unwrap();
        gate.comes(None, 10).unwrap();
        gate.comes(None, 11).unwrap();
        assert!(is_closed(&stranger) && proxied.iter().all(|connection| !is_closed(connection)));
    }
}
