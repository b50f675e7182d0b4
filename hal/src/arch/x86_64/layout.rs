//! Where the kernel image and the early mappings lie.
//!
//! The image is linked at `KERNEL_OFFSET` plus its physical address
//! (`kernel.ld`), and may have been moved up from there (`kaslr.rs`). The boot
//! code maps the first [`EARLY_DIRECT_BYTES`] of physical memory at
//! [`direct_map`]; the memory module replaces that by the final tables.

use core::ops::Range;

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

/// An address that the image is linked for minus this is its physical address.
pub(super) const KERNEL_OFFSET: u64 = 0xffff_ffff_8000_0000;

/// The first address of the kernel's half.
pub(super) const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// What the direct map covers at most: the memory that can be managed.
pub(super) const DIRECT_BYTES: u64 = 1 << 40;

/// An image address minus this is its physical address. The first code of
/// other processors reads it.
///
/// ORDERING: Relaxed for this and what follows: written once, before there is
/// anybody else.
#[unsafe(no_mangle)]
static OCHRE_IMAGE_OFFSET: AtomicU64 = AtomicU64::new(KERNEL_OFFSET);

static APART: AtomicU64 = AtomicU64::new(0);

/// Says where the image is from now on, by how far it will have moved, and how
/// many bytes into its window that begins which programs' own tables show.
pub(super) fn move_to(slide: u64, apart: u64) {
    APART.store(apart, Ordering::Relaxed);
    OCHRE_IMAGE_OFFSET.store(KERNEL_OFFSET + slide, Ordering::Relaxed);
}

/// How far the image is from where it is linked.
pub(super) fn slide() -> u64 {
    OCHRE_IMAGE_OFFSET.load(Ordering::Relaxed) - KERNEL_OFFSET
}

/// How far into its window that begins which programs' own tables show.
pub(super) fn apart_offset() -> u64 {
    APART.load(Ordering::Relaxed)
}

/// Physical address 0 in the direct map of all memory.
///
/// A number in the code, wherever it is asked for, which is everywhere: the
/// section `.ochre_bases` says where, each place relative to its own entry,
/// and `kaslr.rs` writes another number there before that code runs. So it
/// costs what a constant costs, and the compiler may keep it.
#[inline(always)]
pub(crate) fn direct_map() -> u64 {
    let base: u64;
    // SAFETY: loads a number. It changes once, before there is anybody who
    // could have seen it.
    unsafe {
        core::arch::asm!(
            // Two bytes, then the number's eight.
            "2: movabs {base}, {linked}",
            ".pushsection .ochre_bases, \"a\"",
            ".long 2b + 2 - .",
            ".popsection",
            base = out(reg) base,
            linked = const KERNEL_HALF,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    base
}

/// The direct map's addresses.
pub(super) fn direct_range() -> Range<u64> {
    let start = direct_map();
    start..start + DIRECT_BYTES
}

/// How much of memory the boot code maps at [`direct_map`] before the memory module takes over.
pub(super) const EARLY_DIRECT_BYTES: u64 = 4 << 30;

/// Whether the machine's memory begins at address 0: firmware and the first
/// programs of every PC are there.
pub(crate) const MEMORY_BEGINS_AT_0: bool = true;

/// What the boot code maps at [`direct_map`].
pub(crate) fn early_direct() -> Range<u64> {
    0..EARLY_DIRECT_BYTES
}

/// The physical address of a place in the image.
pub(crate) fn to_physical(address: u64) -> u64 {
    address.wrapping_sub(OCHRE_IMAGE_OFFSET.load(Ordering::Relaxed))
}

/// The guard pages of the stacks in the image, for the final page tables to leave out.
pub(crate) fn guard_pages() -> [u64; 4] {
    super::gdt::guard_pages()
}
