//! The hashing that a PKCS#12 file cannot avoid, and nothing else: calls of the compression function
//! on blocks that are laid out already, each depending on the one before.

use sha2::block_api::compress256;

/// Two PBKDF2-HMAC-SHA-256 of one block each (two compressions per iteration) for key and certificates,
/// and the PKCS#12 derivation (one) for the MAC.
pub(super) fn modern(iterations: u32) -> u32 {
    let mut sum = 0;
    for _ in 0..2 {
        let (inner, outer) = ([0x6a09_e667_u32; 8], [0xbb67_ae85_u32; 8]);
        let (mut block, mut derived) = (padded(32, 96), [0_u32; 8]);
        for _ in 0..iterations {
            let mut state = inner;
            compress256(&mut state, &[block]);
            put(&mut block, &state);
            state = outer;
            compress256(&mut state, &[block]);
            put(&mut block, &state);
            for (word, add) in derived.iter_mut().zip(state) {
                *word ^= add;
            }
        }
        sum ^= derived[0];
    }
    let mut block = padded(32, 32);
    for _ in 0..iterations {
        let mut state = [0x6a09_e667_u32; 8];
        compress256(&mut state, &[block]);
        put(&mut block, &state);
        sum ^= state[0];
    }
    sum
}

/// The PKCS#12 derivation with SHA-1: 24 bytes of key (two digests) and 8 of IV (one) for each of key
/// and certificates, and one for the MAC.
pub(super) fn legacy(iterations: u32) -> u32 {
    let mut sum = 0;
    for _ in 0..7 {
        let mut block = padded(20, 20);
        for _ in 0..iterations {
            let mut state = [0x6745_2301_u32; 5];
            sha1::block_api::compress(&mut state, &[block]);
            put(&mut block, &state);
            sum ^= state[0];
        }
    }
    sum
}

/// A block whose message ends after so many bytes of it, out of so many bytes in all.
fn padded(used: usize, message_bytes: u8) -> [u8; 64] {
    let mut block = [0; 64];
    block[used] = 0x80;
    block[62..].copy_from_slice(&(u16::from(message_bytes) * 8).to_be_bytes());
    block
}

fn put(block: &mut [u8; 64], state: &[u32]) {
    for (bytes, word) in block.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
}
