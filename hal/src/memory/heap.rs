//! The kernel's heap: a slab over the frame allocator.
//!
//! It may use the reserve, so that a call that passed
//! [`has_headroom`](super::has_headroom) finds memory for its small objects.
//!
//! # Lock protocol
//! The heap's lock is taken before the frame allocator's, never after it. No
//! one holds either while calling anything else.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use ochre_alloc::{PageSource, Slab};
use ochre_sync::SpinLock;

use super::frames;

/// Frames as a heap's pages.
#[derive(Debug)]
struct Pages;

// SAFETY: the frame allocator hands out frames in the direct map, aligned,
// each to one owner.
unsafe impl PageSource for Pages {
    fn allocate_pages(&mut self, count: usize) -> Option<NonNull<u8>> {
        frames::allocate_kernel(count)
    }

    unsafe fn free_pages(&mut self, start: NonNull<u8>, count: usize) {
        // SAFETY: the caller's promise, word for word.
        unsafe { frames::free_kernel(start, count) }
    }
}

/// The kernel's heap.
struct Heap {
    slab: SpinLock<Slab<Pages>>,
}

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: Heap = Heap::new();

impl Heap {
    const fn new() -> Heap {
        Heap {
            slab: SpinLock::new(Slab::new(Pages)),
        }
    }

    #[cold]
    fn retry(&self, layout: Layout) -> Option<NonNull<u8>> {
        let mut slab = self.slab.lock();
        slab.reclaim();
        slab.allocate(layout)
    }
}

// SAFETY: the slab hands out memory that fits the layout, to one owner at a
// time, and never unwinds.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = self.slab.lock().allocate(layout);
        memory
            .or_else(|| self.retry(layout))
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if let Some(memory) = NonNull::new(memory) {
            // SAFETY: the caller got it from `alloc` with this layout.
            unsafe { self.slab.lock().free(memory, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if Slab::<Pages>::same_place(layout, new_size) {
            return memory;
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return core::ptr::null_mut();
        };
        // SAFETY: the caller promises that `new_size` is not zero.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            let len = layout.size().min(new_size);
            // SAFETY: both are `len` bytes at least, and different allocations.
            unsafe { core::ptr::copy_nonoverlapping(memory, new, len) };
            // SAFETY: the caller's promise for `memory` and `layout`.
            unsafe { self.dealloc(memory, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::super::host;
    use super::Heap;
    use core::alloc::{GlobalAlloc as _, Layout};

    #[test]
    fn content_survives_growing() {
        let _arena = host::start();
        let heap = Heap::new();
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
        let heap = Heap::new();
        for size in [64 << 20, usize::MAX / 4] {
            let layout = Layout::from_size_align(size, 8).expect("a valid layout");
            // SAFETY: the size is not zero.
            assert!(unsafe { heap.alloc(layout) }.is_null());
        }
    }
}
