//! Which kind of key something is.

use std::fmt;

use der::asn1::ObjectIdentifier;

pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Names of algorithms that occur, but cannot be checked here.
const OTHERS: [(ObjectIdentifier, &str); 7] = [
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "DSA"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"), "RSA-PSS"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), "ECDSA secp256k1"),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17"), "ML-DSA-44"),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"), "ML-DSA-65"),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19"), "ML-DSA-87"),
];

/// A named curve on which keys can be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) fn from_oid(oid: &ObjectIdentifier) -> Option<Self> {
        [Curve::P256, Curve::P384, Curve::P521].into_iter().find(|curve| curve.oid() == *oid)
    }

    pub(super) fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Curve::P256 => "1.2.840.10045.3.1.7",
            Curve::P384 => "1.3.132.0.34",
            Curve::P521 => "1.3.132.0.35",
        })
    }

    /// Length of a private key, and of each coordinate of a point.
    pub(super) fn scalar_bytes(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }
}

/// The kind of a key, with its size where that is part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAlgorithm {
    Rsa {
        bits: usize,
    },
    Ec(Curve),
    Ed25519,
    /// The algorithm, or for an elliptic curve its curve.
    Other(Option<ObjectIdentifier>),
}

impl KeyAlgorithm {
    /// Whether keys of the two kinds can never belong together. The size of an RSA key is not looked
    /// at, and nothing is said about kinds that cannot be checked.
    pub(super) fn excludes(self, other: Self) -> bool {
        match (self, other) {
            (KeyAlgorithm::Other(_), _)
            | (_, KeyAlgorithm::Other(_))
            | (KeyAlgorithm::Rsa { .. }, KeyAlgorithm::Rsa { .. }) => false,
            (one, other) => one != other,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyAlgorithm::Rsa { bits } => write!(formatter, "RSA {bits}"),
            KeyAlgorithm::Ec(Curve::P256) => formatter.write_str("ECDSA P-256"),
            KeyAlgorithm::Ec(Curve::P384) => formatter.write_str("ECDSA P-384"),
            KeyAlgorithm::Ec(Curve::P521) => formatter.write_str("ECDSA P-521"),
            KeyAlgorithm::Ed25519 => formatter.write_str("Ed25519"),
            KeyAlgorithm::Other(None) => formatter.write_str("unknown"),
            KeyAlgorithm::Other(Some(oid)) => match OTHERS.iter().find(|(known, _)| known == oid) {
                Some((_, name)) => formatter.write_str(name),
                None => write!(formatter, "unknown ({oid})"),
            },
        }
    }
}
