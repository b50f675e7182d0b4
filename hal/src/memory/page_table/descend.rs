//! Walks over all leaf tables of a range, and the end of tables that became empty.
//!
//! A walk costs by tables and pages that are there: a table's record says
//! between which entries its used ones lie.

use core::ops::{ControlFlow, Range};

use ochre_paging::{index, span};
use ochre_sync::primitive::atomic::Ordering;

use crate::arch::machine::paging;

use super::super::flush::Flush;
use super::super::quarantine::Unlinked;
use super::super::table::Table;
use super::super::user_view;
use super::huge::{self, leaf_table};
use super::{PAGE, ROOT_LEVEL};

/// How a space has a leaf table, as its entry for it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It is the only owner, and the processor walks the table.
    Own,
    /// The processor finds the pages without the table ([`huge`]).
    Block,
    /// The same, and may not store to them: others may have the table too, or
    /// the pages are so.
    ShutBlock,
    /// Others may have it too ([`sharing`](super::sharing)).
    Shared,
}

impl Hold {
    /// What an entry for a leaf table, which is not zero, says.
    #[inline]
    pub(super) fn of(entry: u64) -> Hold {
        if paging::is_block(entry) {
            match paging::has_write(entry) {
                true => Hold::Block,
                false => Hold::ShutBlock,
            }
        } else if paging::lets_write(entry) {
            Hold::Own
        } else {
            Hold::Shared
        }
    }

    /// Whether the processor finds the pages without the table.
    #[inline]
    pub(super) fn is_block(self) -> bool {
        matches!(self, Hold::Block | Hold::ShutBlock)
    }

    /// Whether the entry forbids stores, whatever those of the table say.
    #[inline]
    pub(super) fn forbids_stores(self) -> bool {
        matches!(self, Hold::Shared | Hold::ShutBlock)
    }
}

/// A leaf table that a walk came to.
pub(super) struct Leaf {
    /// The address that its entry 0 maps.
    pub(super) base: u64,
    /// The table.
    pub(super) table: Table,
    /// Its entries in the walk's range, no more than those that may be used.
    pub(super) at: Range<usize>,
    /// The entry that points to it: the table that this is in, and where.
    pub(super) upper: (Table, usize),
}

impl Leaf {
    /// The same place, with the table that is there now.
    pub(super) fn anew(&self) -> Leaf {
        Leaf {
            base: self.base,
            table: leaf_table(self.upper.0.load(self.upper.1)),
            at: self.at.clone(),
            upper: self.upper,
        }
    }

    /// The address of a page.
    pub(super) fn address(&self, index: usize) -> u64 {
        self.base + index as u64 * PAGE
    }

    /// Whether the walk's range holds all that the table has.
    pub(super) fn is_whole(&self) -> bool {
        let (first, last) = self.table.extent();
        self.at.start <= first && last < self.at.end
    }

    /// How the space of the walk has the table.
    pub(super) fn hold(&self) -> Hold {
        Hold::of(self.upper.0.load(self.upper.1))
    }

    /// Whether the space of the walk may change the table.
    pub(super) fn is_own(&self) -> bool {
        self.hold() == Hold::Own
    }

    /// Makes the table the space's own if nobody else has it any more; whether
    /// it is. Rights grow by that: who remembers less faults. A block stays one.
    pub(super) fn claim(&self) -> bool {
        let hold = self.hold();
        let is_left = hold == Hold::Shared && self.table.is_sole();
        if is_left {
            paging::allow_stores(&self.upper.0.entries()[self.upper.1]);
        }
        hold == Hold::Own || is_left
    }

    /// Makes the table the space's own, of which no processor uses the entry:
    /// the caller is its only owner.
    pub(super) fn take(&self) {
        huge::end(self.table);
        let entry = paging::table(self.table.frame());
        // ORDERING: Relaxed; no processor uses it.
        self.upper.0.entries()[self.upper.1].store(entry, Ordering::Relaxed);
    }

    /// Unlinks the table from the space, which still owns it.
    pub(super) fn unlink(&self) {
        self.upper.0.clear(self.upper.1);
    }

    /// Puts the table itself where a block is, of which the space is the only
    /// owner.
    pub(super) fn open(&self, root: u32) {
        self.relink(root, paging::table(self.table.frame()));
        huge::end(self.table);
        huge::note_opened();
    }

    /// Puts another entry for the same addresses in the place of the one there.
    pub(super) fn relink(&self, root: u32, entry: u64) {
        // Nothing for a moment: a machine may not see two entries for one
        // address that lead to different places or are of different sizes, and
        // none may use what the old one led to when this returns.
        self.shut(root);
        self.put(entry);
    }

    /// Has no processor find or remember anything, until another entry is
    /// [`put`](Leaf::put) here.
    pub(super) fn shut(&self, root: u32) {
        // ORDERING: Relaxed; the flush orders it against the processors.
        self.upper.0.entries()[self.upper.1].store(0, Ordering::Relaxed);
        self.forget(root);
    }

    /// Puts an entry where nothing is for the moment.
    pub(super) fn put(&self, entry: u64) {
        // ORDERING: Release: a processor that finds the table finds it filled.
        self.upper.0.entries()[self.upper.1].store(entry, Ordering::Release);
    }

    /// Makes the processors forget all that the table maps.
    pub(super) fn forget(&self, root: u32) {
        let mut flush = Flush::new(root);
        flush.cover(self.base, self.base + span(1));
        flush.flush();
    }
}

/// Calls `visit` for every leaf table with an entry in `range`. Unlinks tables
/// that are empty afterwards, and the space's own, into `empty`.
pub(super) fn descend(
    root: Table,
    range: &Range<u64>,
    empty: &mut Unlinked,
    visit: &mut impl FnMut(&Leaf),
) {
    let _ = descend_while(root, range, empty, &mut |leaf| {
        visit(leaf);
        ControlFlow::Continue(())
    });
}

/// [`descend`] whose visits may end it.
pub(super) fn descend_while(
    root: Table,
    range: &Range<u64>,
    empty: &mut Unlinked,
    visit: &mut impl FnMut(&Leaf) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if range.start < range.end {
        level(root, ROOT_LEVEL, 0, range, empty, visit)?;
    }
    ControlFlow::Continue(())
}

/// The entries of a table at `depth`, from the address `base` on, that are in
/// `range`, no more than those that may be used; may be an empty range.
fn entries_in(table: Table, depth: u32, base: u64, range: &Range<u64>) -> Range<usize> {
    let (used_first, used_last) = table.extent();
    // The table maps `base..=last`; the range may begin and end in it.
    let last = base + (span(depth + 1) - 1);
    let first = index(range.start.max(base), depth).max(used_first);
    let end = index((range.end - 1).min(last), depth).min(used_last) + 1;
    first..end
}

/// [`descend_while`] at one level above the leaves; calls itself twice deep
/// and no deeper.
pub(super) fn level(
    table: Table,
    depth: u32,
    base: u64,
    range: &Range<u64>,
    empty: &mut Unlinked,
    visit: &mut impl FnMut(&Leaf) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for at in entries_in(table, depth, base, range) {
        let entry = table.load(at);
        if entry == 0 {
            continue;
        }
        let next_base = base + at as u64 * span(depth);
        let mut next;
        let flow = if depth > 1 {
            // SAFETY: invariant 1 of the module above.
            next = unsafe { Table::at(paging::frame(entry)) };
            level(next, depth - 1, next_base, range, empty, visit)
        } else {
            next = leaf_table(entry);
            let leaf = Leaf {
                base: next_base,
                table: next,
                at: entries_in(next, 0, next_base, range),
                upper: (table, at),
            };
            let mut flow = ControlFlow::Continue(());
            if !leaf.at.is_empty() {
                flow = visit(&leaf);
                // The visit may have put another table there, or none.
                let entry = table.load(at);
                if entry == 0 || Hold::of(entry) != Hold::Own {
                    flow?;
                    continue;
                }
                next = leaf_table(entry);
            }
            flow
        };
        if next.used() == 0 {
            if depth == ROOT_LEVEL {
                user_view::unlink(table, at);
            } else {
                table.clear(at);
            }
            empty.push(next);
        }
        flow?;
    }
    ControlFlow::Continue(())
}
