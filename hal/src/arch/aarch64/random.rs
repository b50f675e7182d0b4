//! Seeds: the processor's generator, and jitter, through a [`Sponge`].

use core::arch::asm;

use crate::entropy::sponge::Sponge;

use super::clock::counter;
use super::system::mrs;

/// Words asked of the processor's generator: twice the seed's size.
const HARDWARE_WORDS: usize = 8;

/// A generator that fails so often in a row is broken.
const HARDWARE_RETRIES: usize = 10;

/// Timings mixed in; each is worth a fraction of a bit at most.
const JITTER_SAMPLES: usize = 64;

/// A seed and whether the processor's generator had a part in it.
pub(crate) fn seed() -> ([u8; 32], bool) {
    let mut sponge = Sponge::new();
    let mut hardware = 0;
    // The two registers come together or not at all.
    let there = mrs!("id_aa64isar0_el1") >> 60 != 0;
    for _ in 0..if there { HARDWARE_WORDS } else { 0 } {
        if let Some(word) = word() {
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

/// One word of the generator, freshly seeded.
fn word() -> Option<u64> {
    for _ in 0..HARDWARE_RETRIES {
        let (word, valid): (u64, u64);
        // SAFETY: RNDRRS, which the processor has; it changes a register and the flags.
        unsafe {
            asm!("mrs {}, s3_3_c2_c4_1", "cset {}, ne", out(reg) word, out(reg) valid, options(nomem, nostack))
        };
        // All zeroes and all ones are what a broken generator answers.
        if valid != 0 && word != 0 && word != u64::MAX {
            return Some(word);
        }
    }
    None
}
