//! Tables that are not used any more, kept until no processor walks them.
//!
//! Two batches: one waits for the processors of its mask, the other gathers
//! what comes meanwhile, with the processors that *it* will wait for. A
//! processor that has forgotten leaves both masks, for everything in either
//! was unlinked before it was marked. The first batch's mask only shrinks, so
//! it ends however much is gathered; then the other takes its place.
//!
//! Where processors are told by [`tlb::BROADCASTS`] none walks a table any more
//! once whoever unlinked it has told them, and nothing is kept.

use ochre_sync::SpinLock;

use crate::arch::machine::tlb;
use crate::cpu;

use super::frames::{self, FrameList};
use super::presence;
use super::table::Table;

/// Tables of one space that were unlinked.
///
/// # Invariants
/// Those on the list are of kind `TABLE`, and the list's alone.
#[derive(Debug, Default)]
pub(super) struct Unlinked {
    list: FrameList,
    /// Whether one of them was other spaces' too, so that processors which run
    /// those may still walk it.
    widely: bool,
}

impl Unlinked {
    pub(super) const fn new() -> Unlinked {
        Unlinked {
            list: FrameList::new(),
            widely: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts a table on, of which the caller was the only owner: an empty one, or
    /// one for [`each`](Unlinked::each) to empty.
    pub(super) fn push(&mut self, table: Table) {
        self.widely |= table.was_shared();
        self.list.push(table.frame());
    }

    /// Does something with each table, before they are freed.
    pub(super) fn each(self, mut work: impl FnMut(Table)) -> Unlinked {
        let mut rest = self.list;
        let mut list = FrameList::new();
        while let Some(frame) = rest.pop() {
            // SAFETY: what is on the list is of kind `TABLE`.
            work(unsafe { Table::at(frame) });
            list.push(frame);
        }
        Unlinked {
            list,
            widely: self.widely,
        }
    }

    /// Puts all of another list on.
    pub(super) fn append(&mut self, other: Unlinked) {
        self.widely |= other.widely;
        self.list.append(other.list);
    }
}

/// Tables, and who must still forget them.
struct Batch {
    tables: FrameList,
    mask: u64,
}

impl Batch {
    const EMPTY: Batch = Batch {
        tables: FrameList::new(),
        mask: 0,
    };
}

struct Held {
    waiting: Batch,
    gathering: Batch,
}

/// Innermost but for the processors' marks: nothing else is locked, and nobody
/// waited for, while it is held.
static HELD: SpinLock<Held> = SpinLock::new(Held {
    waiting: Batch::EMPTY,
    gathering: Batch::EMPTY,
});

/// Frees tables of zeroes that were unlinked from the space of `root`, when
/// every processor that may walk them has forgotten them. (With
/// [`tlb::BROADCASTS`]: they have been told.)
pub(super) fn free(root: u32, tables: Unlinked) {
    let Unlinked { list, widely } = tables;
    if list.is_empty() || cpu::online() == 1 || tlb::BROADCASTS {
        return frames::free_tables(list);
    }
    if widely {
        // The marks are for others.
        presence::forget_all();
    }
    // Marked with the lock held: nobody can pass before the tables are in.
    let mut held = HELD.lock();
    let mask = presence::hold_all(root, widely);
    if mask == 0 {
        drop(held);
        return frames::free_tables(list);
    }
    let batch = if held.waiting.mask == 0 {
        &mut held.waiting
    } else {
        &mut held.gathering
    };
    batch.tables.append(list);
    batch.mask |= mask;
}

/// This processor has forgotten what it was marked for.
pub(super) fn passed() {
    let me = 1 << cpu::current().index();
    let mut free = FrameList::new();
    let mut held = HELD.lock();
    held.waiting.mask &= !me;
    held.gathering.mask &= !me;
    while held.waiting.mask == 0 && !held.waiting.tables.is_empty() {
        let next = core::mem::replace(&mut held.gathering, Batch::EMPTY);
        let done = core::mem::replace(&mut held.waiting, next);
        free.append(done.tables);
    }
    drop(held);
    frames::free_tables(free);
}
