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
//! 1. A block's entry names the frame of the first of the entries behind it.
//!    Those have equal rights, and the block has them too; or it has not the
//!    right to store, which they may have.
//! 2. The record of that frame names the table: the entry has a handle of the
//!    frame, so the record is that of a program's frame, whose payload nobody
//!    else sets. It does until the table is behind no block any more ([`end`]).
//! 3. A table behind a block is behind one for each space that owns it. If those
//!    are several (after a fork, [`sharing`](super::sharing)), no block of it
//!    lets stores pass.
//! 4. The processor never has both in use for an address: between block and
//!    table the entry is zero until all have forgotten ([`Leaf::relink`](super::descend::Leaf::relink)).
//!
//! The pages of the table count as stored to from the start: what the machine
//! records in the block's entry is not to be carried over.

use ochre_paging::{ENTRIES, index, span};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::arch::machine::{bytes, paging};

use super::super::frames::{self, BLOCK};
use super::super::quarantine::Unlinked;
use super::super::table::Table;
use super::super::{OutOfMemory, PAGE_SIZE, Rights, direct};
use super::descend::{Hold, Leaf, descend};
use super::leaving::let_go;
use super::{PAGE, PageTable, change_entry, check, spare};

/// Blocks that are linked.
static MAPPED: AtomicU64 = AtomicU64::new(0);
/// Blocks that ever were.
static MADE: AtomicU64 = AtomicU64::new(0);
/// Blocks that were opened.
static OPENED: AtomicU64 = AtomicU64::new(0);
/// Blocks that pages were gathered to.
static COLLAPSED: AtomicU64 = AtomicU64::new(0);

/// How many huge pages there are and were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePages {
    /// Mapped now.
    pub mapped: u64,
    /// Mapped since the machine runs.
    pub made: u64,
    /// Made pages again since then.
    pub split: u64,
    /// Made of pages since then.
    pub collapsed: u64,
}

/// How many huge pages programs have and had.
#[must_use]
pub fn huge_pages() -> HugePages {
    // ORDERING: Relaxed; counts.
    HugePages {
        mapped: MAPPED.load(Ordering::Relaxed),
        made: MADE.load(Ordering::Relaxed),
        split: OPENED.load(Ordering::Relaxed),
        collapsed: COLLAPSED.load(Ordering::Relaxed),
    }
}

/// A table of which the caller is the only owner is behind no block any more,
/// if it was.
pub(super) fn end(table: Table) {
    let first = table.load(0);
    if first == 0 {
        return;
    }
    let record = frames::record(paging::frame(first));
    if record.payload() == table.frame() {
        record.set(frames::USER, 0);
        // ORDERING: Relaxed; a count.
        MAPPED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A block was opened.
pub(super) fn note_opened() {
    // ORDERING: Relaxed; a count.
    OPENED.fetch_add(1, Ordering::Relaxed);
}

/// What there is of 2 MiB that begin at a multiple of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// Nothing.
    Vacant,
    /// Pages, perhaps not everywhere.
    Pages,
    /// One huge page.
    Huge,
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

    /// Has the content of a program's frame, which nobody stores to, in page `at`.
    fn take_over(&mut self, at: u32, frame: u32) {
        assert!(at < BLOCK, "page {at} of a huge page");
        if frame == frames::zero_frame() {
            return;
        }
        let (to, from) = (direct::pointer(self.first + at), direct::pointer(frame));
        // SAFETY: two frames in the direct map; the one copied to is ours alone
        // (the type's invariant), so it is another one than that of a page.
        unsafe { bytes::copy(to, from, PAGE_SIZE) };
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
        upper.set(at, fill(leaf, block, rights));
        self.resident += BLOCK as usize;
        // ORDERING: Relaxed; a count.
        MADE.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What there is of the 2 MiB around an address.
    #[must_use]
    pub fn block_state(&self, address: u64) -> BlockState {
        match self.leaf(address) {
            None => BlockState::Vacant,
            Some((_, hold)) if hold.is_block() => BlockState::Huge,
            Some(_) => BlockState::Pages,
        }
    }

    /// Makes the pages that are there in 2 MiB, from an address on that is a
    /// multiple of that, one huge page with `block`: their content goes there,
    /// what is missing is zeroes. All of it has these rights then.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; nothing is changed then.
    ///
    /// # Panics
    /// If there are no pages, or it is a huge page already.
    pub fn collapse(
        &mut self,
        address: u64,
        block: UserBlock,
        rights: Rights,
    ) -> Result<(), OutOfMemory> {
        check(address, span(1));
        assert_eq!(address % span(1), 0, "{address:#x} is within a huge page");
        let new = Table::new()?;
        let root = self.space.root();
        let mut gathered = None;
        let mut block = Some(block);
        let range = address..address + span(1);
        descend(
            self.space.table(),
            &range,
            &mut Unlinked::new(),
            &mut |leaf| {
                assert!(!leaf.hold().is_block(), "{address:#x} is huge already");
                let Some(mut block) = block.take() else {
                    return;
                };
                // Nobody stores to the pages from here on.
                leaf.shut(root);
                for (place, at) in leaf.table.entries().iter().zip(0..) {
                    // ORDERING: Relaxed; no processor uses it.
                    let entry = place.load(Ordering::Relaxed);
                    if entry != 0 {
                        block.take_over(at, paging::frame(entry));
                    }
                }
                let before = leaf.table.used();
                leaf.put(fill(new, block, rights));
                let_go(root, leaf.table);
                gathered = Some(before);
            },
        );
        let before = gathered.expect("there are pages");
        if self.is_last(address) {
            self.last.0 = u64::MAX;
        }
        // CAST: at most 512.
        self.resident += (BLOCK - before) as usize;
        // ORDERING: Relaxed; a count.
        COLLAPSED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a page's table this space's own, for a store to a page that may get
    /// `rights`; whether that changed anything. A huge page of which nobody else
    /// has a part has them then as a whole, and stays one.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; nothing is changed then.
    #[inline]
    pub fn own_for_store(&mut self, address: u64, rights: Rights) -> Result<bool, OutOfMemory> {
        check(address, PAGE);
        match self.leaf(address) {
            None | Some((_, Hold::Own)) => Ok(false),
            Some((table, Hold::ShutBlock)) if is_nobody_elses(table) => {
                self.change_block(address, |entry| paging::with_rights(entry, rights));
                Ok(true)
            }
            Some(_) => self.own(address),
        }
    }

    /// Changes the rights of a huge page, of whose table the space is the only
    /// owner, and gives more of them.
    fn change_block(&mut self, address: u64, new: impl Fn(u64) -> u64) {
        let range = address..address + PAGE;
        descend(
            self.space.table(),
            &range,
            &mut Unlinked::new(),
            &mut |leaf| {
                let _ = change(leaf, &new);
            },
        );
    }
}

/// Fills a table for a block of frames, and gives the entry for the block.
fn fill(table: Table, block: UserBlock, rights: Rights) -> u64 {
    // The entries have the handles now.
    let first = block.first;
    core::mem::forget(block);
    let entry = |frame| paging::used(paging::user_leaf(frame, rights));
    for (place, frame) in table.entries().iter().zip(first..) {
        // ORDERING: Relaxed; the table is not in use yet.
        place.store(entry(frame), Ordering::Relaxed);
    }
    table.note(0, ENTRIES - 1, BLOCK);
    frames::record(first).set(frames::USER, table.frame());
    // ORDERING: Relaxed; a count.
    MAPPED.fetch_add(1, Ordering::Relaxed);
    paging::block(entry(first))
}

/// Changes a block, of whose table the space is the only owner, with all that is
/// behind it; whether a processor that remembers it could do what is forbidden.
pub(super) fn change(leaf: &Leaf, new: impl Fn(u64) -> u64) -> bool {
    let mut loses = false;
    // No processor uses these.
    for place in leaf.table.entries() {
        change_entry(place, &new, || {});
    }
    change_entry(&leaf.upper.0.entries()[leaf.upper.1], &new, || loses = true);
    loses
}

/// Whether nobody but the space that asks has a page of the table behind a block.
fn is_nobody_elses(table: Table) -> bool {
    let is_ours = |place: &AtomicU64| {
        // ORDERING: Relaxed; no processor uses it.
        let entry = place.load(Ordering::Relaxed);
        // Who has the right to store is the only one.
        paging::has_write(entry) || spare::is_sole(entry)
    };
    table.is_sole() && table.entries().iter().all(is_ours)
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
