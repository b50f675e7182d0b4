//! Where the kernel image and the early mappings lie.
//!
//! The image is linked at [`LINKED`] (`kernel.ld`), loaded anywhere at a
//! multiple of 2 MiB, and may have been moved up from where it is linked
//! (`kaslr.rs`): the boot code finds out where it is loaded, and maps the image
//! and the gigabyte of memory around it, the latter in the [`direct_map`] too;
//! the memory module replaces that by the final tables.

use core::ops::Range;

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

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

/// Where stacks and devices begin in their windows, in bytes.
///
/// ORDERING: Relaxed for this and [`OCHRE_IMAGE_OFFSET`]: written once, before
/// there is anybody else.
static WINDOWS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Says where everything is from now on, the direct map apart: how far the
/// image will have moved, how many gigabytes into their windows stacks and
/// devices begin.
pub(super) fn move_to(slide: u64, windows: [u64; 2]) {
    OCHRE_IMAGE_OFFSET.fetch_add(slide, Ordering::Relaxed);
    for (place, gigabytes) in WINDOWS.iter().zip(windows) {
        place.store(gigabytes << 30, Ordering::Relaxed);
    }
}

/// How far the image is from where it is linked.
pub(super) fn slide() -> u64 {
    image().start - LINKED
}

/// How far into their windows stacks and devices begin.
pub(crate) fn window_offsets() -> [u64; 2] {
    WINDOWS
        .each_ref()
        .map(|place| place.load(Ordering::Relaxed))
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

/// Bytes of a kernel stack, without its guard page.
pub(crate) const STACK_BYTES: usize = 64 << 10;

/// Bytes of the stack on which exceptions in the kernel are handled.
pub(super) const EXCEPTION_STACK_BYTES: usize = 16 << 10;

/// An image address minus this is its physical address. Written by the boot
/// code, before anything reads it; the first code of other processors does.
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

/// What the boot code maps at [`direct_map`], of what can be used before the
/// memory module takes over.
pub(crate) fn early_direct() -> Range<u64> {
    let start = image_physical().start / EARLY_BYTES * EARLY_BYTES;
    start..start + EARLY_BYTES
}

/// The physical address of a place in the image.
pub(crate) fn to_physical(address: u64) -> u64 {
    // ORDERING: Relaxed; constant since the first instructions.
    address.wrapping_sub(OCHRE_IMAGE_OFFSET.load(Ordering::Relaxed))
}

/// The boot code's tables, whole pages of the image: of use to processors that start.
pub(crate) fn boot_tables() -> Range<u64> {
    let start = (&raw const super::entry::OCHRE_EARLY_TABLES).addr() as u64;
    start..start + size_of::<super::entry::EarlyTables>() as u64
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
