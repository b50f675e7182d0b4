//! The program's heap: a part of its own image, so that it makes no memory calls
//! but those that are tested, and nothing of it lies where those play.
//!
//! A C library's heap may grow by `mmap`, as musl's does: into the place where
//! the kernel puts what may go anywhere, which each sequence clears in the end.
//!
//! Blocks are powers of two, aligned to their size; free ones are in a list for
//! each size, linked through their first word.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;

/// Bytes of the heap: some times what the longest trace needs.
const ROOM: usize = 1 << 20;

/// The smallest block, and the most that any is aligned to.
const LEAST: usize = 16;
const ALIGNED: usize = 4096;

/// Lists, by the logarithm of the size.
const LISTS: usize = ROOM.ilog2() as usize + 1;

#[global_allocator]
static HEAP: Heap = Heap {
    room: UnsafeCell::new(Room([0; ROOM])),
    state: UnsafeCell::new(State {
        used: 0,
        free: [ptr::null_mut(); LISTS],
    }),
};

#[repr(align(4096))]
struct Room([u8; ROOM]);

struct State {
    /// Bytes that were given at some time.
    used: usize,
    free: [*mut u8; LISTS],
}

struct Heap {
    room: UnsafeCell<Room>,
    state: UnsafeCell<State>,
}

// SAFETY: the program has one thread, and its signals' handler allocates nothing.
unsafe impl Sync for Heap {}

/// The size of the block for a layout, if there is any.
fn block(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(LEAST);
    let size = size.checked_next_power_of_two()?;
    (size <= ROOM && layout.align() <= ALIGNED).then_some(size)
}

// SAFETY: blocks are as large and as aligned as the layout asks, in the room,
// and in one place only: given, in a list, or not yet given.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(size) = block(layout) else {
            return ptr::null_mut();
        };
        // SAFETY: nobody else has it; see `Sync`.
        let state = unsafe { &mut *self.state.get() };
        let list = &mut state.free[size.ilog2() as usize];
        if !list.is_null() {
            let first = *list;
            // SAFETY: a free block, whose first word is the link.
            *list = unsafe { first.cast::<*mut u8>().read() };
            return first;
        }
        let start = state.used.next_multiple_of(size.min(ALIGNED));
        if start + size > ROOM {
            return ptr::null_mut();
        }
        state.used = start + size;
        // SAFETY: of a live static; no reference is made.
        let room = unsafe { &raw mut (*self.room.get()).0 };
        // SAFETY: within the room.
        unsafe { room.cast::<u8>().add(start) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let Some(size) = block(layout) else {
            return;
        };
        // SAFETY: nobody else has it; see `Sync`.
        let state = unsafe { &mut *self.state.get() };
        let list = &mut state.free[size.ilog2() as usize];
        // SAFETY: the block is nobody's any more; it has room for a word and is
        // aligned for it.
        unsafe { memory.cast::<*mut u8>().write(*list) };
        *list = memory;
    }
}
