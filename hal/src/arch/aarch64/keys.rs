//! The keys by which programs sign pointers, where processors can (FEAT_PAuth).
//!
//! Each thread has five: two for code's addresses, two for data's, one for
//! anything. A fork's child has its parent's, and a program's first thread new
//! ones. The kernel's own code signs nothing, so they stay in the registers
//! while it runs, and are written when a context is loaded. A thread may have
//! those for addresses switched off: what signs and checks by them does nothing
//! then. That is one register for all of them, which is written only where two
//! threads differ in it.

use core::arch::asm;

use super::entry::SCTLR;
use super::features::{self, SIGNING};
use super::percpu::PerCpu;
use super::system::{mrs, msr};

/// Words of a key.
const WORDS: usize = 2;

/// How many keys there are.
const KEYS: usize = 5;

/// Those for addresses; the others are the generic one.
const ADDRESSES: u64 = 0b0_1111;

/// All of them.
const ALL: u64 = 0b1_1111;

/// The bits of SCTLR_EL1 that switch those for addresses on, by their number.
const SWITCHES: [u64; 4] = [1 << 31, 1 << 30, 1 << 27, 1 << 13];

const _: () = assert!(SCTLR & SIGNING == 0);
const _: () = assert!(SWITCHES[0] | SWITCHES[1] | SWITCHES[2] | SWITCHES[3] == SIGNING);

/// Whether processors have any of them.
#[inline]
pub(super) fn are_there() -> bool {
    let features = features::get();
    features.address_keys || features.generic_key
}

/// See the module.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Keys {
    /// APIA, APIB, APDA, APDB, APGA.
    values: [[u64; WORDS]; KEYS],
    /// The switches of those that are off.
    off: u64,
}

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
        for (index, key) in self.values.iter_mut().enumerate() {
            if which & 1 << index != 0 {
                *key = core::array::from_fn(|_| random());
            }
        }
        true
    }

    /// Those that are on, for addresses; `None` where the processor has no such.
    pub(super) fn enabled(&self) -> Option<u64> {
        let which = SWITCHES.iter().enumerate();
        let on = which.filter(|(_, switch)| self.off & **switch == 0);
        let mask = on.fold(0, |mask, (index, _)| mask | 1 << index);
        features::get().address_keys.then_some(mask)
    }

    /// Switches those of `which` on that are `wanted`, and the others of them off;
    /// false where the processor has not all of these, and nothing is changed then.
    pub(super) fn enable(&mut self, which: u64, wanted: u64) -> bool {
        let there = features::get().address_keys;
        if !there || which & !ADDRESSES != 0 || wanted & !which != 0 {
            return false;
        }
        for (index, switch) in SWITCHES.iter().enumerate() {
            if which & 1 << index != 0 {
                self.off &= !switch;
            }
            if which & !wanted & 1 << index != 0 {
                self.off |= switch;
            }
        }
        true
    }

    /// Switches all of them on.
    pub(super) fn enable_all(&mut self) {
        self.off = 0;
    }

    /// Puts them into the processor, where it has such.
    #[inline]
    pub(super) fn load(&self, cpu: &PerCpu) {
        if self.off != cpu.keys_off.get() {
            self.load_switches(cpu);
        }
        let features = features::get();
        let [code, other_code, data, other_data, generic] = self.values;
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

    /// Makes the processor's switches this thread's.
    #[cold]
    fn load_switches(&self, cpu: &PerCpu) {
        let control = (mrs!("sctlr_el1") | SIGNING) & !(self.off & SIGNING);
        // SAFETY: only what signs for programs changes, which counts from the
        // exception's return on; the kernel's code signs nothing. There are
        // switches only where a thread could switch one.
        unsafe { msr!("sctlr_el1", control) };
        cpu.keys_off.set(self.off);
    }
}
