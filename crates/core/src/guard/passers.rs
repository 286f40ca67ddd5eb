//! What came and went between two looks.

use std::collections::BTreeSet;

use super::{
    Kind, Live, LiveObject,
    mutators::{decides, reach_of_policy, webhooks},
};
use crate::admission::name;

/// What came by between two looks. Something that was there for a moment alone leaves no trace in the live objects, and
/// may have turned a vote round.
#[derive(Clone, Debug, Default)]
pub struct Passers {
    marks: BTreeSet<String>,
    policies: BTreeSet<String>,
}

impl Passers {
    /// Whether an object, as it was at some moment, may have changed ours without the last look knowing it. Each state of
    /// an object counts once.
    pub fn startle(&mut self, object: &LiveObject, last: &Live) -> bool {
        let mark = match object.kind {
            // One of our name is the stamp only where it was there before; else no one has compared it with ours.
            Kind::Stamp | Kind::StampBinding if object.name == name::STAMP => {
                if last.has_ours(object) {
                    return false;
                }
                self.policies.insert(object.name.clone());
                object.mark()
            }
            Kind::Stamp if decides(&reach_of_policy(object)) => {
                self.policies.insert(object.name.clone());
                object.mark()
            }
            Kind::StampBinding => {
                let policy = object.spec["policyName"].as_str().unwrap_or_default();
                if !self.policies.contains(policy) && !last.reaching_policies().contains_key(policy) {
                    return false;
                }
                object.mark()
            }
            Kind::Webhooks => match webhooks(object) {
                Some(mutator) if !mutator.marks.is_empty() => mutator.marks.concat(),
                _ => return false,
            },
            _ => return false,
        };
        let known = last.mutators().iter().any(|mutator| mutator.marks.contains(&mark))
            || last.reaching_policies().values().any(|known| *known == mark);
        !known && self.marks.insert(mark)
    }
}
