//! Kernel stacks with an unmapped page below, so that an overflow faults
//! instead of running into something.

use ochre_sync::SpinLock;

use super::kernel_map::{self, STACKS};
use super::{OutOfMemory, PAGE_SIZE, frames};

/// The window's next free address. Stacks are never given back: there is one
/// set per processor.
static NEXT: SpinLock<u64> = SpinLock::new(STACKS.start);

/// A stack's addresses: `guard..bottom` is unmapped, `bottom..top` is the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelStack {
    /// The first address of the guard page.
    pub(crate) guard: u64,
    /// The lowest address of the stack.
    pub(crate) bottom: u64,
    /// One past the highest; what the stack pointer starts as.
    pub(crate) top: u64,
}

/// Maps a new stack of `pages` pages.
///
/// # Errors
/// [`OutOfMemory`] for its frames or tables; what was taken is lost, which
/// matters at boot only.
pub(crate) fn allocate(pages: usize) -> Result<KernelStack, OutOfMemory> {
    const PAGE: u64 = PAGE_SIZE as u64;
    let bytes = pages as u64 * PAGE;
    let mut next = NEXT.lock();
    let guard = *next;
    let bottom = guard + PAGE;
    let top = bottom.checked_add(bytes).ok_or(OutOfMemory)?;
    if top > STACKS.end {
        return Err(OutOfMemory);
    }
    *next = top;
    drop(next);
    let mut at = bottom;
    while at < top {
        let memory = frames::allocate_kernel(1).ok_or(OutOfMemory)?;
        let frame = super::direct::frame_of(memory.as_ptr());
        kernel_map::add(at..at + PAGE, u64::from(frame) * PAGE, kernel_map::data())?;
        at += PAGE;
    }
    Ok(KernelStack { guard, bottom, top })
}
