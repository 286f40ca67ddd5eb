//! The policies and bindings as the API server has them, beside what they should be.
//!
//! Compared as JSON, not as the types of one Kubernetes version: a field that this version does not know may loosen a
//! policy, so it counts as a change. What the API server itself fills in, `admission` fills in too.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Reason;
use crate::{
    admission::{self, Identity, Object, name},
    hex,
};

/// The four kinds that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `ValidatingAdmissionPolicy`
    Policy,
    /// `ValidatingAdmissionPolicyBinding`
    Binding,
    /// `MutatingAdmissionPolicy`: the stamp. Convenience: it may be missing, but what is there must be ours.
    Stamp,
    /// `MutatingAdmissionPolicyBinding`
    StampBinding,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Policy, Self::Binding, Self::Stamp, Self::StampBinding];

    /// As the API server names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "ValidatingAdmissionPolicy",
            Self::Binding => "ValidatingAdmissionPolicyBinding",
            Self::Stamp => "MutatingAdmissionPolicy",
            Self::StampBinding => "MutatingAdmissionPolicyBinding",
        }
    }

    /// As it stands in a path.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Policy => "validatingadmissionpolicies",
            Self::Binding => "validatingadmissionpolicybindings",
            Self::Stamp => "mutatingadmissionpolicies",
            Self::StampBinding => "mutatingadmissionpolicybindings",
        }
    }

    /// Whether Kubernetes has it only from 1.36 on, and certcourier does without where it is not there.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Stamp | Self::StampBinding)
    }

    fn holds(self, name: &str) -> bool {
        if self.is_optional() { name == name::STAMP } else { name::ALL.contains(&name) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One object as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveObject {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Given by the API server, another one for an object made again.
    pub uid: String,
    /// Counted by the API server with each change of the spec.
    pub generation: i64,
    /// Changed by the API server with each write.
    pub resource_version: String,
    /// Its spec.
    pub spec: Value,
}

/// All of certcourier's objects that are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live(BTreeMap<(Kind, String), LiveObject>);

impl Live {
    /// Leaves out what is not of certcourier's names.
    #[must_use]
    pub fn of(objects: impl IntoIterator<Item = LiveObject>) -> Self {
        let ours = objects.into_iter().filter(|object| object.kind.holds(&object.name));
        Self(ours.map(|object| ((object.kind, object.name.clone()), object)).collect())
    }

    /// SHA-256 over the sorted uids and generations: another one as soon as any object is changed or made again, and
    /// never an earlier one.
    #[must_use]
    pub fn epoch(&self) -> String {
        let mut lines: Vec<String> =
            self.0.values().map(|object| format!("{} {}\n", object.uid, object.generation)).collect();
        lines.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(b"certcourier epoch v1\n");
        for line in lines {
            hash.update(line);
        }
        hex::encode(&hash.finalize())
    }

    /// The first thing that is not as it should be.
    #[must_use]
    pub fn fault(&self, wanted: &Wanted) -> Option<Reason> {
        wanted.0.iter().find_map(|((kind, name), digests)| {
            let (kind, name) = (*kind, name.clone());
            let Some(live) = self.0.get(&(kind, name.clone())) else {
                return (!kind.is_optional()).then_some(Reason::Missing { kind, name });
            };
            if digests.contains(&admission::spec_digest(&live.spec)) {
                return None;
            }
            let denies = || {
                let actions = live.spec["validationActions"].as_array();
                actions.is_some_and(|actions| actions.iter().any(|action| action == "Deny"))
            };
            Some(if kind == Kind::Binding && !denies() {
                Reason::NotDenying { name }
            } else {
                Reason::Changed { kind, name }
            })
        })
    }

    /// The version of the newest write to what keeps others from writing the guard's record. `None`: it is not there, or
    /// its versions are no numbers.
    #[must_use]
    pub fn record_protected_since(&self) -> Option<u64> {
        let version = |kind: Kind| self.0.get(&(kind, name::GUARD_STATE.to_owned()))?.resource_version.parse().ok();
        let (policy, binding): (u64, u64) = (version(Kind::Policy)?, version(Kind::Binding)?);
        Some(policy.max(binding))
    }
}

/// What each object may look like: as this revision of certcourier applies it, or as the one before did, so that an
/// upgrade does not stop the keys.
#[derive(Clone, Debug)]
pub struct Wanted(BTreeMap<(Kind, String), Vec<String>>);

impl Wanted {
    /// For an operator that is these users in this namespace.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        let mut wanted = Self::of_editions(&admission::editions(identity));
        for (kind, object) in [Kind::Stamp, Kind::StampBinding].into_iter().zip(admission::stamp()) {
            wanted.0.insert((kind, name::STAMP.to_owned()), vec![admission::spec_digest(&object["spec"])]);
        }
        wanted
    }

    pub(super) fn of_editions(editions: &[Vec<Object>]) -> Self {
        let mut wanted: BTreeMap<(Kind, String), Vec<String>> = BTreeMap::new();
        for object in editions.iter().flatten() {
            let kind = match object {
                Object::Policy(_) => Kind::Policy,
                Object::Binding(_) => Kind::Binding,
            };
            wanted.entry((kind, object.name())).or_default().push(object.digest());
        }
        Self(wanted)
    }
}
