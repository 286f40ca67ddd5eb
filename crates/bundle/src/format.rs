//! The closed list of formats: what each is called and what it holds.
//!
//! Does not render. Everyone who decides what may be released asks here: policy, admission, server and plugin.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of file that can be handed out. Text form: `cert`, `chain`, `fullchain`, `ca`, `der`,
/// `der-zip`, `key`, `pkcs12`, `combined`, `zip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

    /// Whether the file holds no private key.
    ///
    /// The list is closed: a format that is added later counts as holding a key until someone says here that it does
    /// not.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Format::Cert | Format::Chain | Format::Fullchain | Format::Ca | Format::Der | Format::DerZip)
    }

    /// Whether the file holds a private key.
    #[must_use]
    pub const fn holds_key(self) -> bool {
        !self.is_public()
    }

    /// Whether the file is made of every environment of a certificate, not of one.
    #[must_use]
    pub const fn every_environment(self) -> bool {
        matches!(self, Format::DerZip)
    }

    /// Whether the file holds a part that is encrypted under a passphrase.
    #[must_use]
    pub const fn needs_passphrase(self) -> bool {
        matches!(self, Format::Pkcs12 | Format::Zip)
    }

    /// The text form, as people type it.
    #[must_use]
    pub const fn name(self) -> &'static str {
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

    /// Other names that people and tools use for the file. `pem` is an encoding and not a file; here it means
    /// `fullchain`, which holds no key and is what web servers want under that name. `cer` is what Windows calls the
    /// leaf in DER, as our own file name does.
    #[must_use]
    pub const fn other_names(self) -> &'static [&'static str] {
        match self {
            Format::Cert => &["crt"],
            Format::Fullchain => &["pem"],
            Format::Der => &["cer"],
            Format::Pkcs12 => &["p12", "pfx"],
            _ => &[],
        }
    }

    /// What is in the file, as `kubectl explain` says it behind the name; `pkcs12` explains itself.
    #[must_use]
    pub const fn content(self) -> Option<&'static str> {
        Some(match self {
            Format::Cert => "leaf, PEM",
            Format::Chain => "intermediates, PEM",
            Format::Fullchain => "leaf and intermediates, PEM",
            Format::Ca => "the Secret's ca.crt, PEM",
            Format::Der => "leaf, DER",
            Format::DerZip => "the leaf of every environment, DER, zipped",
            Format::Key => "PKCS#8 PEM",
            Format::Pkcs12 => return None,
            Format::Combined => "leaf, chain and key in one PEM",
            Format::Zip => "all of them",
        })
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
        formatter.pad(self.name())
    }
}

/// A text that is not the name of a format; its beginning is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "format `{0}` is not known; choose one of cert, chain, fullchain, ca, der, der-zip, key, pkcs12, combined, zip"
)]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Format::ALL
            .into_iter()
            .find(|format| format.name() == text || format.other_names().contains(&text))
            .ok_or_else(|| UnknownFormat(text.chars().take(32).collect()))
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
    fn format_names_are_those_of_the_schema() {
        for format in Format::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
            assert_eq!(format.name().parse::<Format>().unwrap(), format);
        }
    }

    #[test]
    fn other_spellings_are_refused_and_the_error_lists_every_format() {
        for text in ["", "PEM", "Cert", "cert ", "der_zip", "jks", "p7b"] {
            assert_eq!(text.parse::<Format>(), Err(UnknownFormat(text.to_owned())), "{text:?}");
        }
        for format in Format::ALL {
            assert!(UnknownFormat(String::new()).to_string().contains(format.name()));
        }
    }

    #[test]
    fn a_format_has_the_names_that_other_tools_use_for_it_and_no_two_share_one() {
        for (text, format) in [
            ("p12", Format::Pkcs12),
            ("pfx", Format::Pkcs12),
            ("pem", Format::Fullchain),
            ("crt", Format::Cert),
            ("cer", Format::Der),
        ] {
            assert_eq!(text.parse(), Ok(format));
        }
        let mut names: Vec<_> = Format::ALL.iter().flat_map(|format| format.other_names()).copied().collect();
        names.extend(Format::ALL.map(Format::name));
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn only_the_formats_without_a_key_are_public() {
        let public: Vec<_> = Format::ALL.into_iter().filter(|format| !format.holds_key()).map(Format::name).collect();
        assert_eq!(public, ["cert", "chain", "fullchain", "ca", "der", "der-zip"]);
    }

    #[test]
    fn a_format_that_needs_a_passphrase_holds_a_key() {
        for format in Format::ALL {
            assert!(!format.needs_passphrase() || format.holds_key(), "{format}");
        }
    }
}
