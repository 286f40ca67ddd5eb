//! Who signed a certificate, where that can be proven.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};

use super::certificate::{Certificate, PublicKey};
use super::key_algorithm::{Curve, KeyAlgorithm};
use super::signature_algorithm::{Hash, SignatureAlgorithm};

/// The answer to "did this key sign this certificate?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureCheck {
    /// The signature verifies.
    Proven,
    /// The signature is another key's.
    Refuted,
    /// An algorithm or key size that cannot be checked here.
    Unknown,
}

/// Whether the issuer's key made the signature on the certificate. Names are not compared.
pub(super) fn verify(certificate: &Certificate, issuer: &PublicKey) -> SignatureCheck {
    let signature = certificate.signature_algorithm;
    if signature.needs_another_kind_of_key(issuer.algorithm) {
        return SignatureCheck::Refuted;
    }
    let Some(algorithm) = verifier(signature, issuer.algorithm) else {
        return SignatureCheck::Unknown;
    };
    let Ok(key) = ParsedPublicKey::new(algorithm, &issuer.bits) else {
        return SignatureCheck::Unknown;
    };
    match key.verify_sig(&certificate.signed_bytes, &certificate.signature) {
        Ok(()) => SignatureCheck::Proven,
        Err(_) => SignatureCheck::Refuted,
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
            assert_eq!(verify(&certificate, &certificate.public_key), SignatureCheck::Proven, "{name}");
            certificate.signed_bytes[10] ^= 1;
            assert_eq!(verify(&certificate, &certificate.public_key), SignatureCheck::Refuted, "{name}");
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
                SignatureCheck::Refuted,
                "{certificate} {issuer}"
            );
        }
    }

    #[test]
    fn what_cannot_be_checked_is_unknown() {
        for name in ["ed448", "secp256k1", "rsa-pss", "signed-pss-odd-salt", "signed-p384-sha1"] {
            let certificate = fixture(name);
            assert_eq!(verify(&certificate, &certificate.public_key), SignatureCheck::Unknown, "{name}");
        }
    }
}
