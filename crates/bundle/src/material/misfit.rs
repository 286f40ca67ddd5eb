//! What a file looks like that holds no PEM of the kind that is wanted.

use std::fmt;

use base64ct::{Base64, Encoding as _};

use crate::pem::blocks;

/// What a file without certificates, or without a private key, looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Nothing in it.
    Empty,
    /// One certificate or key in binary DER instead of PEM.
    Der,
    /// PKCS#12, as Windows and Java export key and certificates.
    Pkcs12,
    /// PKCS#7 in binary DER: certificates in an envelope.
    Pkcs7,
    /// UTF-16, as some Windows editors save text.
    Utf16,
    /// PEM that was encoded again.
    Base64OfPem,
    /// PEM, but with other blocks only.
    OtherPem,
    /// Anything else.
    Unknown,
}

/// Base64 of `-----BEGIN `, perhaps behind a byte order mark.
const ENCODED_BEGIN: [&[u8]; 2] = [b"LS0tLS1CRUdJTi", b"77u/LS0tLS1CRUdJTi"];

/// Tags that follow the header of a DER sequence, and tell what it is.
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// What a text looks like.
pub(super) fn of(text: &[u8]) -> Misfit {
    let trimmed = text.trim_ascii();
    match text {
        _ if trimmed.is_empty() => Misfit::Empty,
        _ if is_utf16(text) => Misfit::Utf16,
        [0x30, 0x80..=0x84, ..] => of_der(text),
        // A key on an elliptic curve is that short, and begins with its version.
        [0x30, length, INTEGER, 1, 0 | 1, ..] if usize::from(*length) + 2 == text.len() => Misfit::Der,
        _ if ENCODED_BEGIN.iter().any(|begin| trimmed.starts_with(begin)) => Misfit::Base64OfPem,
        _ if blocks(text).next().is_some() => Misfit::OtherPem,
        _ => of_base64(trimmed),
    }
}

/// With its mark, or told by the zero beside each letter of a text that is ASCII.
fn is_utf16(text: &[u8]) -> bool {
    match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, first, 0, second, ..] | [first, 0, second, 0, ..] => is_text(*first) && is_text(*second),
        _ => false,
    }
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

fn of_der(der: &[u8]) -> Misfit {
    // The length has its own length in the low bits of the second byte.
    let content = der.get(1).and_then(|length| der.get(2 + usize::from(length & 0x0f)..)).unwrap_or_default();
    match content {
        [INTEGER, 1, 3, ..] => Misfit::Pkcs12,
        [OBJECT_IDENTIFIER, ..] => Misfit::Pkcs7,
        _ => Misfit::Der,
    }
}

/// DER whose lines of base64 have no `BEGIN` and `END`: what it is can be told from its beginning.
fn of_base64(text: &[u8]) -> Misfit {
    let mut start = [0; 32];
    let decoded = text.get(..40).and_then(|beginning| Base64::decode(beginning, &mut start).ok());
    match decoded {
        Some(der @ [0x30, 0x80..=0x84, ..]) if of_der(der) == Misfit::Pkcs12 => Misfit::Pkcs12,
        _ => Misfit::Unknown,
    }
}

/// For a file of certificates.
impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "it is empty; store the certificate as PEM",
            Self::Der => "it looks like DER; convert it with `openssl x509 -inform DER` and store the PEM",
            Self::Pkcs12 => {
                "it looks like PKCS#12 (.pfx, .p12); store as PEM what `openssl pkcs12 -nokeys -in FILE` prints of it"
            }
            Self::Pkcs7 => {
                "it looks like PKCS#7 (.p7b); store as PEM what `openssl pkcs7 -inform DER -print_certs -in FILE` prints of it"
            }
            Self::Utf16 => "it looks like UTF-16; save it as UTF-8 or ASCII",
            Self::Base64OfPem => {
                "it looks like base64 of PEM, as if it was encoded twice; decode it once with `base64 -d` and store that"
            }
            Self::OtherPem => {
                "it has PEM blocks of other kinds only; store the blocks that begin with `-----BEGIN CERTIFICATE-----`"
            }
            Self::Unknown => "it is not PEM; store the text that begins with `-----BEGIN CERTIFICATE-----`",
        })
    }
}

impl Misfit {
    /// The same for a file with a private key.
    pub(super) const fn of_key(self) -> &'static str {
        match self {
            Self::Empty => "it is empty; store the key as PEM",
            Self::Der => "it looks like DER; convert it with `openssl pkey -inform DER` and store the PEM",
            Self::Pkcs12 => {
                "it looks like PKCS#12 (.pfx, .p12); store as PEM what `openssl pkcs12 -nocerts -nodes -in FILE` prints of it"
            }
            Self::Utf16 => "it looks like UTF-16; save it as UTF-8 or ASCII",
            Self::Base64OfPem => {
                "it looks like base64 of PEM, as if it was encoded twice; decode it once with `base64 -d` and store that"
            }
            Self::OtherPem => {
                "it has PEM blocks of other kinds only; store the key as PEM, beginning with `-----BEGIN PRIVATE KEY-----`"
            }
            Self::Pkcs7 | Self::Unknown => {
                "it is not PEM; store the key as PEM, beginning with `-----BEGIN PRIVATE KEY-----`"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_first_bytes() {
        let utf16 = |text: &str, swap: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        let pem = "-----BEGIN PRIVATE KEY-----\n";
        for (bytes, misfit) in [
            (b" \n".to_vec(), Misfit::Empty),
            (utf16(pem, false), Misfit::Utf16),
            (utf16(pem, true), Misfit::Utf16),
            (utf16("\u{feff}x", true), Misfit::Utf16),
            (vec![0x30, 0x82, 9, 0, 0x30, 0x82], Misfit::Der),
            (vec![0x30, 0x82, 9, 0, 2, 1, 0], Misfit::Der),
            (vec![0x30, 0x82, 9, 0, 2, 1, 3], Misfit::Pkcs12),
            (vec![0x30, 0x80, 2, 1, 3], Misfit::Pkcs12),
            (vec![0x30, 0x83, 1, 9, 0, 6, 9], Misfit::Pkcs7),
            (vec![0x30, 0x84], Misfit::Der),
            (vec![0x30, 5, 2, 1, 1, 4, 0], Misfit::Der),
            (vec![0x30, 9, 2, 1, 1, 4, 0], Misfit::Unknown),
            (format!("\n{}", Base64::encode_string(pem.as_bytes())).into_bytes(), Misfit::Base64OfPem),
            (Base64::encode_string(format!("\u{feff}{pem}").as_bytes()).into_bytes(), Misfit::Base64OfPem),
            (
                Base64::encode_string(&[&[0x30, 0x82, 9, 0, 2, 1, 3][..], &[0; 60]].concat()).into_bytes(),
                Misfit::Pkcs12,
            ),
            (b"\0\xff\0\xff".to_vec(), Misfit::Unknown),
            (b"hello".to_vec(), Misfit::Unknown),
        ] {
            assert_eq!(of(&bytes), misfit, "{}", bytes.escape_ascii());
        }
    }
}
