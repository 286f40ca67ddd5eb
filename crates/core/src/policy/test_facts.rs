//! Builders and strategies for tests of policies.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{Access, Facts, NamedPolicy, Passphrase, Source};
use crate::api::{
    ApprovalRules, ApprovalScope, CertificatePolicySpec, Duration, FinishedRequestTtl, Format, KeyExport,
    PassphraseRules, Pkcs12Profile, Pkcs12Rules, TokenRules, UnattendedKeyFormats, UnattendedRules,
};

/// alice asks for the fullchain of `api`, as of noon.
pub fn facts(policies: &[NamedPolicy]) -> Facts<'_> {
    Facts {
        certificate: "api",
        environments: vec!["production"],
        format: Format::Fullchain,
        requester: "alice",
        reason: None,
        token_ttl: None,
        deadline: None,
        profile: Pkcs12Profile::Modern,
        passphrase: Passphrase::Generated,
        created: "2026-11-22T12:00:00Z".parse().unwrap(),
        holds_ca_key: false,
        access: Access::Allowed,
        policies,
    }
}

fn duration(seconds: std::ops::Range<u64>) -> impl Strategy<Value = Option<Duration>> {
    option::of(seconds.prop_map(Duration::from_seconds))
}

/// Any policy, each field set or not.
pub fn any_policy() -> impl Strategy<Value = NamedPolicy> {
    let who = (
        option::of(vec(select(vec!["api", "a*", "other"]), 1..3)),
        option::of(vec(select(vec!["production", "staging", "*"]), 1..3)),
    );
    let keys = (
        option::of(select(vec![KeyExport::Never, KeyExport::WithApproval, KeyExport::Always])),
        option::of(any::<bool>()),
        option::of(vec(select(Format::ALL.to_vec()), 1..10)),
    );
    let approval = (
        option::of(select(vec![ApprovalScope::None, ApprovalScope::Keys, ApprovalScope::All])),
        option::of(1..9_i32),
        duration(1..9000),
        duration(1..90_000),
    );
    let unattended = (
        option::of(select(vec![UnattendedKeyFormats::Deny, UnattendedKeyFormats::WithApproval])),
        option::of(2..9_i32),
    );
    let token = (duration(1..7200), duration(1..7200), option::of(any::<bool>()));
    let rest = (
        option::of(1..30_i32),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        duration(86_400..9_000_000),
        duration(0..9000),
    );
    ("[a-c]", who, keys, approval, unattended, token, rest).prop_map(
        |(name, who, keys, approval, unattended, token, rest)| NamedPolicy {
            source: Source::Namespace(name),
            spec: CertificatePolicySpec {
                certificates: who.0.map(|names| names.into_iter().map(str::to_owned).collect()),
                environments: who.1.map(|names| names.into_iter().map(str::to_owned).collect()),
                allow_key_export: keys.0,
                allow_ca_key_export: keys.1,
                allowed_formats: keys.2,
                approval: Some(ApprovalRules {
                    required_for: approval.0,
                    approvals: approval.1,
                    pending_ttl: approval.2,
                    validity: approval.3,
                    contacts: None,
                }),
                unattended: Some(UnattendedRules { key_formats: unattended.0, approvals: unattended.1 }),
                token: Some(TokenRules { ttl: token.0, max_ttl: token.1, bind_to_requester: token.2 }),
                passphrase: Some(PassphraseRules { min_length: rest.0 }),
                pkcs12: Some(Pkcs12Rules { allow_legacy: rest.1 }),
                reason_required: rest.2,
                receipt_retention: rest.3,
                finished_request_ttl: rest.4.map(FinishedRequestTtl::For),
            },
        },
    )
}

/// The same policy for every certificate, with every field set whose default is the strictest value or that bounds the
/// token: beside it, no added policy is the first to speak.
pub fn complete(mut policy: NamedPolicy) -> NamedPolicy {
    let spec = &mut policy.spec;
    spec.certificates = None;
    spec.environments = None;
    spec.allow_key_export.get_or_insert(KeyExport::Always);
    spec.allow_ca_key_export.get_or_insert(true);
    let unattended = spec.unattended.get_or_insert_default();
    unattended.key_formats.get_or_insert(UnattendedKeyFormats::WithApproval);
    unattended.approvals.get_or_insert(2);
    let token = spec.token.get_or_insert_default();
    token.ttl.get_or_insert(Duration::from_seconds(300));
    token.max_ttl.get_or_insert(Duration::from_seconds(3600));
    spec.approval.get_or_insert_default().approvals.get_or_insert(1);
    spec.passphrase.get_or_insert_default().min_length.get_or_insert(12);
    policy
}

/// Everything but the policies.
#[derive(Clone, Debug)]
pub struct Seed {
    format: Format,
    requester: &'static str,
    reason: Option<&'static str>,
    token_ttl: Option<Duration>,
    deadline_hours: Option<i64>,
    profile: Pkcs12Profile,
    passphrase: Passphrase,
    holds_ca_key: bool,
    access: Access,
}

impl Seed {
    pub fn facts<'a>(&'a self, policies: &'a [NamedPolicy]) -> Facts<'a> {
        let base = facts(policies);
        Facts {
            format: self.format,
            requester: self.requester,
            reason: self.reason,
            token_ttl: self.token_ttl,
            deadline: self.deadline_hours.map(|hours| base.created + jiff::SignedDuration::from_hours(hours)),
            profile: self.profile,
            passphrase: self.passphrase,
            holds_ca_key: self.holds_ca_key,
            access: self.access.clone(),
            ..base
        }
    }
}

/// Any facts; most of them of a kind that may be granted.
pub fn any_facts() -> impl Strategy<Value = Seed> {
    let passphrase = prop_oneof![
        Just(Passphrase::Generated),
        Just(Passphrase::Referenced),
        (1..40_usize).prop_map(Passphrase::Given)
    ];
    let access = prop_oneof![9 => Just(Access::Allowed), 1 => Just(Access::VerbRefused), 1 => Just(Access::PassphraseSecretRefused("s".into()))];
    (
        select(Format::ALL.to_vec()),
        select(vec!["alice", "system:serviceaccount:ci:deployer"]),
        option::of(Just("INC-1")),
        duration(1..5000),
        option::of(-1..30_i64),
        select(vec![Pkcs12Profile::Modern, Pkcs12Profile::Legacy]),
        passphrase,
        any::<bool>(),
        access,
    )
        .prop_map(
            |(format, requester, reason, token_ttl, deadline_hours, profile, passphrase, holds_ca_key, access)| Seed {
                format,
                requester,
                reason,
                token_ttl,
                deadline_hours,
                profile,
                passphrase,
                holds_ca_key,
                access,
            },
        )
}
