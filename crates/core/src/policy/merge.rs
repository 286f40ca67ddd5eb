//! Many policies, one answer: the strictest value of each field, and which policies set it.

use std::{cmp::Ordering, collections::BTreeSet, fmt};

use serde::Serialize;

use crate::api::{
    ApprovalScope, CertificatePolicySpec, Duration, FinishedRequestTtl, Format, KeyExport, UnattendedKeyFormats,
};

/// As many as `status.review.contacts` can hold.
const MOST_CONTACTS: usize = 16;

/// Where a policy comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Source {
    /// A `CertificatePolicy` of the request's namespace.
    Namespace(String),
    /// The cluster policy (`--cluster-policy`), a ceiling for every namespace.
    #[serde(rename = "Operator")]
    Cluster,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => f.write_str(name),
            Self::Cluster => f.write_str("(operator)"),
        }
    }
}

/// A policy and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPolicy {
    /// Where it comes from.
    pub source: Source,
    /// What it says.
    pub spec: CertificatePolicySpec,
}

/// A value, and the policies that it comes from. No source: it is the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The strictest value.
    pub value: T,
    /// The policies that say just this value, sorted.
    pub from: Vec<Source>,
}

impl<T> Sourced<T> {
    /// The sources in words, such as `policy prod, policy (operator)`, or `default (no policy sets it)`.
    #[must_use]
    pub fn said_by(&self) -> String {
        said_by(&self.from)
    }
}

/// Sources in words.
#[must_use]
pub(super) fn said_by(sources: &[Source]) -> String {
    if sources.is_empty() {
        return "default (no policy sets it)".to_owned();
    }
    let names: Vec<String> = sources.iter().map(|source| format!("policy {source}")).collect();
    names.join(", ")
}

/// What all matching policies say together, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The policies that matched, sorted.
    pub policies: Vec<Source>,
    /// Whether formats with a key may be released.
    pub key_export: Sourced<KeyExport>,
    /// Whether the key of a CA may be released.
    pub ca_key_export: Sourced<bool>,
    /// The formats that every policy allows.
    pub formats: Sourced<BTreeSet<Format>>,
    /// Which requests need approval.
    pub approval_scope: Sourced<ApprovalScope>,
    /// How many must approve where approval is needed.
    pub approvals: Sourced<i32>,
    /// How long a request waits for approval.
    pub pending_ttl: Sourced<Duration>,
    /// How long an approved request can be used.
    pub validity: Sourced<Duration>,
    /// Whether ServiceAccounts may have formats with a key.
    pub unattended: Sourced<UnattendedKeyFormats>,
    /// How many must approve a key for a ServiceAccount.
    pub unattended_approvals: Sourced<i32>,
    /// How long a token lives when the request does not say; never longer than `max_ttl`.
    pub ttl: Sourced<Duration>,
    /// The longest life of a token that a request may ask for.
    pub max_ttl: Sourced<Duration>,
    /// Whether a token works only with the requester's own bearer token.
    pub bind_to_requester: Sourced<bool>,
    /// The shortest passphrase, in characters.
    pub passphrase_min_length: Sourced<i32>,
    /// Whether the Legacy PKCS#12 profile may be asked for.
    pub allow_legacy: Sourced<bool>,
    /// Whether a request must say why.
    pub reason_required: Sourced<bool>,
    /// How long a receipt is kept.
    pub receipt_retention: Sourced<Duration>,
    /// How long a finished request stays; `None`: no policy says.
    pub finished_request_ttl: Sourced<Option<FinishedRequestTtl>>,
    /// Whom to ask for approval: the cluster policy's first, then by name of the policy.
    pub contacts: Vec<Contact>,
}

/// Whom one policy says to ask for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The policy.
    pub from: Source,
    /// What it itself asks approval for, if it says so.
    pub scope: Option<ApprovalScope>,
    /// Its words.
    pub words: String,
}

impl Effective {
    /// Whom to ask for approval of this format: each once. A policy that asks for approval of other formats only is not
    /// meant. At most as many as a status holds.
    #[must_use]
    pub fn contacts_for(&self, format: Format) -> Vec<String> {
        let mut meant: Vec<String> = Vec::new();
        for contact in &self.contacts {
            let is_meant = match contact.scope {
                Some(ApprovalScope::None) => false,
                Some(ApprovalScope::Keys) => format.holds_key(),
                Some(ApprovalScope::All) | None => true,
            };
            if is_meant && !meant.contains(&contact.words) && meant.len() < MOST_CONTACTS {
                meant.push(contact.words.clone());
            }
        }
        meant
    }

    /// The values that grant something, as one text: when it changes, earlier approvals are void. What protects the link
    /// and the file (its life, who may use it, how long a passphrase is) grants by its absence, so it is part of it. How
    /// long receipts and finished requests stay is not, nor whom to ask.
    #[must_use]
    pub fn granting(&self) -> String {
        let formats: Vec<&str> = self.formats.value.iter().map(|format| format.name()).collect();
        format!(
            "keys={:?} caKeys={} formats={} approval={:?}/{}/{}/{} unattended={:?}/{} legacy={} \
             token={}/{} bound={} passphrase={}",
            self.key_export.value,
            self.ca_key_export.value,
            formats.join(","),
            self.approval_scope.value,
            self.approvals.value,
            self.pending_ttl.value,
            self.validity.value,
            self.unattended.value,
            self.unattended_approvals.value,
            self.allow_legacy.value,
            self.ttl.value,
            self.max_ttl.value,
            self.bind_to_requester.value,
            self.passphrase_min_length.value,
        )
    }
}

/// Merges the policies that match this certificate and any of these environments.
///
/// Each field takes the strictest value that a matching policy sets; what none sets has its default. Adding a policy
/// never allows more.
#[must_use]
pub fn merge(policies: &[NamedPolicy], certificate: &str, environments: &[&str]) -> Effective {
    let mut matching: Vec<&NamedPolicy> =
        policies.iter().filter(|policy| matches(&policy.spec, certificate, environments)).collect();
    matching.sort_by(|a, b| a.source.cmp(&b.source));
    let all = Matching(matching);
    let max_ttl = all.least(Duration::from_seconds(3600), |p| p.token.as_ref()?.max_ttl);
    let mut ttl = all.least(Duration::from_seconds(300), |p| p.token.as_ref()?.ttl);
    if ttl.value > max_ttl.value {
        ttl = max_ttl.clone();
    }
    Effective {
        policies: all.0.iter().map(|policy| policy.source.clone()).collect(),
        key_export: all.least(KeyExport::Never, |p| p.allow_key_export),
        ca_key_export: all.least(false, |p| p.allow_ca_key_export),
        formats: all.formats(),
        approval_scope: all.most(ApprovalScope::None, |p| p.approval.as_ref()?.required_for),
        approvals: all.most(1, |p| p.approval.as_ref()?.approvals),
        pending_ttl: all.least(Duration::from_seconds(3600), |p| p.approval.as_ref()?.pending_ttl),
        validity: all.least(Duration::from_seconds(24 * 3600), |p| p.approval.as_ref()?.validity),
        unattended: all.least(UnattendedKeyFormats::Deny, |p| p.unattended.as_ref()?.key_formats),
        unattended_approvals: all.most(2, |p| p.unattended.as_ref()?.approvals),
        ttl,
        max_ttl,
        bind_to_requester: all.most(false, |p| p.token.as_ref()?.bind_to_requester),
        passphrase_min_length: all.most(12, |p| p.passphrase.as_ref()?.min_length),
        allow_legacy: all.least(true, |p| p.pkcs12.as_ref()?.allow_legacy),
        reason_required: all.most(false, |p| p.reason_required),
        receipt_retention: all.most(Duration::from_seconds(720 * 3600), |p| p.receipt_retention),
        finished_request_ttl: all.finished_request_ttl(),
        contacts: all.contacts(),
    }
}

/// The policies that take part, sorted by source.
struct Matching<'a>(Vec<&'a NamedPolicy>);

impl Matching<'_> {
    fn least<T: Ord + Copy>(&self, default: T, field: impl Fn(&CertificatePolicySpec) -> Option<T>) -> Sourced<T> {
        self.strictest(default, field, Ordering::Less)
    }

    fn most<T: Ord + Copy>(&self, default: T, field: impl Fn(&CertificatePolicySpec) -> Option<T>) -> Sourced<T> {
        self.strictest(default, field, Ordering::Greater)
    }

    fn strictest<T: Ord + Copy>(
        &self,
        default: T,
        field: impl Fn(&CertificatePolicySpec) -> Option<T>,
        stricter: Ordering,
    ) -> Sourced<T> {
        let mut found: Option<Sourced<T>> = None;
        for policy in &self.0 {
            let Some(value) = field(&policy.spec) else { continue };
            match &mut found {
                Some(best) if best.value == value => best.from.push(policy.source.clone()),
                Some(best) if value.cmp(&best.value) != stricter => {}
                _ => found = Some(Sourced { value, from: vec![policy.source.clone()] }),
            }
        }
        found.unwrap_or(Sourced { value: default, from: Vec::new() })
    }

    /// The intersection of all lists, and every policy that has one: an empty result is the doing of all of them.
    fn formats(&self) -> Sourced<BTreeSet<Format>> {
        let mut allowed = Sourced { value: BTreeSet::from(Format::ALL), from: Vec::new() };
        for policy in &self.0 {
            if let Some(formats) = &policy.spec.allowed_formats {
                allowed.value.retain(|format| formats.contains(format));
                allowed.from.push(policy.source.clone());
            }
        }
        allowed
    }

    /// The longest that a policy says; what says nothing takes no part.
    fn finished_request_ttl(&self) -> Sourced<Option<FinishedRequestTtl>> {
        self.most(None, |p| p.finished_request_ttl.map(Some))
    }

    fn contacts(&self) -> Vec<Contact> {
        let contact = |policy: &&NamedPolicy| {
            let approval = policy.spec.approval.as_ref()?;
            let words = approval.contacts.clone()?;
            Some(Contact { from: policy.source.clone(), scope: approval.required_for, words })
        };
        let mut contacts: Vec<Contact> = self.0.iter().filter_map(contact).collect();
        contacts.sort_by_key(|contact| contact.from != Source::Cluster);
        contacts
    }
}

fn matches(policy: &CertificatePolicySpec, certificate: &str, environments: &[&str]) -> bool {
    let named = |patterns: &Option<Vec<String>>, name: &str| {
        patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| wildcard(pattern, name)))
    };
    named(&policy.certificates, certificate)
        && (policy.environments.is_none()
            || environments.iter().any(|environment| named(&policy.environments, environment)))
}

/// Whether `*` in the pattern, standing for any characters or none, makes it the text. Linear in both lengths but for
/// the usual backtracking to the last `*`.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
