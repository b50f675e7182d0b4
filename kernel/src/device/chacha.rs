//! ChaCha20 as a generator that forgets (RFC 8439; "fast key erasure").
//!
//! Each request runs the block function from counter 0: the first 256 bits
//! become the next key, the rest is output. Once a request is answered nothing
//! in memory leads back to it.
//!
//! Written here and not taken from a crate: it is one page of safe code that
//! the RFC's vectors check, while the crates bring vector code with 150 unsafe
//! sites that the kernel could not use (it has no vector registers).

/// Words of a key.
const KEY_WORDS: usize = 8;

const WORDS: usize = 16;

/// "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// A generator; its state is one key.
pub(super) struct Generator {
    key: [u32; KEY_WORDS],
}

impl Generator {
    /// A generator with this seed.
    pub(super) fn new(seed: &[u8; 32]) -> Generator {
        let mut generator = Generator {
            key: [0; KEY_WORDS],
        };
        generator.mix(seed);
        generator
    }

    /// Fills a buffer and forgets how.
    pub(super) fn fill(&mut self, out: &mut [u8]) {
        let key = self.key;
        let first = block(&key, 0, [0; 3]);
        self.key.copy_from_slice(&first[..KEY_WORDS]);
        let (head, rest) = out.split_at_mut(out.len().min(32));
        write_words(&first[KEY_WORDS..], head);
        for (chunk, counter) in rest.chunks_mut(64).zip(1..) {
            write_words(&block(&key, counter, [0; 3]), chunk);
        }
    }

    /// Adds bytes, which may be anything, to the state.
    pub(super) fn mix(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(4 * KEY_WORDS) {
            for (word, bytes) in self.key.iter_mut().zip(part.chunks(4)) {
                let mut padded = [0; 4];
                padded[..bytes.len()].copy_from_slice(bytes);
                *word ^= u32::from_le_bytes(padded);
            }
            self.fill(&mut []);
        }
    }
}

fn write_words(words: &[u32], to: &mut [u8]) {
    for (bytes, word) in to.chunks_mut(4).zip(words) {
        let word = word.to_le_bytes();
        bytes.copy_from_slice(&word[..bytes.len()]);
    }
}

/// The block function, section 2.3.
fn block(key: &[u32; KEY_WORDS], counter: u32, nonce: [u32; 3]) -> [u32; WORDS] {
    let mut start = [0; WORDS];
    start[..4].copy_from_slice(&CONSTANTS);
    start[4..12].copy_from_slice(key);
    start[12] = counter;
    start[13..].copy_from_slice(&nonce);
    let mut state = start;
    for _ in 0..10 {
        quarter_round(&mut state, [0, 4, 8, 12]);
        quarter_round(&mut state, [1, 5, 9, 13]);
        quarter_round(&mut state, [2, 6, 10, 14]);
        quarter_round(&mut state, [3, 7, 11, 15]);
        quarter_round(&mut state, [0, 5, 10, 15]);
        quarter_round(&mut state, [1, 6, 11, 12]);
        quarter_round(&mut state, [2, 7, 8, 13]);
        quarter_round(&mut state, [3, 4, 9, 14]);
    }
    for (word, start) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(start);
    }
    state
}

/// The quarter round, section 2.1.
#[inline(always)]
fn quarter_round(state: &mut [u32; WORDS], [a, b, c, d]: [usize; 4]) {
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(12);
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(7);
}

#[cfg(test)]
mod tests {
    use super::{Generator, block};

    #[test]
    fn is_chacha20() {
        // RFC 8439, section 2.3.2: key 00 01 .. 1f, counter 1.
        let key = core::array::from_fn(|index| {
            let first = 4 * index as u8;
            u32::from_le_bytes([first, first + 1, first + 2, first + 3])
        });
        let got = block(&key, 1, [0x0900_0000, 0x4a00_0000, 0]);
        assert_eq!(
            got,
            [
                0xe4e7_f110,
                0x1559_3bd1,
                0x1fdd_0f50,
                0xc471_20a3,
                0xc7f4_d1c7,
                0x0368_c033,
                0x9aaa_2204,
                0x4e6c_d4c3,
                0x4664_82d2,
                0x09aa_9f07,
                0x05d7_c214,
                0xa202_8bd9,
                0xd19c_12b5,
                0xb94e_16de,
                0xe883_d0cb,
                0x4e3c_50a2
            ]
        );
    }

    #[test]
    fn a_long_request_begins_like_a_short_one_and_the_next_differs() {
        let output = |len: usize| {
            let mut generator = Generator::new(&[7; 32]);
            let mut bytes = vec![0; len];
            generator.fill(&mut bytes);
            let mut next = [0; 32];
            generator.fill(&mut next);
            (bytes, next)
        };
        let (long, after_long) = output(300);
        for len in [0, 1, 31, 32, 33, 95, 96, 97] {
            let (short, after_short) = output(len);
            assert_eq!(short, long[..len]);
            assert_eq!(after_short, after_long);
        }
        assert_ne!(after_long, long[..32]);
    }

    #[test]
    fn every_byte_mixed_in_matters() {
        let output = |bytes: &[u8]| {
            let mut generator = Generator::new(&[7; 32]);
            generator.mix(bytes);
            let mut out = [0; 32];
            generator.fill(&mut out);
            out
        };
        let base = [0; 67];
        for at in 0..base.len() {
            let mut bytes = base;
            bytes[at] = 1;
            assert_ne!(output(&base), output(&bytes), "byte {at}");
        }
    }
}
