//! The linked list: holes in the order of their addresses, the first that fits is taken.
//!
//! Free memory holds its own description: each hole begins with its size and
//! the address of the next one. An allocation walks the list to the first hole
//! that is large enough and cuts its part out; a free walks to its place and
//! grows together with the neighbours that it touches.
//!
//! ```text
//!  first
//!    |     +--------------------------+     +-----------> none
//!    v     |                          v     |
//! | hole: size, next | used | used | hole: size, next | used |
//!
//! free the two in the middle:
//! | hole                                              | used |
//! ```
//!
//! Everything is in units of 16 bytes, so that whatever is cut off can hold a
//! hole. The first unit of each region is never used: holes of different
//! regions never touch, even where the regions do.
//!
//! Both operations are linear in the number of holes: small heaps, or heaps
//! whose objects live long.
//!
//! # Invariants
//! 1. Holes are disjoint, in ascending order of addresses, never touching, each
//!    a whole number of units, and no part of one is allocated.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::heap::{Heap, OutOfMemory, Region};

/// The least size and alignment of anything here.
const UNIT: usize = 16;

#[repr(C, align(16))]
#[derive(Debug)]
struct Hole {
    size: usize,
    next: Option<NonNull<Hole>>,
}

const _: () = assert!(size_of::<Hole>() == UNIT);

/// A first-fit heap with coalescing; see the module's picture in the README.
#[derive(Debug, Default)]
pub struct FirstFit {
    first: Option<NonNull<Hole>>,
    free: usize,
}

// SAFETY: the regions are the heap's alone, so they move with it.
unsafe impl Send for FirstFit {}

impl FirstFit {
    /// A heap without memory.
    #[must_use]
    pub const fn new() -> FirstFit {
        FirstFit {
            first: None,
            free: 0,
        }
    }

    /// Bytes in holes.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.free
    }

    /// How many holes there are.
    #[must_use]
    pub fn holes(&self) -> usize {
        let mut count = 0;
        let mut next = self.first;
        while let Some(hole) = next {
            count += 1;
            // SAFETY: holes on the list are valid, and no other reference to one is alive.
            next = unsafe { hole.as_ref() }.next;
        }
        count
    }

    /// Makes `size` bytes a hole, together with those it touches. Bytes that
    /// are in a hole already stay as they are: better lost than handed out twice.
    ///
    /// # Safety
    /// The bytes are this heap's, nobody uses them, and `size` is a whole
    /// number of units, not zero.
    unsafe fn insert(&mut self, start: NonNull<u8>, size: usize) {
        let from = start.addr().get();
        let mut before: Option<NonNull<Hole>> = None;
        let mut after = self.first;
        while let Some(hole) = after
            && hole.addr().get() < from
        {
            before = after;
            // SAFETY: holes on the list are valid.
            after = unsafe { hole.as_ref() }.next;
        }
        let before_end = before.map_or(0, |hole| {
            // SAFETY: as above.
            hole.addr().get() + unsafe { hole.as_ref() }.size
        });
        let overlaps =
            before_end > from || after.is_some_and(|hole| hole.addr().get() < from + size);
        debug_assert!(!overlaps, "memory is freed twice");
        if overlaps {
            return;
        }
        self.free += size;
        let mut new = Hole { size, next: after };
        if let Some(hole) = after
            && hole.addr().get() == from + size
        {
            // SAFETY: as above.
            let hole = unsafe { hole.as_ref() };
            new.size += hole.size;
            new.next = hole.next;
        }
        match before {
            Some(mut hole) if before_end == from => {
                // SAFETY: as above; there is no other reference.
                let hole = unsafe { hole.as_mut() };
                hole.size += new.size;
                hole.next = new.next;
            }
            Some(mut hole) => {
                let at = start.cast::<Hole>();
                // SAFETY: a unit at least, aligned, ours.
                unsafe { at.write(new) };
                // SAFETY: as above; there is no other reference.
                unsafe { hole.as_mut() }.next = Some(at);
            }
            None => {
                let at = start.cast::<Hole>();
                // SAFETY: a unit at least, aligned, ours.
                unsafe { at.write(new) };
                self.first = Some(at);
            }
        }
    }
}

/// The size that is taken for a request.
#[inline]
fn rounded(size: usize) -> Option<usize> {
    size.max(UNIT).checked_next_multiple_of(UNIT)
}

// SAFETY: what is handed out is cut from a hole (invariant 1), aligned, and
// long enough.
unsafe impl Heap for FirstFit {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        let size = rounded(layout.size()).ok_or(OutOfMemory)?;
        let mut before: Option<NonNull<Hole>> = None;
        let mut next = self.first;
        while let Some(mut at) = next {
            // SAFETY: holes on the list are valid, and no other reference to one is alive.
            let hole = unsafe { at.as_mut() };
            let start = at.addr().get();
            let padding = start
                .checked_next_multiple_of(layout.align().max(UNIT))
                .ok_or(OutOfMemory)?
                - start;
            let Some(needed) = padding
                .checked_add(size)
                .filter(|&needed| needed <= hole.size)
            else {
                before = next;
                next = hole.next;
                continue;
            };
            let rest = hole.size - needed;
            let after = if rest == 0 {
                hole.next
            } else {
                // SAFETY: inside of the hole.
                let tail = unsafe { at.byte_add(needed) };
                let next = hole.next;
                // SAFETY: the hole's last `rest` bytes, a unit at least, aligned.
                unsafe { tail.write(Hole { size: rest, next }) };
                Some(tail)
            };
            if padding > 0 {
                hole.size = padding;
                hole.next = after;
            } else if let Some(mut before) = before {
                // SAFETY: as above; `before` is another hole than `hole`.
                unsafe { before.as_mut() }.next = after;
            } else {
                self.first = after;
            }
            self.free -= size;
            // SAFETY: inside of the hole.
            return Ok(unsafe { at.cast::<u8>().add(padding) });
        }
        Err(OutOfMemory)
    }

    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        if let Some(size) = rounded(layout.size()) {
            // SAFETY: `allocate` cut `size` bytes here, and the caller gives them back.
            unsafe { self.insert(memory, size) }
        }
    }

    unsafe fn resize(&mut self, memory: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        let (Some(old_size), Some(new_size)) = (rounded(old.size()), rounded(new_size)) else {
            return false;
        };
        if new_size < old_size {
            // SAFETY: inside of what the caller has.
            let tail = unsafe { memory.add(new_size) };
            // SAFETY: the caller gives these back; whole units.
            unsafe { self.insert(tail, old_size - new_size) };
        }
        new_size <= old_size
    }
}

// SAFETY: `room_for` counts the unit in front, and what alignment can cost.
unsafe impl Region for FirstFit {
    fn room_for(layout: Layout) -> Option<usize> {
        rounded(layout.size())?
            .checked_add(layout.align().max(UNIT))?
            .checked_add(3 * UNIT)
    }

    unsafe fn add(&mut self, start: NonNull<u8>, len: usize) {
        let skipped = start.align_offset(UNIT).saturating_add(UNIT);
        let size = len.saturating_sub(skipped) / UNIT * UNIT;
        if size > 0 {
            // SAFETY: in the region, for `size` is not zero.
            let hole = unsafe { start.add(skipped) };
            // SAFETY: the caller's promise.
            unsafe { self.insert(hole, size) }
        }
    }
}

#[cfg(test)]
mod tests;
