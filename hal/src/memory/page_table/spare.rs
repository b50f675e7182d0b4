//! Pages that a program can spare: `MADV_FREE`.
//!
//! Their content may go whenever memory is wanted, until the program stores to
//! them. A spare page is one whose entry says so, in a bit of the software's,
//! and forbids stores; nothing else is kept of it.
//!
//! | state | a load | a store | memory is wanted |
//! |---|---|---|---|
//! | the program's | passes | passes | stays |
//! | [`mark_spare`](PageTable::mark_spare): spare | passes, finds what was there | faults; whoever gives rights to the entry takes the bit: the program's | [`take_spare`](PageTable::take_spare): nothing |
//! | nothing | faults | faults | - |
//!
//! # What must hold
//! 1. An entry with the bit has no right to store, and no processor remembers
//!    one: `mark_spare` has them forget it. So what is spare was not stored to since.
//! 2. Only a page of which the table has the one handle becomes spare, or is
//!    taken: nothing is won by another, and who has a handle may be looking at
//!    the page.
//! 3. A huge page is not spare: all of it goes at once, as a block that others
//!    can have, or its pages are marked one by one.
//! 4. A table with spare pages has one owner: a fork copies it without them
//!    (the child finds zeroes, as if they had been taken just then).

use core::ops::{ControlFlow, Range};

use ochre_paging::span;
use ochre_sync::primitive::atomic::Ordering;

use crate::arch::machine::paging;

use super::super::flush::Flush;
use super::super::frames;
use super::super::quarantine::Unlinked;
use super::descend::{Leaf, descend_while};
use super::leaving::LeavingTables;
use super::{A_TABLE, PAGE, PageTable, change_entry, check_range};

/// What [`PageTable::take_spare`] came to.
#[derive(Debug)]
#[must_use = "processors may still use the pages"]
pub struct TakenSpares {
    /// The processors have to forget them.
    pub flush: Flush,
    /// Where to go on: the range's end, or where what is left begins.
    pub next: u64,
    /// Pages taken.
    pub count: usize,
    /// Whether spare pages were left, of which somebody has a handle.
    pub are_held: bool,
}

impl PageTable {
    /// Marks the pages of a range as spare that this space alone has, in tables
    /// that it alone has, as far as `budget` goes, which is counted down by what is
    /// done. The address is where to go on: the range's end, or where what is
    /// left begins. The number is how many became it, those of huge pages
    /// included, which went. Only for memory that belongs to no object.
    pub fn mark_spare(&mut self, range: Range<u64>, budget: &mut usize) -> (Flush, u64, usize) {
        check_range(&range);
        let root = self.space.root();
        let mut flush = Flush::new(root);
        let mut next = range.end;
        let mut leaving = LeavingTables::new();
        let mut gone = 0;
        let mut marked = 0;
        let mut empty = Unlinked::new();
        let _ = descend_while(self.space.table(), &range, &mut empty, &mut |leaf| {
            if *budget == 0 {
                next = leaf.base.max(range.start);
                return ControlFlow::Break(());
            }
            let used = leaf.table.used() as usize;
            *budget = budget.saturating_sub(leaf.at.len().min(used) + A_TABLE);
            if leaf.hold().is_block() {
                if !leaf.table.is_sole() {
                    // As with pages that others have, too.
                    return ControlFlow::Continue(());
                }
                if leaf.is_whole() {
                    gone += used;
                    leaf.unlink();
                    flush.cover(leaf.base, leaf.base + span(1));
                    leaving.put(root, leaf.table, &mut flush);
                    return ControlFlow::Continue(());
                }
                leaf.open(root);
            }
            if leaf.claim() {
                marked += mark(leaf, &mut flush);
            }
            ControlFlow::Continue(())
        });
        self.resident -= gone;
        if !empty.is_empty() {
            self.last.0 = u64::MAX;
            flush.hold_tables(empty);
        }
        leaving.finish(root, &mut flush);
        self.may_spare |= marked > 0;
        (flush, next, marked + gone)
    }

    /// Takes the spare pages of a range, until it has `most` of them: then it ends
    /// before the next table.
    pub fn take_spare(&mut self, range: Range<u64>, most: usize) -> TakenSpares {
        check_range(&range);
        let mut taken = TakenSpares {
            flush: Flush::new(self.space.root()),
            next: range.end,
            count: 0,
            are_held: false,
        };
        let mut empty = Unlinked::new();
        let _ = descend_while(self.space.table(), &range, &mut empty, &mut |leaf| {
            if taken.count >= most {
                taken.next = leaf.base.max(range.start);
                return ControlFlow::Break(());
            }
            if leaf.is_own() {
                take(leaf, &mut taken);
            }
            ControlFlow::Continue(())
        });
        self.resident -= taken.count;
        if !empty.is_empty() {
            self.last.0 = u64::MAX;
            taken.flush.hold_tables(empty);
        }
        taken
    }
}

/// Whether the table has the one handle of an entry's frame. While it does,
/// nobody makes another one but who has the table.
pub(super) fn is_sole(entry: u64) -> bool {
    let record = frames::record(paging::frame(entry));
    // ORDERING: Acquire: who had another handle is done with the frame.
    record.word().load(Ordering::Acquire) == 1
}

/// Whether a leaf table has a spare page.
pub(super) fn has_some(leaf: &Leaf) -> bool {
    leaf.at
        .clone()
        .any(|at| paging::is_spare(leaf.table.load(at)))
}

/// The entries of a leaf table that a walk came to but for spare ones, in runs.
pub(super) fn runs_of_others(leaf: &Leaf) -> impl Iterator<Item = Range<usize>> {
    let mut rest = leaf.at.clone();
    let (table, end) = (leaf.table, leaf.at.end);
    let is_spare = move |at: usize| paging::is_spare(table.load(at));
    core::iter::from_fn(move || {
        let first = rest.find(|&at| !is_spare(at))?;
        let last = rest.find(|&at| is_spare(at)).unwrap_or(end);
        Some(first..last)
    })
}

fn mark(leaf: &Leaf, flush: &mut Flush) -> usize {
    let mut count = 0;
    for index in leaf.at.clone() {
        let entry = leaf.table.load(index);
        if entry == 0 || paging::is_spare(entry) || !is_sole(entry) {
            continue;
        }
        change_entry(&leaf.table.entries()[index], paging::spared, || {
            let address = leaf.address(index);
            flush.cover(address, address + PAGE);
        });
        count += 1;
    }
    count
}

fn take(leaf: &Leaf, taken: &mut TakenSpares) {
    let mut count = 0;
    for index in leaf.at.clone() {
        let entry = leaf.table.load(index);
        if entry == 0 || !paging::is_spare(entry) {
            continue;
        }
        if !is_sole(entry) {
            taken.are_held = true;
            continue;
        }
        // ORDERING: Relaxed; the flush orders it against the processors.
        let entry = leaf.table.entries()[index].swap(0, Ordering::Relaxed);
        if paging::is_mapped(entry) {
            let address = leaf.address(index);
            taken.flush.cover(address, address + PAGE);
        }
        taken.flush.hold(paging::frame(entry));
        count += 1;
    }
    leaf.table.forget(count);
    // CAST: at most 512.
    taken.count += count as usize;
}
