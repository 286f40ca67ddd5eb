//! What pages say of facts: how long something is valid, what a policy means, what a file is for. No decision is made
//! here.

use jiff::Timestamp;

use crate::{
    api::{ApprovalScope, Format, KeyExport, UnattendedKeyFormats, ValidityTime},
    policy::{Effective, Sourced},
};

const DAY: i64 = 24 * 3600;
/// Days before the end at which a certificate should be looked after, and at which it is urgent.
const SOON: i64 = 30;
const URGENT: i64 = 7;

/// How long something is valid: a text, and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// `ok`, `warn` or `bad`.
    pub tone: &'static str,
    /// The same in words, so that no one depends on the colour.
    pub text: String,
    /// The moment, for `<time>`; empty where there is no end.
    pub moment: String,
}

impl Left {
    /// Until then, as of now.
    pub fn until(end: ValidityTime, now: Timestamp) -> Self {
        let moment = end.to_string();
        if end.is_never() {
            return Self { tone: "ok", text: "never expires".to_owned(), moment: String::new() };
        }
        let seconds = end.duration_since(now).as_secs();
        let days = seconds.div_euclid(DAY);
        let (tone, text) = match days {
            _ if seconds < 0 => ("bad", format!("expired {}", ago(-seconds))),
            0 => ("bad", "expires today".to_owned()),
            _ if days <= URGENT => ("bad", format!("{} left", counted(days, "day"))),
            _ if days <= SOON => ("warn", format!("{} left", counted(days, "day"))),
            _ => ("ok", format!("{} left", counted(days, "day"))),
        };
        Self { tone, text, moment }
    }
}

fn ago(seconds: i64) -> String {
    match seconds / DAY {
        0 => "today".to_owned(),
        days => format!("{} ago", counted(days, "day")),
    }
}

/// A number and what is counted.
pub fn counted(number: i64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// How many people must approve, as the end of a sentence.
pub fn approvals(number: i32) -> String {
    counted(i64::from(number), "approval")
}

/// A rule of the policies, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule.
    pub text: String,
    /// The policies that say so.
    pub from: String,
}

/// What the policies say together, the most important first.
pub fn rules(effective: &Effective) -> Vec<Rule> {
    let mut rules = vec![keys(effective)];
    if effective.key_export.value != KeyExport::Never && effective.unattended.value == UnattendedKeyFormats::Deny {
        rules.push(rule("ServiceAccounts cannot have the key.", &effective.unattended));
    }
    match effective.approval_scope.value {
        ApprovalScope::All => rules.push(rule(
            format!("Files without the key need {}, too.", approvals(effective.approvals.value.max(1))),
            &effective.approval_scope,
        )),
        _ => rules.push(rule("Files without the key need no approval.", &effective.approval_scope)),
    }
    if effective.formats.value.len() < Format::ALL.len() {
        let names: Vec<&str> = effective.formats.value.iter().map(|format| format.name()).collect();
        let text = if names.is_empty() {
            "No format is allowed.".to_owned()
        } else {
            format!("Allowed formats: {}.", names.join(", "))
        };
        rules.push(rule(text, &effective.formats));
    }
    if effective.reason_required.value {
        rules.push(rule("Each request must say why.", &effective.reason_required));
    }
    rules.push(rule(format!("A link is valid for {} and works once.", effective.ttl.value), &effective.ttl));
    if effective.bind_to_requester.value {
        rules.push(rule("A link works only for the person who asked.", &effective.bind_to_requester));
    }
    let shortest = effective.passphrase_min_length.value;
    rules.push(rule(format!("A passphrase has {shortest} characters or more."), &effective.passphrase_min_length));
    if !effective.allow_legacy.value {
        rules.push(rule("PKCS#12 files use modern encryption only.", &effective.allow_legacy));
    }
    let kept = format!("Receipts are kept for {}.", effective.receipt_retention.value);
    rules.push(rule(kept, &effective.receipt_retention));
    rules
}

fn keys(effective: &Effective) -> Rule {
    let by_scope = effective.approval_scope.value != ApprovalScope::None;
    match effective.key_export.value {
        KeyExport::Never => rule("The private key is not released.", &effective.key_export),
        KeyExport::Always if !by_scope => rule("The private key is released without approval.", &effective.key_export),
        _ => {
            let needed = approvals(effective.approvals.value.max(1));
            rule(format!("The private key is released after {needed}."), &effective.key_export)
        }
    }
}

fn rule<T>(text: impl Into<String>, sourced: &Sourced<T>) -> Rule {
    Rule { text: text.into(), from: sourced.said_by() }
}

/// What a file is called, what it holds, and what people use it for.
pub struct About {
    /// Its name for people.
    pub title: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// What it is typically used for.
    pub usage: &'static str,
}

/// About a file of this format.
pub const fn about(format: Format) -> About {
    let (title, holds, usage) = match format {
        Format::Cert => ("Certificate, PEM", "The certificate alone.", "To look at it, or to trust exactly this one."),
        Format::Chain => (
            "Chain, PEM",
            "The intermediate certificates, without the root.",
            "For a server that has the certificate and lacks its chain.",
        ),
        Format::Fullchain => (
            "Certificate and chain, PEM",
            "The certificate, then its intermediates.",
            "What nginx, Apache and Envoy read beside the key.",
        ),
        Format::Ca => {
            ("CA certificates, PEM", "What ca.crt of the Secret holds.", "For clients that verify the server.")
        }
        Format::Der => ("Certificate, DER", "The certificate alone, binary.", "For Windows, Java and appliances."),
        Format::DerZip => (
            "Certificates of every environment, ZIP",
            "The certificate of each environment, DER.",
            "To give others all certificates at once.",
        ),
        Format::Key => (
            "Private key, PEM",
            "The private key (PKCS#8), not encrypted.",
            "For a server that reads key and certificate from two files.",
        ),
        Format::Pkcs12 => (
            "PKCS#12 (.p12, .pfx)",
            "Certificate, chain and private key, encrypted under a passphrase.",
            "For Windows, Java keystores, load balancers and phones.",
        ),
        Format::Combined => (
            "Certificate, chain and key, one PEM",
            "All three in one file, not encrypted.",
            "What HAProxy and some appliances read.",
        ),
        Format::Zip => (
            "Everything, ZIP",
            "Every file above for one environment, with a manifest of digests.",
            "To hand over all of it once.",
        ),
    };
    About { title, holds, usage }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::CertificatePolicySpec,
        policy::{NamedPolicy, Source, merge},
    };

    #[test]
    fn what_is_left_is_said_in_words_and_not_by_a_colour_alone() {
        let now: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        for (seconds, tone, text) in [
            (84 * DAY, "ok", "84 days left"),
            (30 * DAY, "warn", "30 days left"),
            (8 * DAY, "warn", "8 days left"),
            (7 * DAY, "bad", "7 days left"),
            (DAY, "bad", "1 day left"),
            (DAY - 1, "bad", "expires today"),
            (-1, "bad", "expired today"),
            (-3 * DAY, "bad", "expired 3 days ago"),
        ] {
            let left = Left::until(ValidityTime::from_second(now.as_second() + seconds), now);
            assert_eq!((left.tone, left.text.as_str()), (tone, text));
        }
        let never = Left::until(ValidityTime::from_second(i64::MAX), now);
        assert_eq!((never.tone, never.text.as_str(), never.moment.as_str()), ("ok", "never expires", ""));
    }

    fn told(spec: serde_json::Value) -> Vec<String> {
        let spec: CertificatePolicySpec = serde_json::from_value(spec).unwrap();
        let policy = NamedPolicy { source: Source::Namespace("prod".to_owned()), spec };
        rules(&merge(&[policy], "api", &["production"])).into_iter().map(|rule| rule.text).collect()
    }

    #[test]
    fn a_policy_is_told_in_words() {
        assert_eq!(
            told(serde_json::json!({}))[..2],
            ["The private key is not released.", "Files without the key need no approval."]
        );
        let strict = told(serde_json::json!({
            "allowKeyExport": "WithApproval",
            "approval": {"requiredFor": "All", "approvals": 2},
            "reasonRequired": true,
            "allowedFormats": ["cert", "pkcs12"],
            "token": {"ttl": "10m", "bindToRequester": true},
            "pkcs12": {"allowLegacy": false},
        }));
        for rule in [
            "The private key is released after 2 approvals.",
            "Files without the key need 2 approvals, too.",
            "Allowed formats: cert, pkcs12.",
            "Each request must say why.",
            "A link is valid for 10m and works once.",
            "A link works only for the person who asked.",
            "PKCS#12 files use modern encryption only.",
        ] {
            assert!(strict.iter().any(|told| told == rule), "{rule}: {strict:?}");
        }
        let open = told(serde_json::json!({"allowKeyExport": "Always"}));
        assert_eq!(open[0], "The private key is released without approval.");
        let scoped = told(serde_json::json!({"allowKeyExport": "Always", "approval": {"requiredFor": "Keys"}}));
        assert_eq!(scoped[0], "The private key is released after 1 approval.");
    }
}
