//! Why an RSA key of a size that can be checked does not pass the check.

use std::fmt;

use der::{Decode as _, SliceReader};
use pkcs1::RsaPrivateKeyRef;

use super::certificate::bit_length;

/// Beyond, arithmetic on a key made up by an attacker takes seconds.
pub(super) const LARGEST_CHECKED_RSA_BITS: usize = 8192;

/// Smaller keys are not checked.
const SMALLEST_CHECKED_RSA_BITS: usize = 2048;

/// The check takes exponents of at most so many bits, as other libraries do.
const LARGEST_EXPONENT_BITS: usize = 33;

/// What is odd about the numbers of an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RsaOddity {
    /// They are not those of one key.
    Damaged,
    /// The primes, or what is computed from them, are left out.
    Incomplete,
    /// The public exponent is larger than other programs take.
    LargeExponent(usize),
}

impl RsaOddity {
    /// What is odd about a key that did not pass; `None` if it is just of a size that is not checked.
    pub(super) fn of(key: &RsaPrivateKeyRef<'_>, bits: usize) -> Option<Self> {
        let numbers = [key.prime1, key.prime2, key.exponent1, key.exponent2, key.coefficient];
        let exponent_bits = bit_length(key.public_exponent.as_bytes());
        match () {
            () if !(SMALLEST_CHECKED_RSA_BITS..=LARGEST_CHECKED_RSA_BITS).contains(&bits) => None,
            () if exponent_bits > LARGEST_EXPONENT_BITS => Some(Self::LargeExponent(exponent_bits)),
            () if numbers.iter().any(|number| bit_length(number.as_bytes()) == 0) => Some(Self::Incomplete),
            () => Some(Self::Damaged),
        }
    }
}

impl fmt::Display for RsaOddity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => formatter.write_str(
                "the numbers of the RSA key are inconsistent, so the file is damaged: look at it with `openssl pkey \
                 -check`, and store the key again, or ask for a file without a key",
            ),
            Self::Incomplete => formatter.write_str(
                "the RSA key lacks its primes or the values computed from them, which other programs need: store the \
                 whole key again, or ask for a file without a key",
            ),
            Self::LargeExponent(bits) => write!(
                formatter,
                "the RSA key has a public exponent of {bits} bits, more than other programs accept: make a new key with the usual exponent 65537, or ask for a file without a key"
            ),
        }
    }
}

/// Whether this is an RSA key of more than two primes. Source: RFC 8017 A.1.2, whose version 1 says so.
pub(super) fn has_several_primes(der: &[u8]) -> bool {
    let version = SliceReader::new(der).and_then(|mut reader| {
        let header = der::Header::decode(&mut reader)?;
        header.tag().assert_eq(der::Tag::Sequence)?;
        u8::decode(&mut reader)
    });
    version.is_ok_and(|version| version == 1)
}
