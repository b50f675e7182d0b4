//! A heap that is always empty, until the memory module brings the real one.

use core::alloc::{GlobalAlloc, Layout};

struct NoHeap;

// SAFETY: it never hands out memory, so there is nothing to get wrong.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _ptr: *mut u8, _layout: Layout) {}
}

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: NoHeap = NoHeap;
