//! What a requester may choose about a PKCS#12 file.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which algorithms protect the file. Text form: `Modern`, `Legacy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pkcs12Profile {
    /// AES-256 for key and certificates, HMAC-SHA-256 of the file.
    #[default]
    Modern,
    /// Triple DES for key and certificates, HMAC-SHA-1 over the file, never RC2: for importers that
    /// know nothing newer, such as Windows Server 2016 and older.
    Legacy,
}

impl Pkcs12Profile {
    /// Both, the default first.
    pub const ALL: [Pkcs12Profile; 2] = [Pkcs12Profile::Modern, Pkcs12Profile::Legacy];

    /// The text form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Pkcs12Profile::Modern => "Modern",
            Pkcs12Profile::Legacy => "Legacy",
        }
    }
}

impl fmt::Display for Pkcs12Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A text that is the name of no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown PKCS#12 profile: use Modern or Legacy")]
pub struct UnknownPkcs12Profile;

impl FromStr for Pkcs12Profile {
    type Err = UnknownPkcs12Profile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Pkcs12Profile::ALL.into_iter().find(|profile| profile.name() == text).ok_or(UnknownPkcs12Profile)
    }
}

/// Options of a PKCS#12 file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs12Options {
    /// Default Modern.
    pub profile: Pkcs12Profile,
    /// The name under which importers list the key. Default: the certificate's name.
    pub friendly_name: Option<String>,
    /// Rounds of key derivation, for encryption and MAC alike. Default 10,000, which is Java's; the
    /// passphrase is a generated one or has a policy's minimum length, so that more buys little.
    pub iterations: u32,
}

impl Default for Pkcs12Options {
    fn default() -> Self {
        Self { profile: Pkcs12Profile::default(), friendly_name: None, iterations: 10_000 }
    }
}

/// Below, guessing is too cheap; above, one render keeps a core busy for seconds, and importers too.
const ITERATIONS: RangeInclusive<u32> = 1_000..=5_000_000;

/// As long as a Kubernetes name, from which the default comes.
const LONGEST_FRIENDLY_NAME: usize = 253;

/// Why options cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs12OptionsError {
    /// There is nothing in the name.
    #[error("the friendlyName is empty: give one, or leave it out to use the certificate's name")]
    FriendlyNameEmpty,
    /// The name is too long.
    #[error("the friendlyName is longer than {LONGEST_FRIENDLY_NAME} characters: shorten it")]
    FriendlyNameTooLong,
    /// A character does not fit into the 16 bits that the format has for it.
    #[error(
        "the friendlyName has a character that PKCS#12 cannot hold, such as an emoji: use letters, digits and punctuation"
    )]
    FriendlyNameOutsideBasicPlane,
    /// A control character.
    #[error("the friendlyName has a control character such as a line break: remove it")]
    FriendlyNameControlCharacter,
    /// Too few or too many rounds.
    #[error("{given} iterations are outside of {lowest} to {highest}: choose a number in between, or none for 10000")]
    Iterations {
        /// What was asked for.
        given: u32,
        /// The fewest that are allowed.
        lowest: u32,
        /// The most that are allowed.
        highest: u32,
    },
}

impl Pkcs12Options {
    /// Checks the options, with the name that is used if none was chosen.
    ///
    /// # Errors
    /// [`Pkcs12OptionsError`], the first thing that is wrong.
    pub fn check(&self, certificate_name: &str) -> Result<(), Pkcs12OptionsError> {
        let name = self.friendly_name_or(certificate_name);
        if name.is_empty() {
            return Err(Pkcs12OptionsError::FriendlyNameEmpty);
        }
        if name.chars().count() > LONGEST_FRIENDLY_NAME {
            return Err(Pkcs12OptionsError::FriendlyNameTooLong);
        }
        if name.chars().any(|character| character > '\u{ffff}') {
            return Err(Pkcs12OptionsError::FriendlyNameOutsideBasicPlane);
        }
        if name.chars().any(char::is_control) {
            return Err(Pkcs12OptionsError::FriendlyNameControlCharacter);
        }
        if !ITERATIONS.contains(&self.iterations) {
            return Err(Pkcs12OptionsError::Iterations {
                given: self.iterations,
                lowest: *ITERATIONS.start(),
                highest: *ITERATIONS.end(),
            });
        }
        Ok(())
    }

    pub(crate) fn friendly_name_or<'a>(&'a self, certificate_name: &'a str) -> &'a str {
        self.friendly_name.as_deref().unwrap_or(certificate_name)
    }
}
