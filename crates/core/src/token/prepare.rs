//! All that is random in a new token, made in one place: the token, and the passphrase of the file where none is given.

use certcourier_bundle::{Passphrase, Randomness, RandomnessError, generate_passphrase};
use zeroize::Zeroizing;

use super::{NONCE_BYTES, RANDOM_BYTES, SealError, Token, seal};
use crate::api::DownloadRequest;

/// A token that is not in use yet: it works once its hash is in the status of its request.
pub struct Prepared {
    /// The token.
    pub token: Token,
    /// Its hash, for the status.
    pub hash: String,
    /// The passphrase of the file, sealed under the token, for the status.
    pub sealed: Option<String>,
    /// The passphrase, where it was generated: the requester has to be told.
    pub generated: Option<Passphrase>,
}

/// Why no token was prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The passphrase cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Whether a passphrase is generated for a file of this request, unless its requester gives one with the claim.
#[must_use]
pub fn generates_passphrase(request: &DownloadRequest) -> bool {
    request.spec.format.needs_passphrase() && request.spec.passphrase_secret_ref.is_none()
}

/// Prepares the token of this generation. `given` is the passphrase that came with a claim.
///
/// # Errors
/// [`PrepareError`]; nothing is issued without randomness.
pub fn prepare(
    request: &DownloadRequest,
    generation: i64,
    given: Option<&Passphrase>,
    randomness: &mut dyn Randomness,
) -> Result<Prepared, PrepareError> {
    let metadata = &request.metadata;
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    randomness.fill(random.as_mut_slice())?;
    let token = Token::mint(
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
        &random,
    );
    let generated =
        if given.is_none() && generates_passphrase(request) { Some(generate_passphrase(randomness)?) } else { None };
    let sealed = match given.or(generated.as_ref()) {
        Some(passphrase) => {
            let mut nonce = [0; NONCE_BYTES];
            randomness.fill(&mut nonce)?;
            let uid = metadata.uid.as_deref().unwrap_or_default();
            Some(seal(&token, passphrase.reveal(), uid, generation, &nonce)?)
        }
        None => None,
    };
    Ok(Prepared { hash: token.hash(), token, sealed, generated })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Format, PassphraseReference},
        lifecycle::fixtures,
        token::unseal,
    };

    /// 1, 2, 3, …; or nothing.
    struct Counting(Option<u8>);

    impl Randomness for Counting {
        fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
            let next = self.0.as_mut().ok_or_else(|| RandomnessError::new("none"))?;
            for byte in buffer {
                *byte = *next;
                *next = next.wrapping_add(1);
            }
            Ok(())
        }
    }

    fn prepared(request: &DownloadRequest, given: Option<&Passphrase>) -> Prepared {
        prepare(request, 3, given, &mut Counting(Some(1))).unwrap()
    }

    #[test]
    fn a_passphrase_is_generated_where_the_file_needs_one_and_none_is_given() {
        let secret = PassphraseReference { name: "p12".into(), key: "passphrase".into() };
        for format in Format::ALL {
            let mut request = fixtures::request(format);
            let generates = format.needs_passphrase();
            assert_eq!(generates_passphrase(&request), generates, "{format}");
            let made = prepared(&request, None);
            assert_eq!((made.generated.is_some(), made.sealed.is_some()), (generates, generates), "{format}");
            request.spec.passphrase_secret_ref = Some(secret.clone());
            assert!(!generates_passphrase(&request), "{format}");
            let made = prepared(&request, None);
            assert!(made.generated.is_none() && made.sealed.is_none(), "{format}");
        }
    }

    #[test]
    fn what_is_sealed_opens_with_this_token_for_this_generation() {
        let request = fixtures::request(Format::Pkcs12);
        let given = Passphrase::new("correct horse".to_owned()).unwrap();
        for given in [None, Some(&given)] {
            let made = prepared(&request, given);
            assert_eq!(made.hash, made.token.hash());
            let sealed = made.sealed.unwrap();
            let opened = unseal(&made.token, &sealed, "uid-1", 3).unwrap();
            assert_eq!(made.generated.is_some(), given.is_none());
            assert_eq!(opened.as_str(), given.or(made.generated.as_ref()).unwrap().reveal());
            assert!(unseal(&made.token, &sealed, "uid-1", 2).is_err());
        }
    }

    #[test]
    fn nothing_is_prepared_without_randomness() {
        let made = prepare(&fixtures::request(Format::Cert), 1, None, &mut Counting(None));
        assert!(matches!(made, Err(PrepareError::Randomness(_))));
    }
}
