//! madvise(2), mlock(2), msync(2) and mincore(2): what a program says or asks
//! about ranges that are mapped already.

use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::mman::Advice;
use ochre_hal::memory::USER_END;
use ochre_hal::{memory, user::Access};

use super::area::{Area, AreaFlags, PAGE};
use super::populate::Population;
use super::removal::{self, Removal, Rest};
use super::space::Inner;
use super::spare;
use super::{AddressSpace, Collapse, Hole};

/// What an advice means here.
enum Meaning {
    /// Nothing: all memory is always there.
    Nothing,
    /// These flags come, those go.
    Change(AreaFlags, AreaFlags),
    /// The pages go.
    Drop,
    /// The pages may go, until they are stored to.
    Spare,
    /// The pages come.
    Populate(Access),
    /// The object's pages become a hole.
    Remove,
    /// The pages become huge ones.
    Collapse,
}

impl Meaning {
    fn of(advice: Advice) -> Meaning {
        let none = AreaFlags::empty();
        match advice {
            Advice::WillNeed | Advice::Cold | Advice::PageOut => Meaning::Nothing,
            Advice::Normal => Meaning::Change(none, AreaFlags::RANDOM | AreaFlags::SEQUENTIAL),
            Advice::Random => Meaning::Change(AreaFlags::RANDOM, AreaFlags::SEQUENTIAL),
            Advice::Sequential => Meaning::Change(AreaFlags::SEQUENTIAL, AreaFlags::RANDOM),
            Advice::Mergeable => Meaning::Change(AreaFlags::MERGEABLE, none),
            Advice::Unmergeable => Meaning::Change(none, AreaFlags::MERGEABLE),
            Advice::HugePage => Meaning::Change(AreaFlags::HUGE, AreaFlags::NO_HUGE),
            Advice::NoHugePage => Meaning::Change(AreaFlags::NO_HUGE, AreaFlags::HUGE),
            Advice::DontNeed | Advice::DontNeedLocked => Meaning::Drop,
            Advice::Free => Meaning::Spare,
            Advice::Remove => Meaning::Remove,
            Advice::Collapse => Meaning::Collapse,
            Advice::DontFork => Meaning::Change(AreaFlags::DONT_FORK, none),
            Advice::DoFork => Meaning::Change(none, AreaFlags::DONT_FORK),
            Advice::WipeOnFork => Meaning::Change(AreaFlags::WIPE_ON_FORK, none),
            Advice::KeepOnFork => Meaning::Change(none, AreaFlags::WIPE_ON_FORK),
            Advice::DontDump => Meaning::Change(AreaFlags::DONT_DUMP, none),
            Advice::DoDump => Meaning::Change(none, AreaFlags::DONT_DUMP),
            Advice::PopulateRead => Meaning::Populate(Access::Read),
            Advice::PopulateWrite => Meaning::Populate(Access::Write),
        }
    }

    /// Whether an area cannot be advised so.
    fn is_refused(advice: Advice, area: &Area) -> bool {
        match advice {
            Advice::DontNeed | Advice::Cold | Advice::PageOut => {
                area.flags.contains(AreaFlags::LOCKED)
            }
            Advice::Free => !spare::may_spare(area),
            Advice::WipeOnFork => area.source.is_some(),
            Advice::KeepOnFork | Advice::DoDump => area.flags.contains(AreaFlags::DROPPABLE),
            _ => false,
        }
    }

    /// Whether an advice is none about such an area, and no error either.
    fn passes_over(advice: Advice, area: &Area) -> bool {
        advice == Advice::Mergeable
            && (area.is_shared() || area.flags.contains(AreaFlags::DROPPABLE))
    }
}

impl AddressSpace {
    /// Takes an advice about a range; what is to be faulted in then, or given up
    /// still.
    ///
    /// # Errors
    /// As madvise(2): EINVAL; ENOMEM if part is not mapped, the rest being
    /// advised.
    pub fn advise(&self, start: u64, len: u64, advice: Advice) -> Result<Option<Rest>, Errno> {
        let rounded = len.wrapping_add(PAGE - 1) & !(PAGE - 1);
        if !start.is_multiple_of(PAGE) || len != 0 && rounded == 0 {
            return Err(Errno::EINVAL);
        }
        let end = start.checked_add(rounded).ok_or(Errno::EINVAL)?;
        // No area is behind the end of the user half: a hole is found there.
        let range = start..end;
        if range.is_empty() {
            return Ok(None);
        }
        let meaning = Meaning::of(advice);
        if let Meaning::Populate(access) = meaning {
            return Ok(Some(Population::advised(range, access).into()));
        }
        if let Meaning::Remove = meaning {
            return Ok(Some(Hole::of(range).into()));
        }
        if let Meaning::Collapse = meaning {
            return Ok(Some(Collapse::of(range).into()));
        }
        self.make_room();
        let mut guard = self.inner();
        let inner = &mut *guard;
        let covered = inner.areas.covers(range.clone());
        let refused = inner
            .areas
            .overlapping(range.clone())
            .find(|area| Meaning::is_refused(advice, area))
            .map(|area| area.start);
        let range = range.start..refused.unwrap_or(range.end).max(range.start);
        let result = match refused {
            Some(_) => Err(Errno::EINVAL),
            None if !covered => Err(Errno::ENOMEM),
            None => Ok(()),
        };
        match meaning {
            Meaning::Nothing | Meaning::Populate(_) | Meaning::Remove | Meaning::Collapse => {}
            Meaning::Drop | Meaning::Spare => {
                let mut removal = match meaning {
                    Meaning::Spare => Removal::of_content(range, result),
                    _ => Removal::of_pages(range, advice == Advice::DontNeedLocked, result),
                };
                let (is_over, gone) = removal.step_in(inner);
                removal::end_part(guard, gone);
                return Ok((!is_over?).then(|| removal.into()));
            }
            Meaning::Change(come, go) => {
                // As on Linux, what is so already, or what the advice is not about,
                // needs no room, and nothing joins.
                let after = |area: &Area| match Meaning::passes_over(advice, area) {
                    true => area.flags,
                    false => area.flags.difference(go).union(come),
                };
                let mut at = range.start;
                while at < range.end {
                    let changed = inner
                        .areas
                        .overlapping(at..range.end)
                        .find(|area| after(area) != area.flags)
                        .map(|area| (area.start.max(at), area.end.min(range.end)));
                    let Some((start, end)) = changed else {
                        break;
                    };
                    at = end;
                    inner.change_flags(start..end, |area| area.flags = after(area))?;
                }
            }
        }
        result.map(|()| None)
    }

    /// Locks a range in memory; what is to be faulted in then. `unlimited` for
    /// a privileged program.
    ///
    /// # Errors
    /// As mlock(2): ENOMEM, EPERM.
    pub fn lock(
        &self,
        range: Range<u64>,
        on_fault: bool,
        unlimited: bool,
    ) -> Result<Population, Errno> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let old: u64 = inner
            .areas
            .overlapping(range.clone())
            .filter(|area| area.flags.contains(AreaFlags::LOCKED))
            .map(|area| area.end.min(range.end) - area.start.max(range.start))
            .sum();
        if !unlimited {
            if inner.limits.locked == 0 {
                return Err(Errno::EPERM);
            }
            let new = (range.end - range.start).saturating_sub(old);
            if inner.locked().saturating_add(new) > inner.limits.locked {
                return Err(Errno::ENOMEM);
            }
        }
        inner.locks_freely = unlimited;
        inner.change_lock(&range, |area| set_locked(area, on_fault))?;
        Ok(Population::locked(range))
    }

    /// Undoes [`lock`](AddressSpace::lock).
    ///
    /// # Errors
    /// ENOMEM if part is not mapped.
    pub fn unlock(&self, range: Range<u64>) -> Result<(), Errno> {
        let mut inner = self.inner();
        inner.change_lock(&range, |area| {
            area.flags
                .remove(AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT);
        })
    }

    /// Locks, or no longer locks, what is mapped now and what will be; what is
    /// to be faulted in then, as far as that goes: a guard, or what is past the
    /// end of a file, is no error here.
    ///
    /// # Errors
    /// As mlockall(2): ENOMEM, EPERM.
    pub fn lock_all(
        &self,
        current: bool,
        future: bool,
        on_fault: bool,
        unlimited: bool,
    ) -> Result<Option<Population>, Errno> {
        let mut inner = self.inner();
        if !unlimited && inner.limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        if !unlimited && current && inner.total() > inner.limits.locked {
            return Err(Errno::ENOMEM);
        }
        inner.locks_freely = unlimited;
        inner.future.set(AreaFlags::LOCKED, future);
        inner
            .future
            .set(AreaFlags::LOCK_ON_FAULT, future && on_fault);
        if !current {
            return Ok(None);
        }
        inner
            .areas
            .update(0..u64::MAX, |area| set_locked(area, on_fault));
        Ok(Some(Population::early(0..USER_END)))
    }

    /// Unlocks everything, and what will be mapped too.
    pub fn unlock_all(&self) {
        let mut inner = self.inner();
        let locks = AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT;
        inner.future.remove(locks);
        inner
            .areas
            .update(0..u64::MAX, |area| area.flags.remove(locks));
    }

    /// Says for each page of a range, up to the first that is not mapped,
    /// whether it is in memory, one byte a page, into `to`; how many.
    ///
    /// # Errors
    /// ENOMEM if not even the first is mapped.
    pub fn residence(&self, start: u64, to: &mut [u8]) -> Result<usize, Errno> {
        let inner = self.inner();
        let end = start
            .checked_add(to.len() as u64 * PAGE)
            .ok_or(Errno::ENOMEM)?;
        let end = inner.areas.covered_from(start..end);
        if end == start {
            return Err(Errno::ENOMEM);
        }
        for (address, byte) in (start..end).step_by(PAGE as usize).zip(to) {
            *byte = u8::from(inner.table.query(address).is_some() || inner.is_cached(address));
        }
        // CAST: at most the buffer's length.
        Ok(((end - start) / PAGE) as usize)
    }

    /// Whether all of a range is mapped, and whether some of it is locked.
    #[must_use]
    pub fn is_mapped(&self, range: Range<u64>) -> (bool, bool) {
        let inner = self.inner();
        (
            inner.areas.covers(range.clone()),
            inner
                .areas
                .overlapping(range)
                .any(|area| area.flags.contains(AreaFlags::LOCKED)),
        )
    }
}

/// Locks an area that can be.
fn set_locked(area: &mut Area, on_fault: bool) {
    if !area.flags.contains(AreaFlags::DROPPABLE) {
        area.flags.insert(AreaFlags::LOCKED);
        area.flags.set(AreaFlags::LOCK_ON_FAULT, on_fault);
    }
}

impl Inner {
    /// Bytes locked.
    pub(super) fn locked(&self) -> u64 {
        self.areas
            .iter()
            .filter(|area| area.flags.contains(AreaFlags::LOCKED))
            .map(Area::bytes)
            .sum()
    }

    /// Whether the backing has the page, mapped or not.
    fn is_cached(&self, address: u64) -> bool {
        let Some(area) = self.areas.get(address) else {
            return false;
        };
        let Some(source) = &area.source else {
            return false;
        };
        let index = area.index_of(source, address);
        let mut found = false;
        source
            .backing
            .present(index..index.saturating_add(1), &mut |_, _| found = true);
        found
    }

    /// Changes the locks of a range up to its first hole.
    fn change_lock(
        &mut self,
        range: &Range<u64>,
        change: impl FnMut(&mut Area),
    ) -> Result<(), Errno> {
        let reached = self.areas.covered_from(range.clone());
        self.change_flags(range.start..reached, change)?;
        if reached < range.end {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    fn change_flags(
        &mut self,
        range: Range<u64>,
        change: impl FnMut(&mut Area),
    ) -> Result<(), Errno> {
        if !self.areas.has_room() || !memory::has_headroom(4) {
            return Err(Errno::ENOMEM);
        }
        self.areas.update(range, change);
        Ok(())
    }
}
