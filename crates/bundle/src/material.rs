//! Certificate material: read, checked and put in order once, rendered as often as needed.
//!
//! What makes material unusable altogether is an error here. What stops only some files (a broken
//! chain, a key that is not the leaf's, an unreadable `ca.crt`) is kept, and is the error of those
//! files when they are rendered.

mod certificate;
mod certificates;
mod chain;
mod error;
mod key_algorithm;
mod misfit;
mod name;
mod private_key;
mod reason;
mod rsa_oddity;
mod signature;
mod signature_algorithm;

use zeroize::Zeroizing;

use self::certificate::{Certificate, PublicKey};
use self::certificates::certificates;
use self::chain::Chain;
use self::key_algorithm::KeyAlgorithm;
use self::private_key::{PrivateKey, PublicHalf, same_point};

pub use self::certificate::LeafFacts;
pub use self::error::{CertificateError, ChainError, MaterialError, Part, PrivateKeyError};
pub use self::misfit::Misfit;
pub use self::reason::MaterialReason;

/// The contents of a Secret of type `kubernetes.io/tls`, as they were read. No `Debug`.
///
/// A part that is not handed in cannot be wrong: leave out the key for files that hold none.
#[derive(Clone, Copy)]
pub struct RawMaterial<'a> {
    /// `tls.crt`: PEM, leaf and chain in any order.
    pub certificate: &'a [u8],
    /// `tls.key`: PEM, one key in PKCS#1, SEC1 or PKCS#8.
    pub private_key: Option<&'a [u8]>,
    /// `ca.crt`: PEM.
    pub ca: Option<&'a [u8]>,
}

/// How much is read, so that no one can make the server busy with one Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest size of each part. Default 1 MiB, which is also the limit of a Secret.
    pub bytes_per_part: usize,
    /// Largest number of certificates in each part. Default 16.
    pub certificates_per_part: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_per_part: 1024 * 1024, certificates_per_part: 16 }
    }
}

/// Whether the private key is the one of the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMatch {
    /// Proven: it is.
    Matches,
    /// Proven: it is not.
    Mismatch,
    /// It cannot be told; files with a key are refused, but it is not said to be wrong.
    Unverifiable {
        /// What cannot be checked, and what to do.
        why: String,
    },
    /// There is no private key.
    NoKey,
}

/// Checked material. No `Debug`: it holds the private key.
pub struct Material {
    chain: Chain,
    private_key: Option<PrivateKey>,
    key_match: KeyMatch,
    ca: Option<Result<Vec<Certificate>, MaterialError>>,
}

impl Material {
    /// Reads and checks material: sizes, PEM, X.509, the private key, its match with the leaf, and
    /// the order of the chain.
    ///
    /// Validity in time is not checked: an expired certificate can still be handed out.
    ///
    /// # Errors
    /// [`MaterialError`] if the certificate file or the private key cannot be used. An unreadable CA
    /// file, a broken chain and a key that does not match are not errors here: see
    /// [`Self::ca_error`], [`Self::chain_error`] and [`Self::key_match`].
    pub fn parse(raw: &RawMaterial<'_>, limits: &Limits) -> Result<Self, MaterialError> {
        let certificates = certificates(Part::Certificate, raw.certificate, limits)?;
        let chain = chain::order(certificates)
            .ok_or(MaterialError::NoCertificate { part: Part::Certificate, found: Misfit::Empty })?;
        let private_key = match raw.private_key {
            Some(text) => Some(private_key(text, limits)?),
            None => None,
        };
        let key_match = match &private_key {
            Some(key) => key_match(key, &chain.leaf.public_key),
            None => KeyMatch::NoKey,
        };
        Ok(Self { chain, private_key, key_match, ca: raw.ca.map(|text| certificates_of_ca(text, limits)) })
    }

    /// What the leaf says about itself.
    #[must_use]
    pub fn leaf(&self) -> &LeafFacts {
        &self.chain.leaf.facts
    }

    /// The number of intermediates between the leaf and its root, both not counted.
    #[must_use]
    pub fn chain_length(&self) -> usize {
        self.chain.intermediates.len()
    }

    /// What the intermediates say about themselves, in the order of the chain.
    pub fn intermediates(&self) -> impl Iterator<Item = &LeafFacts> {
        self.chain.intermediates.iter().map(|certificate| &certificate.facts)
    }

    /// Why the certificates are not one chain, if they are not. Files with only the leaf, or only the
    /// key, can still be rendered.
    #[must_use]
    pub fn chain_error(&self) -> Option<&ChainError> {
        self.chain.broken.as_ref()
    }

    /// Whether the private key is the one of the leaf.
    #[must_use]
    pub fn key_match(&self) -> &KeyMatch {
        &self.key_match
    }

    /// The number of certificates in `ca.crt`; 0 if there is none, or it cannot be read.
    #[must_use]
    pub fn ca_length(&self) -> usize {
        match &self.ca {
            Some(Ok(certificates)) => certificates.len(),
            Some(Err(_)) | None => 0,
        }
    }

    /// Why `ca.crt` cannot be read, if it is there and cannot. It stops only the file `ca`.
    #[must_use]
    pub fn ca_error(&self) -> Option<&MaterialError> {
        match &self.ca {
            Some(Err(error)) => Some(error),
            Some(Ok(_)) | None => None,
        }
    }

    /// DER of the leaf.
    pub(crate) fn leaf_der(&self) -> &[u8] {
        &self.chain.leaf.der
    }

    /// DER of the intermediates, in order.
    pub(crate) fn intermediates_der(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.intermediates.iter().map(|certificate| certificate.der.as_slice())
    }

    /// DER of the certificates of `ca.crt`, as supplied.
    pub(crate) fn ca_der(&self) -> Option<Result<impl Iterator<Item = &[u8]>, &MaterialError>> {
        self.ca.as_ref().map(|ca| ca.as_ref().map(|certificates| certificates.iter().map(|ca| ca.der.as_slice())))
    }

    /// PKCS#8 DER of the private key, whatever its match: the caller has asked for that.
    pub(crate) fn private_key_der(&self) -> Option<&Zeroizing<Vec<u8>>> {
        self.private_key.as_ref().map(|key| &key.pkcs8)
    }
}

fn check_size(part: Part, text: &[u8], limits: &Limits) -> Result<(), MaterialError> {
    if text.len() > limits.bytes_per_part {
        return Err(MaterialError::TooLarge { part, bytes: text.len(), limit_bytes: limits.bytes_per_part });
    }
    Ok(())
}

fn private_key(text: &[u8], limits: &Limits) -> Result<PrivateKey, MaterialError> {
    check_size(Part::PrivateKey, text, limits)?;
    Ok(private_key::parse(text)?)
}

fn certificates_of_ca(text: &[u8], limits: &Limits) -> Result<Vec<Certificate>, MaterialError> {
    let mut distinct: Vec<Certificate> = Vec::new();
    for certificate in certificates(Part::Ca, text, limits)? {
        if !distinct.iter().any(|known| known.der == certificate.der) {
            distinct.push(certificate);
        }
    }
    Ok(distinct)
}

fn key_match(key: &PrivateKey, leaf: &PublicKey) -> KeyMatch {
    if key.algorithm.excludes(leaf.algorithm) {
        return KeyMatch::Mismatch;
    }
    let verdict = match (&key.public_key, leaf.algorithm) {
        (_, KeyAlgorithm::Other(_)) => None,
        (PublicHalf::Proven(point), KeyAlgorithm::Ec(_)) => Some(same_point(&leaf.bits, point)),
        (PublicHalf::Proven(public_key), _) => Some(leaf.bits == *public_key),
        // Another modulus is another key, but the same modulus does not prove the secret numbers.
        (PublicHalf::Claimed(Some(claimed)), KeyAlgorithm::Rsa { .. }) if leaf.bits != *claimed => Some(false),
        (PublicHalf::Claimed(_), _) => None,
    };
    match verdict {
        Some(true) => KeyMatch::Matches,
        Some(false) => KeyMatch::Mismatch,
        None => KeyMatch::Unverifiable { why: unverifiable(key, leaf) },
    }
}

/// Why it cannot be told whether the key is the leaf's, and what to do.
fn unverifiable(key: &PrivateKey, leaf: &PublicKey) -> String {
    if let Some(odd) = key.odd.filter(|_| matches!(leaf.algorithm, KeyAlgorithm::Rsa { .. })) {
        return odd.to_string();
    }
    format!(
        "a private key of kind {} cannot be checked against a certificate of kind {}; use RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519, or a file without a key",
        key.algorithm, leaf.algorithm
    )
}
