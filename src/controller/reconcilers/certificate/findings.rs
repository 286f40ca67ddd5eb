//! What was found in the Secrets, as the status of a Certificate. Pure.

use certcourier_bundle::{KeyMatch, LeafFacts, Material};
use jiff::Timestamp;

use crate::{
    api::{
        Certificate, CertificateStatus, EnvironmentStatus, ValidityTime,
        condition::ConditionStatus,
        words::{ConditionReason, ConditionType, MaterialProblem, MaterialReason},
    },
    cluster::material::Problem,
    lifecycle::set_condition,
};

/// Bounds of the schema.
const LONGEST_TEXT: usize = 1024;
const LONGEST_DNS_NAME: usize = 253;
const MOST_DNS_NAMES: usize = 256;

/// What one environment's Secret turned out to be.
pub(crate) enum Finding {
    /// It was read.
    Material(Box<Material>),
    /// It is not there, or cannot be read as what it should be.
    Problem(Problem),
    /// The API server does not let the operator read it; why.
    Forbidden(String),
}

/// The status of a Certificate whose environments, in their order, turned out like this.
pub(crate) fn status_of(certificate: &Certificate, found: &[Finding], now: Timestamp) -> CertificateStatus {
    let names = certificate.spec.environments.iter().map(|environment| environment.name.as_str());
    let environments: Vec<EnvironmentStatus> = names.zip(found).map(|(name, finding)| status(name, finding)).collect();
    let old = certificate.status.as_ref();
    let mut conditions = old.map(|status| status.conditions.clone()).unwrap_or_default();
    let generation = certificate.metadata.generation;
    let (value, message) = ready(&environments, now);
    set_condition(&mut conditions, ConditionType::Ready, value, &message, generation, now);
    CertificateStatus {
        observed_generation: generation,
        earliest_not_after: environments.iter().filter_map(|environment| environment.not_after).min(),
        environments,
        conditions,
    }
}

fn ready(environments: &[EnvironmentStatus], now: Timestamp) -> (ConditionStatus, String) {
    let problems: Vec<&str> = environments.iter().filter_map(|environment| environment.message.as_deref()).collect();
    if !problems.is_empty() {
        return (ConditionStatus::False(ConditionReason::Unusable), cut(&problems.join("; "), 32_768));
    }
    let expired: Vec<String> = environments
        .iter()
        .filter_map(|environment| Some((&environment.name, environment.not_after?)))
        .filter(|(_, not_after)| not_after.is_before(now))
        .map(|(name, not_after)| format!("`{name}` expired at {not_after} and can still be downloaded"))
        .collect();
    let message = match (environments.len(), expired.is_empty()) {
        (1, true) => "its environment can be delivered".to_owned(),
        (count, true) => format!("all {count} environments can be delivered"),
        (_, false) => format!("can be delivered, but: {}", expired.join("; ")),
    };
    (ConditionStatus::True(ConditionReason::Usable), message)
}

fn status(name: &str, finding: &Finding) -> EnvironmentStatus {
    let name = name.to_owned();
    match finding {
        Finding::Problem(problem) => EnvironmentStatus {
            name,
            reason: Some(problem.reason().name().to_owned()),
            message: Some(cut(&problem.to_string(), LONGEST_TEXT)),
            ..EnvironmentStatus::default()
        },
        Finding::Forbidden(why) => {
            let message = format!(
                "environment `{name}`: the operator is not allowed to read its Secret; bind ClusterRole \
                 certcourier-controller in this namespace ({why})"
            );
            EnvironmentStatus {
                name,
                reason: Some(MaterialProblem::ApiForbidden.name().to_owned()),
                message: Some(cut(&message, LONGEST_TEXT)),
                ..EnvironmentStatus::default()
            }
        }
        Finding::Material(material) => of_material(name, material),
    }
}

fn of_material(name: String, material: &Material) -> EnvironmentStatus {
    let LeafFacts { subject, issuer, serial_number, dns_names, key_algorithm, .. } = material.leaf();
    let leaf = material.leaf();
    let some = |text: &str, longest| (!text.is_empty()).then(|| cut(text, longest));
    let (reason, message) = match flaw(&name, material) {
        Some((reason, message)) => (Some(reason.name().to_owned()), Some(cut(&message, LONGEST_TEXT))),
        None => (None, None),
    };
    EnvironmentStatus {
        name,
        subject: some(subject, LONGEST_TEXT),
        issuer: some(issuer, LONGEST_TEXT),
        serial_number: some(serial_number, 128),
        dns_names: dns_names.iter().take(MOST_DNS_NAMES).map(|dns| cut(dns, LONGEST_DNS_NAME)).collect(),
        not_before: Some(ValidityTime::from_second(leaf.not_before_seconds)),
        not_after: Some(ValidityTime::from_second(leaf.not_after_seconds)),
        sha256_fingerprint: Some(leaf.sha256_fingerprint.clone()),
        key_algorithm: some(key_algorithm, 64),
        chain_length: i32::try_from(material.chain_length()).ok(),
        ca: Some(leaf.is_ca),
        key_matches: match material.key_match() {
            KeyMatch::Matches => Some(true),
            KeyMatch::Mismatch => Some(false),
            KeyMatch::Unverifiable { .. } | KeyMatch::NoKey => None,
        },
        reason,
        message,
    }
}

/// What should be fixed although some files can be made anyway.
fn flaw(environment: &str, material: &Material) -> Option<(MaterialReason, String)> {
    if *material.key_match() == KeyMatch::Mismatch {
        let subject = &material.leaf().subject;
        // Without its leaf, a file's first authority is taken for the leaf.
        let perhaps = if material.leaf().is_ca { ", which is a CA: is the leaf missing?" } else { "" };
        return Some((
            MaterialReason::KeyMismatch,
            format!(
                "environment `{environment}`: the private key does not belong to the certificate \
                 `{subject}`{perhaps}; store the two that belong together"
            ),
        ));
    }
    if let Some(broken) = material.chain_error() {
        return Some((MaterialReason::BrokenChain, format!("environment `{environment}`: {broken}")));
    }
    material.ca_error().map(|error| (error.reason(), format!("environment `{environment}`: {error}")))
}

/// At most so many bytes, and so at most so many characters.
fn cut(text: &str, longest: usize) -> String {
    text[..text.floor_char_boundary(longest)].to_owned()
}

#[cfg(test)]
mod tests;
