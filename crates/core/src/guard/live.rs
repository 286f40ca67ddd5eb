//! The policies, bindings and CRDs as the API server has them, beside what they should be.
//!
//! Compared as JSON, not as the types of one Kubernetes version: a field that this version does not know may loosen a
//! policy, so it counts as a change. What the API server itself fills in, `admission` fills in too.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Kind, LiveObject, Reason, kinds,
    mutators::{self, Mutator},
};
use crate::{
    admission::{self, Identity, Object, name},
    hex,
};

/// Everything that decides whether a request or vote may be forged, as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    ours: BTreeMap<(Kind, String), LiveObject>,
    mutators: Vec<Mutator>,
    policies: BTreeMap<String, String>,
}

impl Live {
    /// Leaves out what is neither of certcourier's names nor able to change its objects.
    #[must_use]
    pub fn of(objects: impl IntoIterator<Item = LiveObject>) -> Self {
        let (ours, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| object.kind.holds(&object.name));
        let ours = ours.into_iter().map(|object| ((object.kind, object.name.clone()), object)).collect();
        Self { ours, mutators: mutators::among(&others), policies: mutators::policies(&others) }
    }

    /// Mutating policies of others that would meet our kinds if they were bound, with their marks.
    pub(super) const fn reaching_policies(&self) -> &BTreeMap<String, String> {
        &self.policies
    }

    /// Whether this very object, as it is, was there under one of certcourier's names.
    pub(super) fn has_ours(&self, object: &LiveObject) -> bool {
        let known = self.ours.get(&(object.kind, object.name.clone()));
        known.is_some_and(|known| known.mark() == object.mark())
    }

    /// What can change requests, votes and receipts on their way and is not certcourier's.
    #[must_use]
    pub fn mutators(&self) -> &[Mutator] {
        &self.mutators
    }

    /// SHA-256 of the sorted uids and generations: another one as soon as any object is changed or made again, and
    /// never an earlier one. Mutators are in it as long as they are there.
    #[must_use]
    pub fn epoch(&self) -> String {
        let ours = self.ours.values().map(LiveObject::mark);
        let others = self.mutators.iter().flat_map(|mutator| mutator.marks.iter().cloned());
        let mut lines: Vec<String> = ours.chain(others).collect();
        lines.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(b"certcourier epoch v1\n");
        for line in lines {
            hash.update(line);
            hash.update(b"\n");
        }
        hex::encode(&hash.finalize())
    }

    /// The first thing that is not as it should be.
    #[must_use]
    pub fn fault(&self, wanted: &Wanted) -> Option<Reason> {
        let object = wanted.objects.iter().find_map(|((kind, name), digests)| {
            let Some(live) = self.ours.get(&(*kind, name.clone())) else {
                return (!kind.is_optional()).then(|| Reason::Missing { kind: *kind, name: name.clone() });
            };
            if digests.contains(&admission::spec_digest(&live.spec)) {
                return None;
            }
            let denies = || {
                let actions = live.spec["validationActions"].as_array();
                actions.is_some_and(|actions| actions.iter().any(|action| action == "Deny"))
            };
            Some(if *kind == Kind::Binding && !denies() {
                Reason::NotDenying { name: name.clone() }
            } else {
                Reason::Changed { kind: *kind, name: name.clone() }
            })
        });
        object.or_else(|| self.faulty_crd(wanted)).or_else(|| self.refused_mutator(wanted))
    }

    fn faulty_crd(&self, wanted: &Wanted) -> Option<Reason> {
        wanted.crds.iter().find_map(|(name, spec)| {
            let kind = Kind::Crd;
            let Some(live) = self.ours.get(&(kind, name.clone())) else {
                return Some(Reason::Missing { kind, name: name.clone() });
            };
            let difference = kinds::difference(spec, &live.spec)?;
            Some(Reason::CrdChanged { name: name.clone(), difference })
        })
    }

    fn refused_mutator(&self, wanted: &Wanted) -> Option<Reason> {
        let mutator = self.mutators.first().filter(|_| wanted.no_mutators)?;
        Some(Reason::Mutator { mutator: mutator.to_string() })
    }

    /// The version of the newest write to what keeps others from writing the guard's record. `None`: it is not there, or
    /// its versions are not numbers.
    #[must_use]
    pub fn record_protected_since(&self) -> Option<u64> {
        let version = |kind: Kind| self.ours.get(&(kind, name::GUARD_STATE.to_owned()))?.resource_version.parse().ok();
        let (policy, binding): (u64, u64) = (version(Kind::Policy)?, version(Kind::Binding)?);
        Some(policy.max(binding))
    }
}

/// What each object may look like: as this revision of certcourier applies it, or as the one before did, so that an
/// upgrade does not stop the keys.
#[derive(Clone, Debug)]
pub struct Wanted {
    objects: BTreeMap<(Kind, String), Vec<String>>,
    crds: BTreeMap<String, Value>,
    no_mutators: bool,
}

impl Wanted {
    /// For an operator that is these users in this namespace.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        let mut wanted = Self::of_editions(&admission::editions(identity));
        for (kind, object) in [Kind::Stamp, Kind::StampBinding].into_iter().zip(admission::stamp()) {
            wanted.objects.insert((kind, name::STAMP.to_owned()), vec![admission::spec_digest(&object["spec"])]);
        }
        wanted
    }

    /// Whatever can change requests and votes during admission counts as a fault.
    #[must_use]
    pub fn without_mutators(self) -> Self {
        Self { no_mutators: true, ..self }
    }

    pub(super) fn of_editions(editions: &[Vec<Object>]) -> Self {
        let mut objects: BTreeMap<(Kind, String), Vec<String>> = BTreeMap::new();
        for object in editions.iter().flatten() {
            let kind = match object {
                Object::Policy(_) => Kind::Policy,
                Object::Binding(_) => Kind::Binding,
            };
            objects.entry((kind, object.name())).or_default().push(object.digest());
        }
        Self { objects, crds: kinds::specs().collect(), no_mutators: false }
    }
}
