//! What is asked for in the call that issues.

use std::borrow::Cow;

use certcourier_bundle::Passphrase;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::server::{
    api::json_body::{self, PassphraseText, bad_request},
    http::error::ServerError,
};
use crate::{
    api::{Duration, Format, PemOrder, PemRequest, Pkcs12Profile, Pkcs12Request},
    policy::needs_passphrase,
};

/// A body that can be copied.
pub const EXAMPLE: &str = r#"{"format":"fullchain"}, with environment, passphrase, reason, token_ttl, deadline, pkcs12, pem where you need them"#;

/// No policy allows a token a longer life.
const LONGEST_TTL: Duration = Duration::from_seconds(24 * 3600);

/// What to make, and on which terms.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"format": "fullchain", "passphrase": ""}))]
pub struct MintBody {
    /// The file. `key`, `pkcs12`, `combined` and `zip` hold the private key and need verb `exportkey`.
    #[schema(value_type = FormatName)]
    format: String,
    /// The environment. Default: the Certificate's default one.
    #[serde(default, deserialize_with = "json_body::text")]
    environment: Option<String>,
    /// Passphrase of pkcs12 and zip, printable ASCII. Omitted or empty: one is generated and answered with the token.
    /// Where people must approve first it is not kept: give it when you claim.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1024)]
    passphrase: PassphraseText,
    /// Why the file is needed, for approvers and the record. A policy may require it.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(max_length = 1024)]
    reason: Option<String>,
    /// How long the token is valid, such as `90s` or `5m`. Default: what the policy says.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(example = "5m", pattern = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$")]
    token_ttl: Option<String>,
    /// No token is issued or accepted after this time. Default: none; for a ServiceAccount the time that approval and
    /// token may take.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(example = "2026-11-22T18:00:00Z", pattern = "^(|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].+)$")]
    deadline: Option<String>,
    /// Options of a PKCS#12 file.
    #[serde(default, deserialize_with = "json_body::object")]
    pkcs12: Option<Pkcs12Body>,
    /// Options of a combined PEM file.
    #[serde(default, deserialize_with = "json_body::object")]
    pem: Option<PemBody>,
}

/// Options of a PKCS#12 file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pkcs12Body {
    /// `Modern` (AES-256) or `Legacy` (3DES: Windows Server 2016 and older). Default: Modern.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(pattern = "^(Modern|Legacy)$")]
    profile: Option<String>,
    /// The name under which importers show key and certificate: any characters up to U+FFFF but control characters and
    /// invisible ones. Default: the Certificate's name.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(max_length = 128)]
    friendly_name: Option<String>,
}

/// Options of a combined PEM file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PemBody {
    /// `LeafChainKey` or `KeyLeafChain`. Default: `LeafChainKey`.
    #[serde(default, deserialize_with = "json_body::text")]
    #[schema(pattern = "^(LeafChainKey|KeyLeafChain)$")]
    order: Option<String>,
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

/// What is asked for, understood.
#[derive(Debug)]
pub struct Asked {
    /// The file.
    pub format: Format,
    /// The environment; None: the default one.
    pub environment: Option<String>,
    /// The passphrase that was given.
    pub passphrase: Option<Passphrase>,
    /// Why.
    pub reason: Option<String>,
    /// How long the token shall live.
    pub token_ttl: Option<Duration>,
    /// When all ends.
    pub deadline: Option<Timestamp>,
    /// Options of a PKCS#12 file.
    pub pkcs12: Option<Pkcs12Request>,
    /// Options of a combined PEM file.
    pub pem: Option<PemRequest>,
}

impl MintBody {
    /// Understands the body.
    ///
    /// # Errors
    /// [`crate::server::http::error::ErrorCode::BadRequest`] with what to write instead.
    pub fn understand(self) -> Result<Asked, ServerError> {
        let format: Format = parsed(&self.format)?;
        let passphrase = self.passphrase.check()?;
        if passphrase.is_some() && !needs_passphrase(format) {
            let words = format!(
                "format `{format}` is not encrypted and takes no passphrase: leave it out, or ask for pkcs12 or zip"
            );
            return Err(bad_request(words));
        }
        let deadline = self.deadline.map(|text| {
            let wrong = |_| {
                bad_request(
                    "deadline is not a time, or not before the year 9999: write it like \
                  2026-11-22T18:00:00Z",
                )
            };
            text.parse::<Timestamp>().map_err(wrong)
        });
        Ok(Asked {
            format,
            environment: self.environment,
            passphrase,
            reason: self.reason,
            token_ttl: self.token_ttl.map(|text| token_ttl(&text)).transpose()?,
            deadline: deadline.transpose()?,
            pkcs12: self.pkcs12.map(Pkcs12Body::understand).transpose()?,
            pem: self.pem.map(PemBody::understand).transpose()?,
        })
    }
}

impl Pkcs12Body {
    fn understand(self) -> Result<Pkcs12Request, ServerError> {
        let profile = match self.profile.as_deref() {
            None => None,
            Some("Modern") => Some(Pkcs12Profile::Modern),
            Some("Legacy") => Some(Pkcs12Profile::Legacy),
            Some(_) => return Err(bad_request("pkcs12.profile is not known: write Modern or Legacy, or leave it out")),
        };
        Ok(Pkcs12Request { profile, friendly_name: self.friendly_name })
    }
}

impl PemBody {
    fn understand(self) -> Result<PemRequest, ServerError> {
        let order = match self.order.as_deref() {
            None => None,
            Some("LeafChainKey") => Some(PemOrder::LeafChainKey),
            Some("KeyLeafChain") => Some(PemOrder::KeyLeafChain),
            Some(_) => {
                return Err(bad_request("pem.order is not known: write LeafChainKey or KeyLeafChain, or leave it out"));
            }
        };
        Ok(PemRequest { order })
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ServerError> {
    text.parse().map_err(|error: T::Err| bad_request(error.to_string()))
}

/// The bounds are those of the object, whose words name its own field.
fn token_ttl(text: &str) -> Result<Duration, ServerError> {
    let ttl: Duration = parsed(text)?;
    if (Duration::from_seconds(1)..=LONGEST_TTL).contains(&ttl) {
        return Ok(ttl);
    }
    Err(bad_request(format!("token_ttl must be between 1s and {LONGEST_TTL}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Result<Asked, ServerError> {
        serde_json::from_str::<MintBody>(body).unwrap().understand()
    }

    #[test]
    fn the_sentence_of_the_documentation_is_understood() {
        let asked = asked(r#"{"format":"fullchain","passphrase":""}"#).unwrap();
        assert_eq!(asked.format, Format::Fullchain);
        assert!(asked.passphrase.is_none() && asked.environment.is_none() && asked.deadline.is_none());
    }

    #[test]
    fn every_field_that_may_be_left_out_may_be_empty_or_null() {
        for nothing in ["\"\"", "null"] {
            let text = ["environment", "passphrase", "reason", "token_ttl", "deadline"];
            let mut fields: Vec<String> = text.map(|field| format!("\"{field}\":{nothing}")).into();
            fields.push(format!("\"pkcs12\":{{\"profile\":{nothing},\"friendly_name\":{nothing}}}"));
            fields.push(format!("\"pem\":{{\"order\":{nothing}}}"));
            let asked = asked(&format!("{{\"format\":\"pkcs12\",{}}}", fields.join(","))).unwrap();
            let left_out = (&asked.environment, &asked.reason, &asked.token_ttl, &asked.deadline);
            assert_eq!(left_out, (&None, &None, &None, &None), "{nothing}");
            assert!(asked.passphrase.is_none());
            assert_eq!((asked.pkcs12, asked.pem), (Some(Pkcs12Request::default()), Some(PemRequest::default())));
        }
        let objects = asked(r#"{"format":"cert","pkcs12":null,"pem":null}"#).unwrap();
        assert_eq!((objects.pkcs12, objects.pem), (None, None));
    }

    #[test]
    fn every_field_is_understood() {
        let asked = asked(
            r#"{"format":"pkcs12","environment":"staging","passphrase":"correct horse","reason":"INC-1","token_ttl":"90s",
                "deadline":"2026-11-22T18:00:00Z","pkcs12":{"profile":"Legacy","friendly_name":"api"},
                "pem":{"order":"KeyLeafChain"}}"#,
        )
        .unwrap();
        assert_eq!(asked.environment.as_deref(), Some("staging"));
        assert_eq!(asked.passphrase.unwrap().reveal(), "correct horse");
        assert_eq!(asked.token_ttl, Some(Duration::from_seconds(90)));
        assert_eq!(asked.deadline.unwrap().to_string(), "2026-11-22T18:00:00Z");
        let pkcs12 = asked.pkcs12.unwrap();
        assert_eq!((pkcs12.profile, pkcs12.friendly_name.as_deref()), (Some(Pkcs12Profile::Legacy), Some("api")));
        assert_eq!(asked.pem.unwrap().order, Some(PemOrder::KeyLeafChain));
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_to_write() {
        for (body, said) in [
            (r#"{"format":"pfx"}"#, "choose one of cert, chain"),
            (r#"{"format":"cert","passphrase":"correct horse"}"#, "takes no passphrase"),
            (r#"{"format":"cert","token_ttl":"5"}"#, "1h30m"),
            (r#"{"format":"cert","token_ttl":"0s"}"#, "token_ttl must be between 1s and 24h"),
            (r#"{"format":"cert","token_ttl":"25h"}"#, "token_ttl must be between 1s and 24h"),
            (r#"{"format":"cert","deadline":"9999-12-31T23:59:59Z"}"#, "before the year 9999"),
            (r#"{"format":"cert","deadline":"tomorrow"}"#, "2026-11-22T18:00:00Z"),
            (r#"{"format":"pkcs12","pkcs12":{"profile":"legacy"}}"#, "Modern or Legacy"),
            (r#"{"format":"combined","pem":{"order":"?"}}"#, "KeyLeafChain"),
        ] {
            let refusal = asked(body).unwrap_err();
            assert_eq!(refusal.code().name(), "bad_request");
            assert!(refusal.description().contains(said), "{refusal}");
        }
    }
}
