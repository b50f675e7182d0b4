//! The user half of an address space.
//!
//! Four levels of [`Table`]s below a [`SpaceRef`]'s root. A leaf entry that is
//! not zero owns one handle of its frame, mapped or kept (`PROT_NONE`).
//!
//! # Invariants
//! 1. An entry of a table above the leaves is zero or points to a `TABLE`
//!    frame that is not empty between calls; nothing else points to it, but for
//!    leaf tables that several spaces own ([`sharing`]). Right above the
//!    leaves it may be a block instead, which has a leaf table behind it
//!    ([`huge`]): [`leaf_table`] finds both.
//! 2. A leaf entry is zero or names a frame of kind `USER` and owns one handle.
//! 3. `resident` is the number of leaf entries that are not zero.
//! 4. `last` is a table that this space alone owns, and behind no block.

mod descend;
mod huge;
mod leaving;
mod sharing;
mod spare;

use core::mem::ManuallyDrop;
use core::ops::{ControlFlow, Range};

use ochre_paging::{index, is_page_aligned, span};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::arch::machine::{paging, tlb};

use super::flush::Flush;
use super::frames;
use super::quarantine::{self, Unlinked};
use super::space::{self, SpaceRef};
use super::table::Table;
use super::user_frame;
use super::user_view;
use super::walk::{self, Step};
use super::{Mapping, OutOfMemory, PAGE_SIZE, Rights, USER_END, UserFrame, presence};

use descend::{Hold, Leaf, descend, descend_while};
use huge::leaf_table;
pub use huge::{BlockState, HugePages, UserBlock, huge_pages};
pub(super) use leaving::free_full;
use leaving::{LeavingFrames, LeavingTables, free_leaf};
pub use sharing::Sharing;
pub use spare::TakenSpares;

const PAGE: u64 = PAGE_SIZE as u64;

const ROOT_LEVEL: u32 = 3;

/// Entries of the root that are given up together.
const TAKEN_AT_ONCE: usize = 16;

/// What a table counts of [`PageTable::unmap_some`]'s budget besides its pages.
const A_TABLE: usize = 16;

/// A table of at least as many pages goes from `unmap` as it is, and is emptied
/// with the flush; of fewer each page is looked at.
const FULL_FROM: u32 = if cfg!(test) { 4 } else { 32 };

/// The user half of an address space: owns its tables and a handle to every
/// frame mapped. Addresses are page-aligned and below [`USER_END`]; a method
/// given another address panics (the kernel checks user values first).
#[derive(Debug)]
pub struct PageTable {
    space: SpaceRef,
    resident: usize,
    /// The leaf table used last, and `address >> 21` of what it maps; no
    /// address has the number `u64::MAX`.
    last: (u64, Table),
    /// Whether pages may be spare ([`spare`]).
    may_spare: bool,
}

impl PageTable {
    /// An empty user half.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the root table.
    pub fn new() -> Result<PageTable, OutOfMemory> {
        let space = SpaceRef::new()?;
        let root = space.table();
        Ok(PageTable {
            space,
            resident: 0,
            last: (u64::MAX, root),
            may_spare: false,
        })
    }

    /// The handle with which programs are run and memory is copied.
    #[inline]
    #[must_use]
    pub fn space(&self) -> &SpaceRef {
        &self.space
    }

    /// Pages mapped now (resident set), inaccessible ones included.
    #[must_use]
    pub fn resident_pages(&self) -> usize {
        self.resident
    }

    /// Tables below the root, those among them that other spaces have, too.
    #[must_use]
    pub fn tables(&self) -> usize {
        let below = |table: Table, most: usize| {
            let entries = table.entries().iter().take(most);
            // ORDERING: Relaxed; tables above the leaves change by our hand only.
            let entries = entries.map(|entry| entry.load(Ordering::Relaxed));
            let entries = entries.filter(|entry| *entry != 0);
            // SAFETY: invariant 1; none of them is right above the leaves.
            entries.map(|entry| unsafe { Table::at(paging::frame(entry)) })
        };
        let of_root = below(self.space.table(), paging::USER_ROOT_ENTRIES);
        of_root
            .map(|table| {
                let next = below(table, ochre_paging::ENTRIES);
                1 + next.map(|table| 1 + table.used() as usize).sum::<usize>()
            })
            .sum()
    }

    /// Maps `frame` at `address`, which must not be mapped.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table on the way.
    ///
    /// # Panics
    /// If a page is mapped there.
    pub fn map(
        &mut self,
        address: u64,
        frame: UserFrame,
        rights: Rights,
    ) -> Result<(), OutOfMemory> {
        check(address, PAGE);
        let leaf = self.leaf_or_new(address)?;
        let at = index(address, 0);
        assert_eq!(leaf.load(at), 0, "{address:#x} is mapped already");
        leaf.set(at, paging::user_leaf(frame.into_raw(), rights));
        self.resident += 1;
        Ok(())
    }

    /// Replaces the frame and the rights of a mapped page (copy-on-write), or
    /// maps it if it was not.
    ///
    /// # Errors
    /// [`OutOfMemory`] for a table on the way.
    pub fn replace(
        &mut self,
        address: u64,
        frame: UserFrame,
        rights: Rights,
    ) -> Result<Flush, OutOfMemory> {
        check(address, PAGE);
        let leaf = self.leaf_or_new(address)?;
        let at = index(address, 0);
        let mut flush = Flush::new(self.space.root());
        let new = paging::user_leaf(frame.into_raw(), rights);
        if leaf.load(at) == 0 {
            leaf.set(at, new);
            self.resident += 1;
        } else {
            let place = &leaf.entries()[at];
            // Nothing for a moment: else one processor would find the new page
            // and store to it while another one, that was told of it, still
            // loads from the old one. (AArch64 wants that of every change of
            // where an entry leads, break-before-make.) Who faults on it waits
            // for the owner of this.
            // ORDERING: Relaxed; the flush orders it against the processors.
            let old = place.swap(0, Ordering::Relaxed);
            if paging::is_mapped(old) {
                flush.cover(address, address + PAGE);
                flush.forget();
            }
            // ORDERING: Release, as in `Table::set`.
            place.store(new, Ordering::Release);
            flush.hold_shared(UserFrame::from_raw(paging::frame(old)));
        }
        Ok(flush)
    }

    /// The mapping of one page.
    #[must_use]
    pub fn query(&self, address: u64) -> Option<Mapping> {
        check(address, PAGE);
        let (leaf, hold) = self.leaf(address)?;
        let entry = leaf.load(index(address, 0));
        if entry == 0 {
            return None;
        }
        user_frame::retain(frames::record(paging::frame(entry)));
        Some(mapping(entry, leaf, hold, 1))
    }

    /// Visits every page of a range that is mapped or kept, by address. Walks
    /// whole tables, so that it costs by pages present. Counts no handles.
    pub fn visit(&self, range: Range<u64>, mut see: impl FnMut(u64, &Mapping)) {
        check_range(&range);
        let root = self.space.table();
        descend(root, &range, &mut Unlinked::new(), &mut |leaf| {
            let hold = leaf.hold();
            for index in leaf.at.clone() {
                let entry = leaf.table.load(index);
                if entry != 0 {
                    // The table's own handle, which it keeps: never dropped here.
                    let lent = ManuallyDrop::new(mapping(entry, leaf.table, hold, 0));
                    see(leaf.address(index), &lent);
                }
            }
        });
    }

    /// Shows each entry on the way to an address, the root's first.
    pub fn walk(&self, address: u64, see: impl FnMut(&Step)) {
        check(address & !(PAGE - 1), PAGE);
        walk::walk(self.space.table(), address, see);
    }

    /// Changes the rights of every mapped page of a range; an empty set makes
    /// pages inaccessible but keeps the frames (`query` still finds them).
    ///
    /// # Errors
    /// [`OutOfMemory`] where others have the table; nothing is changed then.
    pub fn protect(&mut self, range: Range<u64>, rights: Rights) -> Result<Flush, OutOfMemory> {
        self.change(range, |entry| paging::with_rights(entry, rights))
    }

    /// Changes the rights of one page, which is mapped or kept. For the fault
    /// path: no walk over a range.
    ///
    /// # Errors
    /// [`OutOfMemory`] where others have the table.
    pub fn set_rights(&mut self, address: u64, rights: Rights) -> Result<Flush, OutOfMemory> {
        check(address, PAGE);
        self.own(address)?;
        let mut flush = Flush::new(self.space.root());
        if let Some((leaf, _)) = self.leaf(address) {
            let place = &leaf.entries()[index(address, 0)];
            change_entry(
                place,
                |entry| paging::with_rights(entry, rights),
                || {
                    flush.cover(address, address + PAGE);
                },
            );
        }
        Ok(flush)
    }

    /// Whether nothing is mapped or kept at an address.
    #[inline(always)]
    #[must_use]
    pub fn is_vacant(&self, address: u64) -> bool {
        check(address, PAGE);
        self.leaf(address)
            .is_none_or(|(leaf, _)| leaf.load(index(address, 0)) == 0)
    }

    /// Takes the store right from every mapped page of a range.
    ///
    /// # Errors
    /// As [`protect`](PageTable::protect).
    pub fn write_protect(&mut self, range: Range<u64>) -> Result<Flush, OutOfMemory> {
        self.change(range, paging::without_write)
    }

    /// Unmaps every page of a range and frees tables that became empty.
    ///
    /// # Errors
    /// [`OutOfMemory`] where others have the table of a page, and of a page
    /// outside of the range; nothing is changed then.
    pub fn unmap(&mut self, range: Range<u64>) -> Result<Flush, OutOfMemory> {
        let mut budget = usize::MAX;
        let (flush, _) = self.unmap_some(range, &mut budget)?;
        Ok(flush)
    }

    /// [`unmap`](PageTable::unmap), but ends before the next table once
    /// `budget`, counted down by what is done, is used up. The address is where
    /// to go on: the range's end, or where what is left begins.
    ///
    /// # Errors
    /// As there.
    pub fn unmap_some(
        &mut self,
        range: Range<u64>,
        budget: &mut usize,
    ) -> Result<(Flush, u64), OutOfMemory> {
        check_range(&range);
        self.own_edges(&range)?;
        let root = self.space.root();
        let mut flush = Flush::new(root);
        let mut next = range.end;
        let mut frames = LeavingFrames::new();
        let mut tables = LeavingTables::new();
        let mut gone = 0;
        let last = self.last.1;
        let mut is_last_gone = false;
        let mut empty = Unlinked::new();
        let _ = descend_while(self.space.table(), &range, &mut empty, &mut |leaf| {
            if *budget == 0 {
                next = leaf.base.max(range.start);
                return ControlFlow::Break(());
            }
            if !leaf.claim() {
                // All of it goes: the edges are our own.
                let count = leaf.table.used() as usize;
                let is_block = leaf.hold().is_block();
                gone += count;
                leaf.unlink();
                flush.cover(leaf.base, leaf.base + span(1));
                tables.put(root, leaf.table, &mut flush);
                let pages = if is_block { count } else { 0 };
                *budget = budget.saturating_sub(pages + A_TABLE);
                return ControlFlow::Continue(());
            }
            if leaf.is_whole() && leaf.table.used() >= FULL_FROM {
                let count = leaf.table.used() as usize;
                gone += count;
                leaf.unlink();
                is_last_gone |= leaf.table == last;
                flush.cover(leaf.address(leaf.at.start), leaf.address(leaf.at.end));
                flush.hold_full(leaf.table);
                *budget = budget.saturating_sub(count + A_TABLE);
                return ControlFlow::Continue(());
            }
            let mut count = 0;
            let entries = leaf.table.entries();
            for index in leaf.at.clone() {
                let place = &entries[index];
                // ORDERING: Relaxed, as in `Table::load`.
                if place.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                // ORDERING: Relaxed; the flush orders it against the processors.
                let entry = place.swap(0, Ordering::Relaxed);
                if paging::is_mapped(entry) {
                    let address = leaf.address(index);
                    flush.cover(address, address + PAGE);
                }
                count += 1;
                let frame = UserFrame::from_raw(paging::frame(entry));
                if frame.is_unique() {
                    flush.hold(frame.into_raw());
                } else {
                    frames.put(frame, &mut flush);
                }
            }
            leaf.table.forget(count);
            gone += count as usize;
            *budget = budget.saturating_sub(count as usize + A_TABLE);
            ControlFlow::Continue(())
        });
        self.resident -= gone;
        if is_last_gone || !empty.is_empty() {
            self.last.0 = u64::MAX;
        }
        flush.hold_tables(empty);
        tables.finish(root, &mut flush);
        frames.finish(&mut flush);
        Ok((flush, next))
    }

    /// Moves every mapped page of `from..from + len` to `to..to + len` (`mremap`).
    ///
    /// # Errors
    /// [`OutOfMemory`] for tables at the new place, or in place of one that
    /// others have; what was moved stays moved, and the processors are told
    /// before the error returns.
    ///
    /// # Panics
    /// If the ranges overlap, or a page of the new one is mapped.
    pub fn relocate(&mut self, from: u64, to: u64, len: u64) -> Result<Flush, OutOfMemory> {
        check(from, len);
        check(to, len);
        assert!(
            from + len <= to || to + len <= from,
            "a range moves onto itself"
        );
        let is_congruent = from % span(1) == to % span(1);
        let goes = |at: u64| is_congruent && at >= from && at + span(1) <= from + len;
        self.own_but(&(from..from + len), |leaf| goes(leaf.base))?;
        let mut flush = Flush::new(self.space.root());
        let mut offset = 0;
        while offset < len {
            if (from + offset).is_multiple_of(span(1)) && goes(from + offset) {
                if let Err(error) = self.move_table(from + offset, to + offset, &mut flush) {
                    flush.join(self.prune_range(from..from + len));
                    flush.flush();
                    return Err(error);
                }
                offset += span(1);
                continue;
            }
            let Some((source, _)) = self.leaf(from + offset) else {
                // No table: on to what the next one maps.
                offset += span(1) - (from + offset) % span(1);
                continue;
            };
            let at = index(from + offset, 0);
            if source.load(at) != 0 {
                let target = match self.leaf_or_new(to + offset) {
                    Ok(target) => target,
                    Err(error) => {
                        flush.join(self.prune_range(from..from + len));
                        flush.flush();
                        return Err(error);
                    }
                };
                let there = index(to + offset, 0);
                assert_eq!(target.load(there), 0, "{:#x} is mapped", to + offset);
                let entry = source.clear(at);
                target.set(there, entry);
                if paging::is_mapped(entry) {
                    flush.cover(from + offset, from + offset + PAGE);
                }
            }
            offset += PAGE;
        }
        flush.join(self.prune_range(from..from + len));
        Ok(flush)
    }

    /// Moves the table of 2 MiB to others, in which nothing is mapped, as it is:
    /// with all that is in it, behind a block or not, others' too or not.
    fn move_table(&mut self, from: u64, to: u64, flush: &mut Flush) -> Result<(), OutOfMemory> {
        let mut upper = self.space.table();
        for level in (2..=ROOT_LEVEL).rev() {
            let entry = upper.load(index(from, level));
            if entry == 0 {
                return Ok(());
            }
            // SAFETY: invariant 1.
            upper = unsafe { Table::at(paging::frame(entry)) };
        }
        if upper.load(index(from, 1)) == 0 {
            return Ok(());
        }
        let target = self.upper_or_new(to)?;
        assert_eq!(target.load(index(to, 1)), 0, "{to:#x} is mapped");
        target.set(index(to, 1), upper.clear(index(from, 1)));
        flush.cover(from, from + span(1));
        if self.is_last(from) {
            self.last.0 = u64::MAX;
        }
        Ok(())
    }

    fn change(
        &mut self,
        range: Range<u64>,
        new: impl Fn(u64) -> u64,
    ) -> Result<Flush, OutOfMemory> {
        check_range(&range);
        let is_left =
            |leaf: &Leaf| leaf.hold().is_block() && leaf.is_whole() && leaf.table.is_sole();
        self.own_but(&range, is_left)?;
        let mut flush = Flush::new(self.space.root());
        let root = self.space.table();
        descend(root, &range, &mut Unlinked::new(), &mut |leaf| {
            if leaf.hold().is_block() {
                if huge::change(leaf, &new) {
                    flush.cover(leaf.base, leaf.base + span(1));
                }
                return;
            }
            for index in leaf.at.clone() {
                change_entry(&leaf.table.entries()[index], &new, || {
                    let address = leaf.address(index);
                    flush.cover(address, address + PAGE);
                });
            }
        });
        Ok(flush)
    }

    /// Whether an address is in the table used last.
    #[inline]
    fn is_last(&self, address: u64) -> bool {
        self.last.0 == address / span(1)
    }

    /// The leaf table of an address, if there is one, and how this space has it.
    #[inline]
    fn leaf(&self, address: u64) -> Option<(Table, Hold)> {
        if self.is_last(address) {
            return Some((self.last.1, Hold::Own));
        }
        let mut table = self.space.table();
        for level in (2..=ROOT_LEVEL).rev() {
            let entry = table.load(index(address, level));
            if entry == 0 {
                return None;
            }
            // SAFETY: invariant 1.
            table = unsafe { Table::at(paging::frame(entry)) };
        }
        let entry = table.load(index(address, 1));
        (entry != 0).then(|| (leaf_table(entry), Hold::of(entry)))
    }

    /// The leaf table of an address, made if need be, and this space's own. The
    /// caller fills an entry of it at once (invariant 1), or prunes.
    #[inline]
    fn leaf_or_new(&mut self, address: u64) -> Result<Table, OutOfMemory> {
        if self.is_last(address) {
            return Ok(self.last.1);
        }
        self.find_leaf_or_make(address)
    }

    /// [`leaf_or_new`](PageTable::leaf_or_new) of another table than the last one.
    #[inline(never)]
    fn find_leaf_or_make(&mut self, address: u64) -> Result<Table, OutOfMemory> {
        let upper = self.upper_or_new(address)?;
        let at = index(address, 1);
        let mut entry = upper.load(at);
        if entry == 0 {
            let Ok(new) = Table::new() else {
                self.prune(address);
                return Err(OutOfMemory);
            };
            entry = paging::table(new.frame());
            upper.set(at, entry);
        } else if Hold::of(entry) != Hold::Own {
            self.own_table(address)?;
            entry = upper.load(at);
        }
        let table = leaf_table(entry);
        self.last = (address / span(1), table);
        Ok(table)
    }

    /// The table above the leaf table of an address, made if need be. As with
    /// [`leaf_or_new`](PageTable::leaf_or_new), it is not to stay empty.
    fn upper_or_new(&mut self, address: u64) -> Result<Table, OutOfMemory> {
        let mut table = self.space.table();
        for level in (2..=ROOT_LEVEL).rev() {
            let at = index(address, level);
            let entry = table.load(at);
            table = if entry != 0 {
                // SAFETY: invariant 1.
                unsafe { Table::at(paging::frame(entry)) }
            } else {
                match Table::new() {
                    Ok(next) => {
                        let entry = paging::table(next.frame());
                        if level == ROOT_LEVEL {
                            user_view::link(table, at, entry);
                        } else {
                            table.set(at, entry);
                        }
                        next
                    }
                    Err(error) => {
                        self.prune(address);
                        return Err(error);
                    }
                }
            };
        }
        Ok(table)
    }

    /// Frees the tables of one address that are empty. They were never
    /// filled, so no processor knows a page behind them; but it may know the
    /// tables.
    #[cold]
    fn prune(&mut self, address: u64) {
        let start = address / span(1) * span(1);
        self.prune_range(start..start + span(1)).flush();
    }

    /// Unlinks the empty tables of a range.
    fn prune_range(&mut self, range: Range<u64>) -> Flush {
        let mut empty = Unlinked::new();
        descend(self.space.table(), &range, &mut empty, &mut |_| {});
        let mut flush = Flush::new(self.space.root());
        if !empty.is_empty() {
            self.last.0 = u64::MAX;
            // Forgetting any one page forgets the cached upper entries.
            flush.cover(range.start, range.start + PAGE);
            flush.hold_tables(empty);
        }
        flush
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        let root = self.space.root();
        space::leave(root);
        let mut tables = Unlinked::new();
        let everything = 0..USER_END;
        // The root loses its entries first, so that no processor, whatever it
        // runs with a handle of the space, finds the tables any more.
        let mut taken = [0; TAKEN_AT_ONCE];
        loop {
            let count = take_entries(self.space.table(), &mut taken);
            if count == 0 {
                break;
            }
            space::forget(root, 0, USER_END);
            for entry in taken.iter().take(count) {
                // SAFETY: invariant 1 of the module.
                let table = unsafe { Table::at(paging::frame(*entry)) };
                // Addresses do not matter here: the lowest entry's do.
                let _ = descend::level(
                    table,
                    ROOT_LEVEL - 1,
                    0,
                    &everything,
                    &mut tables,
                    &mut |leaf| {
                        // No processor uses it for this space any more.
                        if leaf.claim() {
                            free_leaf(leaf.table);
                        } else if leaf.table.drop_owner() {
                            leaf.take();
                            free_leaf(leaf.table);
                        } else {
                            leaf.unlink();
                        }
                        ControlFlow::Continue(())
                    },
                );
                tables.push(table);
            }
        }
        quarantine::free(root, tables);
        if tlb::BROADCASTS {
            presence::send_home(root);
        }
    }
}

/// Takes entries out of a root's user half; how many.
fn take_entries(root: Table, to: &mut [u64]) -> usize {
    let (first, last) = root.extent();
    let mut count = 0;
    for at in first..=last {
        if count < to.len() && root.load(at) != 0 {
            to[count] = user_view::unlink(root, at);
            count += 1;
        }
    }
    count
}

/// Replaces a leaf entry that is not zero by what `new` makes of it; calls
/// `changed` if a processor that remembers the old one could do what the new
/// one forbids. One that remembers too little faults, which makes it forget.
#[inline]
fn change_entry(place: &AtomicU64, new: impl Fn(u64) -> u64, changed: impl FnOnce()) {
    // ORDERING: Relaxed; the flush orders it against the processors.
    let mut old = place.load(Ordering::Relaxed);
    while old != 0 && new(old) != old {
        // The processor may add bits between the load and the store.
        // ORDERING: Relaxed, as above.
        match place.compare_exchange_weak(old, new(old), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                if paging::loses_rights(old, new(old)) {
                    changed();
                }
                return;
            }
            Err(found) => old = found,
        }
    }
}

/// What an entry of a leaf table that is not zero says. The handle in it is one
/// that was counted for it, or (`extra` is 0) the table's own, which must
/// neither be dropped nor outlive the entry.
#[inline]
fn mapping(entry: u64, leaf: Table, hold: Hold, extra: usize) -> Mapping {
    let frame = paging::frame(entry);
    let mut rights = paging::rights(entry);
    let mut owners = 1;
    if hold.forbids_stores() {
        rights.remove(Rights::WRITE);
        owners = leaf.owners();
    }
    Mapping {
        frame: UserFrame::from_raw(frame),
        extra,
        rights,
        owners,
        is_huge: hold.is_block(),
        accessed: paging::is_accessed(entry),
        dirty: paging::is_dirty(entry),
        spare: paging::is_spare(entry),
    }
}

#[inline]
fn check(address: u64, len: u64) {
    if !is_page_aligned(address | len) || !ochre_paging::is_user_range(address, len, USER_END) {
        refuse(address, len);
    }
}

/// Apart, so that who checks keeps nothing for it.
#[cold]
#[inline(never)]
fn refuse(address: u64, len: u64) -> ! {
    panic!("not whole user pages: {address:#x} + {len:#x}");
}

fn check_range(range: &Range<u64>) {
    check(range.start, range.end.saturating_sub(range.start));
}

#[cfg(test)]
mod tests;
