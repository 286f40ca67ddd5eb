//! The live admission policies beside those that this version of certcourier would apply.
//!
//! The policies themselves say who the operator is. All of them must name the same users: one that was changed to
//! name another differs from what it should be.

use std::collections::BTreeMap;

use super::Subject;
use crate::{
    admission::{self, Identity, Object, REVISION, REVISION_ANNOTATION, name::GUARD_STATE},
    doctor::{
        facts::Facts,
        report::{Check, Finding, GuardObject, ObjectState, Severity},
    },
};

/// How the policies begin to say who the operator is.
const CALLER_IN: &str = "request.userInfo.username in [";
/// The API server keeps this label true of every namespace.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";
/// Kubernetes' own controllers are named the same way.
const KUBERNETES: [&str; 2] = ["system:serviceaccount:kube-system:", "system:kube-controller-manager"];

/// Who the live policies say that the operator is, as most of them say it.
pub(super) fn operator(facts: &Facts) -> Option<Identity> {
    let mut lists: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for object in facts.admission.iter().flatten() {
        for list in callers(object) {
            *lists.entry(list).or_default() += 1;
        }
    }
    let most = |length: usize| {
        lists.iter().filter(|(list, _)| list.len() == length).max_by_key(|(_, count)| **count).map(|(list, _)| list)
    };
    // The controller alone, or both. In sidecar placement they are one.
    let (controller, server) = match (most(1), most(2)) {
        (Some(one), Some(both)) => (one.first()?, both.iter().find(|user| Some(*user) != one.first())?),
        (Some(one), None) => (one.first()?, one.first()?),
        (None, Some(both)) => (both.first()?, both.last()?),
        (None, None) => return None,
    };
    Identity::new(&facts.operator_namespace, controller, server).ok()
}

/// The namespace that the live policies take for the operator's: the guard's state is protected there.
#[must_use]
pub fn operator_namespace(live: &[Object]) -> Option<String> {
    live.iter().find_map(|object| {
        let Object::Policy(policy) = object else { return None };
        let constraints = policy.spec.as_ref().filter(|_| object.name() == GUARD_STATE)?.match_constraints.as_ref()?;
        constraints.namespace_selector.as_ref()?.match_labels.as_ref()?.get(NAMESPACE_LABEL).cloned()
    })
}

/// Every list of users in a policy's expressions.
fn callers(object: &Object) -> Vec<Vec<String>> {
    let Object::Policy(policy) = object else { return Vec::new() };
    let spec = policy.spec.clone().unwrap_or_default();
    let conditions = spec.match_conditions.unwrap_or_default().into_iter().map(|condition| condition.expression);
    let variables = spec.variables.unwrap_or_default().into_iter().map(|variable| variable.expression);
    let rules = spec.validations.unwrap_or_default().into_iter().map(|rule| rule.expression);
    let expressions: Vec<String> = conditions.chain(variables).chain(rules).collect();
    expressions
        .iter()
        .flat_map(|expression| expression.split(CALLER_IN).skip(1))
        .filter_map(|rest| rest.split_once(']'))
        .map(|(list, _)| list.split(',').map(|user| user.trim().trim_matches('\'').to_owned()).collect())
        .filter(|users: &Vec<String>| !users.iter().any(|user| KUBERNETES.iter().any(|own| user.starts_with(own))))
        .collect()
}

/// Every policy and binding that should be there, and how it is.
pub(super) fn objects(facts: &Facts, identity: Option<&Identity>) -> Vec<GuardObject> {
    let Some(live) = &facts.admission else { return Vec::new() };
    let unknown = Identity::new(&facts.operator_namespace, "unknown", "unknown");
    let Some(identity) = identity.or(unknown.as_ref().ok()) else { return Vec::new() };
    admission::objects(identity)
        .into_iter()
        .map(|wanted| {
            let same = |found: &&Object| found.kind() == wanted.kind() && found.name() == wanted.name();
            let state = live.iter().find(same).map_or(ObjectState::Missing, |found| compare(found, &wanted));
            GuardObject { kind: wanted.kind().to_owned(), name: wanted.name(), state }
        })
        .collect()
}

fn compare(found: &Object, wanted: &Object) -> ObjectState {
    if found.digest() == wanted.digest() {
        return ObjectState::Intact;
    }
    if !denies(found) {
        return ObjectState::NotDenying;
    }
    let metadata = match found {
        Object::Policy(policy) => &policy.metadata,
        Object::Binding(binding) => &binding.metadata,
    };
    let Some(revision) = metadata.annotations.as_ref().and_then(|all| all.get(REVISION_ANNOTATION)) else {
        return ObjectState::Changed;
    };
    // The Helm chart knows no digest: it writes the number alone.
    let (number, digest) = revision.split_once('-').map_or((revision.as_str(), None), |(n, d)| (n, Some(d)));
    let other = number != REVISION.to_string() && digest.is_none_or(|digest| digest == found.digest());
    if other { ObjectState::OtherRevision } else { ObjectState::Changed }
}

/// A policy says what is wrong; its binding that it is refused.
fn denies(object: &Object) -> bool {
    let Object::Binding(binding) = object else { return true };
    let actions = binding.spec.as_ref().and_then(|spec| spec.validation_actions.as_deref()).unwrap_or_default();
    actions.iter().any(|action| action == "Deny")
}

/// One finding for each object that is not as it should be, and one for each user that should not be the operator.
pub(super) fn findings(objects: &[GuardObject], identity: Option<&Identity>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = objects.iter().filter_map(of_object).collect();
    let own = |user: &&str| {
        let subject = Subject::user(user);
        let namespace = identity.map(Identity::namespace);
        !matches!(&subject, Subject::ServiceAccount { namespace: its, .. } if Some(its.as_str()) == namespace)
    };
    findings.extend(identity.iter().flat_map(|identity| identity.users()).filter(own).map(|user| {
        Finding {
        severity: Severity::Medium,
        check: Check::OperatorIdentity,
        subject: Subject::user(user).to_string(),
        namespaces: Vec::new(),
        names: Vec::new(),
        what: "the admission policies take it for the operator, and it is not a ServiceAccount of the operator's namespace"
            .to_owned(),
        why: "this user can write statuses and receipts; only votes are out of its reach"
            .to_owned(),
        remedy: "run the operator as a ServiceAccount of a namespace of its own and apply `certcourier manifests` for \
                 it; or name the operator's namespace with --namespace"
            .to_owned(),
        via: Vec::new(),
    }
    }));
    findings
}

fn of_object(object: &GuardObject) -> Option<Finding> {
    let (severity, what) = match object.state {
        ObjectState::Intact => return None,
        ObjectState::OtherRevision => (
            Severity::Medium,
            format!("is of another revision of certcourier than this one ({REVISION}), which cannot judge it"),
        ),
        ObjectState::Changed => {
            (Severity::Critical, "is not what certcourier applied: its spec was changed".to_owned())
        }
        ObjectState::NotDenying => (Severity::Critical, "does not refuse: its validationActions lack Deny".to_owned()),
        ObjectState::Missing => (Severity::Critical, "is not there".to_owned()),
    };
    let remedy = match object.state {
        ObjectState::OtherRevision => "run the doctor of the version that is installed, or finish the upgrade",
        ObjectState::Changed => {
            "delete it (applying over it keeps what was added by hand), apply again what `certcourier \
             manifests` prints, and find out who changed it (the API server's audit log)"
        }
        _ => {
            "apply again what `certcourier manifests` prints, and find out who changed it (the API server's audit log)"
        }
    };
    Some(Finding {
        severity,
        check: Check::AdmissionPolicy,
        subject: format!("{}/{}", object.kind, object.name),
        namespaces: Vec::new(),
        names: Vec::new(),
        what,
        why: "what this policy refuses can be forged until it is in place again".to_owned(),
        remedy: remedy.to_owned(),
        via: Vec::new(),
    })
}
