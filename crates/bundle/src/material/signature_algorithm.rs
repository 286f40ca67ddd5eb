//! How a certificate says that it is signed.

use x509_parser::signature_algorithm::SignatureAlgorithm as Parsed;
use x509_parser::x509::AlgorithmIdentifier;

use super::key_algorithm::KeyAlgorithm;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureAlgorithm {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
    Ed25519,
    Other,
}

const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const SHA384: &str = "2.16.840.1.101.3.4.2.2";
const SHA512: &str = "2.16.840.1.101.3.4.2.3";

impl SignatureAlgorithm {
    pub(super) fn read(identifier: &AlgorithmIdentifier<'_>) -> Self {
        match identifier.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.5" => Self::RsaPkcs1(Hash::Sha1),
            "1.2.840.113549.1.1.11" => Self::RsaPkcs1(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::RsaPkcs1(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::RsaPkcs1(Hash::Sha512),
            "1.2.840.113549.1.1.10" => pss(identifier),
            "1.2.840.10045.4.1" => Self::Ecdsa(Hash::Sha1),
            "1.2.840.10045.4.3.2" => Self::Ecdsa(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Self::Ecdsa(Hash::Sha384),
            "1.2.840.10045.4.3.4" => Self::Ecdsa(Hash::Sha512),
            "1.3.101.112" => Self::Ed25519,
            _ => Self::Other,
        }
    }
}

/// Only the usual parameters: one hash for both purposes, and a salt of its length.
fn pss(identifier: &AlgorithmIdentifier<'_>) -> SignatureAlgorithm {
    let Ok(Parsed::RSASSA_PSS(parameters)) = Parsed::try_from(identifier) else {
        return SignatureAlgorithm::Other;
    };
    let (hash, salt_bytes) = match parameters.hash_algorithm_oid().to_id_string().as_str() {
        SHA256 => (Hash::Sha256, 32),
        SHA384 => (Hash::Sha384, 48),
        SHA512 => (Hash::Sha512, 64),
        _ => return SignatureAlgorithm::Other,
    };
    let same_hash = parameters.mask_gen_algorithm().is_ok_and(|mask| mask.hash == *parameters.hash_algorithm_oid());
    if same_hash && parameters.salt_length() == salt_bytes {
        SignatureAlgorithm::RsaPss(hash)
    } else {
        SignatureAlgorithm::Other
    }
}

impl SignatureAlgorithm {
    pub(super) fn needs_another_kind_of_key(self, key: KeyAlgorithm) -> bool {
        match (self, key) {
            (Self::Other, _) | (_, KeyAlgorithm::Other(_)) => false,
            (Self::RsaPkcs1(_) | Self::RsaPss(_), key) => !matches!(key, KeyAlgorithm::Rsa { .. }),
            (Self::Ecdsa(_), key) => !matches!(key, KeyAlgorithm::Ec(_)),
            (Self::Ed25519, key) => key != KeyAlgorithm::Ed25519,
        }
    }
}
