//! The `DownloadRequest` that a call makes, before it is created. Pure: time and randomness are arguments.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::body::Asked;
use crate::server::http::path::ObjectPath;
use crate::{
    api::{
        CertificateReference, Delivery, DownloadRequest, DownloadRequestSpec, Duration, Requester,
        names::{CREATED_BY, CREATED_BY_API, MAX_REQUEST_NAME},
    },
    policy::{Effective, is_unattended},
};

/// Random characters at the end of a name.
pub const RANDOM_CHARACTERS: usize = 5;
/// As Kubernetes does for generated names: no vowels and no look-alikes, so that no word comes out of it.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// A policy lets a `ServiceAccount` set its deadline at most 24 h ahead of the creation, whose time has whole seconds.
const LATEST_DEADLINE: SignedDuration = SignedDuration::from_secs(24 * 3600 - 60);

/// The request of this caller. Its deadline is what they asked for; see [`deadline`].
pub fn request(
    place: &ObjectPath,
    asked: &Asked,
    requester: &Requester,
    random: [u8; RANDOM_CHARACTERS],
) -> DownloadRequest {
    let spec = DownloadRequestSpec {
        certificate_ref: CertificateReference { name: place.name.clone() },
        environment: asked.environment.clone(),
        format: asked.format,
        passphrase_secret_ref: None,
        pkcs12: asked.pkcs12.clone(),
        pem: asked.pem.clone(),
        reason: asked.reason.clone(),
        token_ttl: asked.token_ttl,
        deadline: asked.deadline.map(Time),
        delivery: Some(Delivery::Claim),
        requested_by: Some(requester.clone()),
    };
    let mut request = DownloadRequest::new(&name(&place.name, asked.format.name(), random), spec);
    request.metadata.namespace = Some(place.project.clone());
    request.metadata.labels = Some([(CREATED_BY.to_owned(), CREATED_BY_API.to_owned())].into());
    request
}

/// `<certificate>-<format>-<5 random>`; a long certificate's name is cut.
pub fn name(certificate: &str, format: &str, random: [u8; RANDOM_CHARACTERS]) -> String {
    let random = random.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    let longest = MAX_REQUEST_NAME - format.len() - RANDOM_CHARACTERS - 2;
    // Names of Certificates are ASCII.
    let certificate = certificate[..certificate.floor_char_boundary(longest)].trim_end_matches(['-', '.']);
    format!("{certificate}-{format}-{}", String::from_iter(random))
}

/// The deadline of a request whose caller gave none: for `ServiceAccounts`, which must have one, as long as approval
/// and token may take; no one else needs one.
pub fn deadline(
    requester: &Requester,
    token_ttl: Option<Duration>,
    effective: &Effective,
    now: Timestamp,
) -> Option<Timestamp> {
    if !is_unattended(&requester.username) {
        return None;
    }
    let wait = effective.pending_ttl.value.get() + token_ttl.unwrap_or(effective.ttl.value).get();
    let wait = SignedDuration::try_from(wait).unwrap_or(LATEST_DEADLINE).min(LATEST_DEADLINE);
    now.checked_add(wait).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::merge;

    #[test]
    fn a_name_says_what_it_is_for_and_fits() {
        assert_eq!(name("api", "fullchain", [0, 1, 2, 26, 27]), "api-fullchain-bcd9b");
        let long = name(&"a".repeat(253), "der-zip", [0; 5]);
        assert_eq!(long.len(), MAX_REQUEST_NAME);
        let dotted = name(&format!("{}.{}", "a".repeat(184), "b".repeat(60)), "fullchain", [0; 5]);
        assert!(!dotted.contains(".-"), "{dotted}");
    }

    #[test]
    fn only_a_service_account_gets_a_deadline_it_did_not_ask_for() {
        let who = |username: &str| Requester { username: username.into(), ..Requester::default() };
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
        let effective = merge(&[], "api", &["production"]);
        assert_eq!(deadline(&who("carol"), None, &effective, now), None);
        let of = |ttl| deadline(&who("system:serviceaccount:ci:deployer"), ttl, &effective, now).unwrap().to_string();
        assert_eq!(of(None), "2026-11-22T09:05:00Z", "an hour for approval, five minutes for the token");
        assert_eq!(of(Some(Duration::from_seconds(60))), "2026-11-22T09:01:00Z");
        assert_eq!(of(Some(Duration::from_seconds(48 * 3600))), "2026-11-23T07:59:00Z", "within what policy allows");
    }
}
