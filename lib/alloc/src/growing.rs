//! A region heap that asks for more when it is full.
//!
//! The region designs ([`Bump`](crate::Bump), [`FirstFit`](crate::FirstFit),
//! [`FixedBlocks`](crate::FixedBlocks), [`BuddyHeap`](crate::BuddyHeap)) know
//! the regions that they were given. This one gives them another from a
//! [`PageSource`] when a request fails: [`LEAST_PAGES`] at first, then half of
//! what it has, so that regions stay few. None of them comes back: these designs do not know when a
//! region is empty.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::heap::{Heap, OutOfMemory, Region};
use crate::source::{PAGE_SIZE, PageSource};

/// The least that is asked for at once, in pages, while there is that much.
pub const LEAST_PAGES: usize = 16;

/// The most, unless one request is larger.
const MOST_PAGES: usize = 512;

/// `H` over the pages of `P`.
#[derive(Debug)]
pub struct Growing<H, P> {
    heap: H,
    source: P,
    pages: usize,
}

impl<H: Region, P: PageSource> Growing<H, P> {
    /// `heap`, which has nothing yet or regions of its own, and where to get more.
    pub const fn new(heap: H, source: P) -> Growing<H, P> {
        Growing {
            heap,
            source,
            pages: 0,
        }
    }

    /// Pages taken from the source.
    pub fn pages(&self) -> usize {
        self.pages
    }

    #[cold]
    fn grow(&mut self, layout: Layout) -> Result<(), OutOfMemory> {
        let least = H::room_for(layout).ok_or(OutOfMemory)?.div_ceil(PAGE_SIZE);
        let wanted = least.max((self.pages / 2).clamp(LEAST_PAGES, MOST_PAGES));
        let (start, count) = match self.source.allocate_pages(wanted) {
            Some(start) => (start, wanted),
            None => (self.source.allocate_pages(least).ok_or(OutOfMemory)?, least),
        };
        self.pages += count;
        // SAFETY: the pages are ours alone, and never given back.
        unsafe { self.heap.add(start, count * PAGE_SIZE) };
        Ok(())
    }
}

// SAFETY: all memory is `heap`'s, which keeps the contract; the regions it is
// given live for ever.
unsafe impl<H: Region, P: PageSource> Heap for Growing<H, P> {
    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        self.heap.allocate(layout).or_else(|OutOfMemory| {
            self.grow(layout)?;
            self.heap.allocate(layout)
        })
    }

    #[inline]
    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.heap.free(memory, layout) }
    }

    #[inline]
    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.heap.resize(memory, old, new_size) }
    }

    fn reclaim(&mut self) {
        self.heap.reclaim();
    }
}
