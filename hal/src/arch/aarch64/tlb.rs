//! The processor's view of page tables: the root registers and cached translations.
//!
//! One root serves both halves, as on the other machine: 47 bits each, so that
//! the lower half's entries are the first 256 and the upper half's the others.
//! `TTBR0` is the root of the space; `TTBR1` stays with the kernel's root.
//!
//! A program's translations have its space's number (ASID), which `TTBR0`
//! holds beside the root; the kernel's are global, and number 0 has none: it is
//! there when no program's space is. Going from one space to another forgets
//! nothing. Who changes tables makes all processors forget at once
//! ([`numbers`](crate::memory::numbers)).

use core::arch::asm;
use core::ops::Range;

#[cfg(feature = "ktest")]
use ochre_sync::primitive::atomic::Ordering;

#[cfg(feature = "ktest")]
use crate::memory::numbers::FORGOTTEN;

use super::system::mrs;
use super::{entry, features};

/// Bytes of the half of a root that is the programs'.
const HALF: u64 = 2048;

/// Where a space's number is, in a root register and in what is to be forgotten.
const NUMBER: u32 = 48;

/// Bits of a page's number in what is to be forgotten.
const PAGE: u64 = 0xfff_ffff_ffff;

/// Whether one instruction makes every processor forget.
pub(crate) const BROADCASTS: bool = true;

/// The last number of a space.
pub(crate) fn last_number() -> u16 {
    features::get().last_number
}

/// Loads the root register of programs, and their space's number with it.
///
/// # Safety
/// `root` is the physical address of a root table, for as long as it is
/// loaded; the number is that space's on this processor.
#[inline]
pub(crate) unsafe fn load_root(root: u64, number: u16) {
    let value = root | u64::from(number) << NUMBER;
    // SAFETY: only the programs' half is reached through this register; stores
    // to tables come first, by the barrier, and the space's number is known to
    // who changes them from now on.
    unsafe {
        asm!(
            "dsb ish",
            "msr ttbr0_el1, {}",
            "isb",
            in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

/// Loads the finished kernel root for the first time, in place of the boot code's.
///
/// # Safety
/// `root` maps all that the kernel uses, for ever.
pub(crate) unsafe fn load_kernel_root(root: u64) {
    // SAFETY: the caller says that the kernel's code, stack and data are where
    // they were. In between there are none of them, but only the boot code's
    // lower half, in which the called code lies, and of which nothing is
    // remembered afterwards.
    unsafe {
        asm!(
            "dsb ish",
            "blr {changer}",
            "msr ttbr0_el1, {root}",
            "isb",
            "tlbi vmalle1",
            "dsb nsh",
            "isb",
            changer = in(reg) entry::root_changer(),
            root = in(reg) root,
            in("x0") root + HALF,
            out("x1") _,
            out("x2") _,
            out("x30") _,
            options(nostack, preserves_flags),
        );
    }
}

/// Makes entries that were empty known to this processor.
pub(crate) fn publish() {
    // SAFETY: barriers only.
    unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) }
}

/// Has all stores to tables done, and looks at nothing before.
#[inline]
pub(crate) fn show_tables() {
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) }
}

/// Waits until what was to be forgotten is.
#[inline]
fn finish(widely: bool) {
    #[cfg(feature = "ktest")]
    FORGOTTEN.fetch_add(1, Ordering::Relaxed);
    if widely {
        // SAFETY: barriers only.
        unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) }
    } else {
        // SAFETY: as above.
        unsafe { asm!("dsb nsh", "isb", options(nostack, preserves_flags)) }
    }
}

/// Forgets the translation of one page of the program whose space is loaded,
/// on this processor.
#[inline]
pub(crate) fn forget_page(address: u64) {
    let number = mrs!("ttbr0_el1") >> NUMBER;
    // CAST: 16 bits are left.
    forget_pages(number as u16, address >> 12..(address >> 12) + 1, false);
}

/// Forgets every translation, of whatever space, on this processor.
pub(crate) fn forget_all() {
    // SAFETY: forgetting a translation makes the processor read the tables again.
    unsafe {
        asm!(
            "dsb ishst",
            "tlbi vmalle1",
            options(nostack, preserves_flags)
        )
    }
    finish(false);
}

/// Forgets everything of a space: on all processors, or on this one.
/// [`show_tables`] was called before.
pub(crate) fn forget_space(number: u16, widely: bool) {
    let what = u64::from(number) << NUMBER;
    if widely {
        // SAFETY: as in `forget_all`.
        unsafe { asm!("tlbi aside1is, {}", in(reg) what, options(nostack, preserves_flags)) }
    } else {
        // SAFETY: as in `forget_all`.
        unsafe { asm!("tlbi aside1, {}", in(reg) what, options(nostack, preserves_flags)) }
    }
    finish(widely);
}

/// As [`forget_space`] for pages, by their numbers, and the tables on the way to each.
#[inline]
pub(crate) fn forget_pages(number: u16, pages: Range<u64>, widely: bool) {
    for page in pages {
        let what = u64::from(number) << NUMBER | page & PAGE;
        if widely {
            // SAFETY: as in `forget_all`.
            unsafe { asm!("tlbi vae1is, {}", in(reg) what, options(nostack, preserves_flags)) }
        } else {
            // SAFETY: as in `forget_all`.
            unsafe { asm!("tlbi vae1, {}", in(reg) what, options(nostack, preserves_flags)) }
        }
    }
    finish(widely);
}
