//! Which subjects hold any of some rights, gathered from all their bindings.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bench, Places, Standing};
use crate::doctor::rbac::{Grant, Names, Right, Subject, is_everything};

/// Where a right counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the namespaces with Certificates.
    Certificates,
    /// In the operator's namespace.
    Operator,
    /// For objects without a namespace: through a ClusterRoleBinding alone.
    Cluster,
}

/// Which objects a right that is limited to some must name to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Any.
    Any,
    /// A Secret behind a Certificate.
    Secret,
    /// A Certificate.
    Certificate,
    /// A ServiceAccount of the operator.
    OperatorAccount,
}

/// What one subject holds of the rights asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// `*` for all.
    pub(super) namespaces: BTreeSet<String>,
    /// Verb and resource.
    pub(super) rights: BTreeSet<(&'static str, &'static str)>,
    /// The objects that it is limited to; meaningful unless `unlimited`.
    pub(super) names: BTreeSet<String>,
    /// Whether some of it is limited to no names.
    pub(super) unlimited: bool,
    /// Bindings and roles.
    pub(super) via: BTreeSet<String>,
}

pub(super) type ByWhom = BTreeMap<(Standing, Subject), Held>;

impl Bench<'_> {
    /// Who holds any of these rights. Whoever may do everything is left out: that is a finding of its own.
    pub(super) fn who_holds(&self, rights: &[Right], places: &[Place], target: Target) -> ByWhom {
        self.who(places, |grant| {
            if is_everything(grant.rule) {
                return Vec::new();
            }
            rights
                .iter()
                .flat_map(|right| right.within(grant.rule))
                .filter_map(|(verb, resource, names)| {
                    Some(Hit { verb, resource, reach: self.in_question(grant, names, target)? })
                })
                .collect()
        })
    }

    /// Who has a grant that `hits` finds something in.
    pub(super) fn who(&self, places: &[Place], hits: impl Fn(&Grant<'_>) -> Vec<Hit>) -> ByWhom {
        let mut found = ByWhom::new();
        for grant in self.grants.iter().filter(|grant| self.counts(grant, places)) {
            for hit in hits(grant) {
                let held = found.entry((self.standing(grant), grant.subject.clone())).or_default();
                held.namespaces.insert(grant.namespace.unwrap_or("*").to_owned());
                held.rights.insert((hit.verb, hit.resource));
                match hit.reach {
                    Reach::All => held.unlimited = true,
                    Reach::Only(names) => held.names.extend(names),
                }
                held.via.insert(grant.via.clone());
            }
        }
        found
    }

    fn counts(&self, grant: &Grant<'_>, places: &[Place]) -> bool {
        let Some(namespace) = grant.namespace else {
            // What holds everywhere holds there too, if there is such a place.
            return places.iter().any(|place| *place != Place::Certificates || !self.places.0.is_empty());
        };
        places.iter().any(|place| match place {
            Place::Certificates => self.places.contains(namespace),
            Place::Operator => self.facts.operator_namespace == namespace,
            Place::Cluster => false,
        })
    }

    /// What a grant reaches of the target; `None`: nothing of it.
    fn in_question(&self, grant: &Grant<'_>, names: Names<'_>, target: Target) -> Option<Reach> {
        let Names::Only(names) = names else { return Some(Reach::All) };
        let names: BTreeSet<String> = names.iter().cloned().collect();
        let wanted = match target {
            Target::Any => return Some(Reach::Only(names)),
            Target::Secret => self.places.names(grant.namespace, |place| &place.secrets),
            Target::Certificate => self.places.names(grant.namespace, |place| &place.certificates),
            Target::OperatorAccount => self.operator_accounts(),
        };
        let both: BTreeSet<String> = names.intersection(&wanted).cloned().collect();
        (!both.is_empty()).then_some(Reach::Only(both))
    }

    fn operator_accounts(&self) -> BTreeSet<String> {
        let users = self.identity.map(|identity| identity.users()).unwrap_or_default();
        users
            .into_iter()
            .filter_map(|user| match Subject::user(user) {
                Subject::ServiceAccount { name, .. } => Some(name),
                _ => None,
            })
            .collect()
    }
}

/// One verb on one resource that a grant allows.
pub(super) struct Hit {
    pub(super) verb: &'static str,
    pub(super) resource: &'static str,
    pub(super) reach: Reach,
}

/// The objects that a grant is about.
pub(super) enum Reach {
    All,
    Only(BTreeSet<String>),
}

impl Held {
    /// `*` alone where it holds everywhere.
    pub(super) fn places(&self) -> Vec<String> {
        if self.namespaces.contains("*") { vec!["*".to_owned()] } else { self.namespaces.iter().cloned().collect() }
    }

    /// The objects that it is limited to; empty when it is not.
    pub(super) fn limits(&self) -> Vec<String> {
        if self.unlimited { Vec::new() } else { self.names.iter().cloned().collect() }
    }

    /// `may get, list secrets named api-tls`: resources with the same verbs together.
    pub(super) fn in_words(&self) -> String {
        let mut verbs_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (verb, resource) in &self.rights {
            verbs_of.entry(resource).or_default().push(verb);
        }
        let mut resources_of: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
        for (resource, verbs) in verbs_of {
            resources_of.entry(verbs).or_default().push(resource);
        }
        let parts: Vec<String> = resources_of
            .into_iter()
            .map(|(verbs, resources)| format!("{} {}", verbs.join(", "), resources.join(", ")))
            .collect();
        let limits = self.limits();
        let named = if limits.is_empty() { String::new() } else { format!(" named {}", limits.join(", ")) };
        format!("may {}{named}", parts.join("; "))
    }
}

impl Places {
    /// Whether two lists of namespaces have one in common; `*` is all.
    pub(super) fn overlap(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
        one.contains("*") || other.contains("*") || one.intersection(other).next().is_some()
    }
}
