//! The bump allocator: a pointer that moves up.
//!
//! The simplest design there is: an allocation is an addition. Nothing is
//! reused one by one, except what was allocated last; when nothing is
//! allocated any more, all regions are as new. It fits work that ends as a
//! whole: a boot, a request, a frame of a picture.
//!
//! ```text
//!  region 1                                   region 2
//! | header | used | used | used |  wasted  | | header | used |   free      |
//!     |                                          ^             ^           ^
//!     +---------------- next --------------------+            next        end
//!
//! allocate: next -> aligned up -> + size      free the last one: next -> back
//! free any other: live -= 1                   live = 0: back to region 1
//! ```
//!
//! # Invariants
//! 1. `next..end` lies in the region of `current` and nothing in it is allocated.
//! 2. Regions after `current` on the list have nothing allocated in them.
//! 3. `live` is the number of allocations that were not freed.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::heap::{Heap, OutOfMemory, Region};

/// What a region begins with.
#[repr(C, align(16))]
#[derive(Debug)]
struct Header {
    next: Option<NonNull<Header>>,
    /// One past the region's last byte.
    end: NonNull<u8>,
}

/// A bump allocator; see the module's picture in the README.
#[derive(Debug, Default)]
pub struct Bump {
    first: Option<NonNull<Header>>,
    current: Option<Current>,
    live: usize,
}

/// The region in use, and what is left of it.
#[derive(Clone, Copy, Debug)]
struct Current {
    header: NonNull<Header>,
    next: NonNull<u8>,
    end: NonNull<u8>,
}

// SAFETY: the regions are the heap's alone, so they move with it.
unsafe impl Send for Bump {}

impl Bump {
    /// A heap without memory.
    #[must_use]
    pub const fn new() -> Bump {
        Bump {
            first: None,
            current: None,
            live: 0,
        }
    }

    /// How many allocations were not freed.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }
}

impl Current {
    /// A region from its beginning.
    fn at(header: NonNull<Header>) -> Current {
        // SAFETY: headers on the list are valid (`add` wrote them) and only
        // read and written by the heap that owns them.
        let end = unsafe { header.as_ref() }.end;
        Current {
            header,
            // SAFETY: `add` saw to it that a header fits, at least.
            next: unsafe { header.add(1) }.cast(),
            end,
        }
    }

    // ANCHOR: take
    /// Takes memory for a layout, if it fits.
    #[inline]
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let start = self.next.addr().get();
        let padding = start.checked_next_multiple_of(layout.align())? - start;
        let len = padding.checked_add(layout.size())?;
        if len > self.end.addr().get() - start {
            return None;
        }
        // SAFETY: `padding` is at most `len`, which fits in the region.
        let memory = unsafe { self.next.add(padding) };
        // SAFETY: as the line above.
        self.next = unsafe { self.next.add(len) };
        Some(memory)
    }
    // ANCHOR_END: take
}

// SAFETY: `take` moves `next` past what it hands out (invariant 1), aligned;
// it goes back only over what was freed.
unsafe impl Heap for Bump {
    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        let mut current = self.current.ok_or(OutOfMemory)?;
        let memory = loop {
            if let Some(memory) = current.take(layout) {
                break memory;
            }
            // SAFETY: headers on the list are valid.
            let next = unsafe { current.header.as_ref() }.next;
            current = Current::at(next.ok_or(OutOfMemory)?);
        };
        self.current = Some(current);
        self.live += 1;
        Ok(memory)
    }

    // ANCHOR: free
    #[inline]
    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        debug_assert!(self.live > 0, "more is freed than was allocated");
        self.live = self.live.saturating_sub(1);
        if self.live == 0 {
            self.current = self.first.map(Current::at);
            return;
        }
        if let Some(current) = &mut self.current
            && memory.addr().get() + layout.size() == current.next.addr().get()
        {
            current.next = memory;
        }
    }
    // ANCHOR_END: free

    #[inline]
    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        if let Some(current) = &mut self.current
            && memory.addr().get() + old.size() == current.next.addr().get()
        {
            let fits = new_size <= current.end.addr().get() - memory.addr().get();
            if fits {
                // SAFETY: it fits in the region.
                current.next = unsafe { memory.add(new_size) };
            }
            return fits;
        }
        new_size <= old.size()
    }
}

// SAFETY: `room_for` counts the header, its alignment and the layout's.
unsafe impl Region for Bump {
    fn room_for(layout: Layout) -> Option<usize> {
        let overhead = size_of::<Header>() + align_of::<Header>();
        layout
            .size()
            .checked_add(layout.align())?
            .checked_add(overhead)
    }

    unsafe fn add(&mut self, start: NonNull<u8>, len: usize) {
        let padding = start.align_offset(align_of::<Header>());
        if padding
            .checked_add(size_of::<Header>())
            .is_none_or(|needed| needed > len)
        {
            return;
        }
        // SAFETY: in the region, by the check above.
        let header = unsafe { start.add(padding) }.cast::<Header>();
        // SAFETY: `len` is the region's length, by the caller's promise.
        let end = unsafe { start.add(len) };
        // Behind the region in use: it is next when that one is full.
        let place = match &self.current {
            Some(current) => {
                let mut before = current.header;
                // SAFETY: headers on the list are valid, and there is no other reference to one.
                unsafe { &mut before.as_mut().next }
            }
            None => &mut self.first,
        };
        let next = place.replace(header);
        // SAFETY: the bytes are the heap's, aligned, and long enough.
        unsafe { header.write(Header { next, end }) };
        if self.current.is_none() {
            self.current = Some(Current::at(header));
        }
    }
}

#[cfg(test)]
mod tests;
