//! The certificates of one file, in its order. Nothing that holds one, or was meant to, is passed over.

use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;

use super::certificate::Certificate;
use super::error::{CertificateError, MaterialError, Part};
use super::misfit;
use super::{Limits, check_size};
use crate::pem::{Block, BlockError, Lost, Piece, pieces};

/// How old OpenSSL, and what was made for it, calls a certificate.
const CERTIFICATES: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"];
/// A certificate, and what OpenSSL is to trust it for.
const TRUSTED: &str = "TRUSTED CERTIFICATE";
/// Certificates in an envelope.
const ENVELOPES: [&str; 3] = ["PKCS7", "PKCS #7 SIGNED DATA", "CMS"];

/// A piece of the file that is a certificate, or should be one.
enum Found<'a> {
    Plain(Block<'a>),
    Trusted(Block<'a>),
    /// Its label says that certificates are in it.
    Envelope(&'a str),
    /// A certificate under a label that no other program knows.
    Mislabelled(&'a str),
    Lost,
}

/// Every certificate of a PEM file, in the order of the file; at least one.
pub(super) fn certificates(part: Part, text: &[u8], limits: &Limits) -> Result<Vec<Certificate>, MaterialError> {
    check_size(part, text, limits)?;
    let found = || pieces(text).filter_map(found);
    // Counted before any is decoded.
    let count = found().count();
    if count == 0 {
        return Err(MaterialError::NoCertificate { part, found: misfit::of(text) });
    }
    if count > limits.certificates_per_part {
        return Err(MaterialError::TooManyCertificates { part, count, limit: limits.certificates_per_part });
    }
    found()
        .enumerate()
        .map(|(index, found)| {
            read(&found, part).map_err(|error| MaterialError::BadCertificate { part, number: index + 1, error })
        })
        .collect()
}

/// What a piece is to a file of certificates; `None` for what holds none, such as a key or a request.
fn found(piece: Piece<'_>) -> Option<Found<'_>> {
    match piece {
        Piece::Lost(lost) => may_be_certificate(lost).then_some(Found::Lost),
        Piece::Block(block) if CERTIFICATES.contains(&block.label) => Some(Found::Plain(block)),
        Piece::Block(block) if block.label == TRUSTED => Some(Found::Trusted(block)),
        Piece::Block(block) if ENVELOPES.contains(&block.label) => Some(Found::Envelope(block.label)),
        Piece::Block(block) if is_known_without(block.label) => None,
        Piece::Block(block) => is_mislabelled(&block).then_some(Found::Mislabelled(block.label)),
    }
}

fn may_be_certificate(lost: Lost<'_>) -> bool {
    lost.label.is_none_or(|label| !is_known_without(label))
}

/// Labels of what is often beside a certificate, and holds none.
fn is_known_without(label: &str) -> bool {
    ["PRIVATE KEY", "PUBLIC KEY", "PARAMETERS", "CERTIFICATE REQUEST", "CRL"].iter().any(|end| label.ends_with(end))
}

/// Whether the label names a certificate, or one is in it.
fn is_mislabelled(block: &Block<'_>) -> bool {
    let speaks_of_one = block.label.to_ascii_uppercase().contains("CERTIFICATE");
    speaks_of_one || block.decode().is_ok_and(|der| X509Certificate::from_der(&der).is_ok())
}

fn read(found: &Found<'_>, part: Part) -> Result<Certificate, CertificateError> {
    match found {
        Found::Plain(block) => Certificate::parse(decode(block)?),
        Found::Trusted(block) => {
            let mut der = decode(block)?;
            let (settings, _) = X509Certificate::from_der(&der).map_err(|_| CertificateError::NotX509)?;
            // In a chain no one asks whom the file trusts. An authority that is trusted for mail alone is another
            // matter.
            if part == Part::Ca && !settings.is_empty() {
                return Err(CertificateError::TrustSettings);
            }
            der.truncate(der.len() - settings.len());
            Certificate::parse(der)
        }
        Found::Envelope(label) => Err(CertificateError::Envelope { label: (*label).to_owned() }),
        Found::Mislabelled(label) => Err(CertificateError::Label { label: (*label).to_owned() }),
        Found::Lost => Err(CertificateError::BeginDamaged),
    }
}

fn decode(block: &Block<'_>) -> Result<Vec<u8>, CertificateError> {
    match block.decode() {
        Ok(der) if der.is_empty() => Err(CertificateError::Empty),
        Ok(der) => Ok(der.to_vec()),
        Err(BlockError::CutOff) => Err(CertificateError::CutOff),
        Err(BlockError::NotBase64) => Err(CertificateError::NotBase64),
    }
}
