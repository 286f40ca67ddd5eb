use certcourier_bundle::{Limits, RawMaterial};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use super::*;
use crate::api::{CertificateSpec, Environment};

const NOW: &str = "2026-11-22T12:00:00Z";

/// A certificate valid in 2026 with its key, and another key.
fn material(key: &KeyPair, wrong_key: bool) -> Finding {
    let mut params = CertificateParams::new(vec!["api.example.com".to_owned(); 300]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "api");
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 31);
    let certificate = params.self_signed(key).unwrap().pem();
    let key = if wrong_key { KeyPair::generate().unwrap().serialize_pem() } else { key.serialize_pem() };
    let raw = RawMaterial { certificate: certificate.as_bytes(), private_key: Some(key.as_bytes()), ca: None };
    Finding::Material(Box::new(Material::parse(&raw, &Limits::default()).unwrap()))
}

fn missing() -> Finding {
    Finding::Problem(Problem::SecretMissing { environment: "staging".to_owned(), secret: "s".to_owned() })
}

fn certificate(environments: &[&str]) -> Certificate {
    let environments =
        environments.iter().map(|name| Environment { name: (*name).to_owned(), ..Environment::default() }).collect();
    let mut certificate = Certificate::new("api", CertificateSpec { environments, default_environment: None });
    certificate.metadata.generation = Some(3);
    certificate
}

fn at(moment: &str) -> Timestamp {
    moment.parse().unwrap()
}

fn ready_of(status: &CertificateStatus) -> (&str, &str, &str) {
    let [ready] = status.conditions.as_slice() else { panic!("one condition: {:?}", status.conditions) };
    (&ready.status, &ready.reason, &ready.message)
}

#[test]
fn usable_material_is_described_and_ready() {
    let key = KeyPair::generate().unwrap();
    let status = status_of(&certificate(&["production"]), &[material(&key, false)], at(NOW));
    assert_eq!(ready_of(&status), ("True", "Usable", "its environment can be delivered"));
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.earliest_not_after.unwrap().to_string(), "2026-12-31T00:00:00Z");
    let [environment] = status.environments.as_slice() else { panic!("one environment") };
    assert_eq!(environment.name, "production");
    assert!(environment.subject.as_ref().unwrap().contains("CN=api"));
    assert_eq!(environment.key_algorithm.as_deref(), Some("ECDSA P-256"));
    assert_eq!((environment.key_matches, environment.ca, environment.chain_length), (Some(true), Some(false), Some(0)));
    assert_eq!(environment.dns_names.len(), 256);
    assert_eq!(environment.sha256_fingerprint.as_ref().unwrap().len(), 64);
    assert_eq!((&environment.reason, &environment.message), (&None, &None));
}

#[test]
fn a_certificate_without_end_is_shown_with_the_date_that_says_so() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["api.example.com".to_owned()]).unwrap();
    params.not_before = date_time_ymd(0, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31) + std::time::Duration::from_secs(86_399);
    let certificate_pem = params.self_signed(&key).unwrap().pem();
    let raw = RawMaterial { certificate: certificate_pem.as_bytes(), private_key: None, ca: None };
    let found = Finding::Material(Box::new(Material::parse(&raw, &Limits::default()).unwrap()));
    let status = serde_json::to_value(status_of(&certificate(&["production"]), &[found], at(NOW))).unwrap();
    assert_eq!(status["earliestNotAfter"], "9999-12-31T23:59:59Z");
    assert_eq!(status["environments"][0]["notAfter"], "9999-12-31T23:59:59Z");
    assert_eq!(status["environments"][0]["notBefore"], "0000-01-01T00:00:00Z");
    let read: CertificateStatus = serde_json::from_value(status).unwrap();
    assert!(read.earliest_not_after.unwrap().is_never());
    assert_eq!(ready_of(&read), ("True", "Usable", "its environment can be delivered"));
}

#[test]
fn an_authority_whose_key_it_is_not_may_be_what_is_left_of_a_chain() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let raw = RawMaterial { certificate: authority.as_bytes(), private_key: Some(key.as_bytes()), ca: None };
    let found = Finding::Material(Box::new(Material::parse(&raw, &Limits::default()).unwrap()));
    let status = status_of(&certificate(&["production"]), &[found], at(NOW));
    assert!(ready_of(&status).2.contains("is the leaf missing"), "{:?}", status.conditions);
}

#[test]
fn each_environment_that_needs_mending_is_named() {
    let key = KeyPair::generate().unwrap();
    let found = [material(&key, true), missing(), Finding::Forbidden("no get".to_owned())];
    let status = status_of(&certificate(&["production", "staging", "test"]), &found, at(NOW));
    let reasons: Vec<_> =
        status.environments.iter().map(|environment| environment.reason.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["KeyMismatch", "SecretMissing", "APIForbidden"]);
    let (value, reason, message) = ready_of(&status);
    assert_eq!((value, reason), ("False", "Unusable"));
    for name in ["environment `production`", "environment `staging`", "environment `test`", "certcourier-controller"] {
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(status.environments[0].key_matches, Some(false));
}

#[test]
fn an_expired_certificate_is_ready_and_says_so() {
    let key = KeyPair::generate().unwrap();
    let status = status_of(&certificate(&["production"]), &[material(&key, false)], at("2027-01-01T00:00:00Z"));
    let (value, reason, message) = ready_of(&status);
    assert_eq!((value, reason), ("True", "Usable"));
    assert!(message.contains("`production` expired at 2026-12-31T00:00:00Z"), "{message}");
}

#[test]
fn a_second_look_at_the_same_changes_nothing_and_a_mended_one_moves_the_transition_time() {
    let key = KeyPair::generate().unwrap();
    let mut certificate = certificate(&["staging"]);
    let first = status_of(&certificate, &[missing()], at(NOW));
    certificate.status = Some(first.clone());
    let later = at("2026-11-22T13:00:00Z");
    assert_eq!(status_of(&certificate, &[missing()], later), first);
    let mended = status_of(&certificate, &[material(&key, false)], later);
    assert_eq!(mended.conditions[0].last_transition_time.0, later);
}
