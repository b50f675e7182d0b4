//! The processor's view of page tables: the root registers and cached translations.
//!
//! One root serves both halves, as on the other machine: 47 bits each, so that
//! the lower half's entries are the first 256 and the upper half's the others.
//! `TTBR0` is the root of the space; `TTBR1` stays with the kernel's root.
//!
//! All translations of programs have the one ASID 0. They are forgotten on
//! this processor only: who changes tables tells the others by `presence`.

use core::arch::asm;

/// Bytes of the half of a root that is the programs'.
const HALF: u64 = 2048;

/// Loads the root register: also forgets every translation that is not global.
///
/// # Safety
/// `root` is the physical address of a root table, for as long as it is loaded.
#[inline]
pub(crate) unsafe fn load_root(root: u64) {
    // SAFETY: only the programs' half is reached through this register; stores
    // to tables come first, by the barrier.
    unsafe {
        asm!(
            "dsb ish",
            "msr ttbr0_el1, {}",
            "isb",
            "tlbi aside1, xzr",
            "dsb nsh",
            "isb",
            in(reg) root,
            options(nostack, preserves_flags),
        );
    }
}

/// Loads the finished kernel root for the first time.
///
/// # Safety
/// `root` maps all that the kernel uses, for ever.
pub(crate) unsafe fn load_kernel_root(root: u64) {
    // SAFETY: the caller says that the kernel's code, stack and data are where
    // they were; nothing of the boot code's tables is remembered afterwards.
    unsafe {
        asm!(
            "dsb ish",
            "msr ttbr1_el1, {high}",
            "msr ttbr0_el1, {root}",
            "isb",
            "tlbi vmalle1",
            "dsb nsh",
            "isb",
            high = in(reg) root + HALF,
            root = in(reg) root,
            options(nostack, preserves_flags),
        );
    }
}

/// Forgets the translation of one page of a program.
#[inline]
pub(crate) fn forget_page(address: u64) {
    let page = address >> 12 & 0xfff_ffff_ffff;
    // SAFETY: forgetting a translation makes the processor read the tables again.
    unsafe {
        asm!("dsb ishst", "tlbi vae1, {}", "dsb nsh", "isb", in(reg) page, options(nostack, preserves_flags))
    }
}

/// Makes entries that were empty known to this processor.
pub(crate) fn publish() {
    // SAFETY: barriers only.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) }
}

/// Forgets every translation that is not global.
pub(crate) fn forget_all() {
    // SAFETY: as in `forget_page`.
    unsafe {
        asm!(
            "dsb ishst",
            "tlbi aside1, xzr",
            "dsb nsh",
            "isb",
            options(nostack, preserves_flags)
        )
    }
}
