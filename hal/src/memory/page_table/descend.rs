//! Walks over all leaf tables of a range, and the end of tables that became empty.
//!
//! A walk costs by tables and pages that are there: a table's record says
//! between which entries its used ones lie.

use core::ops::{ControlFlow, Range};

use ochre_paging::{index, span};

use crate::arch::machine::paging;

use super::super::quarantine::Unlinked;
use super::super::table::Table;
use super::super::user_view;
use super::{PAGE, ROOT_LEVEL};

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
    /// The address of a page.
    pub(super) fn address(&self, index: usize) -> u64 {
        self.base + index as u64 * PAGE
    }

    /// Whether the walk's range holds all that the table has.
    pub(super) fn is_whole(&self) -> bool {
        let (first, last) = self.table.extent();
        self.at.start <= first && last < self.at.end
    }

    /// Whether the space of the walk may change the table: it is the only
    /// owner, and its entry says so.
    pub(super) fn is_own(&self) -> bool {
        paging::lets_write(self.upper.0.load(self.upper.1))
    }

    /// Makes the table the space's own if nobody else has it any more; whether
    /// it is. Rights grow by that: who remembers less faults.
    pub(super) fn claim(&self) -> bool {
        if self.is_own() {
            return true;
        }
        let is_sole = self.table.is_sole();
        if is_sole {
            self.allow_stores();
        }
        is_sole
    }

    /// Lets the rights in the table count: the caller is its only owner.
    pub(super) fn allow_stores(&self) {
        paging::allow_stores(&self.upper.0.entries()[self.upper.1]);
    }

    /// Unlinks the table from the space.
    pub(super) fn unlink(&self) {
        self.upper.0.clear(self.upper.1);
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
        // SAFETY: invariant 1 of the module above.
        let mut next = unsafe { Table::at(paging::frame(entry)) };
        let next_base = base + at as u64 * span(depth);
        let flow = if depth > 1 {
            level(next, depth - 1, next_base, range, empty, visit)
        } else {
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
                if entry == 0 || !paging::lets_write(entry) {
                    flow?;
                    continue;
                }
                // SAFETY: as above.
                next = unsafe { Table::at(paging::frame(entry)) };
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
