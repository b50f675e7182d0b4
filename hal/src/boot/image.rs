//! The kernel's image in the address space and in memory, as the linker script
//! says.
//!
//! Addresses are those where the image runs, which its boot code may have moved
//! ([`places`](super::places)); the machine's `layout` knows by how much.

use core::ops::Range;

use crate::arch::machine::entry::{EarlyTables, OCHRE_EARLY_TABLES};
use crate::arch::machine::layout;

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

/// All of the image.
pub(crate) fn whole() -> Range<u64> {
    between(&symbols::__ochre_image_start, &symbols::__ochre_image_end)
}

/// All of the image, in physical memory.
pub(crate) fn physical() -> Range<u64> {
    to_physical(&whole())
}

/// The boot code's tables, whole pages of the image, in physical memory: of use
/// to processors that start.
pub(crate) fn boot_tables() -> Range<u64> {
    let start = (&raw const OCHRE_EARLY_TABLES).addr() as u64;
    to_physical(&(start..start + size_of::<EarlyTables>() as u64))
}

fn to_physical(range: &Range<u64>) -> Range<u64> {
    layout::to_physical(range.start)..layout::to_physical(range.end)
}
