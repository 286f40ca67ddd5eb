//! One call for all who wait for its answer: whoever asks is given the answer of a call that **began after they asked**.
//!
//! The API server answers a consistent list from its watch cache, and waits until that has caught up with etcd, which it
//! learns on a tick of 100 ms. Many lists at once wait for the same tick, one after the other in each connection. So those
//! who ask while a call is under way wait for its end, and share the next one. No one is given what was read before they
//! asked, so nothing is less consistent than a call of one's own.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

/// A call and its answer. `None`: it failed, and whoever wants to know why asks alone.
type Call<V> = Shared<BoxFuture<'static, Option<V>>>;

/// Calls by what they ask.
pub struct Together<K, V>(Arc<Mutex<HashMap<K, Turns<V>>>>);

/// The call that began last, and the one that begins when it ends.
struct Turns<V> {
    begun: Call<V>,
    next: Option<Call<V>>,
}

impl<K, V> Default for Together<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Together<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The answer of `call`, or of the call of someone else that asks the same and begins after this moment. `None`: it
    /// failed.
    pub async fn ask<Calling>(&self, key: K, call: impl FnOnce() -> Calling + Send + 'static) -> Option<V>
    where
        Calling: Future<Output = Option<V>> + Send + 'static,
    {
        let joined = self.join(&key, call);
        let answer = joined.await;
        let mut all = lock(&self.0);
        if all.get(&key).is_some_and(|turns| turns.begun.peek().is_some() && turns.next.is_none()) {
            all.remove(&key);
        }
        answer
    }

    fn join<Calling>(&self, key: &K, call: impl FnOnce() -> Calling + Send + 'static) -> Call<V>
    where
        Calling: Future<Output = Option<V>> + Send + 'static,
    {
        let mut all = lock(&self.0);
        let Some(turns) = all.get_mut(key) else {
            let begun = async move { call().await }.boxed().shared();
            all.insert(key.clone(), Turns { begun: begun.clone(), next: None });
            return begun;
        };
        // It has not begun while it is here.
        if let Some(next) = &turns.next {
            return next.clone();
        }
        let (before, all, own) = (turns.begun.clone(), Arc::clone(&self.0), key.clone());
        let next = async move {
            before.await;
            begin(&all, &own);
            call().await
        };
        let next = next.boxed().shared();
        turns.next = Some(next.clone());
        next
    }
}

/// From now on no one joins it.
fn begin<K: Hash + Eq, V>(all: &Mutex<HashMap<K, Turns<V>>>, key: &K) {
    if let Some(turns) = lock(all).get_mut(key)
        && let Some(next) = turns.next.take()
    {
        turns.begun = next;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// A policy that is read by calls which end when they are let.
    struct World {
        together: Together<&'static str, u32>,
        policy: Arc<AtomicU32>,
        calls: Arc<AtomicU32>,
        ends: Arc<Semaphore>,
    }

    impl World {
        fn new() -> Self {
            let (policy, calls, ends) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(0)));
            Self { together: Together::default(), policy, calls, ends }
        }

        /// Reads the policy when the call begins, and answers when it ends.
        fn ask(&self) -> impl Future<Output = Option<u32>> {
            let (policy, calls, ends) = (Arc::clone(&self.policy), Arc::clone(&self.calls), Arc::clone(&self.ends));
            self.together.ask("payments", move || async move {
                calls.fetch_add(1, SeqCst);
                let seen = policy.load(SeqCst);
                ends.acquire().await.unwrap().forget();
                Some(seen)
            })
        }
    }

    #[tokio::test]
    async fn a_policy_that_is_tightened_between_two_callers_is_seen_by_the_second() {
        let world = World::new();
        let mut first = Box::pin(world.ask());
        assert!((&mut first).now_or_never().is_none());
        world.policy.store(1, SeqCst);
        let others: Vec<_> = (0..50).map(|_| Box::pin(world.ask())).collect();
        let mut others = Box::pin(join_all(others));
        assert!((&mut others).now_or_never().is_none());
        assert_eq!(world.calls.load(SeqCst), 1, "the second call waits for the end of the first");
        world.ends.add_permits(1);
        assert_eq!(first.await, Some(0));
        assert!((&mut others).now_or_never().is_none());
        // Theirs has begun, so who asks now is not given it.
        world.policy.store(2, SeqCst);
        let mut last = Box::pin(world.ask());
        assert!((&mut last).now_or_never().is_none());
        world.ends.add_permits(2);
        assert_eq!(others.await, vec![Some(1); 50]);
        assert_eq!(last.await, Some(2));
        assert_eq!(world.calls.load(SeqCst), 3);
        assert!(lock(&world.together.0).is_empty());
    }

    #[tokio::test]
    async fn a_caller_who_leaves_holds_no_one_up() {
        let world = World::new();
        let mut first = Box::pin(world.ask());
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(world.ask());
        assert!((&mut second).now_or_never().is_none());
        let mut third = Box::pin(world.ask());
        assert!((&mut third).now_or_never().is_none());
        drop((first, second));
        world.ends.add_permits(2);
        assert_eq!(third.await, Some(0));
        assert_eq!(world.calls.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_is_everyones_and_the_next_call_is_made_anew() {
        let together: Together<u8, u8> = Together::default();
        assert_eq!(together.ask(1, || async { None }).await, None);
        assert_eq!(together.ask(1, || async { Some(7) }).await, Some(7));
        assert_eq!(together.ask(2, || async { Some(8) }).await, Some(8));
    }
}
