//! Reads a private key of any usual encoding, gives PKCS#8, and says which public key it has.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use der::asn1::{AnyRef, BitStringRef, ContextSpecific, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Encode as _, Reader as _, SliceReader, TagMode, TagNumber};
use pkcs8::PrivateKeyInfoRef;
use zeroize::Zeroizing;

use super::certificate::bit_length;
use super::error::PrivateKeyError;
use super::key_algorithm::{Curve, EC, ED25519, KeyAlgorithm, RSA};
use super::misfit::{self, Misfit};
use super::rsa_oddity::{self, LARGEST_CHECKED_RSA_BITS, RsaOddity};
use crate::der_writer::{self, Der};
use crate::pem::{Block, BlockError, Piece, blocks, pieces};

/// A private key. No `Debug`.
pub(super) struct PrivateKey {
    /// `PrivateKeyInfo`, as `openssl pkcs8 -topk8 -nocrypt -outform DER` writes it.
    pub(super) pkcs8: Der,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) public_key: PublicHalf,
    /// Why the numbers of an RSA key are not proven to be one key.
    pub(super) odd: Option<RsaOddity>,
}

/// What is known of the public key that belongs to a private key.
pub(super) enum PublicHalf {
    /// Computed from the private key, in the encoding of a certificate.
    Proven(Vec<u8>),
    /// Only what the file says of itself, if it does.
    Claimed(Option<Vec<u8>>),
}

/// Reads the one private key of a PEM file.
pub(super) fn parse(text: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
    let mut keys = blocks(text).filter(|block| block.label.ends_with("PRIVATE KEY"));
    let block = keys.next();
    if is_lost(text, block.is_some()) {
        return Err(PrivateKeyError::BeginDamaged);
    }
    let block = block.ok_or_else(|| missing(text))?;
    if keys.next().is_some() {
        return Err(PrivateKeyError::Several);
    }
    if block.label == "ENCRYPTED PRIVATE KEY" || block.has_encryption_header() {
        return Err(PrivateKeyError::Encrypted);
    }
    match block.label {
        "PRIVATE KEY" => from_pkcs8(&decode(&block)?),
        "RSA PRIVATE KEY" => from_pkcs1(&decode(&block)?),
        "EC PRIVATE KEY" => from_sec1(&decode(&block)?, curve_beside(text)),
        "OPENSSH PRIVATE KEY" => Err(PrivateKeyError::OpenSsh),
        "DSA PRIVATE KEY" => Err(PrivateKeyError::Dsa),
        _ => Err(PrivateKeyError::UnsupportedFormat),
    }
}

/// Whether a key's `BEGIN` line is damaged. Beside a key that can be read, only what says that it is one counts.
fn is_lost(text: &[u8], has_key: bool) -> bool {
    pieces(text).any(|piece| match piece {
        Piece::Block(_) => false,
        Piece::Lost(lost) => lost.label.map_or(!has_key, |label| label.ends_with("PRIVATE KEY")),
    })
}

fn missing(text: &[u8]) -> PrivateKeyError {
    match misfit::of(text) {
        Misfit::Empty | Misfit::OtherPem | Misfit::Unknown => PrivateKeyError::Missing,
        misfit => PrivateKeyError::NotPem(misfit),
    }
}

fn decode(block: &Block<'_>) -> Result<Der, PrivateKeyError> {
    block.decode().map_err(|error| match error {
        BlockError::CutOff => PrivateKeyError::CutOff,
        BlockError::NotBase64 => PrivateKeyError::NotBase64,
    })
}

/// The curve that an `EC PARAMETERS` block names, as `openssl ecparam -genkey` writes one.
fn curve_beside(text: &[u8]) -> Option<ObjectIdentifier> {
    let parameters = blocks(text).find(|block| block.label == "EC PARAMETERS")?.decode().ok()?;
    ObjectIdentifier::from_der(&parameters).ok()
}

fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| PrivateKeyError::Malformed)?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        RSA => from_pkcs1(key),
        EC => {
            let curve = info.algorithm.parameters.and_then(|any| any.decode_as().ok());
            from_sec1(key, Some(curve.ok_or(PrivateKeyError::UnnamedCurve)?))
        }
        ED25519 => from_ed25519(key),
        other => {
            let parameters = match info.algorithm.parameters {
                Some(any) => any.to_der().map_err(|_| PrivateKeyError::Malformed)?,
                None => Vec::new(),
            };
            Ok(PrivateKey {
                pkcs8: private_key_info(&other, &parameters, key),
                algorithm: KeyAlgorithm::Other(Some(other)),
                public_key: PublicHalf::Claimed(None),
                odd: None,
            })
        }
    }
}

/// Version 1 of the structure, without attributes or public key: what OpenSSL writes, and what every
/// importer reads.
fn private_key_info(algorithm: &ObjectIdentifier, parameters: &[u8], key: &[u8]) -> Der {
    der_writer::sequence(&[
        &der_writer::integer(0),
        &der_writer::sequence(&[&der_writer::object_identifier(algorithm), parameters]),
        &der_writer::octet_string(key),
    ])
}

fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
    let key = pkcs1::RsaPrivateKeyRef::from_der(der).map_err(|_| {
        if rsa_oddity::has_several_primes(der) { PrivateKeyError::SeveralPrimes } else { PrivateKeyError::Malformed }
    })?;
    let claimed = key.public_key().to_der().map_err(|_| PrivateKeyError::Malformed)?;
    let bits = bit_length(key.modulus.as_bytes());
    // Refuses numbers that do not belong together, so that the modulus proves the whole key.
    let consistent = bits <= LARGEST_CHECKED_RSA_BITS && rsa::KeyPair::from_der(der).is_ok();
    Ok(PrivateKey {
        pkcs8: private_key_info(&RSA, &der_writer::null(), der),
        algorithm: KeyAlgorithm::Rsa { bits },
        public_key: if consistent { PublicHalf::Proven(claimed) } else { PublicHalf::Claimed(Some(claimed)) },
        odd: if consistent { None } else { RsaOddity::of(&key, bits) },
    })
}

/// `ECPrivateKey`. Source: RFC 5915 §3.
struct EcPrivateKey<'a> {
    private_key: &'a [u8],
    /// A named curve, or one that is spelled out.
    parameters: Option<AnyRef<'a>>,
    public_key: Option<&'a [u8]>,
}

impl<'a> EcPrivateKey<'a> {
    fn from_der(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let key = reader.sequence(|fields| {
            if fields.decode::<u8>()? != 1 {
                return Err(fields.error(der::Tag::Integer.value_error()));
            }
            Ok(Self {
                private_key: fields.decode::<&OctetStringRef>()?.as_bytes(),
                parameters: ContextSpecific::<AnyRef<'_>>::decode_explicit(fields, TagNumber(0))?
                    .map(|parameters| parameters.value),
                public_key: fields
                    .context_specific::<BitStringRef<'_>>(TagNumber(1), TagMode::Explicit)?
                    .map(|bits| bits.as_bytes().ok_or_else(|| der::Tag::BitString.value_error()))
                    .transpose()?,
            })
        })?;
        reader.finish()?;
        Ok(key)
    }
}

fn from_sec1(der: &[u8], named_outside: Option<ObjectIdentifier>) -> Result<PrivateKey, PrivateKeyError> {
    let key = EcPrivateKey::from_der(der).map_err(|_| PrivateKeyError::Malformed)?;
    let named_inside = match key.parameters {
        Some(parameters) => Some(parameters.decode_as().map_err(|_| PrivateKeyError::UnnamedCurve)?),
        None => None,
    };
    let oid = named_inside.or(named_outside).ok_or(PrivateKeyError::UnnamedCurve)?;
    if named_outside.is_some_and(|outside| outside != oid) {
        return Err(PrivateKeyError::Malformed);
    }
    let Some(curve) = Curve::from_oid(&oid) else {
        return Ok(PrivateKey {
            pkcs8: ec_private_key_info(&oid, key.private_key, key.public_key),
            algorithm: KeyAlgorithm::Other(Some(oid)),
            public_key: PublicHalf::Claimed(key.public_key.map(<[u8]>::to_vec)),
            odd: None,
        });
    };
    let scalar = fixed_length(key.private_key, curve.scalar_bytes())?;
    let point = public_point(curve, &scalar)?;
    if key.public_key.is_some_and(|claimed| !same_point(claimed, &point)) {
        return Err(PrivateKeyError::Malformed);
    }
    Ok(PrivateKey {
        pkcs8: ec_private_key_info(&oid, &scalar, key.public_key),
        algorithm: KeyAlgorithm::Ec(curve),
        public_key: PublicHalf::Proven(point),
        odd: None,
    })
}

/// The curve goes into the algorithm and out of the key; a public key is there if it was there.
fn ec_private_key_info(curve: &ObjectIdentifier, scalar: &[u8], public_key: Option<&[u8]>) -> Der {
    let public_key =
        public_key.map_or_else(Der::default, |point| der_writer::context(1, &[&der_writer::bit_string(point)]));
    let key = der_writer::sequence(&[&der_writer::integer(1), &der_writer::octet_string(scalar), &public_key]);
    private_key_info(&EC, &der_writer::object_identifier(curve), &key)
}

/// Some writers drop leading zeros, or add one.
fn fixed_length(scalar: &[u8], length: usize) -> Result<Der, PrivateKeyError> {
    let zeros = scalar.iter().take_while(|byte| **byte == 0).count();
    let significant = &scalar[zeros..];
    let padding = length.checked_sub(significant.len()).ok_or(PrivateKeyError::Malformed)?;
    let mut fixed = Zeroizing::new(vec![0; length]);
    fixed[padding..].copy_from_slice(significant);
    Ok(fixed)
}

/// The uncompressed point that belongs to a private key.
fn public_point(curve: Curve, scalar: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
    let algorithm = match curve {
        Curve::P256 => &ECDH_P256,
        Curve::P384 => &ECDH_P384,
        Curve::P521 => &ECDH_P521,
    };
    agreement::PrivateKey::from_private_key(algorithm, scalar)
        .map_err(|_| PrivateKeyError::Malformed)?
        .compute_public_key()
        .map(|point| point.as_ref().to_vec())
        .map_err(|_| PrivateKeyError::Malformed)
}

/// Whether a point, compressed or not, is the uncompressed one.
pub(super) fn same_point(any: &[u8], uncompressed: &[u8]) -> bool {
    if any == uncompressed {
        return true;
    }
    let coordinate_bytes = uncompressed.len() / 2;
    let Some((form @ (2 | 3), x)) = any.split_first() else {
        return false;
    };
    let y_is_odd = uncompressed.last().is_some_and(|byte| byte & 1 == 1);
    uncompressed.get(1..=coordinate_bytes) == Some(x) && (*form == 3) == y_is_odd
}

fn from_ed25519(key: &[u8]) -> Result<PrivateKey, PrivateKeyError> {
    let seed = <&OctetStringRef>::from_der(key).map_err(|_| PrivateKeyError::Malformed)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_bytes()).map_err(|_| PrivateKeyError::Malformed)?;
    Ok(PrivateKey {
        pkcs8: private_key_info(&ED25519, &[], key),
        algorithm: KeyAlgorithm::Ed25519,
        public_key: PublicHalf::Proven(pair.public_key().as_ref().to_vec()),
        odd: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_point_is_the_same_only_with_the_right_parity() {
        let point = |y: u8| [&[4][..], &[0x11; 32], &[0x22; 31], &[y]].concat();
        let compressed = |form: u8, x: u8| [&[form][..], &[0x11; 31], &[x]].concat();
        for (any, uncompressed, same) in [
            (point(0x22), point(0x22), true),
            (point(0x22), point(0x23), false),
            (compressed(2, 0x11), point(0x22), true),
            (compressed(3, 0x11), point(0x23), true),
            (compressed(3, 0x11), point(0x22), false),
            (compressed(2, 0x11), point(0x23), false),
            (compressed(2, 0x12), point(0x22), false),
            (compressed(4, 0x11), point(0x22), false),
            (vec![], point(0x22), false),
        ] {
            assert_eq!(same_point(&any, &uncompressed), same, "{any:02x?}");
        }
    }
}
