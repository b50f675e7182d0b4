//! The direct map: every frame of memory at one distance, for the kernel.
//!
//! It covers ordinary memory only, never device registers, and not the kernel
//! image. Before [`boot::init`](super::boot::init) it is the boot code's
//! mapping of the first 4 GiB.
//!
//! On a host a static arena plays the machine's memory, so that tests of this
//! module run there.

use super::PAGE_SIZE;

/// The kernel's pointer to the start of a frame. Making it is safe; what may
/// be done with it is the frame's owner's business.
#[inline]
pub(crate) fn pointer(frame: u32) -> *mut u8 {
    let physical = frame as usize * PAGE_SIZE;
    core::ptr::with_exposed_provenance_mut(base() + physical)
}

/// The kernel's pointer to a physical address in ordinary memory.
#[inline]
pub(crate) fn pointer_to(physical: u64) -> *mut u8 {
    // CAST: physical addresses of memory have at most 46 bits.
    core::ptr::with_exposed_provenance_mut(base().wrapping_add(physical as usize))
}

/// The frame that a pointer into the direct map points to.
#[inline]
pub(crate) fn frame_of(pointer: *const u8) -> u32 {
    // CAST: frames have 28-bit numbers.
    (pointer.addr().wrapping_sub(base()) / PAGE_SIZE) as u32
}

#[cfg(target_os = "none")]
#[inline]
fn base() -> usize {
    // CAST: an address.
    crate::arch::machine::layout::direct_map() as usize
}

#[cfg(not(target_os = "none"))]
fn base() -> usize {
    super::host::arena()
}
