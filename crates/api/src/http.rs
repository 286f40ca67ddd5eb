//! What goes over HTTP between the server and its callers, as data: one type for each body and each answer that both the
//! server and the plugin know. docs/openapi.json is made from these.
//!
//! A secret in them is a [`SecretText`] or a [`PassphraseText`] from the byte that it is read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{DateTime, Format};

mod code;
mod text;

pub use code::ErrorCode;
pub use text::{Object, PassphraseText, SecretText, filled, object, text};

/// What to make, and on which terms.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"format": "fullchain", "passphrase": ""}))]
pub struct MintBody {
    /// The file. `key`, `pkcs12`, `combined` and `zip` hold the private key and need verb `exportkey`.
    #[schema(value_type = FormatName)]
    pub format: String,
    /// The environment. Default: the Certificate's default one.
    #[serde(default, deserialize_with = "text")]
    pub environment: Option<String>,
    /// Passphrase of pkcs12 and zip, printable ASCII. Omitted or empty: one is generated and answered with the token.
    /// Where people must approve first it is not kept: give it when you claim.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1024)]
    pub passphrase: PassphraseText,
    /// Why the file is needed, for approvers and the record. A policy may require it.
    #[serde(default, deserialize_with = "text")]
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
    /// How long the token is valid, such as `90s` or `5m`. Default: what the policy says.
    #[serde(default, deserialize_with = "text")]
    #[schema(example = "5m", pattern = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$")]
    pub token_ttl: Option<String>,
    /// No token is issued or accepted after this time. Default: none; for a ServiceAccount the time that approval and
    /// token may take.
    #[serde(default, deserialize_with = "text")]
    #[schema(example = "2026-11-22T18:00:00Z", pattern = "^(|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].+)$")]
    pub deadline: Option<String>,
    /// Options of a PKCS#12 file.
    #[serde(default, deserialize_with = "object")]
    pub pkcs12: Option<Pkcs12Body>,
    /// Options of a combined PEM file.
    #[serde(default, deserialize_with = "object")]
    pub pem: Option<PemBody>,
}

/// Options of a PKCS#12 file.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pkcs12Body {
    /// `Modern` (AES-256) or `Legacy` (3DES: Windows Server 2016 and older). Default: Modern.
    #[serde(default, deserialize_with = "text")]
    #[schema(pattern = "^(Modern|Legacy)$")]
    pub profile: Option<String>,
    /// The name under which importers show key and certificate: any characters up to U+FFFF but control characters and
    /// invisible ones. Default: the Certificate's name.
    #[serde(default, deserialize_with = "text")]
    #[schema(max_length = 128)]
    pub friendly_name: Option<String>,
}

/// Options of a combined PEM file.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PemBody {
    /// `LeafChainKey` or `KeyLeafChain`. Default: `LeafChainKey`.
    #[serde(default, deserialize_with = "text")]
    #[schema(pattern = "^(LeafChainKey|KeyLeafChain)$")]
    pub order: Option<String>,
}

/// What may be said when a token is claimed.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"passphrase": ""}))]
pub struct ClaimBody {
    /// Passphrase of pkcs12 and zip, printable ASCII. Omitted or empty: one is generated and answered with the token.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1024)]
    pub passphrase: PassphraseText,
}

/// A token. It is in this answer and nowhere else.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenAnswer {
    /// The token, for one download: `GET /api/v1/downloads/{token}`.
    #[schema(value_type = String)]
    pub token: SecretText,
    /// It is refused after this time.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime,
    /// The download's link: the token is in it. A path alone where the server has no `--external-url` and was called by
    /// a name that its certificate does not have.
    #[schema(value_type = String)]
    pub url: SecretText,
    /// Name of the request, under which all of this is on record.
    pub request: String,
    /// The generated passphrase of a pkcs12 or zip file. Absent where you gave one, or none is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub passphrase: Option<SecretText>,
}

/// A request that waits for approval.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Awaiting {
    /// Name of the request; claim its token at `POST …/requests/{request}/token` once people have approved.
    pub request: String,
    /// `awaiting_approval`.
    pub status: String,
    /// What to wait for.
    pub approval: ApprovalNeeded,
}

/// The approvals that are missing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ApprovalNeeded {
    /// `download_key` for files with the private key, `download_certificate` for others.
    pub kind: String,
    /// How many distinct people must approve.
    pub required: i32,
    /// How many have.
    pub given: i32,
}

/// An approval.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"digest": "5f3c…", "reason": "INC-4211, checked with alice"}))]
pub struct ApproveBody {
    /// Why; it goes into the receipt.
    #[serde(default, deserialize_with = "text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    pub reason: Option<String>,
    /// `approval.digest` of the request as you saw it: the approval counts for that and nothing else.
    #[serde(default, deserialize_with = "text")]
    #[schema(required = true, value_type = String, min_length = 1, max_length = 64)]
    pub digest: Option<String>,
}

/// A denial.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "no change request for this"}))]
pub struct DenyBody {
    /// Why; it goes on record.
    #[serde(default, deserialize_with = "text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    pub reason: Option<String>,
    /// `approval.digest` of the request as you saw it. A denial ends the request with any, and without one.
    #[serde(default, deserialize_with = "text")]
    #[schema(max_length = 64)]
    pub digest: Option<String>,
}

/// A revocation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "laptop stolen"}))]
pub struct RevokeBody {
    /// Why.
    #[serde(default, deserialize_with = "text")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 1024, pattern = "\\S")]
    pub reason: Option<String>,
}

/// The envelope of a refusal. The export, which has an older API's shape, leaves `request_id` out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// The code: one of a closed list.
    pub error: Cow<'a, str>,
    /// A sentence that names the next step.
    pub error_description: Cow<'a, str>,
    /// Id of the HTTP request, also in header X-Request-Id and in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
}

/// The names of all formats, in the OpenAPI document.
pub struct FormatName;

impl ToSchema for FormatName {
    fn name() -> Cow<'static, str> {
        "Format".into()
    }
}

impl PartialSchema for FormatName {
    fn schema() -> RefOr<Schema> {
        let names = Format::ALL.map(Format::name);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
    }
}
