//! What is asked for in the call that issues.

use certcourier_bundle::Passphrase;
use jiff::Timestamp;

use crate::api::{
    Duration, Format, PemOrder, PemRequest, Pkcs12Profile, Pkcs12Request,
    http::{MintBody, PemBody, Pkcs12Body},
};
use crate::door::{Door, Input, Worded};
use crate::server::{
    api::json_body::{self, bad_request},
    http::error::{ErrorCode, ServerError},
};

/// A body that can be copied.
pub const EXAMPLE: &str = r#"{"format":"fullchain"}, with environment, passphrase, reason, token_ttl, deadline, pkcs12, pem where you need them"#;

/// No policy allows a token a longer lifetime.
const LONGEST_TTL: Duration = Duration::from_seconds(24 * 3600);

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
    /// How long the token is valid.
    pub token_ttl: Option<Duration>,
    /// When all ends.
    pub deadline: Option<Timestamp>,
    /// Options of a PKCS#12 file.
    pub pkcs12: Option<Pkcs12Request>,
    /// Options of a combined PEM file.
    pub pem: Option<PemRequest>,
}

/// Understands the body.
///
/// # Errors
/// [`crate::server::http::error::ErrorCode::BadRequest`] with what to write instead.
pub fn understand(body: MintBody) -> Result<Asked, ServerError> {
    let format: Format = parsed(&body.format)?;
    let passphrase = json_body::passphrase(body.passphrase)?;
    if passphrase.is_some() && !format.needs_passphrase() {
        let words = format!(
            "format `{format}` is not encrypted and takes no passphrase: leave it out, or ask for pkcs12 or zip"
        );
        return Err(bad_request(words));
    }
    let deadline = body.deadline.map(|text| {
        let wrong = |_| {
            wrong(Input::Deadline, "is not a time, or not before the year 9999: write it like 2026-11-22T18:00:00Z")
        };
        text.parse::<Timestamp>().map_err(wrong)
    });
    Ok(Asked {
        format,
        environment: body.environment,
        passphrase,
        reason: body.reason,
        token_ttl: body.token_ttl.map(|text| token_ttl(&text)).transpose()?,
        deadline: deadline.transpose()?,
        pkcs12: body.pkcs12.map(pkcs12).transpose()?,
        pem: body.pem.as_ref().map(pem).transpose()?,
    })
}

fn pkcs12(body: Pkcs12Body) -> Result<Pkcs12Request, ServerError> {
    let profile = match body.profile.as_deref() {
        None => None,
        Some("Modern") => Some(Pkcs12Profile::Modern),
        Some("Legacy") => Some(Pkcs12Profile::Legacy),
        Some(_) => return Err(bad_request("pkcs12.profile is not known: write Modern or Legacy, or leave it out")),
    };
    Ok(Pkcs12Request { profile, friendly_name: body.friendly_name })
}

fn pem(body: &PemBody) -> Result<PemRequest, ServerError> {
    let order = match body.order.as_deref() {
        None => None,
        Some("LeafChainKey") => Some(PemOrder::LeafChainKey),
        Some("KeyLeafChain") => Some(PemOrder::KeyLeafChain),
        Some(_) => {
            return Err(bad_request("pem.order is not known: write LeafChainKey or KeyLeafChain, or leave it out"));
        }
    };
    Ok(PemRequest { order })
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ServerError> {
    text.parse().map_err(|error: T::Err| bad_request(error.to_string()))
}

/// The bounds are those of the object.
fn token_ttl(text: &str) -> Result<Duration, ServerError> {
    let ttl: Duration = text.parse().map_err(|error| wrong(Input::TokenTtl, format!("is wrong: {error}")))?;
    if (Duration::from_seconds(1)..=LONGEST_TTL).contains(&ttl) {
        return Ok(ttl);
    }
    Err(wrong(Input::TokenTtl, format!("must be between 1s and {LONGEST_TTL}")))
}

/// An input cannot be as it is.
fn wrong(input: Input, says: impl Into<String>) -> ServerError {
    ServerError::worded(ErrorCode::BadRequest, Wrong(input, says.into()))
}

/// What is wrong with an input, behind its name.
#[derive(Debug)]
struct Wrong(Input, String);

impl Worded for Wrong {
    fn at(&self, door: Door) -> String {
        format!("{} {}", self.0.at(door), self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Result<Asked, ServerError> {
        understand(serde_json::from_str(body).unwrap())
    }

    #[test]
    fn the_sentence_of_the_documentation_is_understood() {
        assert_eq!(asked(r#"{"format":"pfx"}"#).unwrap().format, Format::Pkcs12);
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
            (r#"{"format":"jks"}"#, "choose one of cert, chain"),
            (r#"{"format":"PFX"}"#, "choose one of cert, chain"),
            (r#"{"format":"cert","passphrase":"correct horse"}"#, "takes no passphrase"),
            (r#"{"format":"cert","token_ttl":"5"}"#, "1h30m"),
            (r#"{"format":"cert","token_ttl":"0s"}"#, "`token_ttl` must be between 1s and 24h"),
            (r#"{"format":"cert","token_ttl":"25h"}"#, "`token_ttl` must be between 1s and 24h"),
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
