//! One request for each policy that only this policy refuses: proof that it is alive. Data; the guard sends them, always
//! as a dry run, and a refusal in another policy's name proves nothing.
//!
//! Most carry the label that policies refuse for this alone. Three do not: a status update leaves labels alone; the Role
//! asks for what the operator must never grant, `get` on a Secret that holds no token; and a Secret is of a type that the
//! operator must never make.

use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    rbac::v1::{PolicyRule, Role},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource as _;

use super::{Identity, PROBE_DIGEST, name};
use crate::api::{
    ApprovalCount, Artifact, Certificate, CertificateReference, CertificateSpec, DateTime, DownloadReceipt,
    DownloadReceiptSpec, DownloadRequest, DownloadRequestSpec, Environment, Format, RequestReference, Requester,
    Review, SecretReference,
    names::{self, GUARD, GUARD_PROBE, TOKEN},
};

/// What to send, and by which policy it must be refused: a creation, except for the status.
#[derive(Clone, Debug)]
pub enum Probe {
    /// [`name::REQUESTS`]
    Request(Box<DownloadRequest>),
    /// [`name::VOTES`]: an update of the status of [`request`], made from the live object by [`under_probe`].
    Votes,
    /// [`name::RECEIPTS`]
    Receipt(Box<DownloadReceipt>),
    /// [`name::TOKENS`]
    Token(Box<Secret>),
    /// [`name::TOKEN_READERS`]
    TokenReader(Box<Role>),
    /// [`name::OPERATOR_SECRETS`]
    OperatorSecret(Box<Secret>),
    /// [`name::CERTIFICATES`]
    Certificate(Box<Certificate>),
    /// [`name::GUARD_STATE`]
    GuardState(Box<ConfigMap>),
}

impl Probe {
    /// The policy that must refuse it.
    #[must_use]
    pub const fn policy(&self) -> &'static str {
        match self {
            Self::Request(_) => name::REQUESTS,
            Self::Votes => name::VOTES,
            Self::Receipt(_) => name::RECEIPTS,
            Self::Token(_) => name::TOKENS,
            Self::TokenReader(_) => name::TOKEN_READERS,
            Self::OperatorSecret(_) => name::OPERATOR_SECRETS,
            Self::Certificate(_) => name::CERTIFICATES,
            Self::GuardState(_) => name::GUARD_STATE,
        }
    }
}

/// One probe for each of [`name::ALL`], in that order, all in the operator's namespace.
#[must_use]
pub fn probes(identity: &Identity) -> Vec<Probe> {
    let namespace = identity.namespace();
    vec![
        Probe::Request(Box::new(labelled(request(namespace, None)))),
        Probe::Votes,
        Probe::Receipt(Box::new(receipt(namespace))),
        Probe::Token(Box::new(secret(namespace, &[GUARD_PROBE, TOKEN], "Opaque"))),
        Probe::TokenReader(Box::new(role(namespace))),
        Probe::OperatorSecret(Box::new(secret(namespace, &[], GUARD_PROBE))),
        Probe::Certificate(Box::new(certificate(namespace))),
        Probe::GuardState(Box::new(ConfigMap {
            metadata: metadata(namespace, &[GUARD_PROBE]),
            ..ConfigMap::default()
        })),
    ]
}

/// The request that [`Probe::Votes`] needs to exist; `lifecycle` ignores it. The requester is left to the stamp where
/// there is one; without it the controller names itself.
#[must_use]
pub fn request(namespace: &str, requested_by: Option<Requester>) -> DownloadRequest {
    let spec = DownloadRequestSpec {
        certificate_ref: CertificateReference { name: GUARD.to_owned() },
        environment: None,
        format: Format::Cert,
        passphrase_secret_ref: None,
        pkcs12: None,
        pem: None,
        reason: Some(
            "certcourier's guard probes the status policy on this object; nothing is ever delivered".to_owned(),
        ),
        token_ttl: None,
        deadline: None,
        delivery: None,
        requested_by,
    };
    DownloadRequest { metadata: metadata(namespace, &[]), spec, status: None }
}

/// The live [`request`] with the status that [`name::VOTES`] must refuse.
#[must_use]
pub fn under_probe(mut live: DownloadRequest, now: DateTime) -> DownloadRequest {
    live.status.get_or_insert_default().review = Some(Review {
        digest: PROBE_DIGEST.to_owned(),
        round: i32::MAX,
        opened_at: now,
        expires_at: None,
        contacts: Vec::new(),
        fingerprints: vec![],
        policies: vec![],
        approvals: ApprovalCount::default(),
        approved_at: None,
        epoch: None,
    });
    live
}

fn metadata(namespace: &str, labels: &[&str]) -> ObjectMeta {
    ObjectMeta {
        name: Some(GUARD.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: (!labels.is_empty())
            .then(|| labels.iter().map(|&label| (label.to_owned(), "true".to_owned())).collect()),
        ..ObjectMeta::default()
    }
}

fn labelled(mut request: DownloadRequest) -> DownloadRequest {
    request.meta_mut().labels.get_or_insert_default().insert(GUARD_PROBE.to_owned(), "true".to_owned());
    request
}

fn receipt(namespace: &str) -> DownloadReceipt {
    let spec = DownloadReceiptSpec {
        request_ref: RequestReference { name: GUARD.to_owned(), uid: GUARD.to_owned() },
        certificate_ref: CertificateReference { name: GUARD.to_owned() },
        environment: None,
        format: Format::Cert,
        profile: None,
        reason: None,
        requested_by: None,
        approvals: vec![],
        review_digest: None,
        policies: vec![],
        consumed_by: None,
        client_ip: None,
        user_agent: None,
        attempt_id: PROBE_DIGEST.to_owned(),
        artifact: Artifact { sha256: String::new(), bytes: 0 },
        fingerprints: vec![],
        token_issued_at: None,
        token_expires_at: None,
        consumed_at: epoch(),
        retain_until: epoch(),
        cluster: None,
    };
    DownloadReceipt { metadata: metadata(namespace, &[GUARD_PROBE]), spec, status: None }
}

/// A time that no real receipt has.
fn epoch() -> DateTime {
    Time(jiff::Timestamp::UNIX_EPOCH)
}

fn secret(namespace: &str, labels: &[&str], type_: &str) -> Secret {
    Secret { metadata: metadata(namespace, labels), type_: Some(type_.to_owned()), ..Secret::default() }
}

fn role(namespace: &str) -> Role {
    let mut metadata = metadata(namespace, &[]);
    metadata.name = Some(names::token_secret(GUARD));
    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["secrets".to_owned()]),
        resource_names: Some(vec![GUARD.to_owned()]),
        verbs: vec!["get".to_owned()],
        non_resource_urls: None,
    };
    Role { metadata, rules: Some(vec![rule]) }
}

fn certificate(namespace: &str) -> Certificate {
    let environment =
        Environment { name: "probe".to_owned(), secret_ref: SecretReference { name: GUARD.to_owned(), keys: None } };
    let spec = CertificateSpec { environments: vec![environment], default_environment: None };
    Certificate { metadata: metadata(namespace, &[GUARD_PROBE]), spec, status: None }
}
