use serde_json::{Value, json};

use super::*;
use crate::policy::Source;

fn certificate(status: &Value) -> Certificate {
    serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate", "metadata": {"name": "api"},
        "spec": {"environments": [{"name": "production", "secretRef": {"name": "api-tls"}},
                                  {"name": "staging", "secretRef": {"name": "api-staging"}}]},
        "status": status,
    }))
    .unwrap()
}

fn usable() -> Value {
    json!({"environments": [
        {"name": "production", "sha256Fingerprint": "f1", "keyMatches": true, "chainLength": 1, "ca": false},
        {"name": "staging", "sha256Fingerprint": "f2", "keyMatches": true, "chainLength": 0, "ca": true},
    ]})
}

fn policy(name: &str, spec: Value) -> NamedPolicy {
    NamedPolicy { source: Source::Namespace(name.to_owned()), spec: serde_json::from_value(spec).unwrap() }
}

struct Case {
    certificate: Certificate,
    policies: Option<Vec<NamedPolicy>>,
    who: &'static str,
    verbs: Verbs,
    environment: &'static str,
}

impl Case {
    fn new(policies: Vec<NamedPolicy>) -> Self {
        let certificate = certificate(&usable());
        Self {
            certificate,
            policies: Some(policies),
            who: "alice",
            verbs: Verbs { download: true, exportkey: true },
            environment: "production",
        }
    }

    fn known(&self) -> Known<'_> {
        Known {
            certificate: &self.certificate,
            environment: self.environment,
            who: self.who,
            verbs: self.verbs,
            policies: self.policies.as_deref(),
            now: "2026-11-22T12:00:00Z".parse().unwrap(),
        }
    }

    fn of(&self, format: Format) -> Answer {
        answers(&self.known()).into_iter().find(|answer| answer.format == format.name()).unwrap()
    }
}

#[test]
fn without_policies_what_is_public_goes_and_keys_stay() {
    let case = Case::new(Vec::new());
    for format in Format::ALL {
        let answer = case.of(format);
        let expected = if format.holds_key() { FormatAnswer::Refused } else { FormatAnswer::Allowed };
        assert_eq!(answer.verdict, expected, "{answer:?}");
    }
    assert_eq!(case.of(Format::Key).refused_because[0].reason, "KeyExportDisabled");
}

#[test]
fn how_many_must_agree_and_which_policy_says_so() {
    let two = json!({"allowKeyExport": "WithApproval", "approval": {"approvals": 2}, "reasonRequired": true});
    let case = Case::new(vec![policy("two", two)]);
    let key = case.of(Format::Key);
    assert_eq!((key.verdict, key.approvals), (FormatAnswer::NeedsApproval, 2));
    assert_eq!(key.notes, ["2 approvals of others, by policy two", "with a reason, by policy two"]);
    assert_eq!(case.of(Format::Cert).notes, ["with a reason, by policy two"]);
    let term = |field: &str| terms(&case.known()).into_iter().find(|term| term.field == field).unwrap();
    assert_eq!(
        (term("approval.approvals").value.as_str(), term("approval.approvals").by.as_str()),
        ("2", "policy two")
    );
    assert_eq!(term("token.ttl").by, "default (no policy sets it)");
}

#[test]
fn without_the_policies_only_what_they_cannot_change_is_said() {
    let case = Case { policies: None, verbs: Verbs { download: true, exportkey: false }, ..Case::new(Vec::new()) };
    assert_eq!(case.of(Format::Cert).verdict, FormatAnswer::Unknown);
    let key = case.of(Format::Key);
    assert_eq!(
        (key.verdict, key.refused_because.len(), key.refused_because[0].reason),
        (FormatAnswer::Refused, 1, "AccessRefused")
    );
    assert!(terms(&case.known()).is_empty());
}

#[test]
fn an_environment_has_policies_and_obstacles_of_its_own() {
    let strict = policy("strict", json!({"environments": ["production"], "allowKeyExport": "Never"}));
    let loose = policy("loose", json!({"environments": ["staging"], "allowKeyExport": "Always"}));
    let mut case = Case { environment: "staging", ..Case::new(vec![strict, loose]) };
    let key = case.of(Format::Key);
    assert_eq!(key.refused_because.iter().map(|why| why.reason).collect::<Vec<_>>(), ["CAKeyExportDisabled"]);
    assert_eq!(case.of(Format::Chain).notes.len(), 1, "{:?}", case.of(Format::Chain));
    case.certificate = certificate(&json!({"environments": [
        {"name": "staging", "reason": "SecretMissing", "message": "environment `staging`: Secret `x` does not exist"}]}));
    assert!(case.of(Format::Cert).notes[0].ends_with("Secret `x` does not exist"), "{:?}", case.of(Format::Cert));
    assert!(!unseen(&case.known()));
    case.environment = "production";
    assert!(unseen(&case.known()));
}

#[test]
fn a_service_account_learns_what_it_must_add() {
    let allowed = json!({"allowKeyExport": "Always", "unattended": {"keyFormats": "WithApproval"}});
    let case = Case { who: "system:serviceaccount:ci:robot", ..Case::new(vec![policy("robots", allowed)]) };
    let key = case.of(Format::Key);
    assert_eq!((key.verdict, key.approvals), (FormatAnswer::NeedsApproval, 2));
    assert_eq!(key.notes[0], "2 approvals of others, by policy robots");
    assert!(key.notes[1].contains("deadline"), "{key:?}");
}
