//! Who signed a certificate, where that can be proven.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use x509_parser::signature_algorithm::SignatureAlgorithm as Parsed;
use x509_parser::x509::AlgorithmIdentifier;

use super::certificate::{Certificate, PublicKey};
use super::key_algorithm::{Curve, KeyAlgorithm};

/// The answer to "did this key sign this certificate?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The signature verifies.
    Proven,
    /// The signature is another key's.
    Refuted,
    /// An algorithm or key size that cannot be checked here.
    Unknown,
}

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

/// Whether the issuer's key made the signature on the certificate. Names are not compared.
pub(super) fn verify(certificate: &Certificate, issuer: &PublicKey) -> Verdict {
    let signature = certificate.signature_algorithm;
    if signature.needs_another_kind_of_key(issuer.algorithm) {
        return Verdict::Refuted;
    }
    let Some(algorithm) = verifier(signature, issuer.algorithm) else {
        return Verdict::Unknown;
    };
    let Ok(key) = ParsedPublicKey::new(algorithm, &issuer.bits) else {
        return Verdict::Unknown;
    };
    match key.verify_sig(&certificate.signed_bytes, &certificate.signature) {
        Ok(()) => Verdict::Proven,
        Err(_) => Verdict::Refuted,
    }
}

impl SignatureAlgorithm {
    fn needs_another_kind_of_key(self, key: KeyAlgorithm) -> bool {
        match (self, key) {
            (Self::Other, _) | (_, KeyAlgorithm::Other(_)) => false,
            (Self::RsaPkcs1(_) | Self::RsaPss(_), key) => !matches!(key, KeyAlgorithm::Rsa { .. }),
            (Self::Ecdsa(_), key) => !matches!(key, KeyAlgorithm::Ec(_)),
            (Self::Ed25519, key) => key != KeyAlgorithm::Ed25519,
        }
    }
}

/// The library's algorithm for a kind of signature and a kind of key, if it has one. SHA-1 is among
/// them: this asks which certificate belongs to which, not whether to trust it.
fn verifier(signature: SignatureAlgorithm, key: KeyAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    use Curve::{P256, P384, P521};
    use Hash::{Sha1, Sha256, Sha384, Sha512};
    use KeyAlgorithm::{Ec, Rsa};
    use SignatureAlgorithm::{Ecdsa, RsaPkcs1, RsaPss};

    Some(match (signature, key) {
        (RsaPkcs1(Sha1), Rsa { bits: 1024..=8192 }) => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (RsaPkcs1(Sha256), Rsa { bits: 1024..=8192 }) => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (RsaPkcs1(Sha384), Rsa { bits: 2048..=8192 }) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (RsaPkcs1(Sha512), Rsa { bits: 1024..=8192 }) => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (RsaPss(Sha256), Rsa { bits: 2048..=8192 }) => &signature::RSA_PSS_2048_8192_SHA256,
        (RsaPss(Sha384), Rsa { bits: 2048..=8192 }) => &signature::RSA_PSS_2048_8192_SHA384,
        (RsaPss(Sha512), Rsa { bits: 2048..=8192 }) => &signature::RSA_PSS_2048_8192_SHA512,
        (Ecdsa(Sha1), Ec(P256)) => &signature::ECDSA_P256_SHA1_ASN1,
        (Ecdsa(Sha256), Ec(P256)) => &signature::ECDSA_P256_SHA256_ASN1,
        (Ecdsa(Sha384), Ec(P256)) => &signature::ECDSA_P256_SHA384_ASN1,
        (Ecdsa(Sha512), Ec(P256)) => &signature::ECDSA_P256_SHA512_ASN1,
        (Ecdsa(Sha256), Ec(P384)) => &signature::ECDSA_P384_SHA256_ASN1,
        (Ecdsa(Sha384), Ec(P384)) => &signature::ECDSA_P384_SHA384_ASN1,
        (Ecdsa(Sha512), Ec(P384)) => &signature::ECDSA_P384_SHA512_ASN1,
        (Ecdsa(Sha1), Ec(P521)) => &signature::ECDSA_P521_SHA1_ASN1,
        (Ecdsa(Sha256), Ec(P521)) => &signature::ECDSA_P521_SHA256_ASN1,
        (Ecdsa(Sha384), Ec(P521)) => &signature::ECDSA_P521_SHA384_ASN1,
        (Ecdsa(Sha512), Ec(P521)) => &signature::ECDSA_P521_SHA512_ASN1,
        (SignatureAlgorithm::Ed25519, KeyAlgorithm::Ed25519) => &signature::ED25519,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pem::blocks;

    fn fixture(name: &str) -> Certificate {
        let path = format!("{}/tests/fixtures/certificates/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let block = blocks(&text).next().expect("a block");
        Certificate::parse(block.decode().expect("base64").to_vec()).expect("a certificate")
    }

    const CHECKED: [&str; 18] = [
        "rsa1024",
        "rsa2048",
        "rsa4096",
        "p256",
        "p384",
        "p521",
        "ed25519",
        "compressed-point",
        "signed-rsa-sha1",
        "signed-rsa-sha384",
        "signed-rsa-sha512",
        "signed-p256-sha1",
        "signed-p384-sha384",
        "signed-p384-sha512",
        "signed-p521-sha512",
        "signed-pss-sha256",
        "signed-pss-sha384",
        "signed-pss-sha512",
    ];

    #[test]
    fn a_signature_is_proven_by_its_key_and_refuted_by_any_change() {
        for name in CHECKED {
            let mut certificate = fixture(name);
            assert_eq!(verify(&certificate, &certificate.public_key), Verdict::Proven, "{name}");
            certificate.signed_bytes[10] ^= 1;
            assert_eq!(verify(&certificate, &certificate.public_key), Verdict::Refuted, "{name}");
        }
    }

    #[test]
    fn a_key_of_another_kind_refutes() {
        for (certificate, issuer) in [
            ("rsa2048", "p256"),
            ("p256", "rsa2048"),
            ("p256", "ed25519"),
            ("ed25519", "p256"),
            ("signed-pss-sha256", "ed25519"),
        ] {
            assert_eq!(
                verify(&fixture(certificate), &fixture(issuer).public_key),
                Verdict::Refuted,
                "{certificate} {issuer}"
            );
        }
    }

    #[test]
    fn what_cannot_be_checked_is_unknown() {
        for name in ["ed448", "secp256k1", "rsa-pss", "signed-pss-odd-salt", "signed-p384-sha1"] {
            let certificate = fixture(name);
            assert_eq!(verify(&certificate, &certificate.public_key), Verdict::Unknown, "{name}");
        }
    }
}
