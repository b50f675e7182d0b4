//! One page table: 512 entries in a frame of kind `TABLE`, and what its record
//! says of them.
//!
//! ```text
//! payload | last used: 9 | first used: 9 | used: 10 |
//! ```
//! `first` and `last` only widen while entries are set, and start anew when the
//! table is empty: between them, all used entries are found. So a walk over a
//! sparse table looks at few entries, and an empty table is known without a look.
//! (In a root the record describes the user half only.)
//!
//! ```text
//! word    of a leaf table: | was shared: 1 | owners besides one: 31 |
//! ```
//! A leaf table may belong to several address spaces (`page_table/sharing.rs`).
//! Nobody changes it then but by taking the store right from entries; who is
//! the only owner may do what it likes ([`ochre_paging::owners`], tried by loom
//! in all orders). An owner lets go when no processor uses the table for it.
//!
//! Entries are atomics because the processor writes accessed and dirty bits
//! into them; tables are changed by the one owner of the [`PageTable`](super::PageTable).

use ochre_paging::{ENTRIES, owners};
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{OutOfMemory, direct, frames};

/// A table, by its frame. INVARIANT: the frame is of kind `TABLE` while this is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    frame: u32,
}

impl Table {
    /// A new table of zero entries.
    pub(super) fn new() -> Result<Table, OutOfMemory> {
        Ok(Table {
            frame: frames::allocate_table()?,
        })
    }

    /// The table in `frame`.
    ///
    /// # Safety
    /// The frame is of kind `TABLE` and stays so while the value is used.
    #[inline]
    pub(super) unsafe fn at(frame: u32) -> Table {
        Table { frame }
    }

    /// The table's frame.
    #[inline]
    pub(super) fn frame(self) -> u32 {
        self.frame
    }

    /// The word of a leaf table.
    #[inline]
    fn word(self) -> &'static AtomicU32 {
        frames::record(self.frame).word()
    }

    /// Address spaces that a leaf table belongs to.
    #[inline]
    pub(super) fn owners(self) -> usize {
        owners::count(self.word())
    }

    /// Whether the caller, an owner of a leaf table, is the only one.
    #[inline]
    pub(super) fn is_sole(self) -> bool {
        owners::is_sole(self.word())
    }

    /// Whether a leaf table ever had several owners. Not for one on a list.
    #[inline]
    pub(super) fn was_shared(self) -> bool {
        owners::was_shared(self.word())
    }

    /// One owner more of a leaf table that the caller owns.
    #[inline]
    pub(super) fn add_owner(self) {
        owners::add(self.word());
    }

    /// Lets go of a leaf table; true if nobody else has it, so that the caller
    /// keeps it, alone.
    #[inline]
    #[must_use = "the last owner has the table still"]
    pub(super) fn drop_owner(self) -> bool {
        owners::let_go(self.word())
    }

    /// Entries that are used.
    #[inline]
    pub(super) fn used(self) -> u32 {
        frames::record(self.frame).payload() & 0x3ff
    }

    /// The first and the last index between which all used entries lie;
    /// an empty range (`first > last`) for an empty table.
    #[inline]
    pub(super) fn extent(self) -> (usize, usize) {
        let payload = frames::record(self.frame).payload();
        if payload & 0x3ff == 0 {
            return (1, 0);
        }
        extent_of(payload)
    }

    /// All entries.
    #[inline]
    pub(super) fn entries(self) -> &'static [AtomicU64; ENTRIES] {
        let entries = direct::pointer(self.frame).cast::<[AtomicU64; ENTRIES]>();
        // SAFETY: a frame of kind `TABLE` is in the direct map, aligned, and
        // only ever accessed as atomic words until it is freed; the value's
        // invariant says that it is not freed meanwhile.
        unsafe { &*entries }
    }

    /// An entry. Indices come from [`ochre_paging::index`], below 512.
    #[inline]
    pub(super) fn load(self, index: usize) -> u64 {
        // ORDERING: Relaxed; one owner writes, the processor adds bits.
        self.entries()[index % ENTRIES].load(Ordering::Relaxed)
    }

    /// Fills an entry that was zero.
    #[inline]
    pub(super) fn set(self, index: usize, entry: u64) {
        let index = index % ENTRIES;
        // ORDERING: Release: a processor that walks to a new page or table
        // finds it filled.
        self.entries()[index].store(entry, Ordering::Release);
        self.note(index, index, 1);
    }

    /// Notes that `count` zero entries were filled, the first and last of them given.
    #[inline]
    pub(super) fn note(self, first: usize, last: usize, count: u32) {
        let record = frames::record(self.frame);
        let payload = record.payload();
        let used = payload & 0x3ff;
        let (first, last) = if used == 0 {
            (first, last)
        } else {
            let (old_first, old_last) = extent_of(payload);
            (first.min(old_first), last.max(old_last))
        };
        // CAST: nine bits each.
        let payload = (last as u32) << 19 | (first as u32) << 10 | (used + count);
        record.set(frames::TABLE, payload);
    }

    /// Empties an entry that is used; what it was.
    #[inline]
    pub(super) fn clear(self, index: usize) -> u64 {
        // ORDERING: Relaxed; the flush orders it against the processors.
        let entry = self.entries()[index % ENTRIES].swap(0, Ordering::Relaxed);
        self.forget(1);
        entry
    }

    /// Notes that `count` used entries were emptied.
    #[inline]
    pub(super) fn forget(self, count: u32) {
        let record = frames::record(self.frame);
        record.set(frames::TABLE, record.payload() - count);
    }
}

/// The first and the last index that a record's payload tells of.
#[inline]
fn extent_of(payload: u32) -> (usize, usize) {
    // CAST: nine bits each.
    (
        (payload >> 10 & 0x1ff) as usize,
        (payload >> 19 & 0x1ff) as usize,
    )
}
