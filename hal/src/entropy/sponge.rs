//! What makes one seed of many poor words.
//!
//! The sponge is ChaCha's permutation over 512 bits: 256 are rate, 256 are
//! capacity, which no input or output touches. Whoever knows all inputs but
//! one full-entropy word still knows nothing of the seed, so a weak source
//! cannot spoil a good one.

/// See the module.
pub(crate) struct Sponge {
    state: [u32; 16],
    filled: usize,
}

impl Sponge {
    const RATE_WORDS: usize = 8;

    pub(crate) fn new() -> Sponge {
        let mut state = [0; 16];
        // Any constant that breaks the permutation's symmetry does.
        for (word, text) in state[Self::RATE_WORDS..].iter_mut().zip(b"ochreRNG") {
            *word = u32::from(*text) << 8;
        }
        Sponge { state, filled: 0 }
    }

    pub(crate) fn absorb(&mut self, word: u64) {
        self.state[self.filled] ^= word as u32;
        self.state[self.filled + 1] ^= (word >> 32) as u32;
        self.filled += 2;
        if self.filled == Self::RATE_WORDS {
            self.permute();
        }
    }

    pub(crate) fn squeeze(mut self) -> [u8; 32] {
        // Twice, so that the last input has passed a whole permutation even
        // when it filled the rate.
        self.permute();
        self.permute();
        let mut out = [0; 32];
        for (bytes, word) in out.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    fn permute(&mut self) {
        self.filled = 0;
        for _ in 0..10 {
            for [a, b, c, d] in [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]] {
                self.quarter_round(a, b, c, d);
            }
            for [a, b, c, d] in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]] {
                self.quarter_round(a, b, c, d);
            }
        }
    }

    fn quarter_round(&mut self, a: usize, b: usize, c: usize, d: usize) {
        let state = &mut self.state;
        for (to, from, mixed, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
            state[to] = state[to].wrapping_add(state[from]);
            state[mixed] = (state[mixed] ^ state[to]).rotate_left(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sponge;

    #[test]
    fn permutes_like_chacha() {
        // The quarter round of RFC 8439, section 2.1.1.
        let mut sponge = Sponge::new();
        sponge.state[..4].copy_from_slice(&[0x1111_1111, 0x0102_0304, 0x9b8d_6f43, 0x0123_4567]);
        sponge.quarter_round(0, 1, 2, 3);
        assert_eq!(
            sponge.state[..4],
            [0xea2a_92f4, 0xcb1c_f8ce, 0x4581_472e, 0x5881_c4bb]
        );
    }

    #[test]
    fn every_input_bit_matters() {
        let squeeze = |words: &[u64]| {
            let mut sponge = Sponge::new();
            for word in words {
                sponge.absorb(*word);
            }
            sponge.squeeze()
        };
        let base = squeeze(&[0; 9]);
        for index in 0..9 {
            for bit in [0, 31, 32, 63] {
                let mut words = [0; 9];
                words[index] = 1 << bit;
                let other = squeeze(&words);
                let changed: u32 = base
                    .iter()
                    .zip(other)
                    .map(|(a, b)| (a ^ b).count_ones())
                    .sum();
                assert!(
                    (64..192).contains(&changed),
                    "word {index} bit {bit} changed {changed} bits"
                );
            }
        }
    }
}
