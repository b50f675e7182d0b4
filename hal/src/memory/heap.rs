//! The kernel's heap, over the frame allocator.
//!
//! It may use the reserve, so that a call that passed
//! [`has_headroom`](super::has_headroom) finds memory for its small objects.
//! Which design it is, `config` says.
//!
//! # Lock protocol
//! The heap's locks are taken before the frame allocator's, never after them. No
//! one holds any while calling anything else.

use core::ptr::NonNull;

use ochre_alloc::{PageSource, Place};

use crate::cpu;

use super::config;
use super::frames;
#[cfg(target_os = "none")]
use super::shortage::Short;

/// Frames as a heap's pages.
#[derive(Debug)]
pub(super) struct Pages;

// SAFETY: the frame allocator hands out frames in the direct map, aligned,
// each to one owner.
// ANCHOR: page_source
unsafe impl PageSource for Pages {
    fn allocate_pages(&self, count: usize) -> Option<NonNull<u8>> {
        frames::allocate_kernel(count)
    }

    unsafe fn free_pages(&self, start: NonNull<u8>, count: usize) {
        // SAFETY: the caller's promise, word for word.
        unsafe { frames::free_kernel(start, count) }
    }

    fn resizes(&self) -> bool {
        true
    }

    unsafe fn resize_pages(&self, start: NonNull<u8>, old: usize, new: usize) -> bool {
        // SAFETY: the caller's promise, word for word.
        unsafe { frames::resize_kernel(start, old, new) }
    }
}
// ANCHOR_END: page_source

/// The processor whose magazines are used.
#[derive(Debug)]
pub(super) struct Here;

// SAFETY: kernel code runs with interrupts off and is never moved to another
// processor in between; what interrupts it all the same (a machine check, a
// fault of the kernel itself) ends the machine and allocates nothing. On a
// host, tests take turns (`host`).
unsafe impl Place for Here {
    // Little is kept: the machine may be small.
    const RUNS: usize = 4;
    const SHORTER: u32 = 4;

    #[inline]
    fn index() -> Option<usize> {
        Some(cpu::current().index())
    }
}

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: Short<checked::Heap> = Short::new(checked::NEW);

/// Gives back what the heap keeps for this processor without need.
pub(super) fn reclaim() {
    #[cfg(target_os = "none")]
    checked::inside(HEAP.heap()).reclaim();
}

/// The heap of a kernel that is tested: it looks at the edges of what it gave.
#[cfg(all(target_os = "none", any(feature = "boottest", feature = "ktest")))]
mod checked {
    use ochre_alloc::{Guarded, Overrun};

    use super::config;

    pub(super) type Heap = Guarded<config::Heap>;

    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "used for one static, as what it is made of"
    )]
    pub(super) const NEW: Heap = Guarded::new(config::NEW_HEAP, tell);

    pub(super) fn inside(heap: &Heap) -> &config::Heap {
        heap.heap()
    }

    fn tell(overrun: Overrun) -> ! {
        let Overrun {
            address,
            size,
            before,
        } = overrun;
        let place = if before { "before" } else { "behind" };
        panic!("heap overrun: somebody wrote {place} the {size} bytes at {address:#x}")
    }
}

/// The heap as it is.
#[cfg(all(target_os = "none", not(any(feature = "boottest", feature = "ktest"))))]
mod checked {
    use super::config;

    pub(super) use config::{Heap, NEW_HEAP as NEW};

    pub(super) fn inside(heap: &Heap) -> &Heap {
        heap
    }
}

/// What the heap has of each size of objects.
pub(super) fn sizes() -> config::Sizes {
    #[cfg(target_os = "none")]
    let heap = checked::inside(HEAP.heap());
    #[cfg(not(target_os = "none"))]
    let empty = config::NEW_HEAP;
    #[cfg(not(target_os = "none"))]
    let heap = &empty;
    config::sizes(heap)
}

#[cfg(test)]
mod tests {
    use super::super::{config, host};
    use core::alloc::{GlobalAlloc as _, Layout};

    #[test]
    fn content_survives_growing() {
        let _arena = host::start();
        let heap: config::Heap = config::NEW_HEAP;
        let mut size = 1;
        let layout = |size| Layout::from_size_align(size, 8).expect("a small layout");
        // SAFETY: the size is not zero.
        let mut at = unsafe { heap.alloc(layout(size)) };
        assert!(!at.is_null());
        // SAFETY: one byte was allocated.
        unsafe { at.write(0xa5) };
        while size < 40_000 {
            let larger = size * 2 + 1;
            // SAFETY: allocated with this layout.
            at = unsafe { heap.realloc(at, layout(size), larger) };
            assert!(!at.is_null());
            // SAFETY: `larger` bytes are ours.
            unsafe { at.wrapping_add(size).write_bytes(0xa5, larger - size) };
            size = larger;
        }
        // SAFETY: all of them were written.
        let bytes = unsafe { core::slice::from_raw_parts(at, size) };
        assert!(bytes.iter().all(|&byte| byte == 0xa5));
        // SAFETY: allocated with this layout.
        unsafe { heap.dealloc(at, layout(size)) };
    }

    #[test]
    fn a_request_beyond_memory_is_null() {
        let _arena = host::start();
        let heap: config::Heap = config::NEW_HEAP;
        for size in [64 << 20, usize::MAX / 4] {
            let layout = Layout::from_size_align(size, 8).expect("a valid layout");
            // SAFETY: the size is not zero.
            assert!(unsafe { heap.alloc(layout) }.is_null());
        }
    }
}
