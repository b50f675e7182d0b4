//! Making processors forget, and holding frames until they have.
//!
//! The translation of a page may live on in a processor after the table entry
//! is gone; its frame must not be reused before. So a [`Flush`] owns what was
//! unmapped, and gives it free when the processors have forgotten
//! ([`presence`](super::presence)). It needs no memory for that: frames whose
//! last handle it has are linked through their records.

use super::frames::{self, FrameList};
use super::quarantine::{self, Unlinked};
use super::table::Table;
use super::{USER_END, UserFrame, page_table, space};
use crate::arch::machine::tlb;

/// A change that the processors may not know yet.
///
/// Call [`flush`](Flush::flush). Dropping it flushes too (a frame must never be
/// reused while a stale translation may exist), but only after a warning in
/// checked builds.
#[must_use = "processors may still use the old translation: call flush()"]
#[derive(Debug)]
pub struct Flush {
    root: u32,
    /// The pages that changed lie in `start..end`; nothing did if it is empty.
    start: u64,
    end: u64,
    /// Frames of which this has the last handle.
    frames: FrameList,
    /// Tables that became empty.
    tables: Unlinked,
    /// Leaf tables that were unlinked with all that is in them, and had no other
    /// owner.
    full: Unlinked,
    /// A frame that others have handles of, too.
    shared: Option<UserFrame>,
    /// Whether the processors know everything so far.
    told: bool,
}

impl Flush {
    /// Makes every processor forget the old translations, then releases the frames that were unmapped.
    #[inline]
    pub fn flush(mut self) {
        self.finish();
    }

    /// Makes every processor forget the old translations, and leaves what they led
    /// to for later: with a lock held that others wait for. Nothing if nothing changed.
    #[inline]
    pub fn forgotten(mut self) -> Option<Forgotten> {
        if self.is_settled() {
            return None;
        }
        self.forget();
        Some(Forgotten(self))
    }

    /// Joins another change of the same address space, to be flushed together.
    pub fn join(&mut self, mut other: Flush) {
        debug_assert_eq!(self.root, other.root, "changes of two address spaces");
        if self.root != other.root || (self.shared.is_some() && other.shared.is_some()) {
            return other.finish();
        }
        self.told &= other.told;
        self.frames.append(core::mem::take(&mut other.frames));
        self.tables.append(core::mem::take(&mut other.tables));
        self.full.append(core::mem::take(&mut other.full));
        if let Some(frame) = other.shared.take() {
            self.shared = Some(frame);
        }
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        other.settle();
    }

    /// Nothing changed yet in the space of `root`.
    #[inline]
    pub(super) fn new(root: u32) -> Flush {
        Flush {
            root,
            start: u64::MAX,
            end: 0,
            frames: FrameList::new(),
            tables: Unlinked::new(),
            full: Unlinked::new(),
            shared: None,
            told: true,
        }
    }

    /// The root of the space that changed.
    #[inline]
    pub(super) fn root(&self) -> u32 {
        self.root
    }

    /// The pages of `start..end` changed.
    #[inline]
    pub(super) fn cover(&mut self, start: u64, end: u64) {
        self.start = self.start.min(start);
        self.end = self.end.max(end);
        self.told = false;
    }

    /// Holds a frame whose last handle the caller had.
    #[inline]
    pub(super) fn hold(&mut self, frame: u32) {
        self.frames.push(frame);
    }

    /// Holds a handle of a frame; if there is one already, flushes first and lets that go.
    pub(super) fn hold_shared(&mut self, frame: UserFrame) {
        if self.shared.is_some() {
            self.forget();
        }
        self.shared = Some(frame);
    }

    /// Holds tables that became empty, are not reachable any more, and had no
    /// other owner.
    pub(super) fn hold_tables(&mut self, tables: Unlinked) {
        if !tables.is_empty() {
            self.tables.append(tables);
            self.told = false;
        }
    }

    /// Holds a leaf table with all that is in it, which is not reachable any more,
    /// had no other owner, and was no huge page's.
    pub(super) fn hold_full(&mut self, table: Table) {
        self.full.push(table);
        self.told = false;
    }

    /// Makes the processors forget now; keeps holding.
    pub(super) fn forget(&mut self) {
        if self.told {
            return;
        }
        self.told = true;
        let tables = core::mem::take(&mut self.tables);
        if tlb::BROADCASTS {
            // What leads to tables is not only on the way to pages that changed.
            let (start, end) = match tables.is_empty() {
                true => (self.start, self.end),
                false => (0, USER_END),
            };
            space::forget(self.root, start, end);
            quarantine::free(self.root, tables);
            return;
        }
        // Before the others are interrupted, so that they forget once only.
        quarantine::free(self.root, tables);
        space::forget(self.root, self.start, self.end);
    }

    // ANCHOR: finish
    fn finish(&mut self) {
        self.forget();
        frames::free_users(core::mem::take(&mut self.frames));
        self.shared = None;
        page_table::free_full(self.root, core::mem::take(&mut self.full));
        self.settle();
    }
    // ANCHOR_END: finish

    /// Nothing is left to do.
    fn settle(&mut self) {
        self.start = u64::MAX;
        self.end = 0;
    }

    fn is_settled(&self) -> bool {
        self.start >= self.end
            && self.frames.is_empty()
            && self.tables.is_empty()
            && self.full.is_empty()
            && self.shared.is_none()
    }
}

impl Drop for Flush {
    #[inline]
    fn drop(&mut self) {
        if !self.is_settled() {
            if cfg!(debug_assertions) {
                log::warn!("a change of page tables was dropped, not flushed");
            }
            self.finish();
        }
    }
}

/// What was unmapped, when every processor has forgotten it: free once this is
/// dropped, which takes as long as there is much of it and wants no lock.
#[must_use = "dropping it takes long: not with a lock held that others wait for"]
#[derive(Debug)]
pub struct Forgotten(Flush);

impl Drop for Forgotten {
    #[inline]
    fn drop(&mut self) {
        self.0.finish();
    }
}
