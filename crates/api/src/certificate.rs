//! The `Certificate` kind.

#![expect(clippy::duplicated_attributes, reason = "each printer column has a type of its own")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    ValidityTime,
    common::{OBJECT_NAME, SECRET_KEY, SECRET_KEY_MESSAGE, SECRET_NAME_MESSAGE},
    condition,
};

/// What the certificate is: one or more named environments, each a Secret of this namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "certcourier.io",
    version = "v1alpha1",
    kind = "Certificate",
    plural = "certificates",
    namespaced,
    status = "CertificateStatus",
    derive = "PartialEq",
    shortname = "ccert",
    category = "certcourier",
    doc = "One logical certificate that people may request: 1 to 16 named environments, each a Secret of the same \
      namespace. A CertificatePolicy says which files of it may be released; a DownloadRequest asks for one.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Subject", type_ = "string", json_path = ".status.environments[0].subject"),
    printcolumn(name = "Not After", type_ = "string", json_path = ".status.earliestNotAfter"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.defaultEnvironment) || self.environments.exists(e, e.name == self.defaultEnvironment)")
    .message("defaultEnvironment must be the name of one of spec.environments"))]
pub struct CertificateSpec {
    /// The environments that this certificate exists in, such as `production` and `staging`. Required: 1 to 16, with distinct names.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environments: Vec<Environment>,
    /// The environment that a DownloadRequest means when it names none. Default: the first of the list. At most 63
    /// characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub default_environment: Option<String>,
}

impl CertificateSpec {
    /// The environment that a request means: the one it names, else the default one.
    #[must_use]
    pub fn environment(&self, wanted: Option<&str>) -> Option<&Environment> {
        match wanted.or(self.default_environment.as_deref()) {
            Some(name) => self.environments.iter().find(|environment| environment.name == name),
            None => self.environments.first(),
        }
    }
}

/// One environment and the Secret that holds its certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Name of the environment: a DNS label of at most 63 characters, such as `production`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The Secret of this namespace that holds certificate and key. Anyone who names a Secret here must be allowed to
    /// get it.
    pub secret_ref: SecretReference,
}

/// A Secret of the same namespace, and where in it the parts are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct SecretReference {
    /// Name of the Secret. Its type must be `kubernetes.io/tls`, or `Opaque` when `keys` is set; no other type is ever read. At most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message(SECRET_NAME_MESSAGE))]
    pub name: String,
    /// Where in the Secret the parts are. Default: `tls.crt`, `tls.key` and `ca.crt`, and the Secret must be of type
    /// `kubernetes.io/tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<SecretKeys>,
}

/// The keys of the Secret's data under which the parts are found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeys {
    /// Key of the certificate, PEM, leaf first or in any order. Default: `tls.crt`. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(SECRET_KEY).message(SECRET_KEY_MESSAGE))]
    pub certificate: Option<String>,
    /// Key of the private key, PEM. Default: `tls.key`. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(SECRET_KEY).message(SECRET_KEY_MESSAGE))]
    pub private_key: Option<String>,
    /// Key of the CA certificates, PEM. Default: `ca.crt`. At most 253 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(SECRET_KEY).message(SECRET_KEY_MESSAGE))]
    pub ca: Option<String>,
}

impl SecretKeys {
    /// Key of the certificate.
    #[must_use]
    pub fn certificate(&self) -> &str {
        self.certificate.as_deref().unwrap_or("tls.crt")
    }

    /// Key of the private key.
    #[must_use]
    pub fn private_key(&self) -> &str {
        self.private_key.as_deref().unwrap_or("tls.key")
    }

    /// Key of the CA certificates.
    #[must_use]
    pub fn ca(&self) -> &str {
        self.ca.as_deref().unwrap_or("ca.crt")
    }
}

/// What the operator found in the Secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// The metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The first moment at which the certificate of some environment is no longer valid (RFC 3339). `9999-12-31T23:59:59Z`: they never expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_not_after: Option<ValidityTime>,
    /// One entry for each of spec.environments, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environments: Vec<EnvironmentStatus>,
    /// `Ready`: True when every environment can be delivered; otherwise its message names the environment and what to
    /// fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition::schema")]
    pub conditions: Vec<Condition>,
}

/// What one environment's Secret holds. Public facts only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    /// Name of the environment.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Distinguished name of the leaf's subject. At most 1,024 characters; longer ones are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub subject: Option<String>,
    /// Distinguished name of the leaf's issuer. At most 1,024 characters; longer ones are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub issuer: Option<String>,
    /// The leaf's serial number, hexadecimal, as `openssl x509 -serial` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub serial_number: Option<String>,
    /// DNS names of the leaf's subject alternative names. At most 256 are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub dns_names: Vec<String>,
    /// The leaf is not valid before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<ValidityTime>,
    /// The leaf is not valid after this moment. `9999-12-31T23:59:59Z`: it never expires. An expired certificate can still be downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<ValidityTime>,
    /// SHA-256 of the leaf's DER, lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub sha256_fingerprint: Option<String>,
    /// Algorithm and size of the leaf's public key, such as `RSA 2048` or `ECDSA P-256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub key_algorithm: Option<String>,
    /// How many intermediate certificates the Secret holds between leaf and root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub chain_length: Option<i32>,
    /// True when the leaf can itself sign certificates. Its key is released only where a policy sets allowCAKeyExport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<bool>,
    /// True when the private key belongs to the leaf, false when it does not. Absent when there is no key or it cannot
    /// be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_matches: Option<bool>,
    /// Why this environment cannot be delivered, one CamelCase word. Absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// The message that goes with the reason: what is wrong and how to fix it. At most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
