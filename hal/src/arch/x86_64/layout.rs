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

static WINDOWS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

static APART: AtomicU64 = AtomicU64::new(0);

/// Says where everything is from now on, the direct map apart: how far the
/// image will have moved, how many gigabytes into their windows stacks and
/// devices begin, and how many bytes what programs' own tables show.
pub(super) fn move_to(slide: u64, windows: [u64; 2], apart: u64) {
    APART.store(apart, Ordering::Relaxed);
    OCHRE_IMAGE_OFFSET.store(KERNEL_OFFSET + slide, Ordering::Relaxed);
    for (place, gigabytes) in WINDOWS.iter().zip(windows) {
        place.store(gigabytes << 30, Ordering::Relaxed);
    }
}

/// How far the image is from where it is linked.
pub(super) fn slide() -> u64 {
    OCHRE_IMAGE_OFFSET.load(Ordering::Relaxed) - KERNEL_OFFSET
}

/// How far into their windows stacks and devices begin.
pub(crate) fn window_offsets() -> [u64; 2] {
    WINDOWS
        .each_ref()
        .map(|place| place.load(Ordering::Relaxed))
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

/// What the boot code maps at [`direct_map`].
pub(crate) fn early_direct() -> Range<u64> {
    0..EARLY_DIRECT_BYTES
}

/// The physical address of a place in the image.
pub(crate) fn to_physical(address: u64) -> u64 {
    address.wrapping_sub(OCHRE_IMAGE_OFFSET.load(Ordering::Relaxed))
}

/// Bytes of a kernel stack, without its guard page.
pub(crate) const STACK_BYTES: usize = 64 << 10;

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

/// The boot code's tables, whole pages of the image: of use to processors that start.
pub(crate) fn boot_tables() -> Range<u64> {
    let start = (&raw const super::entry::OCHRE_EARLY_TABLES).addr() as u64;
    start..start + size_of::<super::entry::EarlyTables>() as u64
}

/// The guard pages of the stacks in the image, for the final page tables to leave out.
pub(crate) fn guard_pages() -> [u64; 4] {
    super::gdt::guard_pages()
}

#[cfg(target_os = "none")]
mod symbols {
    // The linker script defines all of these; only their addresses are used.
    unsafe extern "C" {
        pub(super) safe static __ochre_image_start: u8;
        pub(super) safe static __ochre_text_start: u8;
        pub(super) safe static __ochre_text_end: u8;
        pub(super) safe static __ochre_rodata_start: u8;
        pub(super) safe static __ochre_rodata_end: u8;
        pub(super) safe static __ochre_build_id_start: u8;
        pub(super) safe static __ochre_build_id_end: u8;
        pub(super) safe static __ochre_data_start: u8;
        pub(super) safe static __ochre_data_end: u8;
        pub(super) safe static __ochre_image_end: u8;
    }
}

/// On a host there is no image; the ranges are empty.
#[cfg(not(target_os = "none"))]
#[expect(
    non_upper_case_globals,
    reason = "stand-ins for the linker's symbols on a host"
)]
mod symbols {
    pub(super) static __ochre_image_start: u8 = 0;
    pub(super) use __ochre_image_start as __ochre_text_start;
    pub(super) use __ochre_image_start as __ochre_text_end;
    pub(super) use __ochre_image_start as __ochre_rodata_start;
    pub(super) use __ochre_image_start as __ochre_rodata_end;
    pub(super) use __ochre_image_start as __ochre_build_id_start;
    pub(super) use __ochre_image_start as __ochre_build_id_end;
    pub(super) use __ochre_image_start as __ochre_data_start;
    pub(super) use __ochre_image_start as __ochre_data_end;
    pub(super) use __ochre_image_start as __ochre_image_end;
}

fn between(start: &u8, end: &u8) -> Range<u64> {
    core::ptr::from_ref(start).addr() as u64..core::ptr::from_ref(end).addr() as u64
}

/// The kernel's code: read and execute.
pub(crate) fn text() -> Range<u64> {
    between(&symbols::__ochre_text_start, &symbols::__ochre_text_end)
}

/// The kernel's constants: read only.
pub(crate) fn rodata() -> Range<u64> {
    between(&symbols::__ochre_rodata_start, &symbols::__ochre_rodata_end)
}

/// The linker's note of which image this is, where it was asked for one.
pub(crate) fn build_id_note() -> Range<u64> {
    between(
        &symbols::__ochre_build_id_start,
        &symbols::__ochre_build_id_end,
    )
}

/// The kernel's data, zeroed data and boot stacks: read and write.
pub(crate) fn data() -> Range<u64> {
    between(&symbols::__ochre_data_start, &symbols::__ochre_data_end)
}

/// The whole image.
pub(crate) fn image() -> Range<u64> {
    between(&symbols::__ochre_image_start, &symbols::__ochre_image_end)
}

/// The image in physical memory.
pub(crate) fn image_physical() -> Range<u64> {
    let image = image();
    to_physical(image.start)..to_physical(image.end)
}
