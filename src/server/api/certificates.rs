//! The Certificates of a project, as the caller may see them.

pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod leaves;
pub(crate) mod list;
pub(crate) mod mint;
pub(crate) mod timeline;

use kube::ResourceExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{Certificate, DateTime, EnvironmentStatus, ValidityTime, condition, words::ConditionType};

/// One logical certificate.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
pub struct CertificateView {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub project: String,
    /// When it was created.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<DateTime>,
    /// The environment that a download means when it names none.
    pub default_environment: Option<String>,
    /// Whether every environment can be delivered.
    pub ready: bool,
    /// Why not, or an empty text.
    pub message: String,
    /// When the first of its certificates is no longer valid.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub earliest_not_after: Option<ValidityTime>,
    /// Its environments.
    pub environments: Vec<EnvironmentView>,
}

/// What one environment's Secret holds; null where the operator has not read it yet, or it is unusable.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Environment)]
pub struct EnvironmentView {
    /// Its name.
    pub name: String,
    /// The Secret that holds it.
    pub secret: String,
    /// Distinguished name of the subject.
    pub subject: Option<String>,
    /// Distinguished name of the issuer.
    pub issuer: Option<String>,
    /// Serial number, hexadecimal.
    pub serial_number: Option<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// Not valid before this moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<ValidityTime>,
    /// Not valid after this moment.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_after: Option<ValidityTime>,
    /// SHA-256 of the certificate's DER, lower-case hexadecimal.
    pub sha256_fingerprint: Option<String>,
    /// Algorithm and size of the public key.
    pub key_algorithm: Option<String>,
    /// How many intermediate certificates there are between leaf and root.
    pub chain_length: Option<i32>,
    /// Whether it can itself sign certificates.
    pub ca: Option<bool>,
    /// Whether the private key belongs to it.
    pub key_matches: Option<bool>,
    /// Why it cannot be delivered: one word.
    pub reason: Option<String>,
    /// The same in a sentence.
    pub message: Option<String>,
}

impl CertificateView {
    fn of(certificate: &Certificate) -> Self {
        let status = certificate.status.clone().unwrap_or_default();
        let ready = condition::find(&status.conditions, ConditionType::Ready);
        let environment = |environment: &crate::api::Environment| {
            let seen = status.environments.iter().find(|seen| seen.name == environment.name).cloned();
            EnvironmentView::of(&environment.name, &environment.secret_ref.name, seen.unwrap_or_default())
        };
        Self {
            name: certificate.name_any(),
            project: certificate.namespace().unwrap_or_default(),
            created_at: certificate.creation_timestamp(),
            default_environment: certificate.spec.environment(None).map(|environment| environment.name.clone()),
            ready: ready.is_some_and(|condition| condition.status == "True"),
            message: ready
                .filter(|condition| condition.status != "True")
                .map(|c| c.message.clone())
                .unwrap_or_default(),
            earliest_not_after: status.earliest_not_after,
            environments: certificate.spec.environments.iter().map(environment).collect(),
        }
    }
}

impl EnvironmentView {
    fn of(name: &str, secret: &str, seen: EnvironmentStatus) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
            subject: seen.subject,
            issuer: seen.issuer,
            serial_number: seen.serial_number,
            dns_names: seen.dns_names,
            not_before: seen.not_before,
            not_after: seen.not_after,
            sha256_fingerprint: seen.sha256_fingerprint,
            key_algorithm: seen.key_algorithm,
            chain_length: seen.chain_length,
            ca: seen.ca,
            key_matches: seen.key_matches,
            reason: seen.reason,
            message: seen.message,
        }
    }
}
