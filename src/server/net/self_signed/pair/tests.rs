//! What is judged and made, at chosen times.

use super::*;

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn wanted(names: &[&str]) -> Wanted {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    Wanted { names, lifetime: Duration::from_hours(90) }
}

fn made(stored: Option<Pair>, wanted: &Wanted, now: Timestamp) -> Pair {
    let verdict = judge(stored.as_ref(), wanted, now);
    make(stored, verdict, wanted, now).unwrap()
}

fn names_of(pair: &Pair) -> Vec<String> {
    Facts::first(&pair.certificate).unwrap().names.iter().map(ToString::to_string).collect()
}

/// Verified by rustls, as clients do.
fn verifies(pair: &Pair, ca: &str, name: &str, now: Timestamp) -> bool {
    use rustls::{
        client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    };
    let mut roots = rustls::RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(ca.unwrap()).unwrap();
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let leaf = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().try_into().unwrap()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&leaf, &[], &name, &[], now).is_ok()
}

#[test]
fn a_new_pair_serves_every_name_and_is_good_until_two_thirds_of_its_life_are_over() {
    let wanted = wanted(&["certcourier.certs.svc", "localhost", "10.0.0.7", "::1"]);
    assert_eq!(judge(None, &wanted, at(0)), PairState::NewAuthority(Why::Missing));
    let pair = made(None, &wanted, at(0));
    assert_eq!(judge(Some(&pair), &wanted, at(0)), PairState::Good);
    for name in ["certcourier.certs.svc", "localhost", "10.0.0.7", "::1"] {
        assert!(verifies(&pair, &pair.ca, name, at(HOUR)), "{name}");
    }
    assert!(!verifies(&pair, &pair.ca, "other.svc", at(HOUR)));
    assert_eq!(judge(Some(&pair), &wanted, at(60 * HOUR - 1)), PairState::Good);
    assert_eq!(judge(Some(&pair), &wanted, at(60 * HOUR)), PairState::NewLeaf(Why::Old));
    let renewed = made(Some(pair.clone()), &wanted, at(60 * HOUR));
    assert_eq!(renewed.ca, pair.ca, "who knows the CA needs nothing new");
    assert_ne!(renewed.certificate, pair.certificate);
    assert!(verifies(&renewed, &pair.ca, "localhost", at(149 * HOUR)));
}

#[test]
fn what_cannot_be_used_is_made_again_and_no_more_than_that() {
    let wanted = wanted(&["a.svc"]);
    let (pair, other) = (made(None, &wanted, at(0)), made(None, &wanted, at(0)));
    for (broken, verdict) in [
        (Pair { ca: "garbage".to_owned(), ..pair.clone() }, PairState::NewAuthority(Why::Unusable)),
        (Pair { ca_key: other.ca_key.clone(), ..pair.clone() }, PairState::NewAuthority(Why::Unusable)),
        (Pair { certificate: String::new(), ..pair.clone() }, PairState::NewLeaf(Why::Unusable)),
        (Pair { key: other.key.clone(), ..pair.clone() }, PairState::NewLeaf(Why::Unusable)),
        (
            Pair { certificate: other.certificate.clone(), key: other.key.clone(), ..pair.clone() },
            PairState::NewLeaf(Why::OtherAuthority),
        ),
    ] {
        assert_eq!(judge(Some(&broken), &wanted, at(0)), verdict);
        let mended = made(Some(broken), &wanted, at(0));
        assert_eq!(judge(Some(&mended), &wanted, at(0)), PairState::Good);
        assert_eq!(mended.ca == pair.ca, matches!(verdict, PairState::NewLeaf(_)), "{verdict:?}");
        assert!(verifies(&mended, &mended.ca, "a.svc", at(0)));
    }
}

#[test]
fn replicas_of_two_configurations_agree_on_one_certificate_until_its_renewal() {
    let (old, new) = (wanted(&["old.svc"]), wanted(&["new.svc"]));
    let first = made(None, &old, at(0));
    assert_eq!(judge(Some(&first), &new, at(0)), PairState::NewLeaf(Why::NameMissing));
    let both = made(Some(first), &new, at(0));
    assert_eq!(names_of(&both), ["new.svc", "old.svc"]);
    assert_eq!((judge(Some(&both), &old, at(0)), judge(Some(&both), &new, at(0))), (PairState::Good, PairState::Good));
    assert_eq!(names_of(&made(Some(both), &new, at(60 * HOUR))), ["new.svc"]);
}

#[test]
fn a_ca_is_replaced_a_year_before_its_end_and_both_are_known_until_then() {
    let wanted = wanted(&["a.svc"]);
    let first = made(None, &wanted, at(0));
    assert_eq!(judge(Some(&first), &wanted, at(9 * YEAR)), PairState::NewLeaf(Why::Old));
    assert_eq!(judge(Some(&first), &wanted, at(9 * YEAR + 1)), PairState::NewAuthority(Why::Old));
    let second = made(Some(first.clone()), &wanted, at(9 * YEAR + 1));
    assert!(second.ca.ends_with(&format!("{}\n", first.ca.trim_end())) && second.ca != first.ca);
    assert_eq!(judge(Some(&second), &wanted, at(9 * YEAR + 1)), PairState::Good);
    assert!(verifies(&second, &second.ca, "a.svc", at(9 * YEAR + 1)));
    assert!(verifies(&first, &second.ca, "a.svc", at(0)), "what the other replica still serves");
    let third = made(Some(second.clone()), &wanted, at(18 * YEAR + 2));
    assert_eq!(third.ca.matches("BEGIN CERTIFICATE").count(), 2, "the first one is over");
}

#[test]
fn only_names_and_addresses_are_names() {
    for text in ["certs.example.com", "a", "10.0.0.1", "fd00::1"] {
        assert_eq!(text.parse::<Name>().unwrap().to_string(), text);
    }
    for text in ["", "a b", "*.example.com", "-a", "a..b", "https://a", "a_b", &"a".repeat(64)] {
        assert!(text.parse::<Name>().unwrap_err().to_string().contains("such as"), "{text}");
    }
}
