//! Which subjects hold any of some rights, gathered from all their bindings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Bench, Exemption, Places,
    rows::{Part, Place, Row, Target, Way},
};
use crate::doctor::rbac::{Grant, Names, Right, Subject, is_everything};

/// Kubernetes' own controllers have their `ServiceAccount`s here.
const KUBE_SYSTEM: &str = "kube-system";
/// Service `kubernetes` is here.
const DEFAULT: &str = "default";

/// What one subject holds of the rights asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// `*` for all.
    pub(crate) namespaces: BTreeSet<String>,
    /// Verb and resource.
    pub(crate) rights: BTreeSet<(&'static str, &'static str)>,
    /// The objects that it is limited to; meaningful unless `unlimited`.
    pub(crate) names: BTreeSet<String>,
    /// Whether some of it is limited to no names.
    pub(crate) unlimited: bool,
    /// Bindings and roles.
    pub(crate) via: BTreeSet<String>,
}

pub(crate) type ByWhom = BTreeMap<(Exemption, Subject), Held>;

/// One verb on one resource that a grant allows.
pub(crate) struct Hit {
    pub(crate) verb: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) reach: Reach,
}

/// The objects that a grant is about.
pub(crate) enum Reach {
    All,
    Only(BTreeSet<String>),
}

/// A hit of one part of a way.
struct PartHit<'a> {
    part: usize,
    standing: Exemption,
    grant: &'a Grant<'a>,
    hit: Hit,
}

impl Bench<'_> {
    /// Who holds all of one of a row's ways. Who may do everything is left out: that is a finding of its own.
    pub(crate) fn who_can(&self, row: &Row) -> ByWhom {
        let mut found = ByWhom::new();
        for way in row.ways {
            for (subject, hits) in self.hits(way, row.keepers_need_it) {
                for (standing, held) in judged(&hits, way.len()) {
                    found.entry((standing, subject.clone())).or_default().merge(held);
                }
            }
        }
        found
    }

    /// Who holds any of these rights. Who may do everything is left out.
    pub(crate) fn who_holds(&self, rights: &[Right], places: &[Place], target: Target) -> ByWhom {
        self.who(places, |grant| self.of_rights(grant, rights, target))
    }

    /// Who has a grant that `hits` finds something in.
    pub(crate) fn who(&self, places: &[Place], hits: impl Fn(&Grant<'_>) -> Vec<Hit>) -> ByWhom {
        let mut found = ByWhom::new();
        for grant in self.grants.iter().filter(|grant| self.counts(grant, places)) {
            for hit in hits(grant) {
                found.entry((self.standing(grant), grant.subject.clone())).or_default().add(grant, &hit);
            }
        }
        found
    }

    fn hits(&self, way: Way, keepers_need_it: bool) -> BTreeMap<Subject, Vec<PartHit<'_>>> {
        let mut found: BTreeMap<Subject, Vec<PartHit<'_>>> = BTreeMap::new();
        for (index, Part { rights, places, target }) in way.iter().enumerate() {
            for grant in self.grants.iter().filter(|grant| self.counts(grant, places)) {
                for hit in self.of_rights(grant, rights, *target) {
                    let needs_it = keepers_need_it && self.is_needed_by_a_keeper(grant, &hit);
                    let standing = match self.standing(grant) {
                        Exemption::Ordinary if needs_it => Exemption::Keeper,
                        other => other,
                    };
                    found.entry(grant.subject.clone()).or_default().push(PartHit { part: index, standing, grant, hit });
                }
            }
        }
        found
    }

    fn of_rights(&self, grant: &Grant<'_>, rights: &[Right], target: Target) -> Vec<Hit> {
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
    }

    fn counts(&self, grant: &Grant<'_>, places: &[Place]) -> bool {
        let Some(namespace) = grant.namespace else {
            // What holds everywhere holds there too, if there is such a place.
            return places.iter().any(|place| *place != Place::Certificates || !self.places.0.is_empty());
        };
        places.iter().any(|place| match place {
            Place::Certificates => self.places.contains(namespace),
            Place::Operator => self.facts.operator_namespace == namespace,
            Place::KubeSystem => namespace == KUBE_SYSTEM,
            Place::Default => namespace == DEFAULT,
            Place::Cluster => false,
            Place::Anywhere => true,
        })
    }

    /// What a grant reaches of the target; `None`: nothing of it.
    fn in_question(&self, grant: &Grant<'_>, names: Names<'_>, target: Target) -> Option<Reach> {
        let Names::Only(names) = names else { return Some(Reach::All) };
        let names: BTreeSet<String> = names.iter().cloned().collect();
        let wanted = match target {
            Target::Any => return Some(Reach::Only(names)),
            Target::Local(_) if grant.namespace.is_some() => return Some(Reach::Only(names)),
            Target::Secret => self.places.names(grant.namespace, |place| &place.secrets),
            Target::Certificate => self.places.names(grant.namespace, |place| &place.certificates),
            Target::OperatorAccount => self.operator_accounts(),
            Target::Namespace => self.namespaces(grant.namespace),
            Target::Named(wanted) | Target::Local(wanted) => wanted.iter().map(|&name| name.to_owned()).collect(),
        };
        let both: BTreeSet<String> = names.intersection(&wanted).cloned().collect();
        (!both.is_empty()).then_some(Reach::Only(both))
    }

    /// A namespace is in itself: a binding in it may allow its own deletion.
    fn namespaces(&self, within: Option<&str>) -> BTreeSet<String> {
        match within {
            Some(namespace) => [namespace.to_owned()].into(),
            None => self.places.0.keys().chain([&self.facts.operator_namespace]).cloned().collect(),
        }
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

/// How a subject with these hits is judged, and what of it counts. One that needs an ordinary right for the way is
/// ordinary, whatever else it has from Kubernetes or for its work.
fn judged(hits: &[PartHit<'_>], parts: usize) -> Vec<(Exemption, Held)> {
    let of = |wanted: &dyn Fn(Exemption) -> bool| {
        let some: Vec<&PartHit<'_>> = hits.iter().filter(|hit| wanted(hit.standing)).collect();
        joined(&some, parts)
    };
    let standings: BTreeSet<Exemption> = hits.iter().map(|hit| hit.standing).collect();
    if parts == 1 {
        return standings.into_iter().filter_map(|one| Some((one, of(&|standing| standing == one)?))).collect();
    }
    let exempt = of(&|standing| standing != Exemption::Ordinary);
    let enough = |all: &Held| {
        let without = exempt.as_ref().map(|held| &held.namespaces);
        without.is_some_and(|without| without.contains("*") || all.namespaces.is_subset(without))
    };
    let ordinary = of(&|_| true).filter(|all| !enough(all)).map(|held| (Exemption::Ordinary, held));
    let highest = standings.last().copied().filter(|_| exempt.is_some());
    highest.zip(exempt).into_iter().chain(ordinary).collect()
}

/// What holds where every part of the way holds.
fn joined(hits: &[&PartHit<'_>], parts: usize) -> Option<Held> {
    let place = |hit: &&&PartHit<'_>| hit.grant.namespace.unwrap_or("*").to_owned();
    let by_part: Vec<BTreeSet<String>> =
        (0..parts).map(|part| hits.iter().filter(|hit| hit.part == part).map(|hit| place(&hit)).collect()).collect();
    let holds = |namespace: &String| by_part.iter().all(|places| places.contains("*") || places.contains(namespace));
    let namespaces: BTreeSet<String> = by_part.iter().flatten().filter(|one| holds(one)).cloned().collect();
    if namespaces.is_empty() {
        return None;
    }
    let mut held = Held::default();
    for hit in hits.iter().filter(|hit| hit.grant.namespace.is_none_or(|one| namespaces.contains(one))) {
        held.add(hit.grant, &hit.hit);
    }
    held.namespaces = namespaces;
    Some(held)
}

impl Held {
    fn add(&mut self, grant: &Grant<'_>, hit: &Hit) {
        self.namespaces.insert(grant.namespace.unwrap_or("*").to_owned());
        self.rights.insert((hit.verb, hit.resource));
        match &hit.reach {
            Reach::All => self.unlimited = true,
            Reach::Only(names) => self.names.extend(names.iter().cloned()),
        }
        self.via.insert(grant.via.clone());
    }

    fn merge(&mut self, other: Self) {
        self.namespaces.extend(other.namespaces);
        self.rights.extend(other.rights);
        self.names.extend(other.names);
        self.unlimited |= other.unlimited;
        self.via.extend(other.via);
    }

    /// `*` alone where it holds everywhere.
    pub(crate) fn places(&self) -> Vec<String> {
        if self.namespaces.contains("*") { vec!["*".to_owned()] } else { self.namespaces.iter().cloned().collect() }
    }

    /// The objects that it is limited to; empty when it is not.
    pub(crate) fn limits(&self) -> Vec<String> {
        if self.unlimited { Vec::new() } else { self.names.iter().cloned().collect() }
    }

    /// `may get, list secrets named api-tls`: resources with the same verbs together.
    pub(crate) fn in_words(&self) -> String {
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
    pub(crate) fn overlap(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
        one.contains("*") || other.contains("*") || one.intersection(other).next().is_some()
    }
}
