use proptest::prelude::*;

use super::*;
use crate::{
    api::{ApprovalRules, PassphraseRules, Pkcs12Rules, TokenRules, UnattendedRules},
    policy::test_facts::any_policy,
};

fn policy(name: &str, spec: CertificatePolicySpec) -> NamedPolicy {
    NamedPolicy { source: Source::Namespace(name.into()), spec }
}

#[test]
fn nothing_said_means_the_documented_defaults() {
    let merged = merge(&[], "api", &["production"]);
    assert_eq!(merged.key_export.value, KeyExport::Never);
    assert_eq!(merged.formats.value.len(), Format::ALL.len());
    assert_eq!((merged.approvals.value, merged.unattended_approvals.value), (1, 2));
    assert_eq!(
        [merged.pending_ttl.value, merged.validity.value, merged.ttl.value, merged.max_ttl.value]
            .map(|value| value.to_string()),
        ["1h", "24h", "5m", "1h"]
    );
    assert_eq!(merged.receipt_retention.value.to_string(), "720h");
    assert_eq!(merged.passphrase_min_length.value, 12);
    assert_eq!(merged.finished_request_ttl.value, None);
    assert!(merged.allow_legacy.value && !merged.ca_key_export.value && !merged.bind_to_requester.value);
}

#[test]
fn the_strictest_value_wins_and_names_its_policies() {
    let always = CertificatePolicySpec { allow_key_export: Some(KeyExport::Always), ..Default::default() };
    let approved = CertificatePolicySpec { allow_key_export: Some(KeyExport::WithApproval), ..Default::default() };
    let merged =
        merge(&[policy("b", approved.clone()), policy("a", always), policy("c", approved)], "api", &["production"]);
    assert_eq!(merged.key_export.value, KeyExport::WithApproval);
    assert_eq!(merged.key_export.said_by(), "policy b, policy c");
}

#[test]
fn a_policy_speaks_only_of_what_it_names() {
    let spec = |certificates: &[&str], environments: &[&str]| CertificatePolicySpec {
        certificates: (!certificates.is_empty()).then(|| certificates.iter().map(ToString::to_string).collect()),
        environments: (!environments.is_empty()).then(|| environments.iter().map(ToString::to_string).collect()),
        ..Default::default()
    };
    for (certificates, environments, matches) in [
        (&[][..], &[][..], true),
        (&["api"], &[], true),
        (&["prod-*"], &[], false),
        (&["x", "a*i"], &["production"], true),
        (&["api"], &["staging"], false),
        (&["*"], &["prod*"], true),
        (&["ap"], &[], false),
        (&["**i**"], &[], true),
    ] {
        let merged = merge(&[policy("p", spec(certificates, environments))], "api", &["production"]);
        assert_eq!(!merged.policies.is_empty(), matches, "{certificates:?} {environments:?}");
    }
    let staging = policy("p", spec(&[], &["staging"]));
    assert_eq!(merge(&[staging], "api", &["production", "staging"]).policies.len(), 1, "any environment is enough");
}

#[test]
fn formats_in_common_are_what_every_list_holds() {
    let formats =
        |list: &[Format]| CertificatePolicySpec { allowed_formats: Some(list.to_vec()), ..Default::default() };
    let merged = merge(
        &[policy("a", formats(&[Format::Cert])), policy("b", formats(&[Format::Key, Format::Der]))],
        "api",
        &["production"],
    );
    assert!(merged.formats.value.is_empty());
    assert_eq!(merged.formats.said_by(), "policy a, policy b");
}

#[test]
fn ttl_never_exceeds_max_ttl() {
    let spec = CertificatePolicySpec {
        token: Some(TokenRules { max_ttl: Some(Duration::from_seconds(60)), ..Default::default() }),
        ..Default::default()
    };
    let merged = merge(&[policy("short", spec)], "api", &[]);
    assert_eq!((merged.ttl.value.seconds(), merged.ttl.said_by().as_str()), (60, "policy short"));
}

#[test]
fn finished_requests_stay_as_long_as_the_longest_policy_says_and_never_is_longest() {
    let ttl = |text: &str| {
        let spec = serde_json::from_value(serde_json::json!({"finishedRequestTTL": text})).unwrap();
        policy(text, spec)
    };
    let silent = || policy("silent", CertificatePolicySpec::default());
    for (policies, longest, by) in [
        (vec![], None, "default (no policy sets it)"),
        (vec![silent()], None, "default (no policy sets it)"),
        (vec![ttl("1h"), ttl("2h"), silent()], Some("2h"), "policy 2h"),
        (vec![ttl("0s")], Some("0s"), "policy 0s"),
        (vec![ttl("87600h"), ttl("never"), ttl("1h")], Some("never"), "policy never"),
    ] {
        let merged = merge(&policies, "api", &[]).finished_request_ttl;
        assert_eq!(merged.value.map(|ttl| ttl.to_string()).as_deref(), longest, "{policies:?}");
        assert_eq!(merged.said_by(), by, "{policies:?}");
    }
}

#[test]
fn whom_to_ask_is_what_each_policy_says_that_asks_for_approval_of_this_file_the_cluster_policy_first() {
    let contact = |name: &str, words: &str, scope: Option<ApprovalScope>| {
        let approval = ApprovalRules { contacts: Some(words.into()), required_for: scope, ..Default::default() };
        policy(name, CertificatePolicySpec { approval: Some(approval), ..Default::default() })
    };
    let cluster = NamedPolicy { source: Source::Cluster, ..contact("x", "security@example.com", None) };
    let policies = [
        contact("z", "#keys", Some(ApprovalScope::Keys)),
        contact("b", "#payments", Some(ApprovalScope::All)),
        cluster,
        contact("a", "#team", None),
        contact("c", "#payments", None),
        contact("n", "#nobody", Some(ApprovalScope::None)),
        policy("silent", CertificatePolicySpec::default()),
    ];
    let merged = merge(&policies, "api", &[]);
    assert_eq!(merged.contacts_for(Format::Key), ["security@example.com", "#team", "#payments", "#keys"]);
    assert_eq!(merged.contacts_for(Format::Cert), ["security@example.com", "#team", "#payments"]);
    let many: Vec<NamedPolicy> = (0..20).map(|n| contact(&format!("p{n:02}"), &format!("#{n}"), None)).collect();
    assert_eq!(merge(&many, "api", &[]).contacts_for(Format::Cert).len(), 16, "as many as a status holds");
}

/// Every field that a policy can set, and the field of the result that it may change.
fn single_fields() -> Vec<(&'static str, CertificatePolicySpec)> {
    let spec = CertificatePolicySpec::default;
    let hour = Some(Duration::from_seconds(1800));
    vec![
        ("key_export", CertificatePolicySpec { allow_key_export: Some(KeyExport::Always), ..spec() }),
        ("ca_key_export", CertificatePolicySpec { allow_ca_key_export: Some(true), ..spec() }),
        ("formats", CertificatePolicySpec { allowed_formats: Some(vec![Format::Cert]), ..spec() }),
        (
            "approval_scope",
            CertificatePolicySpec {
                approval: Some(ApprovalRules { required_for: Some(ApprovalScope::All), ..Default::default() }),
                ..spec()
            },
        ),
        (
            "approvals",
            CertificatePolicySpec {
                approval: Some(ApprovalRules { approvals: Some(3), ..Default::default() }),
                ..spec()
            },
        ),
        (
            "pending_ttl",
            CertificatePolicySpec {
                approval: Some(ApprovalRules { pending_ttl: hour, ..Default::default() }),
                ..spec()
            },
        ),
        (
            "validity",
            CertificatePolicySpec { approval: Some(ApprovalRules { validity: hour, ..Default::default() }), ..spec() },
        ),
        (
            "unattended",
            CertificatePolicySpec {
                unattended: Some(UnattendedRules {
                    key_formats: Some(UnattendedKeyFormats::WithApproval),
                    approvals: None,
                }),
                ..spec()
            },
        ),
        (
            "unattended_approvals",
            CertificatePolicySpec {
                unattended: Some(UnattendedRules { key_formats: None, approvals: Some(5) }),
                ..spec()
            },
        ),
        (
            "ttl",
            CertificatePolicySpec {
                token: Some(TokenRules { ttl: Some(Duration::from_seconds(60)), ..Default::default() }),
                ..spec()
            },
        ),
        (
            "max_ttl",
            CertificatePolicySpec { token: Some(TokenRules { max_ttl: hour, ..Default::default() }), ..spec() },
        ),
        (
            "bind_to_requester",
            CertificatePolicySpec {
                token: Some(TokenRules { bind_to_requester: Some(true), ..Default::default() }),
                ..spec()
            },
        ),
        (
            "passphrase_min_length",
            CertificatePolicySpec { passphrase: Some(PassphraseRules { min_length: Some(20) }), ..spec() },
        ),
        ("allow_legacy", CertificatePolicySpec { pkcs12: Some(Pkcs12Rules { allow_legacy: Some(false) }), ..spec() }),
        ("reason_required", CertificatePolicySpec { reason_required: Some(true), ..spec() }),
        (
            "receipt_retention",
            CertificatePolicySpec { receipt_retention: Some(Duration::from_seconds(24 * 3600)), ..spec() },
        ),
        (
            "finished_request_ttl",
            CertificatePolicySpec { finished_request_ttl: hour.map(FinishedRequestTtl::For), ..spec() },
        ),
        (
            "contacts",
            CertificatePolicySpec {
                approval: Some(ApprovalRules { contacts: Some("#oncall".into()), ..Default::default() }),
                ..spec()
            },
        ),
    ]
}

fn fields(effective: &Effective) -> Vec<(&'static str, String)> {
    let e = effective;
    vec![
        ("key_export", format!("{:?}", e.key_export)),
        ("ca_key_export", format!("{:?}", e.ca_key_export)),
        ("formats", format!("{:?}", e.formats)),
        ("approval_scope", format!("{:?}", e.approval_scope)),
        ("approvals", format!("{:?}", e.approvals)),
        ("pending_ttl", format!("{:?}", e.pending_ttl)),
        ("validity", format!("{:?}", e.validity)),
        ("unattended", format!("{:?}", e.unattended)),
        ("unattended_approvals", format!("{:?}", e.unattended_approvals)),
        ("ttl", format!("{:?}", e.ttl)),
        ("max_ttl", format!("{:?}", e.max_ttl)),
        ("bind_to_requester", format!("{:?}", e.bind_to_requester)),
        ("passphrase_min_length", format!("{:?}", e.passphrase_min_length)),
        ("allow_legacy", format!("{:?}", e.allow_legacy)),
        ("reason_required", format!("{:?}", e.reason_required)),
        ("receipt_retention", format!("{:?}", e.receipt_retention)),
        ("finished_request_ttl", format!("{:?}", e.finished_request_ttl)),
        ("contacts", format!("{:?}", e.contacts)),
    ]
}

#[test]
fn a_policy_that_sets_one_field_changes_only_that_field() {
    let silent = policy("silent", CertificatePolicySpec::default());
    let before = fields(&merge(std::slice::from_ref(&silent), "api", &["production"]));
    for (field, spec) in single_fields() {
        let after = fields(&merge(&[silent.clone(), policy("one", spec)], "api", &["production"]));
        for ((name, old), (_, new)) in before.iter().zip(&after) {
            if *name == field {
                assert_ne!(old, new, "{field} has no effect");
            } else {
                assert_eq!(old, new, "{field} changes {name}");
            }
        }
    }
}

#[test]
fn only_fields_that_grant_are_part_of_what_is_reviewed() {
    let before = merge(&[], "api", &[]).granting();
    for (field, spec) in single_fields() {
        let granting = merge(&[policy("one", spec)], "api", &[]).granting();
        let silent = ["reason_required", "receipt_retention", "finished_request_ttl", "contacts"];
        assert_eq!(granting == before, silent.contains(&field), "{field}");
    }
}

proptest! {
    #[test]
    fn merging_does_not_depend_on_the_order(mut policies in proptest::collection::vec(any_policy(), 0..5)) {
        let one = merge(&policies, "api", &["production"]);
        policies.reverse();
        let other = merge(&policies, "api", &["production"]);
        prop_assert_eq!(one.granting(), other.granting());
        prop_assert_eq!(one.ttl.value, other.ttl.value);
        prop_assert_eq!(one.receipt_retention.value, other.receipt_retention.value);
    }

    #[test]
    fn a_wildcard_says_what_a_regular_expression_would(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
        // Dynamic programming: reached[i] = the first i characters of the text are matched.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for p in pattern.bytes() {
            if p == b'*' {
                for i in 1..=text.len() { reached[i] = reached[i] || reached[i - 1]; }
            } else {
                for i in (1..=text.len()).rev() { reached[i] = reached[i - 1] && text.as_bytes()[i - 1] == p; }
                reached[0] = false;
            }
        }
        prop_assert_eq!(wildcard(&pattern, &text), reached[text.len()]);
    }
}
