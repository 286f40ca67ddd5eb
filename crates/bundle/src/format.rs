//! The closed list of formats: what each is called and what it holds.
//!
//! Does not render. Everyone who decides what may be released asks here.

use std::fmt;
use std::str::FromStr;

/// A kind of file that can be handed out. Text form: `cert`, `chain`, `fullchain`, `ca`, `der`,
/// `der-zip`, `key`, `pkcs12`, `combined`, `zip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// The leaf, PEM.
    Cert,
    /// The intermediates, PEM; the root is left out.
    Chain,
    /// The leaf and the intermediates, PEM.
    Fullchain,
    /// The certificates of `ca.crt`, PEM.
    Ca,
    /// The leaf, DER.
    Der,
    /// The leaf of every environment, DER, in a ZIP file.
    DerZip,
    /// The private key, PKCS#8 PEM.
    Key,
    /// Leaf, key and chain in a password-protected PKCS#12 file.
    Pkcs12,
    /// Leaf, chain and key in one PEM file.
    Combined,
    /// All of the above for one environment in a ZIP file, with a manifest.
    Zip,
}

impl Format {
    /// Every format, public ones first.
    pub const ALL: [Format; 10] = [
        Format::Cert,
        Format::Chain,
        Format::Fullchain,
        Format::Ca,
        Format::Der,
        Format::DerZip,
        Format::Key,
        Format::Pkcs12,
        Format::Combined,
        Format::Zip,
    ];

    /// Whether the file holds a private key.
    ///
    /// The public formats are the closed list: one that is added later counts as holding a key until
    /// someone says here that it does not.
    #[must_use]
    pub fn holds_key(self) -> bool {
        !matches!(self, Format::Cert | Format::Chain | Format::Fullchain | Format::Ca | Format::Der | Format::DerZip)
    }

    /// Whether the file is made of every environment of a certificate, not of one.
    #[must_use]
    pub fn every_environment(self) -> bool {
        matches!(self, Format::DerZip)
    }

    /// Whether the file holds a part that is encrypted under a passphrase.
    #[must_use]
    pub fn needs_passphrase(self) -> bool {
        matches!(self, Format::Pkcs12 | Format::Zip)
    }

    /// The text form, as people type it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Cert => "cert",
            Format::Chain => "chain",
            Format::Fullchain => "fullchain",
            Format::Ca => "ca",
            Format::Der => "der",
            Format::DerZip => "der-zip",
            Format::Key => "key",
            Format::Pkcs12 => "pkcs12",
            Format::Combined => "combined",
            Format::Zip => "zip",
        }
    }

    /// The media type of the file, for `Content-Type`.
    ///
    /// Source: RFC 8555 §9.1 (PEM chains), RFC 2585 §4.1 (DER). A PEM file with a key has no registered
    /// type. `application/x-pkcs12` is the one that Android and Apple systems open.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Cert | Format::Chain | Format::Fullchain | Format::Ca => "application/pem-certificate-chain",
            Format::Der => "application/pkix-cert",
            Format::Key | Format::Combined => "application/x-pem-file",
            Format::Pkcs12 => "application/x-pkcs12",
            Format::DerZip | Format::Zip => "application/zip",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A text that is the name of no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format: use one of cert, chain, fullchain, ca, der, der-zip, key, pkcs12, combined, zip")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Format::ALL.into_iter().find(|format| format.as_str() == text).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_back_from_its_text() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
    }

    #[test]
    fn other_spellings_are_refused_and_the_error_lists_every_format() {
        for text in ["", "PEM", "Cert", "cert ", "der_zip", "p12"] {
            assert_eq!(text.parse::<Format>(), Err(UnknownFormat), "{text:?}");
        }
        for format in Format::ALL {
            assert!(UnknownFormat.to_string().contains(format.as_str()));
        }
    }

    #[test]
    fn only_the_formats_without_a_key_are_public() {
        let public: Vec<_> = Format::ALL.into_iter().filter(|format| !format.holds_key()).map(Format::as_str).collect();
        assert_eq!(public, ["cert", "chain", "fullchain", "ca", "der", "der-zip"]);
    }

    #[test]
    fn a_format_that_needs_a_passphrase_holds_a_key() {
        for format in Format::ALL {
            assert!(!format.needs_passphrase() || format.holds_key(), "{format}");
        }
    }
}
