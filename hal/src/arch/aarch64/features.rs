//! What the processor can do, asked once; and switching it on.

use core::arch::asm;

use ochre_sync::Once;

use super::system::{mrs, msr};
use super::{entry, trap};

/// SCTLR_EL1: an exception does *not* set PAN.
const KEEP_ACCESS_PREVENTION: u64 = 1 << 23;

/// SCTLR_EL1: instructions that sign and check do it, with each of the four keys.
pub(super) const SIGNING: u64 = 1 << 31 | 1 << 30 | 1 << 27 | 1 << 13;

/// SCTLR_EL1: for programs, what signs a return address is a landing pad for
/// calls only, not for jumps (BT0), as Linux has it.
const STRICT_LANDING: u64 = 1 << 35;

/// Bits of `AT_HWCAP` (`asm/hwcap.h`).
mod hwcap_bits {
    pub(super) const FP: u64 = 1;
    pub(super) const ASIMD: u64 = 1 << 1;
    pub(super) const AES: u64 = 1 << 3;
    pub(super) const PMULL: u64 = 1 << 4;
    pub(super) const SHA1: u64 = 1 << 5;
    pub(super) const SHA2: u64 = 1 << 6;
    pub(super) const CRC32: u64 = 1 << 7;
    pub(super) const ATOMICS: u64 = 1 << 8;
    pub(super) const PACA: u64 = 1 << 30;
    pub(super) const PACG: u64 = 1 << 31;
    /// Of `AT_HWCAP2`.
    pub(super) const BTI: u64 = 1 << 17;
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    /// Privileged access never (PAN).
    pub(crate) access_prevention: bool,
    /// Pages that are not code; every processor has them.
    pub(crate) no_execute: bool,
    /// Blocks of 1 GiB; every processor has them.
    pub(crate) gigabyte_pages: bool,
    /// Signed addresses (FEAT_PAuth).
    pub(crate) address_keys: bool,
    /// Signatures of anything.
    pub(crate) generic_key: bool,
    /// Landing pads for jumps through registers (FEAT_BTI).
    pub(crate) landing_pads: bool,
    /// The last of the numbers that tell address spaces apart.
    pub(crate) last_number: u16,
    /// What programs see as `AT_HWCAP`.
    hwcap: u64,
}

static FEATURES: Once<Features> = Once::new();

/// What this machine's processors can do.
#[inline]
pub(crate) fn get() -> &'static Features {
    match FEATURES.get() {
        Some(features) => features,
        None => first_look(),
    }
}

/// What programs see as `AT_HWCAP`.
pub(crate) fn hwcap() -> u64 {
    get().hwcap
}

/// What programs see as `AT_HWCAP2`.
pub(crate) fn hwcap2() -> u64 {
    if has_landing_pads() {
        hwcap_bits::BTI
    } else {
        0
    }
}

/// See [`cpu::has_landing_pads`](crate::cpu::has_landing_pads).
#[inline]
pub(crate) fn has_landing_pads() -> bool {
    get().landing_pads
}

#[cold]
fn first_look() -> &'static Features {
    // A race would set the same value twice; the loser's is dropped.
    let _ = FEATURES.set(detect());
    FEATURES.get().expect("set above, or by whoever came first")
}

/// Whether the processor that asks can do the same as the first one, so that
/// a thread may go on on either.
pub(super) fn are_those_here() -> bool {
    detect() == *get()
}

/// A field of four bits of an identification register.
fn field(register: u64, shift: u32) -> u64 {
    register >> shift & 15
}

fn detect() -> Features {
    let instructions = mrs!("id_aa64isar0_el1");
    let memory = mrs!("id_aa64mmfr1_el1");
    let mut hwcap = hwcap_bits::FP | hwcap_bits::ASIMD;
    for (shift, least, bit) in [
        (4, 1, hwcap_bits::AES),
        (4, 2, hwcap_bits::PMULL),
        (8, 1, hwcap_bits::SHA1),
        (12, 1, hwcap_bits::SHA2),
        (16, 1, hwcap_bits::CRC32),
        (20, 2, hwcap_bits::ATOMICS),
    ] {
        if field(instructions, shift) >= least {
            hwcap |= bit;
        }
    }
    // By the architecture's algorithm, the maker's, or the architecture's other one.
    let signing = mrs!("id_aa64isar1_el1");
    // ID_AA64ISAR2_EL1, by its number: assemblers that are older do not know it.
    let other_signing = mrs!("s3_0_c0_c6_2");
    let address_keys = signing & 0xff0 != 0 || field(other_signing, 12) != 0;
    let generic_key = signing & 0xff << 24 != 0 || field(other_signing, 8) != 0;
    if address_keys {
        hwcap |= hwcap_bits::PACA;
    }
    if generic_key {
        hwcap |= hwcap_bits::PACG;
    }
    Features {
        access_prevention: field(memory, 20) != 0,
        address_keys,
        generic_key,
        landing_pads: field(mrs!("id_aa64pfr1_el1"), 0) != 0,
        no_execute: true,
        gigabyte_pages: true,
        last_number: if field(mrs!("id_aa64mmfr0_el1"), 4) == 2 {
            u16::MAX
        } else {
            u16::from(u8::MAX)
        },
        hwcap,
    }
}

/// Switches on what was found, and the exception vectors.
///
/// # Safety
/// Once per processor, when its block is installed; user pages are not touched
/// from here on but by code that acts as a program.
pub(super) unsafe fn enable() {
    // SAFETY: our own vectors.
    unsafe { msr!("vbar_el1", trap::vectors()) };
    // SAFETY: floating point does not trap; the kernel has none.
    unsafe { msr!("cpacr_el1", 3 << 20) };
    // SAFETY: programs may read the virtual counter and nothing else of the timers.
    unsafe { msr!("cntkctl_el1", 1 << 1) };
    // SAFETY: no debug exceptions.
    unsafe { msr!("mdscr_el1", 0) };
    set_access_prevention(get().access_prevention, true);
}

/// Has each exception keep the kernel from user memory, lets programs sign
/// addresses, and is strict about their landing pads, where the processor can.
///
/// That what can be written is no code is said by the tables, page by page: the
/// bit for all of it (WXN) would be the programs' too, and some of them write
/// code where they run it.
pub(super) fn close_user_memory() {
    let mut control = entry::SCTLR;
    if get().access_prevention {
        control &= !KEEP_ACCESS_PREVENTION;
    }
    if get().address_keys {
        control |= SIGNING;
    }
    if has_landing_pads() {
        control |= STRICT_LANDING;
    }
    // SAFETY: all else is as the boot code set it; the kernel's code signs nothing.
    unsafe { msr!("sctlr_el1", control) };
}

/// Keeps the kernel from user memory, or lets it touch it; nothing where the
/// processor cannot (`guarded` is false).
#[inline]
pub(super) fn set_access_prevention(guarded: bool, on: bool) {
    if !guarded {
        return;
    }
    // The assembler does not know the register's name for every processor.
    if on {
        // SAFETY: the processor has PAN; user memory is touched as a program would.
        unsafe { asm!(".inst 0xd500419f", options(nostack, preserves_flags)) };
    } else {
        // SAFETY: as above.
        unsafe { asm!(".inst 0xd500409f", options(nostack, preserves_flags)) };
    }
}
