//! Hashes a digest again and again, which is all the time that a PKCS#12 file takes.
//!
//! Straight calls of the compression function on a block whose padding is laid out once: the general
//! interface spends half as much again on buffers. Tested against that interface.

use sha1::Sha1;
use sha1::digest::Digest;
use sha2::Sha256;
use sha2::block_api::compress256;
use zeroize::Zeroizing;

/// Bytes that both hashes take at a time.
pub(super) const BLOCK: usize = 64;

/// The state of SHA-256 before the first block. Source: FIPS 180-4 §5.3.3.
pub(super) const SHA256_INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The state of SHA-1 before the first block. Source: FIPS 180-4 §5.3.1.
const SHA1_INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// A hash whose digest can be hashed again in one step.
pub(super) trait Rehash: Digest {
    /// Replaces a digest by its digest, so many times.
    fn rehash(digest: &mut [u8], times: u32);
}

impl Rehash for Sha256 {
    fn rehash(digest: &mut [u8], times: u32) {
        let mut block = ending_after(digest, digest.len());
        let mut state = Zeroizing::new(SHA256_INITIAL);
        for _ in 0..times {
            *state = SHA256_INITIAL;
            compress256(&mut state, &[*block]);
            put(&mut block, state.as_slice());
        }
        digest.copy_from_slice(&block[..digest.len()]);
    }
}

impl Rehash for Sha1 {
    fn rehash(digest: &mut [u8], times: u32) {
        let mut block = ending_after(digest, digest.len());
        let mut state = Zeroizing::new(SHA1_INITIAL);
        for _ in 0..times {
            *state = SHA1_INITIAL;
            sha1::block_api::compress(&mut state, &[*block]);
            put(&mut block, state.as_slice());
        }
        digest.copy_from_slice(&block[..digest.len()]);
    }
}

/// The last block of a message of so many bytes, which ends in this digest.
pub(super) fn ending_after(digest: &[u8], message_bytes: usize) -> Zeroizing<[u8; BLOCK]> {
    let mut block = Zeroizing::new([0_u8; BLOCK]);
    let bits = (8 * message_bytes).to_be_bytes();
    block[..digest.len()].copy_from_slice(digest);
    block[digest.len()] = 0x80;
    block[BLOCK - bits.len()..].copy_from_slice(&bits);
    block
}

/// Writes a state over the digest at the start of a block.
pub(super) fn put(block: &mut [u8; BLOCK], state: &[u32]) {
    for (bytes, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_again_is_what_the_general_interface_does() {
        for times in [0, 1, 2, 1_000] {
            let (mut short, mut long) = (Sha1::digest(b"short"), Sha256::digest(b"long"));
            let (mut short_again, mut long_again) = (short, long);
            for _ in 0..times {
                short = Sha1::digest(short);
                long = Sha256::digest(long);
            }
            Sha1::rehash(&mut short_again, times);
            Sha256::rehash(&mut long_again, times);
            assert_eq!((short_again, long_again), (short, long), "{times}");
        }
    }
}
