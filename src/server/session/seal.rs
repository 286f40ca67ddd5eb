//! What is done with the shared key: sessions are sealed with AES-256-GCM, forms are marked with HMAC-SHA-256.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use zeroize::Zeroizing;

/// Bytes of the shared key.
pub const KEY_BYTES: usize = 32;
/// The form of a sealed session: one byte in front of it, and what it is authenticated with.
const FORM: u8 = 1;
/// By these bytes a sealed session names its key.
const ID_BYTES: usize = 4;
const HEAD_BYTES: usize = 1 + ID_BYTES;

/// What is sealed: what was sealed for one purpose is not opened for another.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// A session.
    Session,
    /// A sign-in at an identity provider that has begun.
    SignIn,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Session => b"certcourier web page: session, form 1",
            Self::SignIn => b"certcourier web page: sign-in, form 1",
        }
    }
}

/// One key, and what is derived from it.
pub struct Key {
    id: [u8; ID_BYTES],
    sealing: RandomizedNonceKey,
    marking: hmac::Key,
}

impl Key {
    /// From the shared secret.
    pub fn new(secret: &[u8; KEY_BYTES]) -> Option<Self> {
        let master = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |purpose: &[u8]| hmac::sign(&master, purpose);
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&derived(b"id").as_ref()[..ID_BYTES]);
        Some(Self {
            id,
            sealing: RandomizedNonceKey::new(&AES_256_GCM, derived(b"seal").as_ref()).ok()?,
            marking: hmac::Key::new(hmac::HMAC_SHA256, derived(b"mark").as_ref()),
        })
    }

    /// Form, id of the key, nonce, and the content sealed.
    fn seal(&self, purpose: Purpose, plain: &[u8]) -> Option<Vec<u8>> {
        let mut content = plain.to_vec();
        let nonce = self.sealing.seal_in_place_append_tag(Aad::from(purpose.name()), &mut content).ok()?;
        let mut sealed = vec![FORM];
        sealed.extend(self.id);
        sealed.extend(nonce.as_ref());
        sealed.extend(content);
        Some(sealed)
    }

    fn open(&self, purpose: Purpose, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, content) = sealed.get(HEAD_BYTES..)?.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut content = Zeroizing::new(content.to_vec());
        let length = self.sealing.open_in_place(nonce, Aad::from(purpose.name()), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}

/// The key that is used now, and the one before: what it sealed can still be opened.
pub struct Ring {
    /// Seals and marks.
    pub current: Key,
    /// Opens, and knows its marks.
    pub previous: Option<Key>,
}

impl Ring {
    /// Seals.
    pub fn seal(&self, purpose: Purpose, plain: &[u8]) -> Option<Vec<u8>> {
        self.current.seal(purpose, plain)
    }

    /// Opens what one of the keys sealed.
    pub fn open(&self, purpose: Purpose, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.key_of(sealed)?.open(purpose, sealed)
    }

    /// Whether one of the keys is the one that a sealed session names.
    pub fn knows(&self, sealed: &[u8]) -> bool {
        self.key_of(sealed).is_some()
    }

    fn key_of(&self, sealed: &[u8]) -> Option<&Key> {
        let id = sealed.get(1..HEAD_BYTES).filter(|_| sealed[0] == FORM)?;
        self.keys().find(|key| key.id == id)
    }

    /// The mark of the forms of one session, or of one holder of a bearer token.
    pub fn mark(&self, whose: &str) -> String {
        Base64UrlUnpadded::encode_string(hmac::sign(&self.current.marking, whose.as_bytes()).as_ref())
    }

    /// Whether a form's mark is theirs.
    pub fn is_marked(&self, mark: &str, whose: &str) -> bool {
        let Ok(mark) = Base64UrlUnpadded::decode_vec(mark) else { return false };
        self.keys().any(|key| hmac::verify(&key.marking, whose.as_bytes(), &mark).is_ok())
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}
