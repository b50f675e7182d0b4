//! Where the kernel image and the early mappings lie.
//!
//! The image is linked at fixed addresses (`kernel.ld`) and loaded anywhere at
//! a multiple of 2 MiB: the boot code finds out where, and maps the image and
//! the gigabyte of memory around it, the latter in the [`DIRECT_MAP`] too; the
//! memory module replaces that by the final tables.

use core::ops::Range;

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

/// Physical address 0 in the direct map of all memory.
pub(super) const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// The end of the direct map: 46 bits of physical address.
pub(super) const DIRECT_MAP_END: u64 = DIRECT_MAP + crate::boot::memory_map::PHYSICAL_END;

/// Physical address 0 in the direct map: always the same here.
#[inline]
pub(crate) fn direct_map() -> u64 {
    DIRECT_MAP
}

/// How far into their windows stacks and devices begin: not at all.
pub(crate) fn window_offsets() -> [u64; 2] {
    [0, 0]
}

/// What the boot code maps with one entry.
pub(super) const EARLY_BYTES: u64 = 1 << 30;

/// Bytes of a kernel stack, without its guard page.
pub(crate) const STACK_BYTES: usize = 64 << 10;

/// Bytes of the stack on which exceptions in the kernel are handled.
pub(super) const EXCEPTION_STACK_BYTES: usize = 16 << 10;

/// An image address minus this is its physical address. Written by the boot
/// code, before anything reads it.
#[unsafe(no_mangle)]
static OCHRE_IMAGE_OFFSET: AtomicU64 = AtomicU64::new(0);

/// A stack with a page below it that the final page tables leave out.
#[repr(C, align(4096))]
pub(crate) struct Stack<const BYTES: usize> {
    guard: [u8; 4096],
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Stack<BYTES> {
    /// An empty stack.
    pub(crate) const fn new() -> Stack<BYTES> {
        Stack {
            guard: [0; 4096],
            bytes: [0; BYTES],
        }
    }
}

// The linker script defines all of these; only their addresses are used.
unsafe extern "C" {
    safe static __ochre_image_start: u8;
    safe static __ochre_text_start: u8;
    safe static __ochre_text_end: u8;
    safe static __ochre_rodata_start: u8;
    safe static __ochre_rodata_end: u8;
    safe static __ochre_build_id_start: u8;
    safe static __ochre_build_id_end: u8;
    safe static __ochre_data_start: u8;
    safe static __ochre_data_end: u8;
    safe static __ochre_image_end: u8;
}

/// What the boot code maps at [`DIRECT_MAP`].
pub(crate) fn early_direct() -> Range<u64> {
    let start = image_physical().start / EARLY_BYTES * EARLY_BYTES;
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

fn between(start: &u8, end: &u8) -> Range<u64> {
    core::ptr::from_ref(start).addr() as u64..core::ptr::from_ref(end).addr() as u64
}

/// The kernel's code: read and execute.
pub(crate) fn text() -> Range<u64> {
    between(&__ochre_text_start, &__ochre_text_end)
}

/// The kernel's constants: read only.
pub(crate) fn rodata() -> Range<u64> {
    between(&__ochre_rodata_start, &__ochre_rodata_end)
}

/// The linker's note of which image this is, where it was asked for one.
pub(crate) fn build_id_note() -> Range<u64> {
    between(&__ochre_build_id_start, &__ochre_build_id_end)
}

/// The kernel's data, zeroed data and boot stacks: read and write.
pub(crate) fn data() -> Range<u64> {
    between(&__ochre_data_start, &__ochre_data_end)
}

/// The whole image.
pub(crate) fn image() -> Range<u64> {
    between(&__ochre_image_start, &__ochre_image_end)
}

/// The image in physical memory.
pub(crate) fn image_physical() -> Range<u64> {
    let image = image();
    to_physical(image.start)..to_physical(image.end)
}
