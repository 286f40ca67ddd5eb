//! Facts in, report out. Pure: the same facts give the same report, whoever asks and whenever.

mod admission;
mod guard;
mod held;
mod holders;
mod powers;
mod unattended;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    facts::Facts,
    rbac::{Grant, Subject},
    report::{Check, Examined, Finding, Report, SetAside},
};
use crate::admission::Identity;
pub use admission::operator_namespace;

/// Judges everything that is known of a cluster.
#[must_use]
pub fn evaluate(facts: &Facts) -> Report {
    let identity = admission::operator(facts);
    let places = Places::of(facts);
    let grants = facts.rbac.grants();
    let bench = Bench { facts, places: &places, grants: &grants, identity: identity.as_ref() };
    let mut findings = guard::findings(facts);
    findings.extend(guard::mutators(facts));
    let objects = admission::objects(facts, identity.as_ref());
    findings.extend(admission::findings(&objects, identity.as_ref()));
    let (by_power, set_aside) = powers::findings(&bench);
    findings.extend(by_power);
    findings.extend(holders::findings(&bench));
    findings.extend(unattended::findings(facts));
    drop_what_adds_nothing(&mut findings);
    findings.sort();
    findings.dedup();
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
            .filter_map(|(standing, subject)| {
                Some(SetAside { because: standing.because()?, subject: subject.to_string() })
            })
            .collect(),
        findings,
        not_looked_at: gaps,
        grant: facts.grant.clone(),
    }
}

/// Who may read a Secret gains nothing by mounting it.
fn drop_what_adds_nothing(findings: &mut Vec<Finding>) {
    let readers: BTreeMap<String, Vec<String>> = findings
        .iter()
        .filter(|finding| finding.check == Check::ReadsSecrets && !finding.what.contains(" named "))
        .map(|finding| (finding.subject.clone(), finding.namespaces.clone()))
        .collect();
    findings.retain(|finding| {
        let everywhere = |read: &Vec<String>| {
            read.iter().any(|namespace| namespace == "*") || finding.namespaces.iter().all(|place| read.contains(place))
        };
        finding.check != Check::MountsSecrets || !readers.get(&finding.subject).is_some_and(everywhere)
    });
}

/// What the checks about rights work on.
struct Bench<'a> {
    facts: &'a Facts,
    places: &'a Places,
    grants: &'a [Grant<'a>],
    identity: Option<&'a Identity>,
}

/// Why somebody's rights are a finding or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Ordinary,
    ControlPlane,
    Operator,
    Trusted,
}

impl Standing {
    const fn because(self) -> Option<&'static str> {
        match self {
            Self::Ordinary => None,
            Self::ControlPlane => Some("control plane"),
            Self::Operator => Some("operator"),
            Self::Trusted => Some("trusted"),
        }
    }
}

impl Bench<'_> {
    /// How a subject stands with respect to one of its grants.
    fn standing(&self, grant: &Grant<'_>) -> Standing {
        let subject = &grant.subject;
        if is_control_plane(subject, grant.by_default) {
            Standing::ControlPlane
        } else if self.is_operator(subject) {
            Standing::Operator
        } else if self.facts.trusted.contains(subject) {
            Standing::Trusted
        } else {
            Standing::Ordinary
        }
    }

    fn is_operator(&self, subject: &Subject) -> bool {
        self.identity.is_some_and(|identity| identity.users().iter().any(|user| Subject::user(user) == *subject))
    }
}

/// Nobody can take a key past those who run the API server, and nobody but they can be these users; what their
/// `ServiceAccounts` may do counts as theirs only where Kubernetes itself has bound it.
fn is_control_plane(subject: &Subject, by_default: bool) -> bool {
    const USERS: [&str; 3] = ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"];
    match subject {
        Subject::Group(name) => name == "system:masters",
        Subject::User(name) => USERS.contains(&name.as_str()),
        Subject::ServiceAccount { namespace, .. } => by_default && namespace == "kube-system",
    }
}

/// Everybody, or every stranger: nobody hands out these groups, everyone is in them.
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
