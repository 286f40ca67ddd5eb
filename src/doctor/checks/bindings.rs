//! Bindings and roles that are findings by themselves: to the operator's own roles, to roles that are not there, and
//! what is added to Kubernetes' roles for people.

use k8s_openapi::api::rbac::v1::ClusterRole;

use super::{Bench, holders::TAKE_PART, rows::READ_SECRETS};
use crate::{
    api::names::TOKEN_SECRET_SUFFIX,
    doctor::{
        check::Check,
        rbac::{Binding, Right, Subject, has_label, is_kubernetes_role},
        report::{Finding, Severity},
    },
    manifests::OPERATOR_ROLES,
};

/// How the roles are called that certcourier brings.
const OURS: &str = "certcourier-";
/// What the commands at the end of a report make.
const DOCTOR: &str = "certcourier-doctor";
/// Kubernetes' roles for people, each with the label that adds a `ClusterRole` to it.
const FOR_PEOPLE: [(&str, &str); 3] = [
    ("view", "rbac.authorization.k8s.io/aggregate-to-view"),
    ("edit", "rbac.authorization.k8s.io/aggregate-to-edit"),
    ("admin", "rbac.authorization.k8s.io/aggregate-to-admin"),
];

/// All of them.
pub(super) fn findings(bench: &Bench<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for binding in bench.facts.rbac.bindings() {
        for subject in binding.subjects.iter().filter(|subject| bench.exemption(subject, false).is_none()) {
            findings.extend(of_the_operator(bench, &binding, subject));
            findings.extend(dangling(bench, &binding, subject));
        }
    }
    findings.extend(bench.facts.rbac.cluster_roles.iter().filter_map(aggregated));
    findings
}

/// The operator's roles are for the operator, as soon as it is known who that is.
fn of_the_operator(bench: &Bench<'_>, binding: &Binding<'_>, subject: &Subject) -> Option<Finding> {
    let at_home = binding.namespace == Some(bench.facts.operator_namespace.as_str());
    let is_its_role = OPERATOR_ROLES.contains(&binding.role.name.as_str()) && (binding.role.kind != "Role" || at_home);
    (bench.identity.is_some() && is_its_role).then(|| Finding {
        severity: Severity::High,
        check: Check::HoldsOperatorRole,
        what: format!("is bound to {} {}, which is the operator's", binding.role.kind, binding.role.name),
        why: "they have rights of the operator and are not the operator: among them are the reading of Secrets, statuses \
              and receipts"
            .to_owned(),
        remedy: "delete the binding, or take them out of it; people have roles of their own (docs/security.md)".to_owned(),
        ..of_binding(binding, subject)
    })
}

/// Kubernetes checks what a binding grants when it is written. One to a role that is not there waits for it.
fn dangling(bench: &Bench<'_>, binding: &Binding<'_>, subject: &Subject) -> Option<Finding> {
    let role = binding.role.name.as_str();
    let ours = (role.starts_with(OURS) && !role.starts_with(DOCTOR)) || role.ends_with(TOKEN_SECRET_SUFFIX);
    // What certcourier makes for a token is called like its role; the role may go a moment before it.
    let of_a_token = binding.name() == role;
    if !ours || of_a_token || bench.facts.rbac.has_gaps || bench.facts.rbac.has_role(binding) {
        return None;
    }
    Some(Finding {
        severity: Severity::Medium,
        check: Check::DanglingBinding,
        what: format!("is bound to {} {role}, which is not there", binding.role.kind),
        why: "when this role is made, they have its rights at once, without a check: Kubernetes checks what a \
              binding grants when it is written"
            .to_owned(),
        remedy: "delete the binding; after an installation, bind the intended subjects again".to_owned(),
        ..of_binding(binding, subject)
    })
}

fn of_binding(binding: &Binding<'_>, subject: &Subject) -> Finding {
    Finding {
        severity: Severity::Medium,
        check: Check::DanglingBinding,
        subject: subject.to_string(),
        namespaces: vec![binding.namespace.unwrap_or("*").to_owned()],
        names: Vec::new(),
        what: String::new(),
        why: String::new(),
        remedy: String::new(),
        via: vec![binding.named.clone()],
    }
}

/// A label makes a `ClusterRole` part of what many have already: today's holders of `view` are found by their bindings,
/// those of tomorrow by this.
fn aggregated(role: &ClusterRole) -> Option<Finding> {
    if is_kubernetes_role(role) {
        return None;
    }
    let to: Vec<&str> = FOR_PEOPLE
        .into_iter()
        .filter(|(_, label)| has_label(&role.metadata, (label, "true")))
        .map(|(name, _)| name)
        .collect();
    let rules = role.rules.as_deref().unwrap_or_default();
    let has = |rights: &[Right]| rules.iter().any(|rule| rights.iter().any(|right| !right.within(rule).is_empty()));
    let mut adds = Vec::new();
    // `edit` and `admin` read Secrets anyway.
    if to.contains(&"view") && has(READ_SECRETS) {
        adds.push("the reading of Secrets");
    }
    if !to.is_empty() && has(&[TAKE_PART]) {
        adds.push("download, exportkey or approve on Certificates");
    }
    if adds.is_empty() {
        return None;
    }
    let name = role.metadata.name.clone().unwrap_or_default();
    Some(Finding {
        severity: Severity::Medium,
        check: Check::AggregatesRights,
        subject: format!("ClusterRole/{name}"),
        namespaces: Vec::new(),
        names: Vec::new(),
        what: format!("adds {} to ClusterRole {}", adds.join(", and "), to.join(", ")),
        why: "its label gives these rights to all who have that role, wherever they have it, and to those who get it later"
            .to_owned(),
        remedy: "remove the label, and bind the role to those who are meant".to_owned(),
        via: vec![format!("ClusterRole {name}")],
    })
}

#[cfg(test)]
mod tests;
