//! The `CertificatePolicy` kind. A field that is left out takes no part in the merge, so no field has a schema default.

#![expect(clippy::duplicated_attributes, reason = "each printer column has a type of its own")]

use std::{borrow::Cow, fmt};

use kube::{
    CustomResource, KubeSchema,
    core::{Message, Rule},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    Duration, Format,
    common::{DURATION_MESSAGE, DURATION_PATTERN, between},
    text::{NO_HIDDEN_MESSAGE, no_hidden},
};

/// What `finishedRequestTTL` says where finished requests are to stay.
const NEVER: &str = "never";
/// That, or a duration.
const TTL_PATTERN: &str = "^(never|([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?)$";
/// Entries that can match the name of a Certificate: such a name, with `*` in it where any characters may be.
pub const CERTIFICATE_PATTERN: &str = "^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?([.][a-z0-9*]([-a-z0-9*]*[a-z0-9*])?)*$";
/// Entries that can match the name of an environment.
pub const ENVIRONMENT_PATTERN: &str = "^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$";

/// A policy whose patterns match nothing tightens nothing, and says nothing about it: so each entry must match something.
fn each_can_match(pattern: &str, what: &str, characters: &str) -> Rule {
    let wrong = format!("self.filter(entry, !entry.matches('{pattern}'))");
    Rule::new(format!("self.all(entry, entry.matches('{pattern}'))")).message(Message::Expression(format!(
        "'`' + {wrong}[0] + '` matches no {what}: names are in lower-case letters, digits{characters}, begin and end \
         with a letter or digit, and * matches any characters'"
    )))
}

/// Where both are durations.
fn ttl_within_max() -> Rule {
    Rule::new(format!(
        "!has(self.ttl) || !has(self.maxTTL) || !self.ttl.matches('{DURATION_PATTERN}') ||
         !self.maxTTL.matches('{DURATION_PATTERN}') || duration(self.ttl) <= duration(self.maxTTL)"
    ))
}

/// Which files may be released, who must approve, how long a token is valid.
///
/// All policies that match a request merge to the strictest value of each field, together with the cluster policy
/// (--cluster-policy). Unset fields are ignored; what no policy sets has the default given at the field.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "certcourier.io",
    version = "v1alpha1",
    kind = "CertificatePolicy",
    plural = "certificatepolicies",
    namespaced,
    derive = "PartialEq",
    shortname = "ccpol",
    category = "certcourier",
    doc = "Sets which files of this namespace's Certificates may be released, who must approve and how long a token \
      is valid. All policies that match a request merge to the strictest value of each field: adding a policy never \
      allows more.",
    printcolumn(name = "Key Export", type_ = "string", json_path = ".spec.allowKeyExport"),
    printcolumn(name = "Approval", type_ = "string", json_path = ".spec.approval.requiredFor"),
    printcolumn(name = "Approvals", type_ = "integer", json_path = ".spec.approval.approvals"),
    printcolumn(name = "TTL", type_ = "string", json_path = ".spec.token.ttl"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct CertificatePolicySpec {
    /// Names of the Certificates that this policy applies to; `*` matches any characters: `prod-*`. Default: all of the
    /// namespace. 1 to 64 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = each_can_match(CERTIFICATE_PATTERN, "Certificate", ", - and ."))]
    pub certificates: Option<Vec<String>>,
    /// Names of the environments that this policy applies to, `*` as in certificates. Default: all. 1 to 64 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = each_can_match(ENVIRONMENT_PATTERN, "environment", " and -"))]
    pub environments: Option<Vec<String>>,
    /// Whether formats that hold the private key (key, pkcs12, combined, zip) may be released: `Never`, `WithApproval`
    /// (at least one approval), `Always`. When no policy sets it: Never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_key_export: Option<KeyExport>,
    /// Whether the private key of a certificate that can itself sign certificates may be released. When no policy sets
    /// it: false.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "allowCAKeyExport")]
    pub allow_ca_key_export: Option<bool>,
    /// The formats that may be released. Several policies allow what all of them list. When no policy sets it: every
    /// format (those with a key still need allowKeyExport). 1 to 10 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_formats: Option<Vec<Format>>,
    /// Who must approve before a token is issued. If omitted, this policy sets nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRules>,
    /// Which formats with a key ServiceAccounts, which act unattended, may have. If omitted, this policy sets nothing
    /// here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattended: Option<UnattendedRules>,
    /// How long a token is valid and who may use it. If omitted, this policy sets nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenRules>,
    /// Rules for passphrases of pkcs12 and zip. If omitted, this policy sets nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<PassphraseRules>,
    /// Rules for PKCS#12 files. If omitted, this policy sets nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkcs12: Option<Pkcs12Rules>,
    /// Whether a request must carry spec.reason. Several policies: true wins. When no policy sets it: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_required: Option<bool>,
    /// How long a DownloadReceipt is kept after the delivery. Several policies: the longest. At least 24h, at most
    /// 87600h. When no policy sets it: 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = between("24h", "87600h").message("receiptRetention must be between 24h and 87600h (10 years)"))]
    pub receipt_retention: Option<Duration>,
    /// How long a finished DownloadRequest is kept before it is deleted; its receipt stays. `never`: it is not deleted,
    /// what requests in Git need. Several policies: the longest. At most 87600h. When no policy sets it: 720h, and
    /// --api-request-ttl for requests of the HTTP API.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "finishedRequestTTL")]
    pub finished_request_ttl: Option<FinishedRequestTtl>,
}

/// How long a finished request is kept; later is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FinishedRequestTtl {
    /// So long.
    For(Duration),
    /// It is not deleted.
    Never,
}

impl fmt::Display for FinishedRequestTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => duration.fmt(f),
            Self::Never => f.write_str(NEVER),
        }
    }
}

impl Serialize for FinishedRequestTtl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FinishedRequestTtl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == NEVER { Ok(Self::Never) } else { text.parse().map(Self::For).map_err(serde::de::Error::custom) }
    }
}

impl JsonSchema for FinishedRequestTtl {
    fn schema_name() -> Cow<'static, str> {
        "FinishedRequestTtl".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "maxLength": 24,
            "x-kubernetes-validations": [
                {"rule": format!("self.matches('{TTL_PATTERN}')"), "message": format!("{DURATION_MESSAGE}, or {NEVER}")},
                {
                    "rule": format!(
                        "self == '{NEVER}' || !self.matches('{TTL_PATTERN}') || duration(self) <= duration('87600h')"
                    ),
                    "message": "finishedRequestTTL must be at most 87600h (10 years), or never",
                },
            ]
        })
    }
}

/// Whether formats that hold a key may be released; later is looser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "explained at CertificatePolicySpec.allowKeyExport, where `kubectl explain` shows it")]
pub enum KeyExport {
    #[default]
    Never,
    WithApproval,
    Always,
}

/// Who must approve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRules {
    /// Which requests need approval: `None`, `Keys` (formats with a private key) or `All`. Several policies: the
    /// widest. When no policy sets it: None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_for: Option<ApprovalScope>,
    /// How many distinct people must approve, 1 to 8; the requester is never one of them. Several policies: the
    /// largest. When no policy sets it: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub approvals: Option<i32>,
    /// Whom to ask for approval, in words for people: `#payments-oncall in Slack`. Shown wherever a request waits for
    /// approval. Several policies: all of them, the cluster policy's first. Grants nothing: changing it voids no vote. At
    /// most 200 characters, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = Rule::new(no_hidden("self")).message(NO_HIDDEN_MESSAGE))]
    pub contacts: Option<String>,
    /// How long a request waits for approval before it expires. Several policies: the shortest. 1s to 720h. When no
    /// policy sets it: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "pendingTTL")]
    #[x_kube(validation = between("1s", "720h").message("pendingTTL must be between 1s and 720h"))]
    pub pending_ttl: Option<Duration>,
    /// How long after its approval (without one: after its creation) a request can be used. Several policies: the
    /// shortest. 1s to 720h. When no policy sets it: 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = between("1s", "720h").message("validity must be between 1s and 720h"))]
    pub validity: Option<Duration>,
}

/// Which requests need approval; later is stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "explained at ApprovalRules.requiredFor, where `kubectl explain` shows it")]
pub enum ApprovalScope {
    #[default]
    None,
    Keys,
    All,
}

/// Rules for requesters that are ServiceAccounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnattendedRules {
    /// Whether a ServiceAccount may have formats with a key: `Deny`, or `WithApproval` by at least `approvals` people.
    /// Several policies: Deny wins. When no policy sets it: Deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_formats: Option<UnattendedKeyFormats>,
    /// How many distinct people must approve a key for a ServiceAccount, 2 to 8. Several policies: the largest. When no
    /// policy sets it: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 8))]
    pub approvals: Option<i32>,
}

/// Whether ServiceAccounts may have formats that hold a key; later is looser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "explained at UnattendedRules.keyFormats, where `kubectl explain` shows it")]
pub enum UnattendedKeyFormats {
    #[default]
    Deny,
    WithApproval,
}

/// How long a token is valid and who may use it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ttl_within_max().message("token.ttl must not be longer than token.maxTTL"))]
pub struct TokenRules {
    /// Token lifetime for a request that does not set tokenTTL. Several policies: the shortest. 1s to 24h. When no
    /// policy sets it: 5m (and never longer than maxTTL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = between("1s", "24h").message("token.ttl must be between 1s and 24h"))]
    pub ttl: Option<Duration>,
    /// The longest tokenTTL that a request may ask for. Several policies: the shortest. 1s to 24h. When no policy sets
    /// it: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "maxTTL")]
    #[x_kube(validation = between("1s", "24h").message("token.maxTTL must be between 1s and 24h"))]
    pub max_ttl: Option<Duration>,
    /// Whether a token works only together with the requester's own bearer token. Several policies: true wins. When no
    /// policy sets it: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_to_requester: Option<bool>,
}

/// Rules for passphrases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PassphraseRules {
    /// The shortest passphrase that is accepted, in characters, 1 to 128. Several policies: the largest. When no policy
    /// sets it: 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 128))]
    pub min_length: Option<i32>,
}

/// Rules for PKCS#12 files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pkcs12Rules {
    /// Whether the Legacy profile (3DES and SHA-1, for Windows Server 2016 and older) may be requested. Several
    /// policies: false wins. When no policy sets it: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_legacy: Option<bool>,
}
