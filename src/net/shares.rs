//! Places of which each address, or each person, gets only so many at the same time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts what each has taken. An address that holds nothing costs no memory.
#[derive(Debug)]
pub struct Shares {
    each: usize,
    hash: RandomState,
    taken: Taken,
}

/// By a keyed hash, so that no one can choose with whom they share.
type Taken = Arc<Mutex<HashMap<u64, usize>>>;

impl Shares {
    /// So many places for each.
    #[must_use]
    pub fn new(each: usize) -> Self {
        Self { each, hash: RandomState::new(), taken: Taken::default() }
    }

    /// Takes a place, which is free again when the share is dropped. None when all of theirs are taken.
    #[must_use]
    pub fn take(&self, whose: impl Hash) -> Option<Share> {
        let key = self.hash.hash_one(whose);
        let mut taken = locked(&self.taken);
        let count = taken.entry(key).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Share { key, taken: Arc::clone(&self.taken) })
    }
}

/// One place.
#[derive(Debug)]
pub struct Share {
    key: u64,
    taken: Taken,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

fn locked(taken: &Taken) -> MutexGuard<'_, HashMap<u64, usize>> {
    // The numbers stay sensible whatever a panicking holder did.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_places_and_gets_them_back() {
        let shares = Shares::new(2);
        let first = shares.take("carol").unwrap();
        let second = shares.take("carol").unwrap();
        assert!(shares.take("carol").is_none());
        let other = shares.take("alice").unwrap();
        drop(first);
        let third = shares.take("carol").unwrap();
        drop((second, third, other));
        assert!(locked(&shares.taken).is_empty(), "who holds nothing costs nothing");
    }
}
