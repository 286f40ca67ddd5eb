//! What the leading controller keeps of its looks, in a `ConfigMap` that no one else may write.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Kind, Mutator, Reason};
use crate::{admission::REVISION, api::words::GuardState};

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
    /// Which objects it is about; see [`super::Live::epoch`].
    pub epoch: String,
    /// When the look began, API-server time.
    pub probed_at: Timestamp,
    /// What can change requests and votes during admission and is not certcourier's, for people to read.
    pub mutators: Vec<String>,
    /// See [`Watched`]. A record that says that the policies do not stand begins an epoch anyway, and keeps none.
    pub watched: Watched,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The policies are in force.
    Intact {
        /// Requests for keys that were created at or before this moment may be forged.
        since: Timestamp,
    },
    /// They do not.
    Broken {
        /// Why: a [`GuardReason`](crate::api::words::GuardReason), or one of another version.
        reason: String,
        /// A sentence that says what to do.
        message: String,
    },
}

impl Record {
    /// That the policies are not in force.
    #[must_use]
    pub fn broken(reason: &Reason, epoch: String, probed_at: Timestamp) -> Self {
        let state = State::Broken { reason: reason.name().to_owned(), message: reason.to_string() };
        Self { state, epoch, probed_at, mutators: Vec::new(), watched: Watched::default() }
    }

    /// The same, with what can change requests and votes during admission.
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

    /// As it is in the `ConfigMap`.
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
                set("state", GuardState::Intact.name().to_owned());
                set("since", since.to_string());
            }
            State::Broken { reason, message } => {
                set("state", GuardState::Broken.name().to_owned());
                set("reason", reason.clone());
                set("message", message.clone());
            }
        }
        data
    }

    /// Out of the `ConfigMap`. `None`: it is not a record that this version can read.
    #[must_use]
    pub fn read(data: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key: &str| data.get(key).cloned();
        let time = |key: &str| data.get(key)?.parse().ok();
        let state = match GuardState::of_name(data.get("state")?)? {
            GuardState::Intact => State::Intact { since: time("since")? },
            GuardState::Broken => State::Broken {
                reason: text("reason").unwrap_or_default(),
                message: text("message").unwrap_or_default(),
            },
        };
        let mutators = data.get(MUTATORS).map(|all| all.lines().map(str::to_owned).collect()).unwrap_or_default();
        let epoch = text("epoch").filter(|epoch| !epoch.is_empty())?;
        let watched = data.get(WATCHED).map(|text| Watched::read(text)).unwrap_or_default();
        Some(Self { state, epoch, probed_at: time("probedAt")?, mutators, watched })
    }

    /// Since when the policies are in force, if this record says so of these objects.
    #[must_use]
    pub fn intact_since(&self, epoch: &str) -> Option<Timestamp> {
        match self.state {
            State::Intact { since } if self.epoch == epoch => Some(since),
            _ => None,
        }
    }
}
