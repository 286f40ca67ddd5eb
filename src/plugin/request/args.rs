//! What is asked for, the same for `download` and `request`: as flags, as the body of a call to the server, and as the spec
//! of a `DownloadRequest`.

use std::str::FromStr;

use certcourier_bundle::Passphrase;
use clap::{
    ValueEnum,
    builder::{PossibleValue, TypedValueParser},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::plugin::{error::PluginError, values::object_name};
use crate::{
    api::{
        CertificateReference, Delivery, DownloadRequestSpec, Duration, Format, PassphraseReference, PemOrder,
        PemRequest, Pkcs12Profile, Pkcs12Request, Requester,
        http::{MintBody, PemBody, Pkcs12Body},
    },
    policy::is_unattended,
    render::pem_order,
};

/// The deadline of a `ServiceAccount` that gives none, which is refused: the hour that an approval may take without any
/// policy, and five minutes for the token.
const UNATTENDED_DEADLINE: Duration = Duration::from_seconds(65 * 60);

/// What to ask for.
#[derive(Clone, Debug, clap::Args)]
pub struct AskArgs {
    /// cert, chain, fullchain (pem), ca, der, der-zip; with the private key: key, pkcs12 (p12, pfx), combined, zip.
    #[arg(long, short, value_name = "FORMAT", value_parser = FormatParser, hide_possible_values = true)]
    format: Option<Format>,
    /// The environment. Default: the Certificate's default one.
    #[arg(long, short, value_name = "NAME")]
    environment: Option<String>,
    /// Why, for approvers and the record. A policy may require it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long the token is valid, such as 5m. Default: what the policy says.
    #[arg(long, value_name = "DURATION")]
    token_ttl: Option<Duration>,
    /// When the request ends: a time, or from now such as 2h. Default: never.
    #[arg(long, value_name = "TIME")]
    deadline: Option<Deadline>,
    /// PKCS#12 in 3DES, for Windows Server 2016 and older.
    #[arg(long)]
    legacy: bool,
    /// The key's name in PKCS#12. Default: the Certificate's name.
    #[arg(long, value_name = "TEXT")]
    friendly_name: Option<String>,
    /// Order of the parts of combined: leaf-chain-key or key-leaf-chain.
    #[arg(long, value_parser = pem_order(), hide_possible_values = true)]
    order: Option<PemOrder>,
}

/// Reads a format as the server does, and in capitals too. The ten are offered for completion.
#[derive(Clone, Copy, Debug)]
struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Format, clap::Error> {
        let read = |text: &str| text.to_lowercase().parse::<Format>();
        TypedValueParser::parse_ref(&read, command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::ALL.into_iter().map(|format| PossibleValue::new(format.name()))))
    }
}

/// A moment, or a length of time from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    At(Timestamp),
    In(Duration),
}

impl FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = text.parse().map(Self::In);
        duration
            .or_else(|_| text.parse().map(Self::At))
            .map_err(|_| "write a time such as 2026-11-22T18:00:00Z, or a duration from now such as 2h".to_owned())
    }
}

impl Deadline {
    /// In whole seconds, as objects carry it.
    fn from(self, now: Timestamp) -> Option<Timestamp> {
        let at = match self {
            Self::At(at) => at,
            Self::In(span) => now.checked_add(span.get()).ok()?,
        };
        Timestamp::from_second(at.as_second()).ok()
    }
}

/// What is asked for, checked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The Certificate.
    pub certificate: String,
    /// The file.
    pub format: Format,
    environment: Option<String>,
    reason: Option<String>,
    token_ttl: Option<Duration>,
    deadline: Option<Timestamp>,
    pkcs12: Option<Pkcs12Request>,
    pem: Option<PemRequest>,
    /// The Secret with the passphrase.
    pub passphrase_secret: Option<PassphraseReference>,
}

impl AskArgs {
    /// Checks the flags against each other, so that a slip is seen before the plugin asks for anything.
    pub fn check(
        &self,
        certificate: &str,
        passphrase_secret: Option<PassphraseReference>,
        now: Timestamp,
    ) -> Result<Ask, PluginError> {
        let Some(format) = self.format else {
            let formats = Format::ALL.map(Format::name).join("|");
            return Err(PluginError::usage(format!("say which file: --format {formats}")));
        };
        if (self.legacy || self.friendly_name.is_some()) && !format.needs_passphrase() {
            return Err(PluginError::usage(
                "--legacy and --friendly-name are for formats pkcs12 and zip: leave them out",
            ));
        }
        if self.order.is_some() && format != Format::Combined {
            return Err(PluginError::usage("--order is for format combined: leave it out"));
        }
        if self.environment.is_some() && format == Format::DerZip {
            return Err(PluginError::usage(
                "der-zip holds every environment of the certificate: leave --environment out",
            ));
        }
        let profile = self.legacy.then_some(Pkcs12Profile::Legacy);
        let pkcs12 = Pkcs12Request { profile, friendly_name: self.friendly_name.clone() };
        Ok(Ask {
            certificate: certificate.to_owned(),
            format,
            environment: self.environment.clone(),
            reason: self.reason.clone().filter(|reason| !reason.is_empty()),
            token_ttl: self.token_ttl,
            deadline: self.deadline.and_then(|deadline| deadline.from(now)),
            pkcs12: (pkcs12 != Pkcs12Request::default()).then_some(pkcs12),
            pem: self.order.map(|order| PemRequest { order: Some(order) }),
            passphrase_secret,
        })
    }

    /// Whether any of these flags is there.
    pub fn is_empty(&self) -> bool {
        self.format.is_none()
            && self.environment.is_none()
            && self.reason.is_none()
            && self.token_ttl.is_none()
            && self.deadline.is_none()
            && !self.legacy
            && self.friendly_name.is_none()
            && self.order.is_none()
    }
}

/// `NAME/KEY` of a Secret.
pub fn secret_key(text: &str) -> Result<PassphraseReference, String> {
    match text.split_once('/') {
        Some((name, key)) if object_name(name).is_ok() && !key.is_empty() && !key.contains('/') => {
            Ok(PassphraseReference { name: name.to_owned(), key: key.to_owned() })
        }
        _ => Err("write SECRET/KEY, such as p12/passphrase".to_owned()),
    }
}

impl Ask {
    /// The body of the call that issues.
    pub fn body(&self, passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, PluginError> {
        let body = MintBody {
            format: self.format.name().to_owned(),
            environment: self.environment.clone(),
            passphrase: passphrase.into(),
            reason: self.reason.clone(),
            token_ttl: self.token_ttl.map(|ttl| ttl.to_string()),
            deadline: self.deadline.map(|deadline| deadline.to_string()),
            pkcs12: self.pkcs12.as_ref().map(|options| Pkcs12Body {
                profile: options.profile.map(|profile| format!("{profile:?}")),
                friendly_name: options.friendly_name.clone(),
            }),
            pem: self.pem.as_ref().map(|options| PemBody { order: options.order.map(|order| format!("{order:?}")) }),
        };
        json(&body)
    }

    /// The spec of the request. `who` asks: the API server stamps it from 1.36 on, and before that checks what is written.
    pub fn spec(&self, delivery: Option<Delivery>, who: Option<Requester>, now: Timestamp) -> DownloadRequestSpec {
        let unattended = who.as_ref().is_some_and(|who| is_unattended(&who.username));
        let default = unattended.then_some(Deadline::In(UNATTENDED_DEADLINE)).and_then(|deadline| deadline.from(now));
        DownloadRequestSpec {
            certificate_ref: CertificateReference { name: self.certificate.clone() },
            environment: self.environment.clone(),
            format: self.format,
            passphrase_secret_ref: self.passphrase_secret.clone(),
            pkcs12: self.pkcs12.clone(),
            pem: self.pem.clone(),
            reason: self.reason.clone(),
            token_ttl: self.token_ttl,
            deadline: self.deadline.or(default).map(Time),
            delivery,
            requested_by: who,
        }
    }
}

/// JSON that is erased when dropped.
pub fn json(body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, PluginError> {
    let bytes = serde_json::to_vec(body).map_err(|_| PluginError::new("this cannot be written as JSON"))?;
    Ok(Zeroizing::new(bytes))
}

/// See [`Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeliveryChoice {
    /// Into the answer to an HTTP claim by you.
    Claim,
    /// Into a Secret of the namespace that you may read.
    Secret,
}

impl From<DeliveryChoice> for Delivery {
    fn from(choice: DeliveryChoice) -> Self {
        match choice {
            DeliveryChoice::Claim => Self::Claim,
            DeliveryChoice::Secret => Self::Secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ask: AskArgs,
    }

    fn now() -> Timestamp {
        "2026-11-22T08:00:00.75Z".parse().unwrap()
    }

    fn ask(line: &str) -> Result<Ask, PluginError> {
        let line = Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap();
        line.ask.check("api", None, now())
    }

    #[test]
    fn a_format_is_known_by_its_other_names_and_in_capitals() {
        for (text, format) in
            [("PKCS12", Format::Pkcs12), ("pfx", Format::Pkcs12), ("P12", Format::Pkcs12), ("PEM", Format::Fullchain)]
        {
            assert_eq!(ask(&format!("--format {text}")).unwrap().format, format, "{text}");
        }
        let refused = Line::try_parse_from(["x", "--format", "JKS"]).unwrap_err().to_string();
        assert!(refused.contains("format `jks` is not known; choose one of cert, chain"), "{refused}");
    }

    #[test]
    fn what_is_asked_for_is_the_same_over_http_and_as_an_object() {
        let line = "--format pkcs12 --environment staging --reason INC-1 --token-ttl 90s --deadline 2h --legacy --friendly-name api";
        let ask = ask(line).unwrap();
        let passphrase = Passphrase::new("correct horse".to_owned()).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&ask.body(Some(&passphrase)).unwrap()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "format": "pkcs12", "environment": "staging", "passphrase": "correct horse", "reason": "INC-1",
                "token_ttl": "1m30s", "deadline": "2026-11-22T10:00:00Z",
                "pkcs12": {"profile": "Legacy", "friendly_name": "api"}, "pem": null,
            })
        );
        let spec = serde_json::to_value(ask.spec(Some(Delivery::Claim), None, now())).unwrap();
        assert_eq!(
            spec,
            serde_json::json!({
                "certificateRef": {"name": "api"}, "format": "pkcs12", "environment": "staging", "reason": "INC-1",
                "tokenTTL": "1m30s", "deadline": "2026-11-22T10:00:00Z", "delivery": "Claim",
                "pkcs12": {"profile": "Legacy", "friendlyName": "api"},
            })
        );
    }

    #[test]
    fn a_service_account_gets_the_deadline_that_it_must_have() {
        let ask = ask("--format der").unwrap();
        let spec = |name: &str| {
            let who = Requester { username: name.to_owned(), ..Requester::default() };
            ask.spec(Some(Delivery::Secret), Some(who), now()).deadline.map(|deadline| deadline.0.to_string())
        };
        assert_eq!(spec("system:serviceaccount:ci:deployer").as_deref(), Some("2026-11-22T09:05:00Z"));
        assert_eq!(spec("carol"), None);
    }

    #[test]
    fn a_flag_that_has_no_meaning_for_the_format_is_a_slip() {
        for (line, said) in [
            ("", "--format cert|chain"),
            ("--format key --legacy", "pkcs12 and zip"),
            ("--format key --order key-leaf-chain", "combined"),
            ("--format der-zip --environment a", "every environment"),
        ] {
            let error = ask(line).unwrap_err();
            assert_eq!(error.exit(), crate::plugin::error::Exit::Usage, "{line}");
            assert!(error.report().contains(said), "{line}: {}", error.report());
        }
    }

    #[test]
    fn a_secret_and_its_key_are_two_names() {
        let reference = secret_key("p12/passphrase").unwrap();
        assert_eq!((reference.name.as_str(), reference.key.as_str()), ("p12", "passphrase"));
        for text in ["p12", "/x", "p12/", "a/b/c", "A/b"] {
            assert!(secret_key(text).is_err(), "{text}");
        }
    }
}
