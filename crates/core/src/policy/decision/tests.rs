use proptest::prelude::*;

use super::*;
use crate::{
    api::{ApprovalRules, CertificatePolicySpec, UnattendedRules},
    policy::test_facts::{any_facts, any_policy, facts},
};

fn named(spec: CertificatePolicySpec) -> Vec<NamedPolicy> {
    vec![NamedPolicy { source: Source::Namespace("p".into()), spec }]
}

fn words(decision: &Decision) -> Vec<&'static str> {
    match decision {
        Decision::Grant(_) => vec![],
        Decision::Refuse(reasons) => reasons.iter().map(|reason| reason.kind().name()).collect(),
    }
}

fn approvals(decision: &Decision) -> Option<i32> {
    match decision {
        Decision::Grant(grant) => Some(grant.approvals),
        Decision::Refuse(_) => None,
    }
}

#[test]
fn without_any_policy_public_formats_leave_and_keys_do_not() {
    for format in Format::ALL {
        let decision = decide(&Facts { format, ..facts(&[]) });
        if format.is_public() {
            assert_eq!(approvals(&decision), Some(0), "{format}");
        } else {
            assert_eq!(words(&decision), ["KeyExportDisabled"], "{format}");
        }
    }
}

#[test]
fn every_reason_is_given_at_once_and_says_what_to_do() {
    let policies = named(CertificatePolicySpec {
        allowed_formats: Some(vec![Format::Cert]),
        reason_required: Some(true),
        ..Default::default()
    });
    let decision = decide(&Facts {
        format: Format::Pkcs12,
        requester: "system:serviceaccount:ci:deployer",
        token_ttl: Some(Duration::from_seconds(7200)),
        holds_ca_key: true,
        passphrase: Passphrase::Given(4),
        access: Access::VerbRefused,
        ..facts(&policies)
    });
    assert_eq!(
        words(&decision),
        [
            "KeyExportDisabled",
            "CAKeyExportDisabled",
            "FormatNotAllowed",
            "UnattendedKeyDenied",
            "DeadlineRequired",
            "TokenTTLTooLong",
            "ReasonRequired",
            "PassphraseTooShort",
            "AccessRefused"
        ]
    );
    let Decision::Refuse(reasons) = decision else { unreachable!() };
    assert!(reasons[0].to_string().contains("allowKeyExport is Never"), "{}", reasons[0]);
    assert!(reasons[2].to_string().contains("policy p") && reasons[2].to_string().contains("allowed: cert"));
}

#[test]
fn disjoint_formats_allow_nothing_and_name_both_policies() {
    let spec = |format| CertificatePolicySpec { allowed_formats: Some(vec![format]), ..Default::default() };
    let policies = vec![
        NamedPolicy { source: Source::Namespace("left".into()), spec: spec(Format::Cert) },
        NamedPolicy { source: Source::Cluster, spec: spec(Format::Der) },
    ];
    for format in [Format::Cert, Format::Der, Format::Fullchain] {
        let Decision::Refuse(reasons) = decide(&Facts { format, ..facts(&policies) }) else { panic!("{format}") };
        let text = reasons[0].to_string();
        assert!(text.contains("policy left") && text.contains("policy (operator)"), "{text}");
    }
}

#[test]
fn approvals_follow_scope_key_export_and_whether_somebody_sits_there() {
    let deadline = Some(facts(&[]).created + jiff::SignedDuration::from_hours(1));
    let spec = |keys, scope, count| CertificatePolicySpec {
        allow_key_export: Some(keys),
        approval: Some(ApprovalRules { required_for: Some(scope), approvals: count, ..Default::default() }),
        unattended: Some(UnattendedRules { key_formats: Some(UnattendedKeyFormats::WithApproval), approvals: None }),
        ..Default::default()
    };
    let robot = "system:serviceaccount:ci:deployer";
    for (policy, format, requester, expected) in [
        (spec(KeyExport::Always, ApprovalScope::None, None), Format::Key, "alice", 0),
        (spec(KeyExport::WithApproval, ApprovalScope::None, None), Format::Key, "alice", 1),
        (spec(KeyExport::WithApproval, ApprovalScope::None, Some(3)), Format::Key, "alice", 3),
        (spec(KeyExport::Always, ApprovalScope::Keys, Some(2)), Format::Key, "alice", 2),
        (spec(KeyExport::Always, ApprovalScope::Keys, Some(2)), Format::Cert, "alice", 0),
        (spec(KeyExport::Always, ApprovalScope::All, Some(2)), Format::Cert, "alice", 2),
        (spec(KeyExport::Always, ApprovalScope::None, None), Format::Key, robot, 2),
        (spec(KeyExport::Always, ApprovalScope::None, Some(4)), Format::Key, robot, 4),
        (spec(KeyExport::Always, ApprovalScope::None, Some(4)), Format::Cert, robot, 0),
    ] {
        let policies = named(policy);
        let decision = decide(&Facts { format, requester, deadline, ..facts(&policies) });
        assert_eq!(approvals(&decision), Some(expected), "{format} {requester} {decision:?}");
    }
}

#[test]
fn a_service_account_needs_a_deadline_for_every_format_and_not_more_than_a_day_ahead() {
    let created = facts(&[]).created;
    let hours = |hours| Some(created + jiff::SignedDuration::from_hours(hours));
    for (deadline, expected) in [
        (None, &["DeadlineRequired"][..]),
        (hours(24), &[]),
        (hours(25), &["DeadlineTooFar"]),
        (hours(0), &["DeadlinePassed"]),
        (hours(-1), &["DeadlinePassed"]),
    ] {
        let robot = Facts { requester: "system:serviceaccount:ci:deployer", deadline, ..facts(&[]) };
        assert_eq!(words(&decide(&robot)), expected, "{deadline:?}");
    }
    assert_eq!(
        words(&decide(&Facts { deadline: hours(1000), ..facts(&[]) })),
        [""; 0],
        "people may look further ahead"
    );
}

/// How much a decision allows: a refusal allows nothing; fewer approvals and a longer token allow more.
fn allows_at_most(one: &Decision, other: &Decision) -> bool {
    match (one, other) {
        (Decision::Refuse(_), _) => true,
        (Decision::Grant(_), Decision::Refuse(_)) => false,
        (Decision::Grant(a), Decision::Grant(b)) => a.approvals >= b.approvals && a.token_ttl <= b.token_ttl,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Policies speak first to set a field away from its (strict) default, so the law is about adding to those that
    /// already set every granting field.
    #[test]
    fn adding_a_policy_never_allows_more_than_the_policies_that_were_there(
        seed in any_facts(), base in any_policy(), added in any_policy(), extra in proptest::collection::vec(any_policy(), 0..3),
    ) {
        let full = crate::policy::test_facts::complete(base);
        let mut before: Vec<NamedPolicy> = vec![full];
        before.extend(extra);
        let mut after = before.clone();
        after.push(added);
        let one = decide(&seed.facts(&after));
        let other = decide(&seed.facts(&before));
        prop_assert!(allows_at_most(&one, &other), "{:?}\n{:?}", one, other);
    }

    #[test]
    fn deciding_is_total_and_repeatable(seed in any_facts(), policies in proptest::collection::vec(any_policy(), 0..6)) {
        let one = decide(&seed.facts(&policies));
        prop_assert_eq!(&one, &decide(&seed.facts(&policies)));
        if let Decision::Refuse(reasons) = one {
            prop_assert!(!reasons.is_empty());
        }
    }

    #[test]
    fn a_service_account_never_gets_a_key_with_fewer_than_two_approvals(
        seed in any_facts(), policies in proptest::collection::vec(any_policy(), 0..6),
    ) {
        let facts = seed.facts(&policies);
        if let Decision::Grant(grant) = decide(&facts) && is_unattended(facts.requester) && facts.format.holds_key() {
            prop_assert!(grant.approvals >= 2);
        }
    }
}
