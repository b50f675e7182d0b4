//! Device registers in the kernel's address space.

use core::ops::Range;
use core::ptr::NonNull;

use ochre_sync::SpinLock;

use super::kernel_map::{self, MMIO};
use super::{OutOfMemory, PAGE_SIZE, frames};

/// The window's next free address. Mappings are never undone.
static NEXT: SpinLock<u64> = SpinLock::new(MMIO.start);

/// Has the first device this far into the window; before there is one.
pub(super) fn start_at(offset: u64) {
    *NEXT.lock() = MMIO.start + offset;
}

/// Whether there is memory: what [`map`] refuses.
pub(crate) fn is_memory(range: Range<u64>) -> bool {
    frames::is_memory(range)
}

/// Maps the pages of `physical..physical + len` uncached; the pointer is to
/// `physical`. Safe, since what is there can only be reached by unsafe code.
///
/// # Errors
/// [`OutOfMemory`] if the window or memory for tables is used up, or if the
/// range is no device's: it wraps round, leaves the 46-bit address space or
/// touches ordinary memory.
pub(crate) fn map(physical: u64, len: usize) -> Result<NonNull<u8>, OutOfMemory> {
    const PAGE: u64 = PAGE_SIZE as u64;
    const PHYSICAL_END: u64 = 1 << 46;
    let end = physical
        .checked_add(len as u64)
        .filter(|&end| end <= PHYSICAL_END)
        .ok_or(OutOfMemory)?;
    if is_memory(physical..end) {
        return Err(OutOfMemory);
    }
    let first = physical / PAGE * PAGE;
    let bytes = end.next_multiple_of(PAGE) - first;
    let start = room(bytes)?;
    kernel_map::add(start..start + bytes, first, kernel_map::device())?;
    // CAST: an address.
    let address = (start + physical % PAGE) as usize;
    NonNull::new(core::ptr::with_exposed_provenance_mut(address)).ok_or(OutOfMemory)
}

/// Addresses in the window for this many bytes, whole pages, which nobody else
/// gets. An unmapped page behind them catches what runs over the end.
///
/// # Errors
/// [`OutOfMemory`] if the window is used up.
pub(super) fn room(bytes: u64) -> Result<u64, OutOfMemory> {
    let mut next = NEXT.lock();
    let start = *next;
    let after = start
        .checked_add(bytes)
        .and_then(|end| end.checked_add(PAGE_SIZE as u64))
        .filter(|after| *after <= MMIO.end)
        .ok_or(OutOfMemory)?;
    *next = after;
    Ok(start)
}
