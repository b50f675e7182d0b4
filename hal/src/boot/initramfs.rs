//! The initial archive in memory, which frees itself as it is read.
//!
//! # Invariants
//! The pages of `first_page..end` (to the end of the page of `end - 1`) are
//! frames that were reserved at boot for this value and neither adopted nor
//! released yet; nobody else uses their memory. `first_page` is a page
//! boundary, at most a page before `cursor` or where `cursor` is;
//! `cursor <= end`.

use crate::memory::{self, UserFrame};

const PAGE: u64 = memory::PAGE_SIZE as u64;

/// The initial archive in memory, read once from front to back.
///
/// Its pages belong to this value; a page wholly behind the cursor goes back
/// to the frame allocator, so that unpacking needs no second copy. Dropping
/// the value frees the rest.
#[derive(Debug)]
pub struct Initramfs {
    first_page: u64,
    cursor: u64,
    end: u64,
}

impl Initramfs {
    /// The archive at physical `range`.
    ///
    /// # Safety
    /// The pages that the range touches are memory, mapped in the direct map,
    /// reserved at boot, and nobody else's.
    pub(crate) unsafe fn new(range: core::ops::Range<u64>) -> Initramfs {
        Initramfs {
            first_page: range.start / PAGE * PAGE,
            cursor: range.start,
            end: range.end,
        }
    }

    /// Bytes not yet consumed.
    #[must_use]
    pub fn remaining(&self) -> usize {
        // CAST: it is in memory, so it fits.
        (self.end - self.cursor) as usize
    }

    /// The unconsumed bytes, from the cursor to the end.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let start = memory::direct::pointer_to(self.cursor);
        // SAFETY: by the invariant the bytes from the cursor to the end lie in
        // pages that are this value's, initialised by the loader, and nobody
        // writes them; they stay while `self` is borrowed.
        unsafe { core::slice::from_raw_parts(start, self.remaining()) }
    }

    /// Moves the cursor over `count` bytes (at most to the end) and frees the
    /// pages that end before it.
    pub fn consume(&mut self, count: usize) {
        self.cursor = self.cursor.saturating_add(count as u64).min(self.end);
        self.release_until(self.cursor / PAGE * PAGE);
    }

    /// Takes the page under the cursor out of the archive, without a copy,
    /// where the cursor is at a page boundary and a whole page remains.
    pub fn take_page(&mut self) -> Option<UserFrame> {
        if !self.cursor.is_multiple_of(PAGE) || self.end - self.cursor < PAGE {
            return None;
        }
        let page = self.cursor;
        self.release_until(page);
        self.cursor += PAGE;
        self.first_page = self.cursor;
        // SAFETY: the page is this value's, by the invariant, and from here on
        // it is neither read nor released again: both ends moved past it.
        Some(unsafe { memory::frames::adopt(page) })
    }

    /// Gives the pages before `end`, a page boundary, back.
    fn release_until(&mut self, end: u64) {
        while self.first_page < end {
            let page = self.first_page;
            self.first_page += PAGE;
            // SAFETY: the page is this value's, by the invariant, and both the
            // cursor and `first_page` are past it now.
            unsafe { memory::frames::release(page) };
        }
    }
}

impl Drop for Initramfs {
    fn drop(&mut self) {
        self.cursor = self.end;
        self.release_until(self.end.next_multiple_of(PAGE));
    }
}
