//! The one authorization function: facts in, a closed decision out, every reason at once.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;

use super::{
    Effective, NamedPolicy, Source, merge,
    merge::{Sourced, said_by},
    verb,
};
use crate::api::{
    ApprovalScope, Duration, Format, KeyExport, Pkcs12Profile, UnattendedKeyFormats, words::RefusalReason,
};
use crate::door::{Door, Input, Worded};

/// How far ahead the deadline of an unattended requester may lie.
const UNATTENDED_DEADLINE: Duration = Duration::from_seconds(24 * 3600);

/// Everything a decision depends on, as of one moment.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Name of the Certificate.
    pub certificate: &'a str,
    /// The environment asked for; all of the Certificate's for `der-zip` and the apiops export.
    pub environments: Vec<&'a str>,
    /// The file asked for.
    pub format: Format,
    /// User name of the requester.
    pub requester: &'a str,
    /// Why it is asked for.
    pub reason: Option<&'a str>,
    /// The token's life that was asked for.
    pub token_ttl: Option<Duration>,
    /// No token is issued or accepted after this time.
    pub deadline: Option<Timestamp>,
    /// The PKCS#12 profile that was asked for.
    pub profile: Pkcs12Profile,
    /// Where the passphrase comes from.
    pub passphrase: Passphrase,
    /// When the request was created; for one that does not exist yet: now.
    pub created: Timestamp,
    /// Whether some leaf in the file can itself sign certificates. False while the material is not known.
    pub holds_ca_key: bool,
    /// What the API server's SubjectAccessReview says of the requester.
    pub access: Access,
    /// Every policy of the namespace, and the cluster policy.
    pub policies: &'a [NamedPolicy],
}

/// Where the passphrase of pkcs12 and zip comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passphrase {
    /// One will be generated.
    Generated,
    /// From a Secret that is read at redemption; its length is checked then.
    Referenced,
    /// Given, or read, with this many characters.
    Given(usize),
}

/// What the API server says of the requester's rights, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The requester holds the verb, and may get the passphrase Secret if one is named.
    Allowed,
    /// The requester does not hold the verb on the Certificate.
    VerbRefused,
    /// The requester is not allowed to get the Secret with the passphrase.
    PassphraseSecretRefused(String),
}

/// What is decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It may be released, once enough people approve.
    Grant(Box<Grant>),
    /// It must not be released; every reason, sorted. Never empty.
    Refuse(Vec<Reason>),
}

/// On which terms it may be released.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// How many distinct people must approve; 0: no one.
    pub approvals: i32,
    /// How long a token lives.
    pub token_ttl: Duration,
    /// What all policies say together.
    pub effective: Effective,
}

/// Why something must not be released. Closed; its message names the rule and the next step, in the words of the reader's
/// door.
#[expect(missing_docs, reason = "the fields are the words that the message is made of")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Formats with a key must not be released at all.
    KeyExportDisabled { format: Format, by: String },
    /// The leaf is a CA.
    CaKeyExportDisabled { by: String },
    /// The format is not among those allowed.
    FormatNotAllowed { format: Format, by: String, allowed: String },
    /// The lists of several policies have no format in common.
    NoFormatInCommon { by: String },
    /// A `ServiceAccount` asks for a key.
    UnattendedKeyDenied { format: Format, by: String },
    /// A `ServiceAccount` gave no deadline.
    DeadlineRequired,
    /// The deadline of a `ServiceAccount` is too far ahead.
    DeadlineTooFar { deadline: Timestamp, latest: Timestamp },
    /// The deadline was over when the request was created.
    DeadlinePassed { deadline: Timestamp },
    /// The token's life is too long.
    TokenTtlTooLong { asked: Duration, longest: Duration, by: String },
    /// The Legacy profile is not allowed.
    LegacyNotAllowed { by: String },
    /// A reason is missing.
    ReasonRequired { by: String },
    /// The passphrase is too short.
    PassphraseTooShort { least: i32, by: String },
    /// The requester lacks the verb.
    AccessRefused { requester: String, verb: &'static str, certificate: String },
    /// The requester is not allowed to get the passphrase Secret.
    PassphraseSecretRefused { requester: String, secret: String },
}

impl Worded for Reason {
    fn at(&self, door: Door) -> String {
        let name = self.input().map_or("", |input| input.at(door));
        match self {
            Self::KeyExportDisabled { format, by } => format!(
                "format `{format}` holds the private key, and allowKeyExport is Never by {by}; ask for cert or \
                 fullchain, or ask your policy administrator to set allowKeyExport"
            ),
            Self::CaKeyExportDisabled { by } => format!(
                "this certificate can itself sign certificates, and its key is not released: allowCAKeyExport is false \
                 by {by}"
            ),
            Self::FormatNotAllowed { format, by, allowed } => {
                format!("format `{format}` is not allowed by {by}; allowed: {allowed}")
            }
            Self::NoFormatInCommon { by } => format!(
                "no format is allowed: the allowedFormats of {by} have none in common; ask your policy administrator"
            ),
            Self::UnattendedKeyDenied { format, by } => format!(
                "ServiceAccounts cannot have format `{format}`, which holds the private key: unattended.keyFormats is \
                 Deny by {by}; ask for a format without a key, or ask your policy administrator"
            ),
            Self::DeadlineRequired => format!(
                "a ServiceAccount must give {name}, at most 24h ahead, so that a copy of the request made later does \
                 nothing"
            ),
            Self::DeadlineTooFar { deadline, latest } => format!(
                "{name} {deadline} of a ServiceAccount's request is more than 24h after its creation; choose one no \
                 later than {latest}"
            ),
            Self::DeadlinePassed { deadline } => format!(
                "{name} {deadline} had already passed when the request was created; create one with a later deadline"
            ),
            Self::TokenTtlTooLong { asked, longest, by } => format!(
                "{name} {asked} is longer than the longest allowed, {longest} by {by}; ask for less or leave {name} out"
            ),
            Self::LegacyNotAllowed { by } => format!(
                "PKCS#12 profile Legacy ({name}) is not allowed: pkcs12.allowLegacy is false by {by}; {}",
                if door == Door::Plugin { "leave it out" } else { "use Modern" }
            ),
            Self::ReasonRequired { by } => {
                format!("a reason is required by {by}: give it in {name}")
            }
            Self::PassphraseTooShort { least, by } => format!(
                "the passphrase is shorter than {least} characters, the minimum by {by}; use a longer one, or {}",
                generated(door)
            ),
            Self::AccessRefused { requester, verb, certificate } => format!(
                "user `{requester}` lacks verb `{verb}` on certificates.certcourier.io/{certificate}; ask for \
                 ClusterRole {} in this namespace",
                role_with(verb)
            ),
            Self::PassphraseSecretRefused { requester, secret } => format!(
                "user `{requester}` is not allowed to get Secret `{secret}` that {name} names; name one that they may \
                 read, or {}",
                generated(door)
            ),
        }
    }
}

/// How to have a passphrase made instead.
const fn generated(door: Door) -> &'static str {
    match door {
        Door::Object => "leave spec.passphraseSecretRef out to have one generated",
        Door::Http => "leave `passphrase` out to have one generated",
        Door::Plugin => "have one generated with --generate",
    }
}

/// In the words of the object, which is where a message stays.
impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.at(Door::Object))
    }
}

/// All reasons in one message.
#[must_use]
pub fn all_reasons(reasons: &[Reason], door: Door) -> String {
    reasons.iter().map(|reason| reason.at(door)).collect::<Vec<_>>().join("; ")
}

/// The smallest of our roles with this verb on Certificates.
#[must_use]
pub fn role_with(verb: &str) -> &'static str {
    if verb == super::verb(Format::Key) { "certcourier-operator" } else { "certcourier-downloader" }
}

impl Reason {
    /// What was typed that is wrong, or left out and needed. None where it is not about one input.
    #[must_use]
    pub const fn input(&self) -> Option<Input> {
        Input::of(self.kind())
    }

    /// The same in one word, for `status.reason`.
    #[must_use]
    pub const fn kind(&self) -> RefusalReason {
        match self {
            Self::KeyExportDisabled { .. } => RefusalReason::KeyExportDisabled,
            Self::CaKeyExportDisabled { .. } => RefusalReason::CaKeyExportDisabled,
            Self::FormatNotAllowed { .. } => RefusalReason::FormatNotAllowed,
            Self::NoFormatInCommon { .. } => RefusalReason::NoFormatInCommon,
            Self::UnattendedKeyDenied { .. } => RefusalReason::UnattendedKeyDenied,
            Self::DeadlineRequired => RefusalReason::DeadlineRequired,
            Self::DeadlineTooFar { .. } => RefusalReason::DeadlineTooFar,
            Self::DeadlinePassed { .. } => RefusalReason::DeadlinePassed,
            Self::TokenTtlTooLong { .. } => RefusalReason::TokenTtlTooLong,
            Self::LegacyNotAllowed { .. } => RefusalReason::LegacyNotAllowed,
            Self::ReasonRequired { .. } => RefusalReason::ReasonRequired,
            Self::PassphraseTooShort { .. } => RefusalReason::PassphraseTooShort,
            Self::AccessRefused { .. } => RefusalReason::AccessRefused,
            Self::PassphraseSecretRefused { .. } => RefusalReason::PassphraseSecretRefused,
        }
    }
}

/// `ServiceAccounts` act unattended: no one sits before them who could be asked.
#[must_use]
pub fn is_unattended(username: &str) -> bool {
    username.starts_with("system:serviceaccount:")
}

/// Decides, for every door alike. Total: each set of facts has an answer, and a refusal gives all reasons at once.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Decision {
    let effective = merge(facts.policies, facts.certificate, &facts.environments);
    let mut reasons = BTreeSet::new();
    refuse_by_format(facts, &effective, &mut reasons);
    refuse_by_input(facts, &effective, &mut reasons);
    refuse_by_access(facts, &mut reasons);
    if !reasons.is_empty() {
        return Decision::Refuse(reasons.into_iter().collect());
    }
    Decision::Grant(Box::new(Grant {
        approvals: required_approvals(facts, &effective),
        token_ttl: facts.token_ttl.unwrap_or(effective.ttl.value),
        effective,
    }))
}

fn refuse_by_format(facts: &Facts<'_>, effective: &Effective, reasons: &mut BTreeSet<Reason>) {
    let Sourced { value: allowed, from } = &effective.formats;
    if allowed.is_empty() {
        reasons.insert(Reason::NoFormatInCommon { by: said_by(from) });
    } else if !allowed.contains(&facts.format) {
        let names: Vec<&str> = allowed.iter().map(|format| format.name()).collect();
        reasons.insert(Reason::FormatNotAllowed { format: facts.format, by: said_by(from), allowed: names.join(", ") });
    }
    if facts.format.is_public() {
        return;
    }
    if effective.key_export.value == KeyExport::Never {
        reasons.insert(Reason::KeyExportDisabled { format: facts.format, by: effective.key_export.said_by() });
    }
    if facts.holds_ca_key && !effective.ca_key_export.value {
        reasons.insert(Reason::CaKeyExportDisabled { by: effective.ca_key_export.said_by() });
    }
    if is_unattended(facts.requester) && effective.unattended.value == UnattendedKeyFormats::Deny {
        reasons.insert(Reason::UnattendedKeyDenied { format: facts.format, by: effective.unattended.said_by() });
    }
}

fn refuse_by_input(facts: &Facts<'_>, effective: &Effective, reasons: &mut BTreeSet<Reason>) {
    if let Some(asked) = facts.token_ttl.filter(|asked| *asked > effective.max_ttl.value) {
        reasons.insert(Reason::TokenTtlTooLong {
            asked,
            longest: effective.max_ttl.value,
            by: effective.max_ttl.said_by(),
        });
    }
    match facts.deadline {
        Some(deadline) if deadline <= facts.created => {
            reasons.insert(Reason::DeadlinePassed { deadline });
        }
        Some(deadline) if is_unattended(facts.requester) => {
            let latest = facts.created.saturating_add(UNATTENDED_DEADLINE.get()).unwrap_or(Timestamp::MAX);
            if deadline > latest {
                reasons.insert(Reason::DeadlineTooFar { deadline, latest });
            }
        }
        None if is_unattended(facts.requester) => {
            reasons.insert(Reason::DeadlineRequired);
        }
        _ => {}
    }
    if effective.reason_required.value && facts.reason.is_none_or(|reason| reason.trim().is_empty()) {
        reasons.insert(Reason::ReasonRequired { by: effective.reason_required.said_by() });
    }
    if !facts.format.needs_passphrase() {
        return;
    }
    if facts.profile == Pkcs12Profile::Legacy && !effective.allow_legacy.value {
        reasons.insert(Reason::LegacyNotAllowed { by: effective.allow_legacy.said_by() });
    }
    let least = effective.passphrase_min_length.value;
    if let Passphrase::Given(length) = facts.passphrase
        && i32::try_from(length).is_ok_and(|length| length < least)
    {
        reasons.insert(Reason::PassphraseTooShort { least, by: effective.passphrase_min_length.said_by() });
    }
}

fn refuse_by_access(facts: &Facts<'_>, reasons: &mut BTreeSet<Reason>) {
    let requester = facts.requester.to_owned();
    match &facts.access {
        Access::Allowed => {}
        Access::VerbRefused => {
            let (verb, certificate) = (verb(facts.format), facts.certificate.to_owned());
            reasons.insert(Reason::AccessRefused { requester, verb, certificate });
        }
        Access::PassphraseSecretRefused(secret) => {
            reasons.insert(Reason::PassphraseSecretRefused { requester, secret: secret.clone() });
        }
    }
}

/// `WithApproval` means at least one; a key for a `ServiceAccount` at least two, whatever the policy's number.
fn required_approvals(facts: &Facts<'_>, effective: &Effective) -> i32 {
    let keys = facts.format.holds_key();
    let by_scope = match effective.approval_scope.value {
        ApprovalScope::All => true,
        ApprovalScope::Keys => keys,
        ApprovalScope::None => false,
    };
    let people = if by_scope || (keys && effective.key_export.value == KeyExport::WithApproval) {
        effective.approvals.value.max(1)
    } else {
        0
    };
    if keys && is_unattended(facts.requester) {
        people.max(effective.approvals.value).max(effective.unattended_approvals.value).max(2)
    } else {
        people
    }
}

impl Effective {
    /// The policies that took part, as status lists them.
    #[must_use]
    pub fn policy_names(&self) -> Vec<String> {
        self.policies.iter().take(256).map(Source::to_string).collect()
    }
}

#[cfg(test)]
mod tests;
