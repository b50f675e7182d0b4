//! Kernel stacks with an unmapped page below, so that an overflow faults
//! instead of running into something: those of the image, for the boot
//! processor, and those that are mapped for others.

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::kernel_map::{self, STACKS};
use super::{OutOfMemory, PAGE_SIZE, frames};

/// Bytes of a kernel stack, without its guard page.
pub(crate) const STACK_BYTES: usize = 64 << 10;

/// A stack of the image, with a page below that the final page tables leave
/// out.
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

/// The window's next free address. Stacks are never given back: there is one
/// set per processor.
static NEXT: AtomicU64 = AtomicU64::new(STACKS.start);

/// Has the first stack this far into the window; before there is one.
pub(super) fn start_at(offset: u64) {
    // ORDERING: Relaxed; at boot.
    NEXT.store(STACKS.start + offset, Ordering::Relaxed);
}

/// A stack's addresses: `guard..bottom` is unmapped, `bottom..top` is the stack.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "ktest"),
    expect(dead_code, reason = "the tests look at all of it")
)]
pub(crate) struct KernelStack {
    /// The first address of the guard page.
    pub(crate) guard: u64,
    /// The lowest address of the stack.
    pub(crate) bottom: u64,
    /// One past the highest; what the stack pointer starts as.
    pub(crate) top: u64,
}

/// Frames of all of them.
static FRAMES: AtomicU64 = AtomicU64::new(0);

/// See [`super::stack_frames`].
pub(super) fn frames() -> u64 {
    FRAMES.load(Ordering::Relaxed)
}

/// Maps a new stack of `pages` pages.
///
/// # Errors
/// [`OutOfMemory`] for its frames or tables; what was taken is lost, which
/// matters at boot only.
pub(crate) fn allocate(pages: usize) -> Result<KernelStack, OutOfMemory> {
    const PAGE: u64 = PAGE_SIZE as u64;
    let bytes = pages as u64 * PAGE;
    let fits = |guard: u64| {
        let top = guard.checked_add(PAGE)?.checked_add(bytes)?;
        (top <= STACKS.end).then_some(top)
    };
    // ORDERING: Relaxed; a place is given once, and what is there comes later.
    let guard = NEXT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
        .map_err(|_| OutOfMemory)?;
    let bottom = guard + PAGE;
    let top = bottom + bytes;
    let mut at = bottom;
    while at < top {
        let memory = frames::allocate_kernel(1).ok_or(OutOfMemory)?;
        let frame = super::direct::frame_of(memory.as_ptr());
        kernel_map::add(at..at + PAGE, u64::from(frame) * PAGE, kernel_map::data())?;
        at += PAGE;
    }
    // ORDERING: Relaxed; a statistic.
    FRAMES.fetch_add(pages as u64, Ordering::Relaxed);
    Ok(KernelStack { guard, bottom, top })
}

/// Whether an address lies among the stacks: where nothing is mapped there, is
/// a guard page.
pub(crate) fn contain(address: u64) -> bool {
    // ORDERING: Relaxed; asked by a report.
    (STACKS.start..NEXT.load(Ordering::Relaxed)).contains(&address)
}
