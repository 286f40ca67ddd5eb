//! The key derivation of PKCS#12 itself, for the MAC of both profiles and the encryption of the
//! legacy one. Source: RFC 7292 appendix B.

use sha1::digest::Digest;
use zeroize::{Zeroize as _, Zeroizing};

use super::rehash::{BLOCK, Rehash};

/// What the derived bytes are for: the "ID byte".
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Derives as many bytes as the caller's array has.
///
/// `D` is SHA-1 or SHA-256, for which `v` of the standard is 64 bytes.
pub(super) fn derive<D: Rehash, const N: usize>(
    purpose: Purpose,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
) -> Zeroizing<[u8; N]> {
    let mut input = Zeroizing::new(repeated(salt));
    input.extend_from_slice(&Zeroizing::new(repeated(password)));
    let mut derived = Zeroizing::new([0_u8; N]);
    let output_size = <D as Digest>::output_size();
    let mut chunks = derived.chunks_mut(output_size).peekable();
    while let Some(chunk) = chunks.next() {
        let mut digest = D::new().chain_update([purpose as u8; BLOCK]).chain_update(input.as_slice()).finalize();
        D::rehash(&mut digest, iterations.saturating_sub(1));
        chunk.copy_from_slice(&digest[..chunk.len()]);
        if chunks.peek().is_some() {
            let addend: Zeroizing<Vec<u8>> = Zeroizing::new(digest.iter().copied().cycle().take(BLOCK).collect());
            for block in input.chunks_mut(BLOCK) {
                add_with_one(block, &addend);
            }
        }
        digest.as_mut_slice().zeroize();
    }
    derived
}

/// The text again and again, up to a multiple of the block size.
fn repeated(text: &[u8]) -> Vec<u8> {
    let length = text.len().div_ceil(BLOCK) * BLOCK;
    text.iter().copied().cycle().take(length).collect()
}

/// `block + addend + 1`, big-endian, what overflows is dropped.
fn add_with_one(block: &mut [u8], addend: &[u8]) {
    let mut carry = 1_u16;
    for (byte, add) in block.iter_mut().zip(addend).rev() {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        let [high, low] = sum.to_be_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}

/// The password as the derivation wants it: UTF-16 with a terminating zero.
pub(super) fn password(ascii: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * ascii.len() + 2));
    for unit in ascii.encode_utf16() {
        bytes.extend(unit.to_be_bytes());
    }
    bytes.extend([0, 0]);
    bytes
}
