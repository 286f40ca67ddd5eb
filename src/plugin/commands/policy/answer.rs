//! What each format would be answered, and why. Pure: `policy::decide` is asked, as every door asks it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::api::words::MaterialProblem;
use crate::{
    api::{Certificate, EnvironmentStatus, Format, Pkcs12Profile, UnattendedKeyFormats},
    lifecycle::DEFAULT_FINISHED_TTL,
    policy::{
        self, Access, Decision, Effective, Facts, Grant, NamedPolicy, Passphrase, Reason, Source, Sourced,
        is_unattended,
    },
};

/// Which of the requesters' verbs someone holds.
#[derive(Clone, Copy, Debug)]
pub struct Verbs {
    /// For public formats.
    pub download: bool,
    /// For formats with the private key.
    pub exportkey: bool,
}

/// What is known when someone asks what they would get.
pub struct Known<'a> {
    /// The Certificate.
    pub certificate: &'a Certificate,
    /// The environment they mean.
    pub environment: &'a str,
    /// Who they are.
    pub who: &'a str,
    /// Which verbs they hold on it.
    pub verbs: Verbs,
    /// The policies; `None` where they cannot be listed.
    pub policies: Option<&'a [NamedPolicy]>,
    /// As of when.
    pub now: Timestamp,
}

/// What a request for one format would be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The format.
    pub format: &'static str,
    /// Whether it holds the private key.
    pub holds_key: bool,
    /// In one word.
    #[serde(rename = "answer")]
    pub verdict: FormatAnswer,
    /// How many people must approve.
    pub approvals: i32,
    /// Why not.
    pub refused_because: Vec<Because>,
    /// What the request needs, or what is in the way besides policy.
    pub notes: Vec<String>,
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FormatAnswer {
    /// At once.
    Allowed,
    /// When enough people approve.
    NeedsApproval,
    /// Not at all.
    Refused,
    /// The policies are not known.
    Unknown,
}

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// One CamelCase word, as in status.reason.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

/// A value that the policies come to, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The field of a policy.
    pub field: &'static str,
    /// What it comes to.
    pub value: String,
    /// Which policies say so.
    pub by: String,
}

/// The answer for every format, in their usual order.
pub fn answers(known: &Known<'_>) -> Vec<Answer> {
    Format::ALL.into_iter().map(|format| answer(known, format)).collect()
}

fn environments<'a>(known: &Known<'a>, format: Format) -> Vec<&'a str> {
    match format {
        Format::DerZip => known.certificate.spec.environments.iter().map(|one| one.name.as_str()).collect(),
        _ => vec![known.environment],
    }
}

fn seen<'a>(known: &Known<'a>, format: Format) -> Vec<&'a EnvironmentStatus> {
    let status = known.certificate.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
    let wanted = environments(known, format);
    status.iter().filter(|environment| wanted.contains(&environment.name.as_str())).collect()
}

fn answer(known: &Known<'_>, format: Format) -> Answer {
    let access = if known.verbs_for(format) { Access::Allowed } else { Access::VerbRefused };
    let policies = known.policies.unwrap_or_default();
    let decision = policy::decide(&Facts {
        certificate: known.certificate.key().name,
        environments: environments(known, format),
        format,
        requester: known.who,
        // What the user can still add is a note here, and not a refusal.
        reason: Some("asked"),
        token_ttl: None,
        deadline: is_unattended(known.who)
            .then(|| known.now.saturating_add(SignedDuration::from_hours(1)).ok())
            .flatten(),
        profile: Pkcs12Profile::Modern,
        passphrase: Passphrase::Generated,
        created: known.now,
        holds_ca_key: seen(known, format).iter().any(|environment| environment.ca == Some(true)),
        access,
        policies,
    });
    let mut answer = Answer {
        format: format.name(),
        holds_key: format.holds_key(),
        verdict: FormatAnswer::Unknown,
        approvals: 0,
        refused_because: Vec::new(),
        notes: Vec::new(),
    };
    match decision {
        Decision::Grant(grant) if known.policies.is_some() => granted(&mut answer, &grant, known, format),
        Decision::Refuse(reasons) => {
            // What no policy can change is known without them.
            let counts = |reason: &Reason| known.policies.is_some() || matches!(reason, Reason::AccessRefused { .. });
            answer.refused_because = reasons
                .iter()
                .filter(|reason| counts(reason))
                .map(|reason| Because { reason: reason.kind().name(), message: reason.to_string() })
                .collect();
            if !answer.refused_because.is_empty() {
                answer.verdict = FormatAnswer::Refused;
            }
        }
        Decision::Grant(_) => {}
    }
    if answer.verdict != FormatAnswer::Refused {
        answer.notes.extend(obstacles(&seen(known, format), format));
    }
    answer
}

impl Known<'_> {
    fn verbs_for(&self, format: Format) -> bool {
        if format.holds_key() { self.verbs.exportkey } else { self.verbs.download }
    }
}

fn granted(answer: &mut Answer, grant: &Grant, known: &Known<'_>, format: Format) {
    let Grant { approvals, effective, .. } = grant;
    answer.approvals = *approvals;
    answer.verdict = if *approvals == 0 { FormatAnswer::Allowed } else { FormatAnswer::NeedsApproval };
    let Effective { reason_required, bind_to_requester, passphrase_min_length, allow_legacy, .. } = effective;
    if *approvals > 0 {
        let people = if *approvals == 1 { "1 approval".to_owned() } else { format!("{approvals} approvals") };
        let contacts = effective.contacts_for(format);
        let ask = if contacts.is_empty() { String::new() } else { format!("; ask {}", contacts.join(", ")) };
        let by = who_asks_for_approval(effective, format, known.who);
        answer.notes.push(format!("{people} of others, by {by}{ask}"));
    }
    if reason_required.value {
        answer.notes.push(format!("with a reason, by {}", reason_required.said_by()));
    }
    if is_unattended(known.who) {
        answer.notes.push("with a deadline at most 24h ahead, since a ServiceAccount asks".to_owned());
    }
    if bind_to_requester.value {
        answer
            .notes
            .push(format!("the token works only with your own bearer token, by {}", bind_to_requester.said_by()));
    }
    if format.needs_passphrase() {
        let least = passphrase_min_length.value;
        answer.notes.push(format!("your own passphrase must have at least {least} characters"));
        if !allow_legacy.value {
            answer.notes.push(format!("not with profile Legacy, by {}", allow_legacy.said_by()));
        }
    }
}

fn who_asks_for_approval(effective: &Effective, format: Format, who: &str) -> String {
    if format.holds_key() && is_unattended(who) && effective.unattended.value == UnattendedKeyFormats::WithApproval {
        return effective.unattended.said_by();
    }
    if effective.approval_scope.from.is_empty() {
        effective.key_export.said_by()
    } else {
        effective.approval_scope.said_by()
    }
}

/// What is in the way besides policy, as far as the status of the Certificate tells.
fn obstacles(seen: &[&EnvironmentStatus], format: Format) -> Vec<String> {
    let cannot = |why: String| format!("but the file cannot be made now: {why}");
    seen.iter().filter_map(|environment| Some(cannot(obstacle(environment, format)?))).collect()
}

fn obstacle(seen: &EnvironmentStatus, format: Format) -> Option<String> {
    let message = || seen.message.clone().unwrap_or_default();
    let name = &seen.name;
    if seen.sha256_fingerprint.is_none() {
        return Some(message());
    }
    if format.holds_key() && seen.key_matches != Some(true) {
        return Some(match seen.key_matches {
            Some(_) => message(),
            None => format!("environment `{name}`: it has no private key that can be checked against its certificate"),
        });
    }
    let broken = seen.reason.as_deref() == Some("BrokenChain");
    match format {
        Format::Cert | Format::Der | Format::DerZip | Format::Key | Format::Ca => None,
        Format::Chain if seen.chain_length == Some(0) => {
            Some(format!("environment `{name}`: there is nothing between its leaf and its root"))
        }
        _ => broken.then(message),
    }
}

/// Whether the material has not been read yet, or is not allowed to.
pub fn unseen(known: &Known<'_>) -> bool {
    let status = known.certificate.status.as_ref();
    !status.is_some_and(|status| status.environments.iter().any(|environment| environment.name == known.environment))
        || seen(known, Format::Cert)
            .iter()
            .any(|seen| seen.reason.as_deref() == Some(MaterialProblem::ApiForbidden.name()))
}

/// What the policies come to for the environment.
pub fn terms(known: &Known<'_>) -> Vec<Term> {
    let Some(policies) = known.policies else { return Vec::new() };
    let name = known.certificate.key().name;
    let all = policy::merge(policies, name, &[known.environment]);
    let formats: Vec<&str> = all.formats.value.iter().map(|format| format.name()).collect();
    let ttl = all.finished_request_ttl.value.map_or_else(|| DEFAULT_FINISHED_TTL.to_string(), |ttl| ttl.to_string());
    let contacts: Vec<&str> = all.contacts.iter().map(|contact| contact.words.as_str()).collect();
    let from: Vec<Source> = all.contacts.iter().map(|contact| contact.from.clone()).collect();
    let contacts = Sourced { value: contacts.join(", "), from };
    vec![
        term("allowKeyExport", &all.key_export, |value| format!("{value:?}")),
        term("allowCAKeyExport", &all.ca_key_export, bool::to_string),
        Term { field: "allowedFormats", value: formats.join(","), by: all.formats.said_by() },
        term("approval.requiredFor", &all.approval_scope, |value| format!("{value:?}")),
        term("approval.approvals", &all.approvals, i32::to_string),
        term("approval.pendingTTL", &all.pending_ttl, ToString::to_string),
        term("approval.validity", &all.validity, ToString::to_string),
        term("approval.contacts", &contacts, |words| if words.is_empty() { "none".to_owned() } else { words.clone() }),
        term("unattended.keyFormats", &all.unattended, |value| format!("{value:?}")),
        term("unattended.approvals", &all.unattended_approvals, i32::to_string),
        term("token.ttl", &all.ttl, ToString::to_string),
        term("token.maxTTL", &all.max_ttl, ToString::to_string),
        term("token.bindToRequester", &all.bind_to_requester, bool::to_string),
        term("passphrase.minLength", &all.passphrase_min_length, i32::to_string),
        term("pkcs12.allowLegacy", &all.allow_legacy, bool::to_string),
        term("reasonRequired", &all.reason_required, bool::to_string),
        term("receiptRetention", &all.receipt_retention, ToString::to_string),
        Term { field: "finishedRequestTTL", value: ttl, by: all.finished_request_ttl.said_by() },
    ]
}

fn term<T>(field: &'static str, sourced: &Sourced<T>, shown: impl Fn(&T) -> String) -> Term {
    Term { field, value: shown(&sourced.value), by: sourced.said_by() }
}

#[cfg(test)]
mod tests;
