//! Mapping, unmapping, protecting, and the heap.

use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::Protection;
use ochre_hal::memory::{OutOfMemory, PAGE_SIZE, USER_END};
use ochre_hal::{memory, user::Access};

use super::area::{Area, AreaFlags, PAGE, Source};
use super::commit::Overcommit;
use super::fault::Refusal;
use super::huge::HUGE;
use super::layout::{LOW, LOWEST};
use super::populate::Population;
use super::pressure::HEADROOM;
use super::removal::PAGES_AT_ONCE;
use super::space::{Inner, join};
use super::{AddressSpace, Backing, Identity, may_promise};

/// Bytes that the heap's end comes down at once.
const LOWERED_AT_ONCE: u64 = PAGES_AT_ONCE as u64 * PAGE;

/// What came of moving the heap's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapEnd {
    /// Where it is.
    pub at: u64,
    /// What of it is to be faulted in.
    pub grown: Option<Population>,
    /// Whether it is where it was wanted, or stays where it was.
    pub is_over: bool,
}

/// Where a mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// At the address if that is free, else anywhere; 0 for no wish.
    Hint(u64),
    /// Anywhere, at the beginning of a huge page if there is room for that.
    AnywhereForHuge,
    /// As a hint, but below 2 GiB if not at the hint.
    Below2G(u64),
    /// At the address, in place of what is there.
    Fixed(u64),
    /// At the address, which must be free.
    FixedNoReplace(u64),
}

impl Placement {
    /// Where private memory without an object goes, of so many bytes: if nobody
    /// cares, so that all of it can be in huge pages, and that what is done to
    /// it as a whole finds whole tables.
    pub(super) fn of_memory(self, len: u64) -> Placement {
        match self {
            Placement::Hint(0) if len.is_multiple_of(HUGE) => Placement::AnywhereForHuge,
            other => other,
        }
    }
}

/// A mapping to be made.
#[derive(Clone, Debug)]
pub struct MapRequest {
    /// Where.
    pub placement: Placement,
    /// Bytes, not 0; rounded up to pages.
    pub len: u64,
    /// What the program may do.
    pub protection: Protection,
    /// What else the area is.
    pub flags: AreaFlags,
    /// What is mapped; `None` for private anonymous memory.
    pub source: Option<Source>,
    /// Whether the program may map the lowest addresses.
    pub privileged: bool,
    /// An error found already that counts only once the address is settled.
    pub refusal: Option<Errno>,
    /// Whether the program may lock more than its limit says.
    pub may_lock: bool,
}

/// Rounds up to pages; `None` on overflow.
pub(super) fn page_up(bytes: u64) -> Option<u64> {
    Some(bytes.checked_add(PAGE - 1)? & !(PAGE - 1))
}

/// A page-aligned range of user addresses.
///
/// # Errors
/// EINVAL for a misaligned start; `beyond` if it leaves the user half.
pub(super) fn page_range(start: u64, len: u64, beyond: Errno) -> Result<Range<u64>, Errno> {
    if !start.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let end = page_up(len)
        .and_then(|len| start.checked_add(len))
        .filter(|end| *end <= USER_END)
        .ok_or(beyond)?;
    Ok(start..end)
}

impl AddressSpace {
    /// Makes a mapping and returns its address.
    ///
    /// # Errors
    /// As mmap(2): EINVAL, ENOMEM, EEXIST, EPERM, or the request's own.
    pub fn map(&self, request: MapRequest) -> Result<u64, Errno> {
        self.make_room();
        let mut guard = self.inner();
        let inner = &mut *guard;
        let len = page_up(request.len)
            .filter(|len| *len != 0)
            .ok_or(Errno::ENOMEM)?;
        if !inner.areas.has_room() || !memory::has_headroom(HEADROOM) {
            return Err(Errno::ENOMEM);
        }
        let is_private = !request.flags.contains(AreaFlags::SHARED);
        let placement = match is_private && request.source.is_none() {
            true => request.placement.of_memory(len),
            false => request.placement,
        };
        let start = inner.place(placement, len, request.privileged)?;
        let flags = request.flags | inner.future;
        if flags.contains(AreaFlags::LOCKED) && !request.may_lock {
            let is_asked_for = request.flags.contains(AreaFlags::LOCKED);
            if is_asked_for && inner.limits.locked == 0 {
                return Err(Errno::EPERM);
            }
            inner.check_locked(len)?;
        }
        if flags.contains(AreaFlags::LOCKED) {
            inner.locks_freely = request.may_lock;
        }
        if let Some(errno) = request.refusal {
            return Err(errno);
        }
        let mut flags = flags;
        if Overcommit::now() == Overcommit::Never {
            flags.remove(AreaFlags::NO_RESERVE);
        }
        let mut area = Area::new(start..start + len, request.protection, flags);
        area.source = request.source;
        let accounted = area.is_private_writable() && !flags.contains(AreaFlags::NO_RESERVE);
        area.flags.set(AreaFlags::ACCOUNTED, accounted);
        inner.check_limits(&area)?;
        self.announce(core::iter::once(&area));
        if area.is_shared()
            && let Some(source) = &area.source
        {
            let writable = area.protection.contains(Protection::WRITE);
            let may_write = source.backing.admit(writable)?;
            if !may_write {
                area.flags.insert(AreaFlags::NEVER_WRITE);
            }
        }
        if matches!(request.placement, Placement::Fixed(_)) {
            inner.unmap(area.range())?;
        }
        inner.areas.insert(area);
        inner.settle();
        Ok(start)
    }

    /// Removes what is left at and behind an address of an object that was
    /// mapped there as a whole. `whose` knows the kind of object: which one it
    /// is, and its bytes. Which object it was.
    ///
    /// # Errors
    /// EINVAL if nothing is.
    pub fn unmap_object(
        &self,
        address: u64,
        whose: impl Fn(&dyn Backing) -> Option<(Identity, u64)>,
    ) -> Result<Identity, Errno> {
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let mut inner = self.inner();
        let shown = |area: &Area| {
            let source = area.source.as_ref()?;
            let is_at_place = source.first == area.start.checked_sub(address)? / PAGE;
            whose(&*source.backing).filter(|_| is_at_place)
        };
        let (identity, size) = inner
            .areas
            .overlapping(address..USER_END)
            .find_map(shown)
            .ok_or(Errno::EINVAL)?;
        let end = address.saturating_add(size).min(USER_END);
        let mut at = address;
        while let Some(area) = inner.areas.at_or_above(at).filter(|area| area.start < end) {
            let range = area.range();
            at = range.end;
            if shown(area).is_some_and(|(of, _)| of == identity) {
                inner.unmap(range)?;
            }
        }
        Ok(identity)
    }

    /// Changes what the program may do with a range; with `grows_down` from
    /// the start of the stack-like area that holds `start`. What is to be faulted
    /// in then: locked memory that became writable is there for writing, too.
    ///
    /// # Errors
    /// As mprotect(2): EINVAL, EACCES, ENOMEM. What comes before the culprit
    /// is changed.
    pub fn protect(
        &self,
        start: u64,
        len: u64,
        protection: Protection,
        grows_down: bool,
    ) -> Result<Option<Population>, Errno> {
        let mut range = page_range(start, len, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(None);
        }
        self.make_room();
        let mut guard = self.inner();
        let inner = &mut *guard;
        if !inner.areas.has_room() || !memory::has_headroom(HEADROOM) {
            return Err(Errno::ENOMEM);
        }
        if grows_down {
            let area = inner
                .areas
                .at_or_above(range.start)
                .filter(|area| area.start < range.end)
                .ok_or(Errno::ENOMEM)?;
            if !area.flags.contains(AreaFlags::GROWS_DOWN) {
                return Err(Errno::EINVAL);
            }
            range.start = area.start;
        }
        let mut result = Ok(());
        let mut reached = range.start;
        let mut becomes = Becomes::default();
        let mut flush = None;
        let mut became_writable: Option<Range<u64>> = None;
        for area in inner.areas.overlapping(range.clone()) {
            if area.start > reached {
                break;
            }
            let refused = protection.contains(Protection::WRITE)
                && area.flags.contains(AreaFlags::NEVER_WRITE)
                || protection.contains(Protection::EXECUTE)
                    && area.flags.contains(AreaFlags::NEVER_EXECUTE);
            if refused {
                result = Err(Errno::EACCES);
                break;
            }
            let end = area.end.min(range.end);
            if area.protection != protection {
                let part = reached..end;
                if let Err(errno) = inner.limits_allow(area, part, protection, &mut becomes) {
                    result = Err(errno);
                    break;
                }
                if area.flags.contains(AreaFlags::LOCKED)
                    && !area.protection.contains(Protection::WRITE)
                {
                    let first = became_writable.map_or(reached, |range| range.start);
                    became_writable = Some(first..end);
                }
                let mut changed = area.clone();
                changed.protection = protection;
                let rights = changed.common_rights();
                match inner.table.protect(reached..end, rights) {
                    Ok(one) => join(&mut flush, one),
                    Err(OutOfMemory) => {
                        result = Err(Errno::ENOMEM);
                        break;
                    }
                }
            }
            reached = end;
        }
        if let Some(flush) = flush {
            flush.flush();
        }
        if reached > range.start {
            inner
                .areas
                .update(range.start..reached, |area| area.protect(protection));
            inner.settle();
        }
        drop(guard);
        let mut wanted = became_writable
            .filter(|_| protection.contains(Protection::WRITE))
            .map(Population::still_locked);
        if reached < range.end {
            // What was changed before the culprit comes now, as far as a poll
            // has time for it; the rest comes when it is used.
            if let Some(wanted) = &mut wanted {
                let _ = wanted.step(self);
            }
            return Err(result.err().unwrap_or(Errno::ENOMEM));
        }
        Ok(wanted)
    }

    /// Moves the end of the heap as brk(2) does. An end far below comes nearer
    /// only: call it again, with other threads' turns between.
    pub fn set_heap_end(&self, end: u64, may_lock: bool) -> HeapEnd {
        let mut inner = self.inner();
        let old = inner.heap.end;
        // What is no end at all is refused as it is.
        let mut near = match end < inner.heap.start {
            true => end,
            false => end.max(old.saturating_sub(LOWERED_AT_ONCE)),
        };
        let is_vacant = |to: u64| match (page_up(end), page_up(to)) {
            (Some(low), Some(high)) if low < high => {
                inner.areas.overlapping(low..high).next().is_none()
            }
            _ => false,
        };
        // As on Linux, an end does not come down over nothing at all.
        let is_refused = end >= inner.heap.start && is_vacant(old);
        if near > end && is_vacant(near) {
            near = end;
        }
        if is_refused || inner.move_heap_end(near, may_lock).is_err() {
            return HeapEnd {
                at: old,
                grown: None,
                is_over: true,
            };
        }
        let is_locked = inner.future.contains(AreaFlags::LOCKED);
        HeapEnd {
            at: near,
            grown: is_locked.then(|| Population::early(old & !(PAGE - 1)..near)),
            is_over: near == end,
        }
    }

    /// Finds a free range of `len` bytes (a multiple of pages) that starts at a
    /// multiple of `alignment` (a power of two, at least a page).
    ///
    /// # Errors
    /// ENOMEM.
    pub fn find_room(&self, len: u64, alignment: u64) -> Result<u64, Errno> {
        let spare = alignment - PAGE;
        let len = len.checked_add(spare).ok_or(Errno::ENOMEM)?;
        let start = self.inner().place(Placement::Hint(0), len, false)?;
        start
            .checked_next_multiple_of(alignment)
            .ok_or(Errno::ENOMEM)
    }

    /// Writes bytes into pages that may be written, through their frames: the
    /// address space need not be in use.
    ///
    /// # Errors
    /// EFAULT, ENOMEM; part may be written.
    pub fn install(&self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut at = at;
        let mut rest = bytes;
        let mut inner = self.inner();
        while !rest.is_empty() {
            inner
                .resolve(at, Access::Write)
                .map_err(|refusal| match refusal {
                    Refusal::OutOfMemory => Errno::ENOMEM,
                    _ => Errno::EFAULT,
                })?;
            let mapping = inner.table.query(at & !(PAGE - 1)).ok_or(Errno::EFAULT)?;
            // CAST: an offset within a page.
            let offset = (at % PAGE) as usize;
            let (part, after) = rest
                .split_at_checked(PAGE_SIZE - offset)
                .unwrap_or((rest, &[]));
            mapping.frame.write(offset, part);
            at = at.checked_add(part.len() as u64).ok_or(Errno::EFAULT)?;
            rest = after;
        }
        Ok(())
    }

    /// Says where the heap starts; it is empty then.
    pub fn set_heap_start(&self, start: u64) {
        self.inner().heap = start..start;
    }
}

/// What parts of areas become by a change of what they may.
#[derive(Default)]
struct Becomes {
    /// Bytes that count as data.
    data: u64,
    /// Pages that are promised.
    promised: u64,
}

impl Inner {
    /// Bytes mapped.
    pub(super) fn total(&self) -> u64 {
        self.areas.iter().map(Area::bytes).sum()
    }

    /// Whether no area goes across an address.
    pub(super) fn is_edge(&self, address: u64) -> bool {
        self.areas
            .get(address)
            .is_none_or(|area| area.start == address)
    }

    /// Whether so many bytes more may be locked.
    pub(super) fn check_locked(&self, more: u64) -> Result<(), Errno> {
        if self.locked().saturating_add(more) > self.limits.locked {
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }

    /// Bytes that count as data: private, writable, no stack.
    fn data(&self) -> u64 {
        self.areas
            .iter()
            .filter(|area| area.is_data())
            .map(Area::bytes)
            .sum()
    }

    /// Whether so much more may be data.
    fn may_be_data(&self, more: u64) -> bool {
        let limit = self.limits.mapped_data;
        limit == super::limits::UNLIMITED || self.data().saturating_add(more) <= limit
    }

    /// Whether a part of an area may become data by a change of what it may, beside
    /// what becomes so with it.
    fn limits_allow(
        &self,
        area: &Area,
        part: Range<u64>,
        protection: Protection,
        becomes: &mut Becomes,
    ) -> Result<(), Errno> {
        let bytes = part.end - part.start;
        let mut changed = area.clone();
        changed.protection = protection;
        if changed.is_data() && !area.is_data() {
            becomes.data += bytes;
            if !self.may_be_data(becomes.data) {
                return Err(Errno::ENOMEM);
            }
        }
        changed.flags.remove(AreaFlags::ACCOUNTED);
        changed.protection = area.protection;
        changed.protect(protection);
        let is_promised = area.flags.contains(AreaFlags::ACCOUNTED)
            || !changed.flags.contains(AreaFlags::ACCOUNTED);
        if !is_promised {
            becomes.promised += bytes / PAGE;
            if !may_promise(becomes.promised) {
                return Err(Errno::ENOMEM);
            }
        }
        Ok(())
    }

    /// Removes areas and pages.
    ///
    /// # Errors
    /// ENOMEM for a table that a fork left to two; nothing is changed then.
    pub(super) fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        if !self.areas.is_free(range.clone()) {
            self.note_peak();
            let flush = self.table.unmap(range.clone());
            flush.map_err(|OutOfMemory| Errno::ENOMEM)?.flush();
            self.remove_areas(range);
        }
        Ok(())
    }

    /// Finds the address of a mapping of `len` bytes, a multiple of pages.
    pub(super) fn place(
        &mut self,
        placement: Placement,
        len: u64,
        privileged: bool,
    ) -> Result<u64, Errno> {
        if len > USER_END {
            return Err(Errno::ENOMEM);
        }
        let (Placement::Fixed(address) | Placement::FixedNoReplace(address)) = placement else {
            return self.place_freely(placement, len);
        };
        if address > USER_END - len {
            return Err(Errno::ENOMEM);
        }
        if !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if address < LOWEST && !privileged {
            return Err(Errno::EPERM);
        }
        if matches!(placement, Placement::FixedNoReplace(_))
            && !self.areas.is_free(address..address + len)
        {
            return Err(Errno::EEXIST);
        }
        Ok(address)
    }

    fn place_freely(&mut self, placement: Placement, len: u64) -> Result<u64, Errno> {
        let (hint, below_2g) = match placement {
            Placement::AnywhereForHuge => {
                let padded = len.saturating_add(HUGE);
                let found = self.place_freely(Placement::Hint(0), padded);
                // Linux does not take the lowest place either.
                return match found {
                    Ok(start) => Ok((start & !(HUGE - 1)) + HUGE),
                    Err(_) => self.place_freely(Placement::Hint(0), len),
                };
            }
            Placement::Hint(hint) => (hint, false),
            Placement::Below2G(hint) => (hint, true),
            Placement::Fixed(address) | Placement::FixedNoReplace(address) => (address, false),
        };
        let limit = if below_2g { LOW.end } else { USER_END };
        if hint != 0 {
            let hint = (hint & !(PAGE - 1)).max(LOWEST);
            let end = hint.checked_add(len).filter(|end| *end <= limit);
            if let Some(end) = end
                && self.areas.is_free_with_guard(hint..end)
            {
                return Ok(hint);
            }
        }
        if below_2g {
            let within = LOW.start..self.layout.low_end;
            return self.areas.find_free(len, within).ok_or(Errno::ENOMEM);
        }
        let base = self.layout.mmap_base;
        self.areas
            .find_free(len, LOWEST..base)
            .or_else(|| self.areas.find_free(len, base..USER_END))
            .ok_or(Errno::ENOMEM)
    }

    /// Whether limits and plain sense allow an area, which may replace others.
    pub(super) fn check_limits(&self, area: &Area) -> Result<(), Errno> {
        if self.limits.address_space != super::limits::UNLIMITED {
            let replaced: u64 = self
                .areas
                .overlapping(area.range())
                .map(|old| old.end.min(area.end) - old.start.max(area.start))
                .sum();
            let total = self.total() - replaced + area.bytes();
            if total > self.limits.address_space {
                return Err(Errno::ENOMEM);
            }
        }
        if area.is_private_writable() {
            if area.is_data() && !self.may_be_data(area.bytes()) {
                return Err(Errno::ENOMEM);
            }
            // What it replaces was promised before.
            let replaced = match Overcommit::now() {
                Overcommit::Never => self.accounted_in(area.range()),
                _ => 0,
            };
            let pages = (area.bytes() / PAGE).saturating_sub(replaced);
            if !area.flags.contains(AreaFlags::NO_RESERVE) && !may_promise(pages) {
                return Err(Errno::ENOMEM);
            }
        }
        Ok(())
    }

    /// Pages of a range that are counted against what memory there is.
    fn accounted_in(&self, range: Range<u64>) -> u64 {
        let areas = self.areas.overlapping(range.clone());
        let counted = areas.filter(|area| area.flags.contains(AreaFlags::ACCOUNTED));
        let bytes = counted.map(|area| area.end.min(range.end) - area.start.max(range.start));
        bytes.sum::<u64>() / PAGE
    }

    fn move_heap_end(&mut self, end: u64, may_lock: bool) -> Result<(), Errno> {
        if end < self.heap.start || end > USER_END {
            return Err(Errno::ENOMEM);
        }
        let old = page_up(self.heap.end).ok_or(Errno::ENOMEM)?;
        let new = page_up(end).ok_or(Errno::ENOMEM)?;
        if new < old {
            self.unmap(new..old)?;
        } else if new > old {
            let data = &self.facts.data;
            let used = (end - self.heap.start).saturating_add(data.end - data.start);
            if used > self.limits.data
                || !self.areas.has_room()
                || !memory::has_headroom(HEADROOM)
                // One page more stays free, as Linux has it.
                || !self.areas.is_free_with_guard(old..new.saturating_add(PAGE))
                || self.future.contains(AreaFlags::LOCKED)
                    && !may_lock
                    && self.check_locked(new - old).is_err()
            {
                return Err(Errno::ENOMEM);
            }
            let area = Area::new(
                old..new,
                Protection::READ | Protection::WRITE,
                AreaFlags::ACCOUNTED | self.future,
            );
            self.check_limits(&area)?;
            self.areas.insert(area);
            self.settle();
        }
        self.heap.end = end;
        Ok(())
    }
}
