//! What comes by between two looks, or came by while nobody led, and whether it voids what was proven.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};

use super::{Keeper, broken};
use crate::{
    cluster::{
        error::in_one_line,
        mutations::{self, Passing},
    },
    guard::{Kind, Live, LiveObject, Reason, Record, State, Watched},
};

/// So many that came by are named in one Event.
const MOST_PASSED: usize = 5;

/// How long the watch may take to tell what came by while nobody led. After it, nobody knows.
const CATCH_UP: Duration = Duration::from_secs(30);

impl Keeper<'_> {
    /// Looks for ever: again and again, and at once when something comes by that can change requests and votes.
    pub(in crate::controller) async fn run(mut self) {
        let before = self.watched_before().await;
        let from = before.clone().unwrap_or_default();
        let mut passing = mutations::watch(self.context.clients.watches(), &from);
        let missed = self.catch_up(&mut passing).await;
        // Where no epoch goes on there is none to end.
        if before.is_some() && !missed.is_empty() {
            self.miss(&missed);
        }
        loop {
            self.look().await;
            let rest = tokio::time::sleep(self.args.guard_interval.get());
            tokio::pin!(rest);
            loop {
                tokio::select! {
                    () = &mut rest => break,
                    Some(passing) = passing.next() => if self.meet(passing) {
                        break;
                    },
                }
            }
        }
    }

    /// How far the leader before has watched. `None`: the record says nothing of policies that stand.
    async fn watched_before(&mut self) -> Option<Watched> {
        loop {
            match self.stored().await {
                Ok(stored) => {
                    let record = stored.and_then(|stored| stored.evidence.record)?;
                    return matches!(record.state, State::Intact { .. }).then_some(record.watched);
                }
                Err(error) => {
                    let cause = in_one_line(&error);
                    tracing::warn!(error = cause, "the guard's record could not be read");
                    self.announce(broken(&Reason::NoAnswer { cause }));
                    tokio::time::sleep(self.args.guard_interval.get()).await;
                }
            }
        }
    }

    /// Keeps what came by while nobody led for the first look. Which kinds nobody can tell of.
    async fn catch_up(&mut self, passing: &mut BoxStream<'static, Passing>) -> BTreeSet<Kind> {
        let (mut behind, mut missed) = (BTreeSet::from(mutations::KINDS), BTreeSet::new());
        let caught_up = async {
            while !behind.is_empty() {
                let Some(next) = passing.next().await else { break };
                match &next {
                    Passing::Changed(_) => {}
                    Passing::Reached(kind, _) | Passing::Absent(kind) => _ = behind.remove(kind),
                    Passing::Missed(kind, _) => {
                        behind.remove(kind);
                        missed.insert(*kind);
                    }
                }
                self.follow(next);
            }
        };
        if tokio::time::timeout(CATCH_UP, caught_up).await.is_err() {
            tracing::warn!("the API server does not tell which mutating policies and webhooks came by");
        }
        missed.extend(behind);
        missed
    }

    /// Whether what was proven so far is void.
    fn meet(&mut self, passing: Passing) -> bool {
        let is_void = match &passing {
            Passing::Changed(object) => match self.last.take() {
                Some(last) => {
                    let startled = self.is_startled(object, &last);
                    self.last = Some(last);
                    startled
                }
                None => false,
            },
            Passing::Missed(kind, _) => {
                self.miss(&BTreeSet::from([*kind]));
                true
            }
            Passing::Reached(..) | Passing::Absent(_) => false,
        };
        self.follow(passing);
        is_void
    }

    /// How far the watch has come, and, before the first look, what it told.
    fn follow(&mut self, passing: Passing) {
        match passing {
            Passing::Changed(object) => {
                self.watched.reach(object.kind, &object.resource_version);
                if self.last.is_none() {
                    self.unjudged.push(object);
                }
            }
            Passing::Reached(kind, version) | Passing::Missed(kind, version) => self.watched.reach(kind, &version),
            Passing::Absent(_) => {}
        }
    }

    /// Judges what came by before the first look by what that look has seen.
    pub(super) fn judge(&mut self, live: &Live) {
        for object in std::mem::take(&mut self.unjudged) {
            self.is_startled(&object, live);
        }
    }

    /// Something may have changed a vote meanwhile, though it is gone when one looks. So the next look that finds
    /// everything in place begins an epoch, also of the same objects.
    fn is_startled(&mut self, object: &LiveObject, known: &Live) -> bool {
        let startled = self.passers.startle(object, known);
        if startled {
            let passer = format!("{} `{}`", object.kind, object.name);
            tracing::warn!(passer, "came or changed, and can change requests and votes on their way");
            self.void(passer, known.epoch());
        }
        startled
    }

    fn miss(&mut self, kinds: &BTreeSet<Kind>) {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let kinds = kinds.join(", ");
        tracing::warn!(kinds, "no one watched these for a time, so an epoch begins");
        self.void(format!("anything of {kinds}, which no one watched for a time"), String::new());
    }

    fn void(&mut self, passer: String, epoch: String) {
        if self.passed.len() < MOST_PASSED && !self.passed.contains(&passer) {
            self.passed.push(passer);
        }
        self.seen = Some(Record::broken(&Reason::OtherEpoch, epoch, self.now()));
        self.announce(broken(&Reason::OtherEpoch));
    }
}
