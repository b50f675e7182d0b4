//! Where the kernel image and the early mappings lie.
//!
//! The image is linked at [`LINKED`] (`kernel.ld`), loaded anywhere at a
//! multiple of 2 MiB, and may have been moved up from where it is linked
//! (`kaslr.rs`): the boot code finds out where it is loaded, and maps the image
//! and the gigabyte of memory around it, the latter in the [`direct_map`] too;
//! the memory module replaces that by the final tables.

use core::ops::Range;

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::boot::image;

/// The address that the image is linked for: so far behind a gigabyte's
/// beginning as [`LINKED_INTO`] says.
pub(super) const LINKED: u64 = 0xffff_ffff_8020_0000;

/// See [`LINKED`].
pub(super) const LINKED_INTO: u64 = LINKED % EARLY_BYTES;

/// The first address of the kernel's half.
pub(super) const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// What the direct map covers at most: the memory that can be managed.
pub(super) const DIRECT_BYTES: u64 = 1 << 40;

/// Gigabytes that the direct map begins at a multiple of: its address is two
/// instructions, of which one is the upper quarter that never changes.
pub(super) const DIRECT_STEP: u64 = 4;

/// Says where the image is from now on, by how far it will have moved.
pub(super) fn move_to(slide: u64) {
    // ORDERING: Relaxed; written before there is anybody else.
    OCHRE_IMAGE_OFFSET.fetch_add(slide, Ordering::Relaxed);
}

/// How far the image is from where it is linked.
pub(super) fn slide() -> u64 {
    image::whole().start - LINKED
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
    // SAFETY: makes a number. It changes once, before there is anybody who
    // could have seen it.
    unsafe {
        core::arch::asm!(
            "2: movz {base}, #{linked}, lsl #32",
            "movk {base}, #0xffff, lsl #48",
            ".pushsection .ochre_bases, \"a\"",
            ".long 2b - .",
            ".popsection",
            base = out(reg) base,
            linked = const KERNEL_HALF >> 32 & 0xffff,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    base
}

/// The instruction of [`direct_map`] that says where it is, for another place.
pub(super) fn with_base(instruction: u32, base: u64) -> u32 {
    /// Sixteen bits from here on are the number.
    const NUMBER: u32 = 5;
    // CAST: sixteen bits.
    let number = (base >> 32 & 0xffff) as u32;
    instruction & !(0xffff << NUMBER) | number << NUMBER
}

/// The direct map's addresses.
pub(super) fn direct_range() -> Range<u64> {
    let start = direct_map();
    start..start + DIRECT_BYTES
}

/// What the boot code maps with one entry.
pub(super) const EARLY_BYTES: u64 = 1 << 30;

/// Bytes of the stack on which exceptions in the kernel are handled.
pub(super) const EXCEPTION_STACK_BYTES: usize = 16 << 10;

/// An image address minus this is its physical address. Written by the boot
/// code, before anything reads it; the first code of other processors does.
#[unsafe(no_mangle)]
static OCHRE_IMAGE_OFFSET: AtomicU64 = AtomicU64::new(0);

/// Whether the machine's memory begins at address 0: QEMU's `virt` has it from
/// 1 GiB on, others elsewhere.
pub(crate) const MEMORY_BEGINS_AT_0: bool = false;

/// What the boot code maps at [`direct_map`], of what can be used before the
/// memory module takes over.
pub(crate) fn early_direct() -> Range<u64> {
    let start = image::physical().start / EARLY_BYTES * EARLY_BYTES;
    start..start + EARLY_BYTES
}

/// The physical address of a place in the image.
pub(crate) fn to_physical(address: u64) -> u64 {
    // ORDERING: Relaxed; constant since the first instructions.
    address.wrapping_sub(OCHRE_IMAGE_OFFSET.load(Ordering::Relaxed))
}

/// The guard pages of the stacks in the image, for the final page tables to leave out.
pub(crate) fn guard_pages() -> [u64; 2] {
    super::entry::stack_guards()
}
