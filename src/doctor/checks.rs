//! Facts in, report out. Pure: the same facts give the same report, no matter who asks and when.

mod admission;
mod bindings;
mod guard;
mod holders;
mod powers;
mod rows;
mod unattended;
mod who_holds;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    facts::Facts,
    rbac::{Grant, Right, Subject},
    report::{Examined, Report, SetAside, SetAsideReason},
};
use crate::{admission::Identity, api::GROUP};
pub use admission::operator_namespace;

/// Judges everything that is known of a cluster.
#[must_use]
pub fn evaluate(facts: &Facts) -> Report {
    let identity = admission::operator(facts);
    let places = Places::of(facts);
    let grants = facts.rbac.grants();
    let bench = Bench { facts, places: &places, grants: &grants, identity: identity.as_ref() };
    let objects = admission::objects(facts, identity.as_ref());
    let powers::Found { findings: by_right, mut notes, set_aside } = powers::found(&bench);
    let mut findings = guard::findings(facts);
    findings.extend(guard::mutators(facts));
    findings.extend(admission::findings(&objects, identity.as_ref()));
    findings.extend(by_right);
    findings.extend(bindings::findings(&bench));
    findings.extend(holders::findings(&bench));
    findings.extend(unattended::findings(facts));
    for list in [&mut findings, &mut notes] {
        list.sort();
        list.dedup();
    }
    let mut gaps = facts.gaps.clone();
    gaps.sort();
    Report {
        operator_namespace: facts.operator_namespace.clone(),
        operator: identity.iter().flat_map(Identity::users).map(|user| Subject::user(user).to_string()).collect(),
        namespaces: places.examined(),
        guard: guard::report(facts, objects),
        holders: holders::list(&bench),
        set_aside: set_aside
            .into_iter()
            .map(|(because, subject)| SetAside { because, subject: subject.to_string() })
            .collect(),
        findings,
        notes,
        looks: facts.looks,
        not_looked_at: gaps,
        grant: facts.grant.clone(),
    }
}

/// What the checks about rights work on.
struct Bench<'a> {
    facts: &'a Facts,
    places: &'a Places,
    grants: &'a [Grant<'a>],
    identity: Option<&'a Identity>,
}

/// Why someone's rights are a finding or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exemption {
    Ordinary,
    /// They keep Certificates and have no more than that takes.
    Keeper,
    Exempt(SetAsideReason),
}

impl Bench<'_> {
    /// What one of a subject's grants means for the report.
    fn standing(&self, grant: &Grant<'_>) -> Exemption {
        self.exemption(&grant.subject, grant.by_default).map_or(Exemption::Ordinary, Exemption::Exempt)
    }

    fn exemption(&self, subject: &Subject, by_default: bool) -> Option<SetAsideReason> {
        if is_control_plane(subject, by_default) {
            Some(SetAsideReason::ControlPlane)
        } else if self.is_operator(subject) {
            Some(SetAsideReason::Operator)
        } else if self.facts.trusted.contains(subject) {
            Some(SetAsideReason::Trusted)
        } else {
            None
        }
    }

    fn is_operator(&self, subject: &Subject) -> bool {
        self.identity.is_some_and(|identity| identity.users().iter().any(|user| Subject::user(user) == *subject))
    }

    /// Whether a hit on Secrets is no more than what admission asks of someone who writes Certificates there: `get`, of
    /// Secrets by name.
    fn is_needed_by_a_keeper(&self, grant: &Grant<'_>, hit: &who_holds::Hit) -> bool {
        const KEEP: Right = Right { verbs: &["create", "update", "patch"], group: GROUP, resources: &["certificates"] };
        let here = |keeping: &&Grant<'_>| keeping.namespace.is_none() || keeping.namespace == grant.namespace;
        let own = self.grants.iter().filter(|keeping| keeping.subject == grant.subject).filter(here);
        hit.verb == "get"
            && matches!(hit.reach, who_holds::Reach::Only(_))
            && own.into_iter().any(|keeping| !KEEP.within(keeping.rule).is_empty())
    }
}

/// No one can take a key past those who run the API server, and no one but they can be these users; what their
/// `ServiceAccounts` may do counts as theirs only where Kubernetes itself has bound it.
fn is_control_plane(subject: &Subject, by_default: bool) -> bool {
    const USERS: [&str; 3] = ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"];
    match subject {
        Subject::Group(name) => name == "system:masters",
        Subject::User(name) => USERS.contains(&name.as_str()),
        Subject::ServiceAccount { namespace, .. } => by_default && namespace == "kube-system",
    }
}

/// Everyone, or every stranger: no one hands out these groups, everyone is in them.
fn is_everybody(subject: &Subject) -> bool {
    const GROUPS: [&str; 3] = ["system:authenticated", "system:unauthenticated", "system:serviceaccounts"];
    match subject {
        Subject::Group(name) => GROUPS.contains(&name.as_str()),
        Subject::User(name) => name == "system:anonymous",
        Subject::ServiceAccount { .. } => false,
    }
}

/// The namespaces with Certificates, and what there is to protect.
struct Places(BTreeMap<String, Protected>);

#[derive(Default)]
struct Protected {
    certificates: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

impl Places {
    fn of(facts: &Facts) -> Self {
        let mut places: BTreeMap<String, Protected> = BTreeMap::new();
        for certificate in &facts.certificates {
            let place = places.entry(certificate.metadata.namespace.clone().unwrap_or_default()).or_default();
            place.certificates.insert(certificate.metadata.name.clone().unwrap_or_default());
            place.secrets.extend(certificate.spec.environments.iter().map(|one| one.secret_ref.name.clone()));
        }
        Self(places)
    }

    fn contains(&self, namespace: &str) -> bool {
        self.0.contains_key(namespace)
    }

    /// The names in question where a grant holds: in one namespace, or in all.
    fn names(&self, namespace: Option<&str>, of: impl Fn(&Protected) -> &BTreeSet<String>) -> BTreeSet<String> {
        let here = |name: &String| namespace.is_none_or(|namespace| namespace == name);
        self.0.iter().filter(|(name, _)| here(name)).flat_map(|(_, place)| of(place).iter().cloned()).collect()
    }

    fn examined(&self) -> Vec<Examined> {
        self.0
            .iter()
            .map(|(name, place)| Examined {
                name: name.clone(),
                certificates: place.certificates.len(),
                secrets: place.secrets.iter().cloned().collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
