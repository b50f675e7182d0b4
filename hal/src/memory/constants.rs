//! Constants that are not in the image but come at boot: copied to memory of
//! their own and mapped as the image's are, to be read.
//!
//! Like the image's they can be written in the direct map, by code that is
//! wrong about an address there; who reads them when something went wrong
//! checks what it reads.

use super::{OutOfMemory, PAGE_SIZE, direct, frames, kernel_map, mmio};

/// Copies these bytes to where they are only read, for ever.
///
/// # Errors
/// [`OutOfMemory`]; what was taken by then is lost, so it is for boot.
pub(crate) fn keep(bytes: &[u8]) -> Result<&'static [u8], OutOfMemory> {
    const PAGE: u64 = PAGE_SIZE as u64;
    let start = mmio::room((bytes.len() as u64).next_multiple_of(PAGE))?;
    for (page, part) in (0..).zip(bytes.chunks(PAGE_SIZE)) {
        let memory = frames::allocate_kernel(1).ok_or(OutOfMemory)?;
        let to = memory.as_ptr();
        // SAFETY: the page was just given to us alone, and the part is no
        // longer than it.
        unsafe { core::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len()) };
        let physical = u64::from(direct::frame_of(memory.as_ptr())) * PAGE;
        let at = start + page * PAGE;
        kernel_map::add(at..at + PAGE, physical, kernel_map::constants())?;
    }
    // CAST: an address.
    let first = core::ptr::with_exposed_provenance(start as usize);
    // SAFETY: the loop mapped this many bytes from there on, filled them, and
    // nobody writes to the frames or undoes the mappings from here on.
    Ok(unsafe { core::slice::from_raw_parts(first, bytes.len()) })
}
