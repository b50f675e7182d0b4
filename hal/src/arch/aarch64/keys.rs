//! The keys by which programs sign pointers, where processors can (FEAT_PAuth).
//!
//! Each thread has five: two for code's addresses, two for data's, one for
//! anything. A fork's child has its parent's, and a program's first thread new
//! ones. The kernel's own code signs nothing, so they stay in the registers
//! while it runs, and are written when a context is loaded.

use core::arch::asm;

use super::features;

/// Words of a key.
const WORDS: usize = 2;

/// How many keys there are.
const KEYS: usize = 5;

/// Those for addresses; the others are the generic one.
const ADDRESSES: u64 = 0b0_1111;

/// All of them.
const ALL: u64 = 0b1_1111;

/// Whether processors have any of them.
#[inline]
pub(super) fn are_there() -> bool {
    let features = features::get();
    features.address_keys || features.generic_key
}

/// See the module: APIA, APIB, APDA, APDB, APGA.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Keys([[u64; WORDS]; KEYS]);

impl Keys {
    /// Makes those of `which` new, all if there is none in it; false where the
    /// processor does not have all of these, and nothing is changed then.
    pub(super) fn renew(&mut self, which: u64, random: &mut dyn FnMut() -> u64) -> bool {
        let features = features::get();
        let (addresses, generic) = (features.address_keys, features.generic_key);
        let there =
            if addresses { ADDRESSES } else { 0 } | if generic { ALL & !ADDRESSES } else { 0 };
        let which = if which == 0 { there } else { which };
        if which == 0 || which & !there != 0 {
            return false;
        }
        for (index, key) in self.0.iter_mut().enumerate() {
            if which & 1 << index != 0 {
                *key = core::array::from_fn(|_| random());
            }
        }
        true
    }

    /// Puts them into the processor, where it has such.
    #[inline]
    pub(super) fn load(&self) {
        let features = features::get();
        let [code, other_code, data, other_data, generic] = self.0;
        if features.address_keys {
            // SAFETY: the processor has the registers, and the kernel's code
            // signs nothing.
            unsafe {
                asm!(
                    "msr s3_0_c2_c1_0, {}", "msr s3_0_c2_c1_1, {}",
                    "msr s3_0_c2_c1_2, {}", "msr s3_0_c2_c1_3, {}",
                    "msr s3_0_c2_c2_0, {}", "msr s3_0_c2_c2_1, {}",
                    "msr s3_0_c2_c2_2, {}", "msr s3_0_c2_c2_3, {}",
                    in(reg) code[0], in(reg) code[1],
                    in(reg) other_code[0], in(reg) other_code[1],
                    in(reg) data[0], in(reg) data[1],
                    in(reg) other_data[0], in(reg) other_data[1],
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
        if features.generic_key {
            // SAFETY: as above.
            unsafe {
                asm!(
                    "msr s3_0_c2_c3_0, {}", "msr s3_0_c2_c3_1, {}",
                    in(reg) generic[0], in(reg) generic[1],
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
}
