//! PBKDF2 with HMAC-SHA-256 for one block of output, which is an AES-256 key. Source: RFC 8018 §5.2.
//!
//! Our own loop for the reason given in [`super::rehash`], on `sha2`'s compression function. Tested against the `pbkdf2`
//! crate. `aws_lc_rs::pbkdf2` would be shorter, and takes 1.26 to 1.31 times as long (2,048, 10,000 and 600,000 iterations,
//! the best of 12 to 300 runs in turn in one process).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::rehash::{BLOCK, SHA256_INITIAL, ending_after, put};

const DIGEST: usize = 32;

type State = Zeroizing<[u32; 8]>;

/// Derives 32 bytes.
pub(super) fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; DIGEST]> {
    let (inner, outer) = (keyed(password, 0x36), keyed(password, 0x5c));
    let first = first(password, salt);
    let mut derived: State = Zeroizing::default();
    for (word, bytes) in derived.iter_mut().zip(first.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    // The second of two blocks of a message: the first one is in the keyed states.
    let mut block = ending_after(first.as_slice(), BLOCK + DIGEST);
    let mut state: State = Zeroizing::default();
    for _ in 1..iterations {
        for keyed in [&inner, &outer] {
            *state = **keyed;
            compress256(&mut state, &[*block]);
            put(&mut block, state.as_slice());
        }
        for (word, add) in derived.iter_mut().zip(state.iter()) {
            *word ^= add;
        }
    }
    put(&mut block, derived.as_slice());
    let mut key = Zeroizing::new([0_u8; DIGEST]);
    key.copy_from_slice(&block[..DIGEST]);
    key
}

/// The state after the block with which HMAC begins. Source: RFC 2104 §2.
fn keyed(password: &[u8], pad: u8) -> State {
    let mut block = Zeroizing::new([pad; BLOCK]);
    let hashed: Zeroizing<[u8; DIGEST]>;
    let key = if password.len() > BLOCK {
        hashed = Zeroizing::new(Sha256::digest(password).into());
        hashed.as_slice()
    } else {
        password
    };
    for (byte, add) in block.iter_mut().zip(key) {
        *byte ^= add;
    }
    let mut state = Zeroizing::new(SHA256_INITIAL);
    compress256(&mut state, &[*block]);
    state
}

/// The first iteration, the only one whose input is not a digest: HMAC of the salt and the number of
/// the block, which is 1.
fn first(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; DIGEST]> {
    // HMAC takes keys of any length, so that there is a code in every case.
    let code = Hmac::<Sha256>::new_from_slice(password)
        .map(|mac| mac.chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes().into());
    Zeroizing::new(code.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_that_of_the_pbkdf2_crate() {
        let text: Vec<u8> = (0..=255).collect();
        for password_bytes in [0, 1, 31, 32, 63, 64, 65, 200] {
            for salt_bytes in [0, 1, 8, 16, 51, 52, 64, 200] {
                for iterations in [1, 2, 3, 100] {
                    let (password, salt) = (&text[..password_bytes], &text[..salt_bytes]);
                    let expected: [u8; DIGEST] =
                        pbkdf2::pbkdf2_hmac_array::<Sha256, DIGEST>(password, salt, iterations);
                    assert_eq!(
                        *derive(password, salt, iterations),
                        expected,
                        "{password_bytes} {salt_bytes} {iterations}"
                    );
                }
            }
        }
    }
}
