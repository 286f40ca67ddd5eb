//! A CA and a serving certificate as text, whether they still do, and new ones. Time is an argument; keys come from rcgen.

use std::{collections::BTreeSet, fmt, net::IpAddr, str::FromStr, time::Duration};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber, date_time_ymd,
};
use x509_parser::{extensions::GeneralName, pem::Pem, prelude::X509Certificate};
use zeroize::Zeroizing;

use crate::api::name::{is_label, is_object_name};
use crate::{hex, redact::Redacted};

/// How long a CA is valid, and how long before its end a new one takes over: anyone who was given the old one has a
/// year.
const CA_LIFETIME: Duration = Duration::from_hours(24 * 3650);
const CA_OVERLAP: Duration = Duration::from_hours(24 * 365);
/// Certificates begin a little in the past, for clients whose clock is behind.
const BACKDATE: Duration = Duration::from_mins(5);
/// More names than this are not carried on from certificate to certificate.
const MOST_NAMES: usize = 100;

/// A name by which clients reach the server: a DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Such as `certcourier.certcourier-system.svc`.
    Dns(String),
    /// Such as `10.0.0.7`.
    Ip(IpAddr),
}

/// Not a name that can be in a certificate.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is neither a DNS name nor an IP address: write names such as certcourier.certcourier-system.svc")]
pub struct NameError(String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let name = text.to_ascii_lowercase();
        if is_object_name(&name) && name.split('.').all(is_label) {
            return Ok(Self::Dns(name));
        }
        Err(NameError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// What the certificate is to be like.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) names: Vec<Name>,
    pub(crate) lifetime: Duration,
}

/// What the Secret holds, all PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    /// The serving certificate.
    pub(crate) certificate: String,
    pub(crate) key: Redacted<Zeroizing<String>>,
    /// The CA that signs, then those before it that are still good.
    pub(crate) ca: String,
    pub(crate) ca_key: Redacted<Zeroizing<String>>,
}

/// What is to be done about a pair, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairState {
    Good,
    NewLeaf(Why),
    NewAuthority(Why),
}

/// Why something new is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Missing,
    Unusable,
    OtherAuthority,
    Old,
    NameMissing,
}

impl Why {
    /// In words, for the log.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Missing => "there was none",
            Self::Unusable => "what was there could not be used",
            Self::OtherAuthority => "another CA had signed it",
            Self::Old => "the previous one is about to expire",
            Self::NameMissing => "a name was missing in it",
        }
    }
}

/// Whether the stored pair still does.
pub(crate) fn judge(stored: Option<&Pair>, wanted: &Wanted, now: Timestamp) -> PairState {
    let Some(pair) = stored else { return PairState::NewAuthority(Why::Missing) };
    let Some(authority) = Facts::first(&pair.ca).filter(|facts| facts.belongs_to(&pair.ca_key)) else {
        return PairState::NewAuthority(Why::Unusable);
    };
    if authority.ends - now.as_second() < seconds(CA_OVERLAP) {
        return PairState::NewAuthority(Why::Old);
    }
    let Some(leaf) = Facts::first(&pair.certificate).filter(|facts| facts.belongs_to(&pair.key)) else {
        return PairState::NewLeaf(Why::Unusable);
    };
    if leaf.issuer != authority.subject {
        return PairState::NewLeaf(Why::OtherAuthority);
    }
    let begins = leaf.begins + seconds(BACKDATE);
    if (now.as_second() - begins) * 3 >= (leaf.ends - begins) * 2 {
        return PairState::NewLeaf(Why::Old);
    }
    if !wanted.names.iter().all(|name| leaf.names.contains(name)) {
        return PairState::NewLeaf(Why::NameMissing);
    }
    PairState::Good
}

/// A new pair as the verdict asks for; what may stay is taken from the stored one.
pub(crate) fn make(
    stored: Option<Pair>,
    verdict: PairState,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Pair, rcgen::Error> {
    match (stored, verdict) {
        (Some(pair), PairState::NewLeaf(_)) => {
            let names = names(wanted, Facts::first(&pair.certificate), verdict);
            let signer = Issuer::from_ca_cert_pem(&pair.ca, KeyPair::from_pem(pair.ca_key.expose())?)?;
            let (certificate, key) = leaf(&signer, &names, wanted.lifetime, now)?;
            Ok(Pair { certificate, key, ..pair })
        }
        (Some(pair), PairState::NewAuthority(Why::Old)) => authority(still_good(&pair.ca, now), wanted, now),
        _ => authority(None, wanted, now),
    }
}

/// The first CA of a bundle, until its end.
fn still_good(bundle: &str, now: Timestamp) -> Option<&str> {
    const END: &str = "-----END CERTIFICATE-----";
    let first = &bundle[..bundle.find(END)? + END.len()];
    (Facts::first(first)?.ends > now.as_second()).then_some(first)
}

/// The same with a new CA; `old`, still known to clients, stays in the bundle.
fn authority(old: Option<&str>, wanted: &Wanted, now: Timestamp) -> Result<Pair, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // Each CA has a name of its own, so that a client that knows two finds the right one.
    let number = hex::encode(&params.key_identifier(&key)[..4]);
    params.distinguished_name.push(DnType::CommonName, format!("certcourier serving CA {number}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, CA_LIFETIME, now);
    let certificate = params.self_signed(&key)?.pem();
    let ca_key = Redacted::new(Zeroizing::new(key.serialize_pem()));
    let signer = Issuer::new(params, key);
    let (leaf, key) = leaf(&signer, &wanted.names, wanted.lifetime, now)?;
    let ca = match old {
        Some(old) => format!("{certificate}{old}\n"),
        None => certificate,
    };
    Ok(Pair { certificate: leaf, key, ca, ca_key })
}

type Leaf = (String, Redacted<Zeroizing<String>>);

fn leaf(
    signer: &Issuer<'_, KeyPair>,
    names: &[Name],
    lifetime: Duration,
    now: Timestamp,
) -> Result<Leaf, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "certcourier server");
    for name in names {
        params.subject_alt_names.push(match name {
            Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Name::Ip(address) => SanType::IpAddress(*address),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let serial = params.key_identifier(&key);
    params.serial_number = Some(SerialNumber::from_slice(&serial[..16]));
    validity(&mut params, lifetime, now);
    let certificate = params.signed_by(&key, signer)?.pem();
    Ok((certificate, Redacted::new(Zeroizing::new(key.serialize_pem()))))
}

fn validity(params: &mut CertificateParams, lifetime: Duration, now: Timestamp) {
    let since_1970 = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970.saturating_sub(BACKDATE);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970 + lifetime;
}

/// While replicas of two configurations run side by side, each adds its names to the other's: a certificate made for a
/// missing name keeps those it had. At the next renewal only what is asked for stays.
fn names(wanted: &Wanted, leaf: Option<Facts>, verdict: PairState) -> Vec<Name> {
    let mut names: BTreeSet<Name> = wanted.names.iter().cloned().collect();
    if verdict == PairState::NewLeaf(Why::NameMissing)
        && let Some(leaf) = leaf.filter(|leaf| leaf.names.len() + names.len() <= MOST_NAMES)
    {
        names.extend(leaf.names);
    }
    names.into_iter().collect()
}

/// What is checked in a certificate.
struct Facts {
    subject: Vec<u8>,
    issuer: Vec<u8>,
    public_key: Vec<u8>,
    begins: i64,
    ends: i64,
    names: Vec<Name>,
}

impl Facts {
    /// Of the first certificate of a PEM text.
    fn first(text: &str) -> Option<Self> {
        let pem = Pem::iter_from_buffer(text.as_bytes()).next()?.ok()?;
        let certificate = pem.parse_x509().ok()?;
        Some(Self {
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            public_key: certificate.public_key().raw.to_vec(),
            begins: certificate.validity().not_before.timestamp(),
            ends: certificate.validity().not_after.timestamp(),
            names: subject_names(&certificate),
        })
    }

    fn belongs_to(&self, key: &Redacted<Zeroizing<String>>) -> bool {
        KeyPair::from_pem(key.expose()).is_ok_and(|key| key.subject_public_key_info() == self.public_key)
    }
}

fn subject_names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(Name::Dns((*name).to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| Name::Ip(bytes.into())),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| Name::Ip(bytes.into())),
            _ => None,
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
