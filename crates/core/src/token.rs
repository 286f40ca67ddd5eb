//! The single-use token: how it is written, read, hashed and compared, and how a passphrase is sealed under it.
//!
//! `ccd_` + base64url(namespace "/" request name) + `.` + base64url(32 random bytes) + base64url(CRC-32 of all before).
//! The address in it makes the server stateless: one live GET finds the request. The checksum refuses a typo without
//! an API call. Randomness is an argument; nothing here is kept.

mod prepare;

use std::fmt;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    api::name::{Namespace, ObjectName},
    hex,
};

pub use prepare::{PrepareError, Prepared, generates_passphrase, prepare};

/// What every token begins with, so that secret scanners know one. Never change it.
pub const PREFIX: &str = "ccd_";
/// Random bytes in a token.
pub const RANDOM_BYTES: usize = 32;
/// Random bytes of a nonce for [`seal`].
pub const NONCE_BYTES: usize = 12;

/// 43 characters of secret and 6 of checksum.
const TAIL_CHARACTERS: usize = 49;
/// `namespace/name` of at most 63 + 1 + 253 bytes, as base64.
const MAX_CHARACTERS: usize = PREFIX.len() + 424 + 1 + TAIL_CHARACTERS;

/// A token in plain text. It is in the requester's Secret or in one HTTP answer, nowhere else.
#[derive(Clone)]
pub struct Token {
    text: Zeroizing<String>,
    namespace: String,
    request: String,
}

/// Why a text is not a token. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedToken {
    /// It does not begin with [`PREFIX`].
    #[error("this is not a certcourier token: tokens begin with ccd_")]
    Prefix,
    /// It is cut off, too long, or has characters that no token has.
    #[error("this token is incomplete or has characters that no token has: copy the whole token")]
    Shape,
    /// The checksum does not fit.
    #[error("this token was altered (its checksum does not match): copy the whole token again")]
    Checksum,
}

impl Token {
    /// Makes the token of a request from 32 random bytes.
    #[must_use]
    pub fn mint(namespace: &str, request: &str, random: &[u8; RANDOM_BYTES]) -> Self {
        let address = Base64UrlUnpadded::encode_string(format!("{namespace}/{request}").as_bytes());
        let secret = Zeroizing::new(Base64UrlUnpadded::encode_string(random));
        let mut text = Zeroizing::new(String::with_capacity(MAX_CHARACTERS));
        for part in [PREFIX, &address, ".", &secret] {
            text.push_str(part);
        }
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Self { text, namespace: namespace.to_owned(), request: request.to_owned() }
    }

    /// Reads a token and checks all that can be checked without the cluster.
    ///
    /// # Errors
    /// [`MalformedToken`]; the text is not repeated in it.
    pub fn parse(text: &str) -> Result<Self, MalformedToken> {
        let body = text.strip_prefix(PREFIX).ok_or(MalformedToken::Prefix)?;
        if text.len() > MAX_CHARACTERS || !text.is_ascii() {
            return Err(MalformedToken::Shape);
        }
        let (address, tail) = body.split_once('.').ok_or(MalformedToken::Shape)?;
        if tail.len() != TAIL_CHARACTERS {
            return Err(MalformedToken::Shape);
        }
        let (head, sum) = text.split_at(text.len() - (TAIL_CHARACTERS - 43));
        if sum != checksum(head) {
            return Err(MalformedToken::Checksum);
        }
        let secret = &head[head.len() - 43..];
        // One text for one token: a lenient decoder would accept several spellings of the last characters.
        let random = Zeroizing::new(Base64UrlUnpadded::decode_vec(secret).map_err(|_| MalformedToken::Shape)?);
        let address = Base64UrlUnpadded::decode_vec(address).map_err(|_| MalformedToken::Shape)?;
        let address = String::from_utf8(address).map_err(|_| MalformedToken::Shape)?;
        let (namespace, request) = address.split_once('/').ok_or(MalformedToken::Shape)?;
        let namespace: Namespace = namespace.parse().map_err(|_| MalformedToken::Shape)?;
        let request: ObjectName = request.parse().map_err(|_| MalformedToken::Shape)?;
        if random.len() != RANDOM_BYTES {
            return Err(MalformedToken::Shape);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), namespace: namespace.into(), request: request.into() })
    }

    /// The token's text, for the one place that hands it out.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Namespace of the request that this token was issued for.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of the request that this token was issued for.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.request
    }

    /// SHA-256 of the whole text, lower-case hexadecimal: what status holds.
    #[must_use]
    pub fn hash(&self) -> String {
        hash_of(&self.text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token([redacted], {}/{})", self.namespace, self.request)
    }
}

/// The hash of a token's text, as a request's status has it.
#[must_use]
pub fn hash_of(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes()))
}

/// Whether two hashes are the same, in time that does not depend on where they differ.
#[must_use]
pub fn same_hash(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// A sealed passphrase that this token does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passphrase kept in status cannot be decrypted with this token: ask for another token")]
pub struct SealError;

/// Encrypts a passphrase under the token: AES-256-GCM, key = HKDF-SHA-256(token), bound to the request's uid and the
/// token's generation. Shape: base64url(nonce ‖ ciphertext ‖ tag).
///
/// # Errors
/// [`SealError`] where the cipher refuses (a passphrase of more than 64 GiB).
pub fn seal(
    token: &Token,
    passphrase: &str,
    request_uid: &str,
    generation: i64,
    nonce: &[u8; NONCE_BYTES],
) -> Result<String, SealError> {
    let payload = Payload { msg: passphrase.as_bytes(), aad: &associated_data(request_uid, generation) };
    let sealed = cipher(token)?.encrypt(&(*nonce).into(), payload).map_err(|_| SealError)?;
    Ok(Base64UrlUnpadded::encode_string(&[nonce.as_slice(), &sealed].concat()))
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`SealError`] for another token, request or generation, and for anything altered.
pub fn unseal(token: &Token, sealed: &str, request_uid: &str, generation: i64) -> Result<Zeroizing<String>, SealError> {
    let bytes = Base64UrlUnpadded::decode_vec(sealed).map_err(|_| SealError)?;
    let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError)?;
    let payload = Payload { msg: ciphertext, aad: &associated_data(request_uid, generation) };
    let plain = Zeroizing::new(cipher(token)?.decrypt(&(*nonce).into(), payload).map_err(|_| SealError)?);
    std::str::from_utf8(&plain).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| SealError)
}

fn cipher(token: &Token) -> Result<Aes256Gcm, SealError> {
    let mut key = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(None, token.text.as_bytes())
        .expand(b"certcourier passphrase v1", key.as_mut_slice())
        .map_err(|_| SealError)?;
    Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| SealError)
}

fn associated_data(request_uid: &str, generation: i64) -> Vec<u8> {
    [request_uid.as_bytes(), b"/", generation.to_string().as_bytes()].concat()
}

fn checksum(text: &str) -> String {
    Base64UrlUnpadded::encode_string(&crc32fast::hash(text.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token::mint("payments", "api-fullchain", &[7; 32])
    }

    #[test]
    fn a_minted_token_is_read_back_with_its_address() {
        let parsed = Token::parse(token().expose()).unwrap();
        assert_eq!((parsed.namespace(), parsed.request()), ("payments", "api-fullchain"));
        assert_eq!(parsed.hash(), token().hash());
        assert_eq!(parsed.hash().len(), 64);
    }

    #[test]
    fn the_longest_names_fit() {
        let (namespace, request) = ("n".repeat(63), "r".repeat(253));
        let token = Token::mint(&namespace, &request, &[255; 32]);
        assert_eq!(Token::parse(token.expose()).unwrap().request(), request);
    }

    #[test]
    fn what_is_no_token_is_refused_by_its_shape() {
        let whole = token().expose().to_owned();
        for (text, why) in [
            (String::new(), MalformedToken::Prefix),
            ("Bearer x".into(), MalformedToken::Prefix),
            ("ccd_".into(), MalformedToken::Shape),
            (whole[..whole.len() - 1].into(), MalformedToken::Shape),
            (format!("{whole}A"), MalformedToken::Shape),
            (format!("{whole}\n"), MalformedToken::Shape),
            (whole.replace('.', ""), MalformedToken::Shape),
            (format!("ccd_{}", "A".repeat(10_000)), MalformedToken::Shape),
            (whole.replacen("ccd_c", "ccd_d", 1), MalformedToken::Checksum),
        ] {
            assert_eq!(Token::parse(&text).err(), Some(why), "{text:.60}");
        }
    }

    #[test]
    fn an_address_that_is_no_object_name_is_refused_though_its_checksum_fits() {
        for (namespace, request) in [("a/b", "../c"), ("", "x"), ("Upper", "x"), ("x", "y z")] {
            let token = Token::mint(namespace, request, &[1; 32]);
            assert_eq!(Token::parse(token.expose()).err(), Some(MalformedToken::Shape), "{namespace}/{request}");
        }
    }

    #[test]
    fn neither_debug_nor_errors_show_the_token() {
        let token = token();
        assert!(!format!("{token:?}").contains(&token.expose()[30..]));
    }

    #[test]
    fn a_passphrase_opens_only_with_its_token_request_and_generation() {
        let longest = "x".repeat(certcourier_bundle::LONGEST_PASSPHRASE);
        let fits = seal(&token(), &longest, "uid-1", 3, &[9; 12]).unwrap().len();
        assert!(fits <= 1408, "status.token.sealedPassphrase holds 1,408 characters, and this has {fits}");
        let sealed = seal(&token(), "correct horse", "uid-1", 3, &[9; 12]).unwrap();
        assert_eq!(unseal(&token(), &sealed, "uid-1", 3).unwrap().as_str(), "correct horse");
        let other = Token::mint("payments", "api-fullchain", &[8; 32]);
        assert_eq!(unseal(&other, &sealed, "uid-1", 3), Err(SealError));
        assert_eq!(unseal(&token(), &sealed, "uid-2", 3), Err(SealError));
        assert_eq!(unseal(&token(), &sealed, "uid-1", 4), Err(SealError));
        assert_eq!(unseal(&token(), "", "uid-1", 3), Err(SealError));
        assert!(!sealed.contains("correct"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,200}") {
            let _ = Token::parse(&text);
            let _ = Token::parse(&format!("ccd_{text}"));
        }

        #[test]
        fn one_changed_character_is_always_noticed(random: [u8; 32], at in 4_usize..90, to in "[A-Za-z0-9_.-]") {
            let token = Token::mint("payments", "api", &random);
            let at = at % (token.expose().len() - 4) + 4;
            let mut text = token.expose().to_owned();
            text.replace_range(at..=at, &to);
            prop_assume!(text != token.expose());
            prop_assert!(Token::parse(&text).is_err());
        }
    }
}
