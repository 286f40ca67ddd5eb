//! One X.509 certificate: its bytes, the facts that are shown, and what links it to its issuer.

use std::fmt::Write as _;

use crate::hex;
use der::Decode as _;
use der::asn1::ObjectIdentifier;
use sha2::{Digest as _, Sha256};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::x509::SubjectPublicKeyInfo;
use x509_parser::x509::X509Version;

use super::error::CertificateError;
use super::key_algorithm::{Curve, EC, ED25519, KeyAlgorithm, RSA};
use super::name;
use super::signature_algorithm::SignatureAlgorithm;

/// `0000-01-01T00:00:00Z`.
const YEAR_0: i64 = -62_167_219_200;
/// `9999-12-31T23:59:59Z`, which means "no end". Source: RFC 5280 §4.1.2.5.
const END_OF_YEAR_9999: i64 = 253_402_300_799;

/// What a certificate says about itself, for status fields and manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafFacts {
    /// `C=DE, O=Example, CN=api.example.com`, in the certificate's order; at most 1,024 characters;
    /// empty if the certificate has only alternative names.
    pub subject: String,
    /// The issuer, written as the subject is.
    pub issuer: String,
    /// Upper-case hexadecimal without separators, as `openssl x509 -serial` prints it; `-` in front of
    /// a negative one.
    pub serial_number: String,
    /// DNS names among the alternative names, in the certificate's order. Not bounded in number.
    pub dns_names: Vec<String>,
    /// Start of validity, seconds since 1970; within the years 0 to 9999.
    pub not_before_seconds: i64,
    /// End of validity, seconds since 1970; within the years 0 to 9999, whose last second means that there is no end.
    pub not_after_seconds: i64,
    /// SHA-256 of the DER, lower-case hexadecimal without separators.
    pub sha256_fingerprint: String,
    /// `RSA 2048`, `ECDSA P-256`, `Ed25519`, …
    pub key_algorithm: String,
    /// Whether the basic constraints say that it may issue certificates.
    pub is_ca: bool,
}

/// A certificate that was read.
pub(super) struct Certificate {
    pub(super) der: Vec<u8>,
    pub(super) facts: LeafFacts,
    pub(super) public_key: PublicKey,
    pub(super) canonical_subject: Vec<u8>,
    pub(super) canonical_issuer: Vec<u8>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) signed_bytes: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) signature_algorithm: SignatureAlgorithm,
}

/// A public key as a certificate carries it.
#[derive(PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) algorithm: KeyAlgorithm,
    /// `RSAPublicKey`, an elliptic curve point, or 32 bytes of Ed25519.
    pub(super) bits: Vec<u8>,
}

impl Certificate {
    pub(super) fn parse(der: Vec<u8>) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|_| CertificateError::NotX509)?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes);
        }
        let public_key = public_key(parsed.public_key());
        let (mut subject_key_id, mut authority_key_id) = (None, None);
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    subject_key_id = Some(id.0.to_vec());
                }
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        Ok(Self {
            facts: facts(&parsed, &public_key),
            canonical_subject: name::canonical(parsed.subject()),
            canonical_issuer: name::canonical(parsed.issuer()),
            subject_key_id,
            authority_key_id,
            signed_bytes: parsed.tbs_certificate.as_ref().to_vec(),
            signature: parsed.signature_value.data.to_vec(),
            signature_algorithm: SignatureAlgorithm::read(&parsed.signature_algorithm),
            public_key,
            der,
        })
    }
}

fn facts(parsed: &X509Certificate<'_>, public_key: &PublicKey) -> LeafFacts {
    LeafFacts {
        subject: name::text(parsed.subject()),
        issuer: name::text(parsed.issuer()),
        serial_number: serial_number(parsed.raw_serial()),
        dns_names: dns_names(parsed),
        not_before_seconds: within_four_digits(parsed.validity().not_before.timestamp()),
        not_after_seconds: within_four_digits(parsed.validity().not_after.timestamp()),
        sha256_fingerprint: hex::encode(&Sha256::digest(parsed.as_raw())),
        key_algorithm: public_key.algorithm.to_string(),
        is_ca: may_sign_certificates(parsed),
    }
}

/// Whether anything takes it for a certificate authority. Besides those that say so (RFC 5280, 4.2.1.9) these are what
/// OpenSSL's `check_ca` accepts without basicConstraints: a self-issued one of X.509 version 1, and one whose keyUsage has
/// keyCertSign. A key that may sign certificates must not leave as if it were a server's.
fn may_sign_certificates(parsed: &X509Certificate<'_>) -> bool {
    match parsed.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        // Twice, or not readable: of two meanings the stricter.
        Err(_) => true,
        Ok(None) => {
            let signs = match parsed.key_usage() {
                Ok(Some(usage)) => usage.value.key_cert_sign(),
                Ok(None) => false,
                Err(_) => true,
            };
            let root_of_old = parsed.version() == X509Version::V1 && parsed.subject() == parsed.issuer();
            signs || root_of_old
        }
    }
}

/// An offset from UTC, which some write though the standard forbids it, can lead out of the years that RFC 3339 has.
fn within_four_digits(seconds: i64) -> i64 {
    seconds.clamp(YEAR_0, END_OF_YEAR_9999)
}

/// The extension is read leniently: names that cannot be read are left out, since they are only shown.
fn dns_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    parsed
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .filter_map(|name| match name {
            GeneralName::DNSName(dns) => {
                let mut text = String::with_capacity(dns.len());
                name::escape_into(&mut text, dns);
                Some(text)
            }
            _ => None,
        })
        .collect()
}

/// A two's complement number, as the encoding has it, in OpenSSL's notation.
fn serial_number(bytes: &[u8]) -> String {
    let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let mut magnitude = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = overflow;
        }
    }
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let significant = &magnitude[zeros.min(magnitude.len().saturating_sub(1))..];
    let mut text = String::from(if negative { "-" } else { "" });
    if significant.is_empty() {
        text.push_str("00");
    }
    for byte in significant {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

fn public_key(info: &SubjectPublicKeyInfo<'_>) -> PublicKey {
    let bits = info.subject_public_key.data.to_vec();
    let oid = ObjectIdentifier::from_bytes(info.algorithm.algorithm.as_bytes()).ok();
    let algorithm = if oid == Some(RSA) {
        pkcs1::RsaPublicKeyRef::from_der(&bits)
            .map_or(KeyAlgorithm::Other(oid), |key| KeyAlgorithm::Rsa { bits: bit_length(key.modulus.as_bytes()) })
    } else if oid == Some(EC) {
        let curve = info
            .algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.as_oid().ok())
            .and_then(|curve| ObjectIdentifier::from_bytes(curve.as_bytes()).ok());
        curve.and_then(|curve| Curve::from_oid(&curve)).map_or(KeyAlgorithm::Other(curve.or(oid)), KeyAlgorithm::Ec)
    } else if oid == Some(ED25519) {
        KeyAlgorithm::Ed25519
    } else {
        KeyAlgorithm::Other(oid)
    };
    PublicKey { algorithm, bits }
}

/// Bits of a big-endian number without sign.
pub(super) fn bit_length(bytes: &[u8]) -> usize {
    match bytes.iter().position(|byte| *byte != 0) {
        None => 0,
        Some(start) => {
            let leading = usize::try_from(bytes[start].leading_zeros()).unwrap_or(0);
            8 * (bytes.len() - start) - leading
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_written_as_openssl_does() {
        for (bytes, text) in [
            (&[][..], "00"),
            (&[0], "00"),
            (&[1], "01"),
            (&[0x7f], "7F"),
            (&[0, 0x80], "80"),
            (&[0x80], "-80"),
            (&[0xff], "-01"),
            (&[0xff, 0], "-0100"),
            (&[0xfe, 0xff], "-0101"),
            (&[0x0a, 0xbc, 0xde], "0ABCDE"),
        ] {
            assert_eq!(serial_number(bytes), text, "{bytes:02x?}");
        }
    }

    #[test]
    fn bits_are_counted_from_the_first_one_that_is_set() {
        for (bytes, bits) in [(&[][..], 0), (&[0, 0], 0), (&[0, 1], 1), (&[0x80, 0], 16)] {
            assert_eq!(bit_length(bytes), bits);
        }
    }
}
