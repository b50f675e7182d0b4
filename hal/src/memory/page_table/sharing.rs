//! Forks: pages that two spaces share, one by one or by whole leaf tables.
//!
//! A table of many pages that may be copied on write is not copied: the child
//! gets the same table, and neither side may store to anything behind its
//! entry for it ([`paging::forbid_stores`]). The entries keep their rights. So
//! a fork costs by tables, and a parent whose child has gone has its pages
//! back without a look at them.
//!
//! # States of a leaf table, as a space sees it
//!
//! | its entry for the table | owners | the space may |
//! |---|---|---|
//! | lets stores pass | itself alone | do anything |
//! | forbids them | several | take store rights from entries, nothing else |
//! | forbids them | itself alone, the others have gone | claim it ([`Leaf::claim`]): first state |
//! | is for the pages, not the table ([`huge`](super::huge)) | itself alone | open it ([`Leaf::open`]): first state; change all of it |
//! | the same | several | nothing |
//!
//! Whoever wants to change a table that others have makes a copy first
//! ([`PageTable::own`]): each entry with a handle of its frame and without the
//! right to store, which the entry in the shared table loses too. So an entry
//! with the right to store is the only one for its frame, whoever shares the
//! table it is in.
//!
//! What is unlinked of a shared table is forgotten by all processors that run
//! the space, and only then let go: until then they may use what the next
//! owner does there. The last owner's table waits in the quarantine for the
//! processors of every space ([`Unlinked`]).

use core::ops::{ControlFlow, Range};

use ochre_paging::{index, span};
use ochre_sync::primitive::atomic::Ordering;

use crate::arch::machine::paging;

use super::super::flush::Flush;
use super::super::frames;
use super::super::quarantine::Unlinked;
use super::super::table::Table;
use super::super::{OutOfMemory, user_frame};
use super::descend::{Hold, Leaf, descend_while};
use super::leaving::let_go;
use super::{PAGE, PageTable, check, check_range, spare};

/// What a table counts of [`PageTable::share_some_into`]'s budget besides its pages.
const COPIED_TABLE: usize = 64;

/// What a table counts of it that is shared as a whole.
const SHARED_TABLE: usize = 8;

/// Pages from which on a table is shared rather than copied: few are copied
/// sooner than they are owned again, which the stack's are at once.
const SHARED_FROM: u32 = if cfg!(test) { 2 } else { 64 };

/// How a child gets its parent's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// For good, with the rights they have.
    ForGood,
    /// Until one side stores.
    CopyOnWrite,
    /// As `CopyOnWrite`, with whole tables where that is cheaper.
    ///
    /// What unmaps pages of these ranges can then be refused for want of a
    /// table; of pages of others never.
    Tables,
}

impl PageTable {
    /// Maps into `child` every page of a range that is mapped here, sharing
    /// the frames. Walks whole tables, so that a fork costs by pages present,
    /// or by tables.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the child's tables; the child is then incomplete
    /// and is to be dropped. The rights that this side lost stay lost; the
    /// processors are told before the error returns. The flush is for this
    /// (the parent's) side.
    ///
    /// # Panics
    /// If a page of the range is mapped in `child`.
    pub fn share_into(
        &mut self,
        child: &mut PageTable,
        range: Range<u64>,
        sharing: Sharing,
    ) -> Result<Flush, OutOfMemory> {
        let mut budget = usize::MAX;
        let (flush, _) = self.share_some_into(child, range, sharing, &mut budget)?;
        Ok(flush)
    }

    /// [`share_into`](PageTable::share_into), but ends before the next table
    /// once `budget`, counted down by what is done, is used up. The address is
    /// where to go on: the range's end, or where what is left begins.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn share_some_into(
        &mut self,
        child: &mut PageTable,
        range: Range<u64>,
        sharing: Sharing,
        budget: &mut usize,
    ) -> Result<(Flush, u64), OutOfMemory> {
        check_range(&range);
        let mut flush = Flush::new(self.space.root());
        let mut result = Ok(range.end);
        let last = self.last.1;
        let mut is_last_shared = false;
        let root = self.space.table();
        let _ = descend_while(root, &range, &mut Unlinked::new(), &mut |leaf| {
            if *budget == 0 {
                result = Ok(leaf.base.max(range.start));
                return ControlFlow::Break(());
            }
            let opened;
            let mut leaf = leaf;
            if leaf.hold().is_block() && !child.may_adopt(leaf, sharing) {
                if let Err(error) = own_leaf(flush.root(), leaf) {
                    result = Err(error);
                    return ControlFlow::Break(());
                }
                opened = leaf.anew();
                leaf = &opened;
            }
            let has_spare = self.may_spare && spare::has_some(leaf);
            let adopted = match has_spare {
                true => child.adopt_but_spare(leaf, sharing, &mut flush),
                false => child.adopt(leaf, sharing, &mut flush),
            };
            match adopted {
                Ok(cost) => {
                    *budget = budget.saturating_sub(cost);
                    is_last_shared |= leaf.table == last && !leaf.is_own();
                }
                Err(error) => {
                    result = Err(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        if is_last_shared {
            self.last.0 = u64::MAX;
        }
        match result {
            Ok(next) => Ok((flush, next)),
            Err(error) => {
                flush.flush();
                Err(error)
            }
        }
    }

    /// Takes a parent's pages over; what that cost.
    fn adopt(
        &mut self,
        leaf: &Leaf,
        sharing: Sharing,
        flush: &mut Flush,
    ) -> Result<usize, OutOfMemory> {
        if self.may_adopt(leaf, sharing) {
            let upper = self.upper_or_new(leaf.base)?;
            leaf.table.add_owner();
            let hold = leaf.hold();
            let place = &leaf.upper.0.entries()[leaf.upper.1];
            match hold {
                Hold::Own => paging::forbid_stores(place),
                Hold::Block => paging::take_write(place),
                Hold::ShutBlock | Hold::Shared => {}
            }
            if !hold.forbids_stores() {
                flush.cover(leaf.base, leaf.base + span(1));
            }
            let entry = match hold.is_block() {
                true => leaf.upper.0.load(leaf.upper.1),
                false => paging::without_stores(paging::table(leaf.table.frame())),
            };
            upper.set(index(leaf.base, 1), entry);
            self.resident += leaf.table.used() as usize;
            return Ok(SHARED_TABLE);
        }
        let theirs = self.leaf_or_new(leaf.base)?;
        let count = self.copy_part(leaf, theirs, leaf.at.clone(), sharing, flush);
        if count == 0 {
            self.prune(leaf.base);
        }
        Ok(count + COPIED_TABLE)
    }

    /// Whether a parent's table is shared as a whole.
    fn may_adopt(&self, leaf: &Leaf, sharing: Sharing) -> bool {
        let is_many = sharing == Sharing::Tables && leaf.table.used() >= SHARED_FROM;
        is_many && leaf.is_whole() && self.leaf(leaf.base).is_none()
    }

    /// [`adopt`](PageTable::adopt) without the pages that the parent can spare.
    #[cold]
    fn adopt_but_spare(
        &mut self,
        leaf: &Leaf,
        sharing: Sharing,
        flush: &mut Flush,
    ) -> Result<usize, OutOfMemory> {
        let theirs = self.leaf_or_new(leaf.base)?;
        let mut count = 0;
        for part in spare::runs_of_others(leaf) {
            count += self.copy_part(leaf, theirs, part, sharing, flush);
        }
        if theirs.used() == 0 {
            self.prune(leaf.base);
        }
        Ok(count + COPIED_TABLE)
    }

    /// Copies entries of a parent's table to one of this space's; how many.
    fn copy_part(
        &mut self,
        leaf: &Leaf,
        theirs: Table,
        part: Range<usize>,
        sharing: Sharing,
        flush: &mut Flush,
    ) -> usize {
        let (first, end) = (part.start, part.end);
        let copied = share_leaf(leaf.table, theirs, part, sharing != Sharing::ForGood);
        if copied.changed {
            flush.cover(leaf.address(first), leaf.address(end));
        }
        if copied.count > 0 {
            theirs.note(first, end - 1, copied.count);
            self.resident += copied.count as usize;
        }
        copied.count as usize
    }

    /// Makes the table of a page this space's own, so that the page's rights
    /// are what its entry says; whether it was not. To be done before one asks
    /// whether a page has other holders.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table; nothing is changed then.
    #[inline]
    pub fn own(&mut self, address: u64) -> Result<bool, OutOfMemory> {
        check(address, PAGE);
        match self.leaf(address) {
            None | Some((_, Hold::Own)) => Ok(false),
            Some(_) => self.own_some(&(address..address + PAGE), |_| true),
        }
    }

    /// Makes the tables that have pages in a range this space's own; whether
    /// one was not.
    fn own_range(&mut self, range: Range<u64>) -> Result<bool, OutOfMemory> {
        self.own_but(&range, |_| false)
    }

    /// Makes the tables that have pages in a range this space's own, but for
    /// some; whether one was not.
    pub(super) fn own_but(
        &mut self,
        range: &Range<u64>,
        is_left: impl Fn(&Leaf) -> bool,
    ) -> Result<bool, OutOfMemory> {
        let is_in_one = range.start / span(1) == range.end.saturating_sub(1) / span(1);
        if is_in_one && self.is_own_or_none(range.start) {
            return Ok(false);
        }
        self.own_some(range, |leaf| !is_left(leaf))
    }

    /// Makes tables of which only a part is in a range this space's own.
    pub(super) fn own_edges(&mut self, range: &Range<u64>) -> Result<(), OutOfMemory> {
        if range.is_empty() {
            return Ok(());
        }
        // Tables in the middle are in it as a whole.
        for page in [range.start, range.end - PAGE] {
            if self.is_own_or_none(page) {
                continue;
            }
            let start = page / span(1) * span(1);
            let part = start.max(range.start)..range.end.min(start + span(1));
            self.own_some(&part, |leaf| !leaf.is_whole())?;
        }
        Ok(())
    }

    /// Whether an address has no table that would have to be made the space's own.
    #[inline]
    fn is_own_or_none(&self, address: u64) -> bool {
        self.leaf(address).is_none_or(|(_, hold)| hold == Hold::Own)
    }

    #[cold]
    fn own_some(
        &mut self,
        range: &Range<u64>,
        concerns: impl Fn(&Leaf) -> bool,
    ) -> Result<bool, OutOfMemory> {
        let root = self.space.root();
        let mut result = Ok(false);
        let table = self.space.table();
        let _ = descend_while(table, range, &mut Unlinked::new(), &mut |leaf| {
            if leaf.is_own() || !concerns(leaf) {
                return ControlFlow::Continue(());
            }
            result = own_leaf(root, leaf).map(|()| true);
            if result.is_err() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        result
    }

    /// As [`own_range`](PageTable::own_range) for the one table of an address.
    #[cold]
    pub(super) fn own_table(&mut self, address: u64) -> Result<(), OutOfMemory> {
        let start = address / span(1) * span(1);
        // The last table ends a page before the half does, which is no page.
        let end = (start + span(1)).min(super::USER_END);
        self.own_range(start..end).map(|_| ())
    }
}

/// Makes a shared leaf table the own one of the space of `root`: as it is
/// where the others have gone, or there were none; otherwise a copy.
fn own_leaf(root: u32, leaf: &Leaf) -> Result<(), OutOfMemory> {
    if leaf.hold().is_block() && leaf.table.is_sole() {
        leaf.open(root);
        return Ok(());
    }
    if leaf.claim() {
        // Who remembers that stores are forbidden would fault, find nothing to
        // do and forget: once for each page that it remembers. This forgets
        // all of them at once.
        leaf.forget(root);
        return Ok(());
    }
    let new = Table::new()?;
    let (first, last) = leaf.table.extent();
    let copied = share_leaf(leaf.table, new, first..last + 1, true);
    new.note(first, last, copied.count);
    leaf.relink(root, paging::table(new.frame()));
    let_go(root, leaf.table);
    Ok(())
}

/// What [`share_leaf`] did.
#[derive(Default)]
struct Copied {
    /// Entries copied.
    count: u32,
    /// Whether any that was mapped lost a right.
    changed: bool,
}

/// Copies the entries `at` of a leaf table to another, a handle for each,
/// without the right to store if `copy_on_write`, which the entries that are
/// copied lose too. This is what a fork does for every page, so it is kept
/// short, and out of line, where its loop has the registers for itself.
#[inline(never)]
fn share_leaf(from: Table, to: Table, at: Range<usize>, copy_on_write: bool) -> Copied {
    let mut copied = Copied::default();
    let (Some(sources), Some(targets)) = (from.entries().get(at.clone()), to.entries().get(at))
    else {
        return copied;
    };
    let mut lost = 0;
    let mut occupied = 0;
    for (source, target) in sources.iter().zip(targets) {
        // ORDERING: Relaxed; one owner writes, the processor adds bits, and
        // other owners take store rights.
        let entry = source.load(Ordering::Relaxed);
        if entry == 0 {
            continue;
        }
        user_frame::retain(frames::record(paging::frame(entry)));
        let mut copy = entry;
        if copy_on_write && paging::has_write(entry) {
            paging::take_write(source);
            copy = paging::without_write(entry);
            lost |= entry;
        }
        // ORDERING: Relaxed; the target is not in use yet.
        occupied |= target.load(Ordering::Relaxed);
        target.store(copy, Ordering::Relaxed);
        // No overflow: a table has 512 entries.
        copied.count = copied.count.wrapping_add(1);
    }
    assert_eq!(occupied, 0, "shared onto mapped pages");
    copied.changed = paging::is_mapped(lost);
    copied
}
