//! What was seen to be good lately: bearer tokens that the API server accepted, and download tokens that belong to a
//! request.
//!
//! It decides from whose budget a lookup is paid, and nothing else. Whether someone may do something is asked of the
//! API server each time, as if nothing were remembered.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

/// How many are remembered, at most.
const MOST: usize = 4096;
/// Of these, how many of one person, who can have any number of tokens made.
const MOST_OF_ONE: usize = 32;
/// How long.
const KEPT: Duration = Duration::from_mins(15);

/// Remembers whose they were. Nothing but a digest of each is kept.
#[derive(Debug, Default)]
pub struct Lately(Mutex<HashMap<Print, Seen>>);

type Print = [u8; 32];

#[derive(Debug)]
struct Seen {
    whose: String,
    at: Instant,
}

impl Lately {
    /// It is good, and this person's.
    pub fn saw(&self, secret: &str, whose: &str, now: Instant) {
        let mut seen = self.seen();
        let print = print(secret);
        if !seen.contains_key(&print) {
            make_room(&mut seen, whose, now);
        }
        seen.insert(print, Seen { whose: whose.to_owned(), at: now });
    }

    /// Whose it is, if it was good lately.
    #[must_use]
    pub fn whose(&self, secret: &str, now: Instant) -> Option<String> {
        let seen = self.seen();
        let found = seen.get(&print(secret)).filter(|seen| is_fresh(seen, now))?;
        Some(found.whose.clone())
    }

    /// It is good no longer.
    pub fn forget(&self, secret: &str) {
        self.seen().remove(&print(secret));
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Print, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn print(secret: &str) -> Print {
    Sha256::digest(secret.as_bytes()).into()
}

fn is_fresh(seen: &Seen, now: Instant) -> bool {
    now.saturating_duration_since(seen.at) < KEPT
}

fn make_room(seen: &mut HashMap<Print, Seen>, whose: &str, now: Instant) {
    if seen.len() >= MOST {
        seen.retain(|_, seen| is_fresh(seen, now));
    }
    let own = seen.values().filter(|seen| seen.whose == whose).count();
    if own >= MOST_OF_ONE || seen.len() >= MOST {
        let theirs = |seen: &Seen| own < MOST_OF_ONE || seen.whose == whose;
        let oldest = seen.iter().filter(|(_, seen)| theirs(seen)).min_by_key(|(_, seen)| seen.at);
        if let Some(print) = oldest.map(|(print, _)| *print) {
            seen.remove(&print);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_good_is_remembered_for_a_while_and_what_is_not_is_forgotten() {
        let (lately, now) = (Lately::default(), Instant::now());
        lately.saw("canary", "carol", now);
        assert_eq!(lately.whose("canary", now).as_deref(), Some("carol"));
        assert_eq!(lately.whose("another", now), None);
        assert_eq!(lately.whose("canary", now + KEPT), None);
        lately.forget("canary");
        assert_eq!(lately.whose("canary", now), None);
        lately.saw("canary", "carol", now);
        assert!(!format!("{lately:?}").contains("canary"));
    }

    #[test]
    fn one_person_with_many_tokens_takes_nobody_elses_place() {
        let (lately, now) = (Lately::default(), Instant::now());
        lately.saw("of-alice", "alice", now);
        for number in 0..MOST as u64 {
            lately.saw(&format!("of-carol-{number}"), "carol", now + Duration::from_millis(number));
        }
        assert_eq!(lately.seen().len(), 1 + MOST_OF_ONE);
        assert_eq!(lately.whose("of-alice", now).as_deref(), Some("alice"));
        for number in 0..2 * MOST {
            lately.saw(&format!("of-{number}"), &format!("person-{number}"), now);
        }
        assert_eq!(lately.seen().len(), MOST, "memory is bounded");
    }
}
