//! Blocks of fixed sizes, with another heap to fall back on.
//!
//! One list of free blocks for each power of two from 16 to 2048. A request
//! takes the first block of its size, a free puts it back: a few instructions
//! each. A list that is empty has a block cut by the heap behind, a
//! [`FirstFit`], which serves all larger requests, too. Blocks stay blocks
//! until the heap behind has nothing left; then all free ones go back to it,
//! grow together, and the request is tried again.
//!
//! ```text
//!   16 | -> [ ] -> [ ]
//!   32 | -> [  ]
//!   64 |                  empty: cut one    +----------+
//!  ... |                  ----------------> | FirstFit |
//! 2048 | -> [        ]                      +----------+
//!  more: ------------------------------------->
//! ```
//!
//! Fast, but a third of the memory is lost to rounding on average, and a size
//! that was much used and is not any more keeps its blocks for long.
//!
//! # Invariants
//! 1. A block on a list was cut by the heap behind with that list's size as
//!    size and alignment, and is not allocated.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::first_fit::FirstFit;
use crate::heap::{Heap, OutOfMemory, Region};

/// Sizes are `1 << LEAST` and up.
const LEAST: u32 = 4;
const LISTS: usize = 8;

#[derive(Debug)]
struct Block {
    next: Option<NonNull<Block>>,
}

/// Lists of blocks before a first-fit heap; see the module's picture in the README.
#[derive(Debug, Default)]
pub struct FixedBlocks {
    lists: [Option<NonNull<Block>>; LISTS],
    behind: FirstFit,
}

// SAFETY: the regions are the heap's alone, so they move with it.
unsafe impl Send for FixedBlocks {}

impl FixedBlocks {
    /// A heap without memory.
    #[must_use]
    pub const fn new() -> FixedBlocks {
        FixedBlocks {
            lists: [None; LISTS],
            behind: FirstFit::new(),
        }
    }

    /// Bytes that are on no list and not allocated.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.behind.free_bytes()
    }
}

/// The list that serves a layout, and the layout of its blocks.
#[inline]
fn list_of(layout: Layout) -> Option<(usize, Layout)> {
    let size = layout.size().max(layout.align()).max(1 << LEAST);
    let size = size.checked_next_power_of_two()?;
    let list = (size.trailing_zeros() - LEAST) as usize;
    if list >= LISTS {
        return None;
    }
    Layout::from_size_align(size, size)
        .ok()
        .map(|layout| (list, layout))
}

// SAFETY: a block is as large and as aligned as its list says, which is no
// less than the request; it leaves its list before it is handed out.
unsafe impl Heap for FixedBlocks {
    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        let layout = match list_of(layout) {
            Some((list, block_layout)) => {
                if let Some(block) = self.lists[list] {
                    // SAFETY: blocks on a list are ours, and hold the next one.
                    self.lists[list] = unsafe { block.as_ref() }.next;
                    return Ok(block.cast());
                }
                block_layout
            }
            None => layout,
        };
        self.behind.allocate(layout)
    }

    #[inline]
    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        let Some((list, _)) = list_of(layout) else {
            // SAFETY: `allocate` had it from there with this layout.
            return unsafe { self.behind.free(memory, layout) };
        };
        let block = memory.cast::<Block>();
        debug_assert!(
            self.lists[list] != Some(block),
            "a block is freed twice in a row"
        );
        let next = self.lists[list];
        // SAFETY: the caller gives it back; 16 bytes at least, aligned to them.
        unsafe { block.write(Block { next }) };
        self.lists[list] = Some(block);
    }

    #[inline]
    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        let Ok(new) = Layout::from_size_align(new_size, old.align()) else {
            return false;
        };
        match (list_of(old), list_of(new)) {
            (Some((old, _)), Some((new, _))) => old == new,
            // SAFETY: `allocate` had it from there with this layout.
            (None, None) => unsafe { self.behind.resize(memory, old, new_size) },
            _ => false,
        }
    }

    fn reclaim(&mut self) {
        for (list, first) in self.lists.iter_mut().enumerate() {
            let size = 1 << (LEAST as usize + list);
            let Ok(layout) = Layout::from_size_align(size, size) else {
                continue;
            };
            while let Some(block) = *first {
                // SAFETY: blocks on a list are ours, and hold the next one.
                *first = unsafe { block.as_ref() }.next;
                // SAFETY: invariant 1; it is on no list any more.
                unsafe { self.behind.free(block.cast(), layout) };
            }
        }
    }
}

// SAFETY: the heap behind keeps the promise for the layout that it is asked for.
unsafe impl Region for FixedBlocks {
    fn room_for(layout: Layout) -> Option<usize> {
        let asked = list_of(layout).map_or(layout, |(_, block)| block);
        FirstFit::room_for(asked)
    }

    unsafe fn add(&mut self, start: NonNull<u8>, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.behind.add(start, len) }
    }
}

#[cfg(test)]
mod tests;
