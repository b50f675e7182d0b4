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
//! the only owner may do what it likes.
//!
//! | transition | who | when |
//! |---|---|---|
//! | one more owner ([`Table::add_owner`]) | an owner, for its child | any time |
//! | one owner less ([`Table::drop_owner`]) | that owner | when no processor uses the table for it |
//! | gone | the last owner | as any table |
//!
//! Entries are atomics because the processor writes accessed and dirty bits
//! into them; tables are changed by the one owner of the [`PageTable`](super::PageTable).

use ochre_paging::ENTRIES;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering, fence};

use super::{OutOfMemory, direct, frames};

/// Set in a leaf table's word: it had several owners once.
const WAS_SHARED: u32 = 1 << 31;

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

    /// Address spaces that a leaf table belongs to.
    #[inline]
    pub(super) fn owners(self) -> usize {
        // ORDERING: Relaxed; a number.
        let word = frames::record(self.frame).word().load(Ordering::Relaxed);
        (word & !WAS_SHARED) as usize + 1
    }

    /// Whether the caller, an owner of a leaf table, is the only one.
    #[inline]
    pub(super) fn is_sole(self) -> bool {
        // ORDERING: Acquire: what other owners did before they let go, in
        // `drop_owner`, is done.
        let word = frames::record(self.frame).word().load(Ordering::Acquire);
        word & !WAS_SHARED == 0
    }

    /// Whether a leaf table ever had several owners. Not for one on a list.
    #[inline]
    pub(super) fn was_shared(self) -> bool {
        // ORDERING: Relaxed; the caller is the only owner.
        frames::record(self.frame).word().load(Ordering::Relaxed) & WAS_SHARED != 0
    }

    /// One owner more of a leaf table that the caller owns.
    #[inline]
    pub(super) fn add_owner(self) {
        let word = frames::record(self.frame).word();
        // ORDERING: Relaxed; the caller's own part keeps the table. No
        // overflow: there are fewer address spaces than frames, 28 bits.
        word.fetch_add(1, Ordering::Relaxed);
        word.fetch_or(WAS_SHARED, Ordering::Relaxed);
    }

    /// Lets go of a leaf table; true if nobody else has it, so that the caller
    /// keeps it, alone.
    #[inline]
    #[must_use = "the last owner has the table still"]
    pub(super) fn drop_owner(self) -> bool {
        let word = frames::record(self.frame).word();
        // ORDERING: Release: what this owner did comes before; pairs with
        // `is_sole`, and with the fence below.
        let result = word.try_update(Ordering::Release, Ordering::Relaxed, |word| {
            (word & !WAS_SHARED != 0).then(|| word.wrapping_sub(1))
        });
        if result.is_ok() {
            return false;
        }
        // ORDERING: Acquire, as in `is_sole`.
        fence(Ordering::Acquire);
        true
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
        // CAST: nine bits each.
        (
            (payload >> 10 & 0x1ff) as usize,
            (payload >> 19 & 0x1ff) as usize,
        )
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
        let (old_first, old_last) = self.extent();
        let used = record.payload() & 0x3ff;
        let (first, last) = if used == 0 {
            (first, last)
        } else {
            (first.min(old_first), last.max(old_last))
        };
        // CAST: nine bits each.
        let payload = (last as u32) << 19 | (first as u32) << 10 | (used + count);
        record.set(frames::TABLE, payload);
    }

    /// Replaces an entry by another that is not zero; what it was, with the
    /// bits that the processor added.
    #[inline]
    pub(super) fn swap(self, index: usize, entry: u64) -> u64 {
        // ORDERING: Release, as in `set`.
        self.entries()[index % ENTRIES].swap(entry, Ordering::Release)
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
