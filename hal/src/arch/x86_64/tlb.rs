//! The processor's view of page tables: the root register and cached translations.
//!
//! On a host the functions do nothing: tests there look at tables only.

use core::ops::Range;

/// Whether one instruction makes every processor forget: it does not here, so
/// that what follows has nothing to do.
pub(crate) const BROADCASTS: bool = false;

/// There are no numbers in use (PCIDs, which some processors have).
pub(crate) fn last_number() -> u16 {
    0
}

/// See [`BROADCASTS`].
pub(crate) fn show_tables() {}

/// See [`BROADCASTS`].
pub(crate) fn forget_space(_number: u16, _widely: bool) {}

/// See [`BROADCASTS`].
pub(crate) fn forget_pages(_number: u16, _pages: Range<u64>, _widely: bool) {}

#[cfg(target_os = "none")]
mod real {
    use core::arch::asm;

    use crate::arch::machine::system;

    /// Loads the root register: also forgets every translation that is not global.
    ///
    /// # Safety
    /// `root` is the physical address of a root table whose kernel half is the kernel's.
    #[inline]
    pub(crate) unsafe fn load_root(root: u64, _number: u16) {
        // SAFETY: the kernel half stays as it is, by the caller's promise; the
        // user half is not the kernel's memory. Not `nomem`: stores to tables come first.
        unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) }
    }

    /// Forgets the translation of one page, and all cached upper entries.
    #[inline]
    pub(crate) fn forget_page(address: u64) {
        // SAFETY: forgetting a translation makes the processor read the tables again.
        unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) }
    }

    /// Makes entries that were empty known to this processor: it never
    /// remembers that there was nothing.
    pub(crate) fn publish() {}

    /// Forgets every translation that is not global.
    pub(crate) fn forget_all() {
        // SAFETY: the root that is loaded already.
        unsafe { load_root(system::read_cr3(), 0) }
    }
}

#[cfg(not(target_os = "none"))]
mod real {
    /// Nothing to load on a host.
    ///
    /// # Safety
    /// None needed here; the machine's version has a contract.
    pub(crate) unsafe fn load_root(_root: u64, _number: u16) {}

    /// Nothing is cached on a host.
    pub(crate) fn forget_page(_address: u64) {}

    /// Nothing is cached on a host.
    pub(crate) fn publish() {}

    /// Nothing is cached on a host.
    pub(crate) fn forget_all() {}
}

/// Loads the finished kernel root for the first time.
///
/// # Safety
/// As for [`load_root`]; the table is the kernel's own, for ever.
pub(crate) unsafe fn load_kernel_root(root: u64) {
    // SAFETY: the caller's promise.
    unsafe { load_root(root, 0) };
}

pub(crate) use real::{forget_all, forget_page, load_root, publish};
