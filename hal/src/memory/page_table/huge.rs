//! Huge pages: leaf tables that the processor passes over.
//!
//! A leaf table whose 512 entries name the frames of an aligned block in order,
//! with the same rights, says nothing that one entry above it could not say.
//! That entry is the *block*; the table stays behind it, filled, so that
//! whatever looks at pages finds them, and whatever changes one only has to
//! *open* the block first: the table takes its place, which needs no memory and
//! cannot fail.
//!
//! ```text
//!  level 1 | block: frame 0x400 |          level 1 | table |
//!               :      \\          open               |
//!     (record)  :       \\         ---->              |
//!  level 0 | 0x400 | 0x401 | .. |         level 0 | 0x400 | 0x401 | .. |
//! ```
//!
//! # What must hold
//! 1. A block's entry has the rights of all entries of the table behind it, and
//!    names the frame of the first. While it is linked, nobody changes them.
//! 2. The record of that frame names the table: the entry has a handle of the
//!    frame, so the record is that of a program's frame, whose payload nobody
//!    else sets.
//! 3. The space is the table's only owner, until the block is opened.
//! 4. The processor never has both in use for an address: between block and
//!    table the entry is zero until all have forgotten ([`Leaf::relink`](super::descend::Leaf::relink)).
//!
//! The pages of the table count as stored to from the start: what the machine
//! records in the block's entry is not to be carried over.

use ochre_paging::{ENTRIES, index, span};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::arch::machine::paging;

use super::super::frames::{self, BLOCK};
use super::super::table::Table;
use super::super::{OutOfMemory, Rights};
use super::{PageTable, check};

/// Blocks that are linked.
static MAPPED: AtomicU64 = AtomicU64::new(0);
/// Blocks that ever were.
static MADE: AtomicU64 = AtomicU64::new(0);
/// Blocks that were opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// How many huge pages there are and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePages {
    /// Mapped now.
    pub mapped: u64,
    /// Mapped since the machine runs.
    pub made: u64,
    /// Made pages again since then.
    pub split: u64,
}

/// How many huge pages programs have and had.
#[must_use]
pub fn huge_pages() -> HugePages {
    // ORDERING: Relaxed; counts.
    HugePages {
        mapped: MAPPED.load(Ordering::Relaxed),
        made: MADE.load(Ordering::Relaxed),
        split: OPENED.load(Ordering::Relaxed),
    }
}

/// A block was unlinked.
pub(super) fn note_end() {
    // ORDERING: Relaxed; a count.
    MAPPED.fetch_sub(1, Ordering::Relaxed);
}

/// A block was opened.
pub(super) fn note_opened() {
    // ORDERING: Relaxed; a count.
    OPENED.fetch_add(1, Ordering::Relaxed);
}

/// 2 MiB of zeroes that a program can get as one huge page.
#[derive(Debug)]
pub struct UserBlock {
    /// INVARIANT: the first of [`BLOCK`] frames of kind `USER` side by side, of
    /// each of whose counts one is ours.
    first: u32,
}

impl UserBlock {
    /// A fresh one.
    ///
    /// # Errors
    /// [`OutOfMemory`] if no such block is free, or only the kernel's reserve
    /// would be left.
    pub fn zeroed() -> Result<UserBlock, OutOfMemory> {
        let first = frames::allocate_block()?;
        frames::clear_block(first);
        Ok(UserBlock { first })
    }
}

impl Drop for UserBlock {
    fn drop(&mut self) {
        // No other handle of it was ever made.
        frames::free_block(self.first);
    }
}

impl PageTable {
    /// Whether nothing is mapped in the 2 MiB around an address, so that
    /// [`map_huge`](PageTable::map_huge) may map them.
    #[must_use]
    pub fn is_vacant_block(&self, address: u64) -> bool {
        self.leaf(address).is_none()
    }

    /// Maps 2 MiB, in which nothing is mapped, at an address that is a multiple
    /// of that. They are pages as any others for all that comes after.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table.
    ///
    /// # Panics
    /// If something is mapped there.
    pub fn map_huge(
        &mut self,
        address: u64,
        block: UserBlock,
        rights: Rights,
    ) -> Result<(), OutOfMemory> {
        check(address, span(1));
        assert_eq!(address % span(1), 0, "{address:#x} is within a huge page");
        let upper = self.upper_or_new(address)?;
        let at = index(address, 1);
        assert_eq!(upper.load(at), 0, "{address:#x} has pages already");
        let Ok(leaf) = Table::new() else {
            self.prune(address);
            return Err(OutOfMemory);
        };
        // The entries have the handles now.
        let first = block.first;
        core::mem::forget(block);
        let entry = |frame| paging::used(paging::user_leaf(frame, rights));
        for (place, frame) in leaf.entries().iter().zip(first..) {
            // ORDERING: Relaxed; the table is not in use yet.
            place.store(entry(frame), Ordering::Relaxed);
        }
        leaf.note(0, ENTRIES - 1, BLOCK);
        frames::record(first).set(frames::USER, leaf.frame());
        upper.set(at, paging::block(entry(first)));
        self.resident += BLOCK as usize;
        // ORDERING: Relaxed; counts.
        MAPPED.fetch_add(1, Ordering::Relaxed);
        MADE.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The leaf table that an entry right above the leaves, which is not zero,
/// points to or has behind it.
#[inline]
pub(super) fn leaf_table(entry: u64) -> Table {
    let mut frame = paging::frame(entry);
    if paging::is_block(entry) {
        frame = frames::record(frame).payload();
    }
    // SAFETY: invariant 1 of the module above, and 2 of this one.
    unsafe { Table::at(frame) }
}

const _: () = assert!(BLOCK as usize == ENTRIES);
