//! What the leading controller keeps of its looks, in a `ConfigMap` that nobody else may write.

use std::{collections::BTreeMap, time::Duration};

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::{Evidence, Kind, Mutator, Reason};
use crate::admission::REVISION;

/// So many are named; a cluster with more has other worries, and a ConfigMap its bounds.
const MOST_MUTATORS: usize = 20;

/// Key of the `ConfigMap` under which they are named, one in each line.
pub const MUTATORS: &str = "mutators";

/// Key of the `ConfigMap` under which it stands how far mutating policies and webhooks were watched.
const WATCHED: &str = "watched";

/// How far each kind of mutator was watched without a gap: the version of the last event that was judged. A kind that is
/// not there was not watched. Whoever leads next goes on from here; what came by for a moment is in no list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched(BTreeMap<Kind, String>);

impl Watched {
    /// Everything of this kind was judged up to this version.
    pub fn reach(&mut self, kind: Kind, version: &str) {
        self.0.insert(kind, version.to_owned());
    }

    /// Up to where a kind was watched.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&str> {
        self.0.get(&kind).map(String::as_str)
    }

    fn text(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|(kind, version)| format!("{kind}={version}")).collect();
        parts.join(" ")
    }

    fn read(text: &str) -> Self {
        let parts = text.split(' ').filter_map(|part| part.split_once('='));
        let known = parts.filter_map(|(name, version)| {
            Some((Kind::ALL.into_iter().find(|kind| kind.name() == name)?, version.to_owned()))
        });
        Self(known.filter(|(_, version)| !version.is_empty()).collect())
    }
}

/// The guard's findings as of its last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was found.
    pub state: State,
    /// Which objects it speaks of; see [`super::Live::epoch`].
    pub epoch: String,
    /// When the look began, API-server time.
    pub probed_at: Timestamp,
    /// What can change requests and votes on their way and is not certcourier's, for people to read.
    pub mutators: Vec<String>,
    /// See [`Watched`]. A record that says that the policies do not stand begins an epoch anyway, and keeps none.
    pub watched: Watched,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The policies stand.
    Intact {
        /// Requests for keys that were created at or before this moment may be forged.
        since: Timestamp,
    },
    /// They do not.
    Broken {
        /// One CamelCase word.
        word: String,
        /// A sentence that says what to do.
        message: String,
    },
}

impl Record {
    /// That the policies do not stand.
    #[must_use]
    pub fn broken(reason: &Reason, epoch: String, probed_at: Timestamp) -> Self {
        let state = State::Broken { word: reason.word().to_owned(), message: reason.to_string() };
        Self { state, epoch, probed_at, mutators: Vec::new(), watched: Watched::default() }
    }

    /// The same, with what can change requests and votes on their way.
    #[must_use]
    pub fn naming(self, mutators: &[Mutator]) -> Self {
        let mut named: Vec<String> = mutators.iter().take(MOST_MUTATORS).map(ToString::to_string).collect();
        let more = mutators.len() - named.len();
        named.extend((more > 0).then(|| format!("and {more} more")));
        Self { mutators: named, ..self }
    }

    /// The same, with how far was watched.
    #[must_use]
    pub fn watched(self, watched: &Watched) -> Self {
        Self { watched: watched.clone(), ..self }
    }

    /// As it stands in the `ConfigMap`.
    #[must_use]
    pub fn data(&self) -> BTreeMap<String, String> {
        let mut data = BTreeMap::from([
            ("epoch".to_owned(), self.epoch.clone()),
            ("probedAt".to_owned(), self.probed_at.to_string()),
            ("revision".to_owned(), REVISION.to_string()),
        ]);
        let mut set = |key: &str, value: String| data.insert(key.to_owned(), value);
        if !self.mutators.is_empty() {
            set(MUTATORS, self.mutators.join("\n"));
        }
        if self.watched != Watched::default() {
            set(WATCHED, self.watched.text());
        }
        match &self.state {
            State::Intact { since } => {
                set("state", "Intact".to_owned());
                set("since", since.to_string());
            }
            State::Broken { word, message } => {
                set("state", "Broken".to_owned());
                set("reason", word.clone());
                set("message", message.clone());
            }
        }
        data
    }

    /// Out of the `ConfigMap`. `None`: it is no record that this version understands.
    #[must_use]
    pub fn read(data: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key: &str| data.get(key).cloned();
        let time = |key: &str| data.get(key)?.parse().ok();
        let state = match data.get("state")?.as_str() {
            "Intact" => State::Intact { since: time("since")? },
            "Broken" => {
                State::Broken { word: text("reason").unwrap_or_default(), message: text("message").unwrap_or_default() }
            }
            _ => return None,
        };
        let mutators = data.get(MUTATORS).map(|all| all.lines().map(str::to_owned).collect()).unwrap_or_default();
        let epoch = text("epoch").filter(|epoch| !epoch.is_empty())?;
        let watched = data.get(WATCHED).map(|text| Watched::read(text)).unwrap_or_default();
        Some(Self { state, epoch, probed_at: time("probedAt")?, mutators, watched })
    }

    /// Since when the policies stand, if this record says so of these objects.
    #[must_use]
    pub fn intact_since(&self, epoch: &str) -> Option<Timestamp> {
        match self.state {
            State::Intact { since } if self.epoch == epoch => Some(since),
            _ => None,
        }
    }
}

/// When an intact look of `epoch` began, and how long after it a request may still have met an API server that did not
/// know the policies yet.
#[derive(Clone, Copy, Debug)]
pub struct Intact<'a> {
    /// Which objects were seen.
    pub epoch: &'a str,
    /// When the look began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How long a policy may take to bite.
    pub settle: Duration,
}

/// The record after an intact look.
///
/// An epoch goes on only while everything says that it never ended: the stored record, what this leader saw itself, and,
/// where it saw nothing yet, that the stored record can be no forgery. Else a new one begins, also of the same objects.
#[must_use]
pub fn keep(
    look: Intact<'_>,
    stored: Option<&Evidence>,
    seen: Option<&Record>,
    protected_since: Option<u64>,
) -> Record {
    let stored = stored.and_then(|stored| {
        let since = stored.record.as_ref()?.intact_since(look.epoch)?;
        Some((since, stored.is_vouched(protected_since)))
    });
    let since = match (stored, seen) {
        // A record that somebody changed under this leader's hands never makes the epoch older.
        (Some((since, _)), Some(seen)) => seen.intact_since(look.epoch).map(|own| own.max(since)),
        (Some((since, vouched)), None) => vouched.then_some(since),
        (None, _) => None,
    };
    let since = since.unwrap_or_else(|| begin(look.ended, look.settle));
    let (state, epoch) = (State::Intact { since }, look.epoch.to_owned());
    Record { state, epoch, probed_at: look.began, mutators: Vec::new(), watched: Watched::default() }
}

/// Whole seconds, rounded up: creationTimestamps are rounded down.
fn begin(ended: Timestamp, settle: Duration) -> Timestamp {
    let since = ended.saturating_add(settle).unwrap_or(Timestamp::MAX);
    since.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil)).unwrap_or(since)
}
