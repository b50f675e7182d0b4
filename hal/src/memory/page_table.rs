//! The user half of an address space.
//!
//! Four levels of [`Table`]s below a [`SpaceRef`]'s root. A leaf entry that is
//! not zero owns one handle of its frame, mapped or kept (`PROT_NONE`).
//!
//! # Invariants
//! 1. An entry of a table above the leaves is zero or points to a `TABLE`
//!    frame that no other entry points to, and that is not empty between calls.
//! 2. A leaf entry is zero or names a frame of kind `USER` and owns one handle.
//! 3. `resident` is the number of leaf entries that are not zero.

use core::ops::{ControlFlow, Range};

use ochre_paging::{index, is_page_aligned, span};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::arch::machine::paging;

use super::flush::Flush;
use super::frames::{self, FrameList};
use super::space::{self, SpaceRef};
use super::table::Table;
use super::user_frame;
use super::walk::{self, Step};
use super::{Mapping, OutOfMemory, PAGE_SIZE, Rights, USER_END, UserFrame};
use super::{presence, quarantine};

const PAGE: u64 = PAGE_SIZE as u64;

const ROOT_LEVEL: u32 = 3;

/// Entries of the root that are given up together.
const TAKEN_AT_ONCE: usize = 16;

/// What a table counts of [`PageTable::share_into`]'s budget besides its pages.
const SHARED_TABLE: usize = 64;

/// Shared frames that `unmap` collects before it makes processors forget them.
const SHARED_AT_ONCE: usize = 64;

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
            let old = leaf.swap(at, new);
            if paging::is_mapped(old) {
                flush.cover(address, address + PAGE);
            }
            flush.hold_shared(UserFrame::from_raw(paging::frame(old)));
        }
        Ok(flush)
    }

    /// The mapping of one page.
    #[must_use]
    pub fn query(&self, address: u64) -> Option<Mapping> {
        check(address, PAGE);
        let entry = self.leaf(address)?.load(index(address, 0));
        if entry == 0 {
            return None;
        }
        Some(mapping(entry))
    }

    /// Visits every page of a range that is mapped or kept, by address. Walks
    /// whole tables, so that it costs by pages present.
    pub fn visit(&self, range: Range<u64>, mut see: impl FnMut(u64, Mapping)) {
        check_range(&range);
        descend(
            self.space.table(),
            &range,
            &mut FrameList::new(),
            &mut |base, leaf, at| {
                for index in at {
                    let entry = leaf.load(index);
                    if entry != 0 {
                        see(base + index as u64 * PAGE, mapping(entry));
                    }
                }
            },
        );
    }

    /// Shows each entry on the way to an address, the root's first.
    pub fn walk(&self, address: u64, see: impl FnMut(&Step)) {
        check(address & !(PAGE - 1), PAGE);
        walk::walk(self.space.table(), address, see);
    }

    /// Changes the rights of every mapped page of a range; an empty set makes
    /// pages inaccessible but keeps the frames (`query` still finds them).
    pub fn protect(&mut self, range: Range<u64>, rights: Rights) -> Flush {
        self.change(range, |entry| paging::with_rights(entry, rights))
    }

    /// Changes the rights of one page, which is mapped or kept. For the fault
    /// path: no walk over a range.
    pub fn set_rights(&mut self, address: u64, rights: Rights) -> Flush {
        check(address, PAGE);
        let mut flush = Flush::new(self.space.root());
        if let Some(leaf) = self.leaf(address) {
            let place = &leaf.entries()[index(address, 0)];
            change_entry(
                place,
                |entry| paging::with_rights(entry, rights),
                || {
                    flush.cover(address, address + PAGE);
                },
            );
        }
        flush
    }

    /// Whether nothing is mapped or kept at an address.
    #[inline]
    #[must_use]
    pub fn is_vacant(&self, address: u64) -> bool {
        check(address, PAGE);
        self.leaf(address)
            .is_none_or(|leaf| leaf.load(index(address, 0)) == 0)
    }

    /// Takes the store right from every mapped page of a range (before sharing it).
    pub fn write_protect(&mut self, range: Range<u64>) -> Flush {
        self.change(range, paging::without_write)
    }

    /// Unmaps every page of a range and frees tables that became empty.
    pub fn unmap(&mut self, range: Range<u64>) -> Flush {
        check_range(&range);
        let root = self.space.root();
        let mut flush = Flush::new(root);
        let mut shared = Shared::new();
        let mut gone = 0;
        let mut empty = FrameList::new();
        descend(
            self.space.table(),
            &range,
            &mut empty,
            &mut |base, leaf, at| {
                let mut count = 0;
                for index in at {
                    let entry = leaf.load(index);
                    if entry == 0 {
                        continue;
                    }
                    // ORDERING: Relaxed; the flush orders it against the processors.
                    let entry = leaf.entries()[index].swap(0, Ordering::Relaxed);
                    let address = base + index as u64 * PAGE;
                    if paging::is_mapped(entry) {
                        flush.cover(address, address + PAGE);
                    }
                    count += 1;
                    let frame = UserFrame::from_raw(paging::frame(entry));
                    if frame.is_unique() {
                        flush.hold(frame.into_raw());
                    } else {
                        shared.put(frame, &mut flush);
                    }
                }
                leaf.forget(count);
                gone += count as usize;
            },
        );
        self.resident -= gone;
        if !empty.is_empty() {
            self.last.0 = u64::MAX;
            while let Some(frame) = empty.pop() {
                // SAFETY: `descend` unlinked it: a table until the flush frees it.
                flush.hold_table(unsafe { Table::at(frame) });
            }
        }
        shared.finish(&mut flush);
        flush
    }

    /// Maps into `child` every page of a range that is mapped here, sharing
    /// the frames; with `copy_on_write` neither side keeps the store right.
    /// Walks whole tables, so that a fork costs by pages present.
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
        copy_on_write: bool,
    ) -> Result<Flush, OutOfMemory> {
        let mut budget = usize::MAX;
        let (flush, _) = self.share_some_into(child, range, copy_on_write, &mut budget)?;
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
        copy_on_write: bool,
        budget: &mut usize,
    ) -> Result<(Flush, u64), OutOfMemory> {
        check_range(&range);
        let mut flush = Flush::new(self.space.root());
        let mut result = Ok(range.end);
        let _ = descend_while(
            self.space.table(),
            &range,
            &mut FrameList::new(),
            &mut |base, leaf, at| {
                if *budget == 0 {
                    result = Ok(base.max(range.start));
                    return ControlFlow::Break(());
                }
                let theirs = match child.leaf_or_new(base) {
                    Ok(theirs) => theirs,
                    Err(error) => {
                        result = Err(error);
                        return ControlFlow::Break(());
                    }
                };
                let (first, end) = (at.start, at.end);
                let copied = share_leaf(leaf, theirs, at, copy_on_write);
                if copied.changed {
                    flush.cover(base + first as u64 * PAGE, base + end as u64 * PAGE);
                }
                if copied.count > 0 {
                    theirs.note(first, end - 1, copied.count);
                    child.resident += copied.count as usize;
                } else {
                    child.prune(base);
                }
                *budget = budget.saturating_sub(copied.count as usize + SHARED_TABLE);
                ControlFlow::Continue(())
            },
        );
        match result {
            Ok(next) => Ok((flush, next)),
            Err(error) => {
                flush.flush();
                Err(error)
            }
        }
    }

    /// Moves every mapped page of `from..from + len` to `to..to + len` (`mremap`).
    ///
    /// # Errors
    /// [`OutOfMemory`] for tables at the new place; what was moved stays moved,
    /// and the processors are told before the error returns.
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
        let mut flush = Flush::new(self.space.root());
        let mut offset = 0;
        while offset < len {
            let Some(source) = self.leaf(from + offset) else {
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

    fn change(&mut self, range: Range<u64>, new: impl Fn(u64) -> u64) -> Flush {
        check_range(&range);
        let mut flush = Flush::new(self.space.root());
        descend(
            self.space.table(),
            &range,
            &mut FrameList::new(),
            &mut |base, leaf, at| {
                for index in at {
                    change_entry(&leaf.entries()[index], &new, || {
                        let address = base + index as u64 * PAGE;
                        flush.cover(address, address + PAGE);
                    });
                }
            },
        );
        flush
    }

    /// The leaf table of an address, if there is one.
    #[inline]
    fn leaf(&self, address: u64) -> Option<Table> {
        if self.last.0 == address / span(1) {
            return Some(self.last.1);
        }
        let mut table = self.space.table();
        for level in (1..=ROOT_LEVEL).rev() {
            let entry = table.load(index(address, level));
            if entry == 0 {
                return None;
            }
            // SAFETY: invariant 1.
            table = unsafe { Table::at(paging::frame(entry)) };
        }
        Some(table)
    }

    /// The leaf table of an address, made if need be. The caller fills an
    /// entry of it at once (invariant 1), or prunes.
    #[inline]
    fn leaf_or_new(&mut self, address: u64) -> Result<Table, OutOfMemory> {
        if self.last.0 == address / span(1) {
            return Ok(self.last.1);
        }
        let mut table = self.space.table();
        for level in (1..=ROOT_LEVEL).rev() {
            let at = index(address, level);
            let entry = table.load(at);
            table = if entry != 0 {
                // SAFETY: invariant 1.
                unsafe { Table::at(paging::frame(entry)) }
            } else {
                match Table::new() {
                    Ok(next) => {
                        table.set(at, paging::table(next.frame()));
                        next
                    }
                    Err(error) => {
                        self.prune(address);
                        return Err(error);
                    }
                }
            };
        }
        self.last = (address / span(1), table);
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
        let mut empty = FrameList::new();
        descend(self.space.table(), &range, &mut empty, &mut |_, _, _| {});
        let mut flush = Flush::new(self.space.root());
        if !empty.is_empty() {
            self.last.0 = u64::MAX;
            // Forgetting any one page forgets the cached upper entries.
            flush.cover(range.start, range.start + PAGE);
            while let Some(frame) = empty.pop() {
                // SAFETY: `descend` unlinked it: a table until the flush frees it.
                flush.hold_table(unsafe { Table::at(frame) });
            }
        }
        flush
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        let root = self.space.root();
        space::leave(root);
        let mut tables = FrameList::new();
        let everything = 0..USER_END;
        // The root loses its entries first, so that no processor, whatever it
        // runs with a handle of the space, finds the tables any more.
        let mut taken = [0; TAKEN_AT_ONCE];
        loop {
            let count = take_entries(self.space.table(), &mut taken);
            if count == 0 {
                break;
            }
            presence::shoot(root, 0, USER_END);
            for entry in taken.iter().take(count) {
                // SAFETY: invariant 1 of the module.
                let table = unsafe { Table::at(paging::frame(*entry)) };
                // Addresses do not matter here: the lowest entry's do.
                let _ = level(
                    table,
                    ROOT_LEVEL - 1,
                    0,
                    &everything,
                    &mut tables,
                    &mut |_, leaf, at| {
                        free_leaf(leaf, at);
                        ControlFlow::Continue(())
                    },
                );
                tables.push(table.frame());
            }
        }
        quarantine::free(root, tables);
    }
}

/// Takes entries out of a root's user half; how many.
fn take_entries(root: Table, to: &mut [u64]) -> usize {
    let (first, last) = root.extent();
    let mut count = 0;
    for at in first..=last {
        if count < to.len() && root.load(at) != 0 {
            to[count] = root.clear(at);
            count += 1;
        }
    }
    count
}

/// Gives up the handles in a leaf table that no processor uses.
fn free_leaf(leaf: Table, at: Range<usize>) {
    let mut free = FrameList::new();
    let mut left = leaf.used();
    for index in at {
        let entry = leaf.load(index);
        if entry == 0 {
            continue;
        }
        // ORDERING: Relaxed; no processor uses the table.
        leaf.entries()[index].store(0, Ordering::Relaxed);
        let frame = paging::frame(entry);
        if user_frame::release(frames::record(frame)) {
            free.push(frame);
        }
        left -= 1;
        if left == 0 {
            break;
        }
    }
    leaf.forget(leaf.used());
    frames::free_users(free);
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

/// What a leaf entry that is not zero says, with a new handle of its frame.
#[inline]
fn mapping(entry: u64) -> Mapping {
    let frame = paging::frame(entry);
    user_frame::retain(frames::record(frame));
    Mapping {
        frame: UserFrame::from_raw(frame),
        rights: paging::rights(entry),
        accessed: paging::is_accessed(entry),
        dirty: paging::is_dirty(entry),
    }
}

/// Frames with several handles that were unmapped: their handles must be kept
/// until the processors forgot, but cannot be linked.
struct Shared {
    frames: [Option<UserFrame>; SHARED_AT_ONCE],
    len: usize,
}

impl Shared {
    fn new() -> Shared {
        Shared {
            frames: [const { None }; SHARED_AT_ONCE],
            len: 0,
        }
    }

    fn put(&mut self, frame: UserFrame, flush: &mut Flush) {
        if self.len == SHARED_AT_ONCE {
            flush.forget();
            self.drop_all();
        }
        if let Some(slot) = self.frames.get_mut(self.len) {
            *slot = Some(frame);
            self.len += 1;
        }
    }

    /// One frame can go with the flush; more make it happen now.
    fn finish(&mut self, flush: &mut Flush) {
        if self.len == 1
            && let Some(frame) = self.frames.first_mut().and_then(Option::take)
        {
            flush.hold_shared(frame);
        } else if self.len > 0 {
            flush.forget();
            self.drop_all();
        }
    }

    fn drop_all(&mut self) {
        for slot in self.frames.iter_mut().take(self.len) {
            *slot = None;
        }
        self.len = 0;
    }
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
/// copied lose too. This is what a
/// fork does for every page, so it is kept short, and out of line, where its
/// loop has the registers for itself.
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
        // ORDERING: Relaxed; one owner writes, the processor adds bits.
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
        // ORDERING: Relaxed; the child does not run yet.
        occupied |= target.load(Ordering::Relaxed);
        target.store(copy, Ordering::Relaxed);
        // No overflow: a table has 512 entries.
        copied.count = copied.count.wrapping_add(1);
    }
    assert_eq!(occupied, 0, "shared onto mapped pages");
    copied.changed = paging::is_mapped(lost);
    copied
}

/// Calls `visit(base, leaf, entries)` for every leaf table with an entry in
/// `range`: the address that the table's entry 0 maps, the table, and the
/// entries of the range, no more than those that may be used. Unlinks tables
/// that are empty afterwards into `empty`.
fn descend(
    root: Table,
    range: &Range<u64>,
    empty: &mut FrameList,
    visit: &mut impl FnMut(u64, Table, Range<usize>),
) {
    let _ = descend_while(root, range, empty, &mut |base, leaf, at| {
        visit(base, leaf, at);
        ControlFlow::Continue(())
    });
}

/// [`descend`] whose visits may end it.
fn descend_while(
    root: Table,
    range: &Range<u64>,
    empty: &mut FrameList,
    visit: &mut impl FnMut(u64, Table, Range<usize>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if range.start < range.end {
        level(root, ROOT_LEVEL, 0, range, empty, visit)?;
    }
    ControlFlow::Continue(())
}

/// [`descend_while`] at one level; calls itself three times deep and no deeper.
fn level(
    table: Table,
    depth: u32,
    base: u64,
    range: &Range<u64>,
    empty: &mut FrameList,
    visit: &mut impl FnMut(u64, Table, Range<usize>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (used_first, used_last) = table.extent();
    // The table maps `base..=last`; the range may begin and end in it.
    let last = base + (span(depth + 1) - 1);
    let first = index(range.start.max(base), depth).max(used_first);
    let end = index((range.end - 1).min(last), depth).min(used_last) + 1;
    if first >= end {
        return ControlFlow::Continue(());
    }
    if depth == 0 {
        return visit(base, table, first..end);
    }
    for at in first..end {
        let entry = table.load(at);
        if entry == 0 {
            continue;
        }
        // SAFETY: invariant 1 of the module.
        let next = unsafe { Table::at(paging::frame(entry)) };
        let next_base = base + at as u64 * span(depth);
        let flow = level(next, depth - 1, next_base, range, empty, visit);
        if next.used() == 0 {
            table.clear(at);
            empty.push(next.frame());
        }
        flow?;
    }
    ControlFlow::Continue(())
}

fn check(address: u64, len: u64) {
    assert!(
        is_page_aligned(address | len) && ochre_paging::is_user_range(address, len, USER_END),
        "not whole user pages: {address:#x} + {len:#x}"
    );
}

fn check_range(range: &Range<u64>) {
    check(range.start, range.end.saturating_sub(range.start));
}

#[cfg(test)]
mod tests;
