//! What is seen of one environment, and the warnings about it. Pure.

use std::collections::BTreeMap;

use certcourier_bundle::{KeyMatch, LeafFacts, Material};
use jiff::Timestamp;
use serde::Serialize;

use crate::api::{Certificate, Environment, EnvironmentStatus, ValidityTime};
use crate::plugin::print::style::Tone;

/// Fewer days than this, and the date strikes.
const SOON_DAYS: i64 = 30;
const DAY: i64 = 24 * 3600;

/// What a look into the Secret brought.
pub enum Look {
    /// No one wanted it.
    NotWanted,
    /// The user is not allowed to read it.
    MayNot,
    /// It is not there, or cannot be read as what it should be.
    Problem(String),
    /// This.
    Material(Box<Material>),
}

/// One environment. Public facts only.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// The Secret behind it.
    pub secret: String,
    /// Where the facts are from.
    pub from: &'static str,
    /// Who writes the Secret and renews what is in it; known from the Secret alone.
    pub managed_by: Option<String>,
    /// Subject of the leaf.
    pub subject: Option<String>,
    /// Issuer of the leaf.
    pub issuer: Option<String>,
    /// DNS names of the leaf.
    pub dns_names: Vec<String>,
    /// Serial number of the leaf.
    pub serial_number: Option<String>,
    /// Algorithm of the leaf's key.
    pub key_algorithm: Option<String>,
    /// Whether the private key belongs to the leaf.
    pub key_matches: Option<bool>,
    /// When the leaf's validity begins.
    pub not_before: Option<ValidityTime>,
    /// When it ends.
    pub not_after: Option<ValidityTime>,
    /// Whole days until then; negative when it is over.
    pub days_left: Option<i64>,
    /// SHA-256 of the leaf.
    pub sha256_fingerprint: Option<String>,
    /// How many there are between leaf and root.
    pub chain_length: Option<i32>,
    /// Leaf and intermediates; known from the Secret alone.
    pub chain: Vec<Link>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// One certificate of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// `leaf` or `intermediate`.
    pub place: &'static str,
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Algorithm of its key.
    pub key_algorithm: String,
    /// When its validity ends.
    pub not_after: Option<ValidityTime>,
    /// SHA-256 of it.
    pub sha256_fingerprint: String,
}

/// Who writes a Secret with these annotations, if it is cert-manager.
pub fn managed_by(annotations: &BTreeMap<String, String>) -> Option<String> {
    let of = |key: &str| annotations.get(&format!("cert-manager.io/{key}")).map(String::as_str);
    let certificate = of("certificate-name")?;
    let issuer = of("issuer-name")
        .map(|name| format!(", issued by {} {name}", of("issuer-kind").unwrap_or("Issuer")))
        .unwrap_or_default();
    Some(format!("cert-manager, for its Certificate {certificate}{issuer}"))
}

/// How the days left strike.
pub fn tone(days: i64) -> Tone {
    match days {
        i64::MIN..0 => Tone::Bad,
        0..SOON_DAYS => Tone::Waiting,
        _ => Tone::Good,
    }
}

/// Everything about one environment.
pub fn seen(certificate: &Certificate, environment: &Environment, look: &Look, now: Timestamp) -> Seen {
    let status = certificate.status.as_ref();
    let known = status.and_then(|status| status.environments.iter().find(|known| known.name == environment.name));
    let mut seen = Seen {
        name: environment.name.clone(),
        secret: environment.secret_ref.name.clone(),
        from: "Certificate status",
        ..Seen::default()
    };
    if let Some(known) = known {
        of_status(&mut seen, known);
    }
    let mut warnings = Vec::new();
    match (look, known) {
        (Look::Material(material), _) => {
            of_material(&mut seen, material);
            warnings.extend(of_secret(&seen, material));
            let fingerprint = known.and_then(|known| known.sha256_fingerprint.as_ref());
            if fingerprint.is_some_and(|fingerprint| Some(fingerprint) != seen.sha256_fingerprint.as_ref()) {
                warnings
                    .push("the operator has not seen this certificate yet: its status is of the one before".to_owned());
            }
        }
        (Look::Problem(problem), _) => warnings.push(problem.clone()),
        (_, Some(known)) => warnings.extend(known.message.clone()),
        (_, None) => {}
    }
    if known.is_none() {
        warnings.push("the operator has not processed it: does it run, and does it watch this namespace?".to_owned());
    }
    let speaks_of = status.and_then(|status| status.observed_generation);
    if known.is_some() && speaks_of < certificate.metadata.generation {
        warnings.push(
            "its status is of an earlier version of the Certificate: the operator has not processed the change yet"
                .to_owned(),
        );
    }
    let ca = match look {
        Look::Material(material) => material.leaf().is_ca,
        _ => known.and_then(|known| known.ca).unwrap_or_default(),
    };
    if ca {
        warnings.push(
            "it can itself sign certificates: its key is released only where a policy sets allowCAKeyExport".to_owned(),
        );
    }
    if matches!(look, Look::MayNot) {
        seen.from = "Certificate status (you cannot read the Secret)";
    }
    seen.days_left = seen.not_after.map(|end| end.duration_since(now).as_secs().div_euclid(DAY));
    warnings.extend(of_time(&seen, now));
    seen.warnings = warnings;
    seen
}

fn of_status(seen: &mut Seen, known: &EnvironmentStatus) {
    seen.subject.clone_from(&known.subject);
    seen.issuer.clone_from(&known.issuer);
    seen.dns_names.clone_from(&known.dns_names);
    seen.serial_number.clone_from(&known.serial_number);
    seen.key_algorithm.clone_from(&known.key_algorithm);
    seen.key_matches = known.key_matches;
    seen.not_before = known.not_before;
    seen.not_after = known.not_after;
    seen.sha256_fingerprint.clone_from(&known.sha256_fingerprint);
    seen.chain_length = known.chain_length;
}

fn of_material(seen: &mut Seen, material: &Material) {
    let leaf = material.leaf();
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    seen.from = "the Secret, as of now";
    seen.subject = some(&leaf.subject);
    seen.issuer = some(&leaf.issuer);
    seen.dns_names.clone_from(&leaf.dns_names);
    seen.serial_number = some(&leaf.serial_number);
    seen.key_algorithm = some(&leaf.key_algorithm);
    seen.key_matches = match material.key_match() {
        KeyMatch::Matches => Some(true),
        KeyMatch::Mismatch => Some(false),
        KeyMatch::Unverifiable { .. } | KeyMatch::NoKey => None,
    };
    seen.not_before = Some(ValidityTime::from_second(leaf.not_before_seconds));
    seen.not_after = Some(ValidityTime::from_second(leaf.not_after_seconds));
    seen.sha256_fingerprint = some(&leaf.sha256_fingerprint);
    seen.chain_length = i32::try_from(material.chain_length()).ok();
    seen.chain = std::iter::once(link("leaf", leaf))
        .chain(material.intermediates().map(|facts| link("intermediate", facts)))
        .collect();
}

fn link(place: &'static str, facts: &LeafFacts) -> Link {
    Link {
        place,
        subject: facts.subject.clone(),
        issuer: facts.issuer.clone(),
        key_algorithm: facts.key_algorithm.clone(),
        not_after: Some(ValidityTime::from_second(facts.not_after_seconds)),
        sha256_fingerprint: facts.sha256_fingerprint.clone(),
    }
}

fn of_secret(seen: &Seen, material: &Material) -> Vec<String> {
    let mut warnings = Vec::new();
    match material.key_match() {
        KeyMatch::Matches => {}
        KeyMatch::Mismatch => {
            warnings
                .push("the private key belongs to another certificate: store the two that belong together".to_owned());
        }
        KeyMatch::Unverifiable { why } => warnings.push(format!("whether the key fits is not known: {why}")),
        KeyMatch::NoKey => warnings.push("there is no private key: formats that hold one cannot be made".to_owned()),
    }
    warnings.extend(material.chain_error().map(ToString::to_string));
    warnings.extend(material.ca_error().map(ToString::to_string));
    let leaf = material.leaf();
    if leaf.subject == leaf.issuer && material.chain_length() == 0 {
        warnings.push("it is self-signed: clients trust it only if it is given to them".to_owned());
    }
    let earlier = |link: &&Link| link.place != "leaf" && link.not_after < seen.not_after;
    warnings.extend(seen.chain.iter().filter(earlier).map(|link| {
        let end = link.not_after.map(|end| end.to_string()).unwrap_or_default();
        format!("the intermediate `{}` ends before the leaf, at {end}", link.subject)
    }));
    warnings
}

fn of_time(seen: &Seen, now: Timestamp) -> Vec<String> {
    let mut warnings = Vec::new();
    match (seen.not_after, seen.days_left) {
        (Some(end), _) if end.as_second() <= now.as_second() => {
            warnings.push(format!("it expired at {end}, and can still be downloaded"));
        }
        (Some(end), Some(days)) if days < SOON_DAYS => warnings.push(format!("it expires in {days} days, at {end}")),
        _ => {}
    }
    if let Some(begin) = seen.not_before.filter(|begin| begin.as_second() > now.as_second()) {
        warnings.push(format!("it is not valid before {begin}"));
    }
    if seen.subject.is_some() && seen.dns_names.is_empty() {
        warnings.push("it has no DNS name: browsers and most clients will reject it".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn certificate(status: &Value) -> Certificate {
        serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate", "metadata": {"name": "api", "generation": 2},
            "spec": {"environments": [{"name": "production", "secretRef": {"name": "api-tls"}}]}, "status": status,
        }))
        .unwrap()
    }

    fn look(status: &Value, look: &Look) -> Seen {
        let certificate = certificate(status);
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        seen(&certificate, &certificate.spec.environments[0], look, now)
    }

    fn environment(end: &str) -> Value {
        json!({"observedGeneration": 2, "environments": [
            {"name": "production", "subject": "CN=api", "notAfter": end, "dnsNames": ["api"], "keyMatches": true,
             "sha256Fingerprint": "f1"}]})
    }

    #[test]
    fn days_are_whole_and_the_last_one_is_zero() {
        for (end, days, said) in [
            ("2027-11-22T12:00:00Z", 365, None),
            ("2026-12-22T11:00:00Z", 29, Some("it expires in 29 days")),
            ("2026-11-22T13:00:00Z", 0, Some("it expires in 0 days")),
            ("2026-11-22T11:00:00Z", -1, Some("it expired at 2026-11-22T11:00:00Z")),
        ] {
            let seen = look(&environment(end), &Look::MayNot);
            assert_eq!(seen.days_left, Some(days), "{end}");
            assert_eq!(seen.warnings.len(), usize::from(said.is_some()), "{end}: {:?}", seen.warnings);
            assert!(said.is_none_or(|said| seen.warnings[0].starts_with(said)), "{:?}", seen.warnings);
        }
    }

    #[test]
    fn an_end_that_never_comes_is_shown_as_it_is() {
        let seen = look(&environment("9999-12-31T23:59:59Z"), &Look::MayNot);
        assert_eq!(serde_json::to_value(&seen).unwrap()["notAfter"], "9999-12-31T23:59:59Z");
        assert_eq!((seen.days_left, seen.warnings.len()), (Some(2_912_117), 0), "{:?}", seen.warnings);
    }

    #[test]
    fn what_the_operator_has_not_seen_is_said() {
        let never = look(&json!(null), &Look::MayNot);
        assert!(never.warnings[0].contains("has not processed it"), "{:?}", never.warnings);
        let mut before = environment("2027-11-22T12:00:00Z");
        before["observedGeneration"] = json!(1);
        assert!(look(&before, &Look::MayNot).warnings[0].contains("earlier version"));
        let problem =
            look(&environment("2027-11-22T12:00:00Z"), &Look::Problem("Secret `api-tls` does not exist".into()));
        assert_eq!(problem.warnings, ["Secret `api-tls` does not exist"]);
    }

    #[test]
    fn what_cert_manager_writes_is_said_to_be_its_own() {
        let annotations = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| (format!("cert-manager.io/{key}"), (*value).to_owned())).collect()
        };
        let whole = [("certificate-name", "web"), ("issuer-name", "ca"), ("issuer-kind", "ClusterIssuer")];
        assert_eq!(
            managed_by(&annotations(&whole)).unwrap(),
            "cert-manager, for its Certificate web, issued by ClusterIssuer ca"
        );
        assert_eq!(managed_by(&annotations(&whole[..1])).unwrap(), "cert-manager, for its Certificate web");
        assert_eq!(managed_by(&annotations(&[("issuer-name", "ca")])), None);
    }

    #[test]
    fn a_ca_is_pointed_out() {
        let mut ca = environment("2027-11-22T12:00:00Z");
        ca["environments"][0]["ca"] = json!(true);
        assert!(look(&ca, &Look::MayNot).warnings[0].contains("allowCAKeyExport"));
    }
}
