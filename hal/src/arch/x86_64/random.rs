//! Seeds: the processor's generator, and jitter, through a [`Sponge`].

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};

use crate::entropy::sponge::Sponge;

use super::clock::counter;

/// Words asked of the processor's generator: twice the seed's size.
const HARDWARE_WORDS: usize = 8;

/// Intel's advice: a generator that fails ten times in a row is broken.
const HARDWARE_RETRIES: usize = 10;

/// Timings mixed in; each is worth a fraction of a bit at most.
const JITTER_SAMPLES: usize = 64;

/// A seed and whether the processor's generator had a part in it.
pub(crate) fn seed() -> ([u8; 32], bool) {
    let mut sponge = Sponge::new();
    let mut hardware = 0;
    let generator = Generator::find();
    for _ in 0..HARDWARE_WORDS {
        if let Some(word) = generator.word() {
            sponge.absorb(word);
            hardware += 1;
        }
    }
    let mut last = counter();
    for _ in 0..JITTER_SAMPLES {
        let now = counter();
        sponge.absorb(now ^ now.wrapping_sub(last).rotate_left(32));
        last = now;
    }
    (sponge.squeeze(), hardware == HARDWARE_WORDS)
}

/// Which of the processor's two instructions there are.
struct Generator {
    rdseed: bool,
    rdrand: bool,
}

impl Generator {
    fn find() -> Generator {
        Generator {
            rdseed: __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & (1 << 18) != 0,
            rdrand: __cpuid(1).ecx & (1 << 30) != 0,
        }
    }

    /// One word of RDSEED, or of RDRAND where that is missing or exhausted.
    fn word(&self) -> Option<u64> {
        for _ in 0..HARDWARE_RETRIES {
            let (mut word, mut valid) = (0_u64, 0_u8);
            if self.rdseed {
                // SAFETY: CPUID says that the instruction exists; it touches one
                // register and the flags.
                unsafe {
                    asm!("rdseed {}", "setc {}", out(reg) word, out(reg_byte) valid, options(nomem, nostack))
                };
            }
            if valid == 0 && self.rdrand {
                // SAFETY: as above.
                unsafe {
                    asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) valid, options(nomem, nostack))
                };
            }
            // All zeroes and all ones are what a known broken generator answers.
            if valid != 0 && word != 0 && word != u64::MAX {
                return Some(word);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::seed;

    #[test]
    fn two_seeds_differ() {
        assert_ne!(seed().0, seed().0);
    }
}
