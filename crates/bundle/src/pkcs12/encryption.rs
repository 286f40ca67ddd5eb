//! How a profile encrypts, and how it protects the whole file against changes.

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use der::asn1::ObjectIdentifier;
use des::TdesEde3;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

use super::key_derivation::{Purpose, derive, password};
use super::options::Pkcs12Profile;
use super::pbkdf2;
use crate::der_writer::{Der, integer, null, object_identifier, octet_string, sequence};
use crate::passphrase::Passphrase;
use crate::randomness::{Randomness, RandomnessError};

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const PBE_SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// Salts have 16 bytes in the modern profile (NIST SP 800-132 §5.1), and the 8 of all old writers in
/// the legacy one.
const MODERN_SALT: usize = 16;
const LEGACY_SALT: usize = 8;

/// A profile with its iterations and passphrase.
pub(super) struct Encryption<'a> {
    profile: Pkcs12Profile,
    iterations: u32,
    passphrase: &'a Passphrase,
}

/// Encrypted bytes, and the `AlgorithmIdentifier` that says how.
pub(super) struct Encrypted {
    pub(super) algorithm: Der,
    pub(super) ciphertext: Vec<u8>,
}

impl<'a> Encryption<'a> {
    pub(super) fn new(profile: Pkcs12Profile, iterations: u32, passphrase: &'a Passphrase) -> Self {
        Self { profile, iterations, passphrase }
    }

    pub(super) fn encrypt(&self, plaintext: &[u8], random: &mut dyn Randomness) -> Result<Encrypted, RandomnessError> {
        match self.profile {
            Pkcs12Profile::Modern => self.encrypt_modern(plaintext, random),
            Pkcs12Profile::Legacy => self.encrypt_legacy(plaintext, random),
        }
    }

    /// PBES2 with PBKDF2. Source: RFC 8018 §6.2.
    fn encrypt_modern(&self, plaintext: &[u8], random: &mut dyn Randomness) -> Result<Encrypted, RandomnessError> {
        let mut salt = [0_u8; MODERN_SALT];
        random.fill(&mut salt)?;
        let mut iv = [0_u8; 16];
        random.fill(&mut iv)?;
        let key = pbkdf2::derive(self.passphrase.reveal().as_bytes(), &salt, self.iterations);
        let ciphertext =
            cbc::Encryptor::<Aes256>::new((&*key).into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(plaintext);
        let derivation = sequence(&[
            &object_identifier(&PBKDF2),
            &sequence(&[
                &octet_string(&salt),
                &integer(self.iterations),
                &sequence(&[&object_identifier(&HMAC_WITH_SHA256), &null()]),
            ]),
        ]);
        let cipher = sequence(&[&object_identifier(&AES_256_CBC), &octet_string(&iv)]);
        Ok(Encrypted {
            algorithm: sequence(&[&object_identifier(&PBES2), &sequence(&[&derivation, &cipher])]),
            ciphertext,
        })
    }

    /// `pbeWithSHAAnd3-KeyTripleDES-CBC`. Source: RFC 7292 appendix C.
    fn encrypt_legacy(&self, plaintext: &[u8], random: &mut dyn Randomness) -> Result<Encrypted, RandomnessError> {
        let mut salt = [0_u8; LEGACY_SALT];
        random.fill(&mut salt)?;
        let password = password(self.passphrase.reveal());
        let key = derive::<Sha1, 24>(Purpose::Key, &password, &salt, self.iterations);
        let iv = derive::<Sha1, 8>(Purpose::Iv, &password, &salt, self.iterations);
        let ciphertext =
            cbc::Encryptor::<TdesEde3>::new((&*key).into(), (&*iv).into()).encrypt_padded_vec::<Pkcs7>(plaintext);
        Ok(Encrypted {
            algorithm: sequence(&[
                &object_identifier(&PBE_SHA1_3DES),
                &sequence(&[&octet_string(&salt), &integer(self.iterations)]),
            ]),
            ciphertext,
        })
    }

    /// `MacData` over the authenticated safe. Source: RFC 7292 §5.1.
    pub(super) fn mac(&self, message: &[u8], random: &mut dyn Randomness) -> Result<Der, RandomnessError> {
        let password = password(self.passphrase.reveal());
        let mut salt = [0_u8; MODERN_SALT];
        let salt = match self.profile {
            Pkcs12Profile::Modern => salt.as_mut_slice(),
            Pkcs12Profile::Legacy => &mut salt[..LEGACY_SALT],
        };
        random.fill(salt)?;
        let (hash, code) = match self.profile {
            Pkcs12Profile::Modern => {
                let key = derive::<Sha256, 32>(Purpose::Mac, &password, salt, self.iterations);
                let mac = Hmac::<Sha256>::new_from_slice(key.as_slice());
                (SHA256, mac.map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec()))
            }
            Pkcs12Profile::Legacy => {
                let key = derive::<Sha1, 20>(Purpose::Mac, &password, salt, self.iterations);
                let mac = Hmac::<Sha1>::new_from_slice(key.as_slice());
                (SHA1, mac.map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec()))
            }
        };
        // HMAC takes keys of any length, so that there is a code in every case.
        let code = code.unwrap_or_default();
        let digest_info = sequence(&[
            // OpenSSL and Windows write the NULL; some readers compare it.
            &sequence(&[&object_identifier(&hash), &null()]),
            &octet_string(&code),
        ]);
        Ok(sequence(&[&digest_info, &octet_string(salt), &integer(self.iterations)]))
    }
}
