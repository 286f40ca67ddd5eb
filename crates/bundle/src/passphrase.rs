//! Passphrases: given by a person or generated, never printed.
//!
//! Does not know a policy's minimum length: the caller compares [`Passphrase::length`] with it.

use std::fmt;

use zeroize::Zeroizing;

use crate::randomness::{Randomness, RandomnessError};

/// Most characters of a passphrase: enough for every importer, and few enough that a file handed in by mistake is
/// noticed. The same wherever it comes from.
pub const LONGEST_PASSPHRASE: usize = 1024;

/// Length of a generated passphrase: 24 of 56 characters are 139 bits.
const GENERATED_LENGTH: usize = 24;

/// Letters and digits that no one mistakes for another one when copying by hand: no 0 O o, no 1 I l.
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Bytes at or above this are thrown away, so that every character is equally likely: 224 = 4 × 56.
const UNBIASED_BELOW: u8 = 224;

/// A source that answers only with bytes to throw away, this many times in a row, is broken.
const LONGEST_UNLUCKY_RUN: usize = 64;

/// A passphrase that every PKCS#12 importer accepts: printable ASCII, never empty.
///
/// ASCII because Java refuses others with PBES2 ("Password is not ASCII").
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// Why a text cannot be a passphrase. Never says anything about its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// There is nothing in it.
    #[error("the passphrase is empty: give one, or leave it out to have one generated")]
    Empty,
    /// It has a character that is not ASCII.
    #[error("the passphrase has a character outside ASCII, which Java refuses: use letters, digits and punctuation")]
    NotAscii,
    /// It has a control character, such as a line break.
    #[error("the passphrase has a control character such as a line break or tab: remove it (`printf %s` writes none)")]
    ControlCharacter,
    /// It is longer than any person's passphrase.
    #[error("the passphrase is longer than {LONGEST_PASSPHRASE} characters: use a shorter one")]
    TooLong,
}

impl Passphrase {
    /// Checks a passphrase.
    ///
    /// # Errors
    /// [`PassphraseError`] if it is empty, too long, or not printable ASCII.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, PassphraseError> {
        let text = text.into();
        if text.is_empty() {
            return Err(PassphraseError::Empty);
        }
        if text.len() > LONGEST_PASSPHRASE {
            return Err(PassphraseError::TooLong);
        }
        if !text.is_ascii() {
            return Err(PassphraseError::NotAscii);
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(PassphraseError::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// Checks a passphrase that comes out of a file or a Secret: one line end at its end is not part
    /// of it, because editors and `echo` add one.
    ///
    /// # Errors
    /// [`PassphraseError`], as for [`Passphrase::new`].
    pub fn from_file(content: &[u8]) -> Result<Self, PassphraseError> {
        let line = content.strip_suffix(b"\n").unwrap_or(content);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| PassphraseError::NotAscii)?;
        Self::new(text.to_owned())
    }

    /// The number of characters, to compare with a policy's minimum.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// The passphrase itself, for the one place that hands it to the requester or encrypts with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase(redacted)")
    }
}

/// Makes a passphrase of 24 characters without look-alikes, every one equally likely.
///
/// # Errors
/// [`RandomnessError`] if the source fails or gives nothing usable.
pub fn generate_passphrase(random: &mut dyn Randomness) -> Result<Passphrase, RandomnessError> {
    let mut text = Zeroizing::new(String::with_capacity(GENERATED_LENGTH));
    let mut bytes = Zeroizing::new([0_u8; GENERATED_LENGTH]);
    for _ in 0..LONGEST_UNLUCKY_RUN {
        random.fill(bytes.as_mut_slice())?;
        for byte in bytes.iter().filter(|byte| **byte < UNBIASED_BELOW) {
            if text.len() == GENERATED_LENGTH {
                break;
            }
            text.push(char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        }
        if text.len() == GENERATED_LENGTH {
            return Ok(Passphrase(text));
        }
    }
    Err(RandomnessError::stuck())
}
