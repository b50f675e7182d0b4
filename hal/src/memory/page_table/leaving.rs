//! What leaves an address space besides frames of its own: whole leaf tables,
//! and frames and tables that others have, too.
//!
//! Frames whose last handle was unmapped are linked in the [`Flush`] through
//! their records, however many there are. Those that somebody else holds cannot
//! be: their records are others' as well. So a few are collected, and when there
//! is room for no more the processors are made to forget.
//!
//! # Invariants
//! Nothing here is given up while a processor may still find it by way of the
//! space that it left: [`free_leaf`], [`free_full`] and [`let_go`] are for what
//! was forgotten; [`LeavingFrames`] and [`LeavingTables`] have it forgotten first.

use ochre_sync::primitive::atomic::Ordering;

use crate::arch::machine::paging;

use super::super::flush::Flush;
use super::super::frames::{self, FrameList};
use super::super::quarantine::{self, Unlinked};
use super::super::table::Table;
use super::super::{UserFrame, user_frame};
use super::huge;

/// Frees leaf tables that were unlinked from the space of `root` with all that is
/// in them, and that no processor uses.
pub(in super::super) fn free_full(root: u32, tables: Unlinked) {
    if !tables.is_empty() {
        quarantine::free(root, tables.each(free_leaf));
    }
}

/// Gives up the handles in a leaf table that no processor uses.
pub(super) fn free_leaf(leaf: Table) {
    let mut free = FrameList::new();
    let (first, last) = leaf.extent();
    let mut left = leaf.used();
    for index in first..=last {
        let entry = leaf.load(index);
        if entry == 0 {
            continue;
        }
        // ORDERING: Relaxed; no processor uses the table.
        leaf.entries()[index].store(0, Ordering::Relaxed);
        let frame = paging::frame(entry);
        if user_frame::release(frames::record(frame)) {
            free.push(frame);
        }
        left -= 1;
        if left == 0 {
            break;
        }
    }
    leaf.forget(leaf.used());
    frames::free_users(free);
}

/// Lets go of a leaf table that was unlinked from the space of `root` and that
/// no processor uses for it; with what it holds, if that was the last owner.
pub(super) fn let_go(root: u32, table: Table) {
    if table.drop_owner() {
        huge::end(table);
        free_leaf(table);
        let mut tables = Unlinked::new();
        tables.push(table);
        quarantine::free(root, tables);
    }
}

/// Shared leaf tables that were unlinked, to be let go when the processors forgot.
pub(super) struct LeavingTables {
    tables: [Option<Table>; LeavingTables::AT_ONCE],
    len: usize,
}

impl LeavingTables {
    /// Tables that are collected before the processors are made to forget them.
    const AT_ONCE: usize = 16;

    pub(super) fn new() -> LeavingTables {
        LeavingTables {
            tables: [None; LeavingTables::AT_ONCE],
            len: 0,
        }
    }

    /// Puts one on that was unlinked; `flush` covers it.
    pub(super) fn put(&mut self, root: u32, table: Table, flush: &mut Flush) {
        if self.len == LeavingTables::AT_ONCE {
            self.finish(root, flush);
        }
        if let Some(slot) = self.tables.get_mut(self.len) {
            *slot = Some(table);
            self.len += 1;
        }
    }

    /// Makes the processors forget, if there is something that they have to,
    /// and lets all go.
    pub(super) fn finish(&mut self, root: u32, flush: &mut Flush) {
        if self.len == 0 {
            return;
        }
        flush.forget();
        for table in self.tables.iter_mut().take(self.len) {
            if let Some(table) = table.take() {
                let_go(root, table);
            }
        }
        self.len = 0;
    }
}

/// Frames with several handles that were unmapped: their handles must be kept
/// until the processors forgot, but cannot be linked.
pub(super) struct LeavingFrames {
    frames: [Option<UserFrame>; LeavingFrames::AT_ONCE],
    len: usize,
}

impl LeavingFrames {
    /// Frames that are collected before the processors are made to forget them.
    const AT_ONCE: usize = 64;

    pub(super) fn new() -> LeavingFrames {
        LeavingFrames {
            frames: [const { None }; LeavingFrames::AT_ONCE],
            len: 0,
        }
    }

    /// Puts one on that was unmapped; `flush` covers it.
    pub(super) fn put(&mut self, frame: UserFrame, flush: &mut Flush) {
        if self.len == LeavingFrames::AT_ONCE {
            flush.forget();
            self.drop_all();
        }
        if let Some(slot) = self.frames.get_mut(self.len) {
            *slot = Some(frame);
            self.len += 1;
        }
    }

    /// One frame can go with the flush; more make it happen now.
    pub(super) fn finish(&mut self, flush: &mut Flush) {
        if self.len == 1
            && let Some(frame) = self.frames.first_mut().and_then(Option::take)
        {
            flush.hold_shared(frame);
        } else if self.len > 0 {
            flush.forget();
            self.drop_all();
        }
    }

    fn drop_all(&mut self) {
        for slot in self.frames.iter_mut().take(self.len) {
            *slot = None;
        }
        self.len = 0;
    }
}
