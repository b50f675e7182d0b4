//! Giving up whole ranges, by parts: munmap(2), `MADV_DONTNEED`, and all that a
//! space had when it ends.
//!
//! A range may hold all of memory, and an address space very many areas. So who
//! gives them up has a [`Removal`], of which each [`step`](Removal::step) does no
//! more than a poll has time for, from the lowest address up.
//!
//! # What must hold
//! Between two steps no lock is held. What was given up is free then, for
//! anybody's next mapping, and is not looked at again; what is left is as it
//! was, and may be touched, forked and unmapped by others. A mapping that
//! another thread puts into the rest (`MAP_FIXED`, in memory that is being
//! unmapped) goes with it.
//!
//! A part's pages are out of reach, and forgotten by every processor, before
//! the space's lock is let go; given back they are after it, for that takes most
//! of the time and concerns no other thread ([`end_part`]).

use core::ops::Range;

use ochre_abi::Errno;
use ochre_hal::memory::{self, Flush, Forgotten, OutOfMemory, USER_END};
use ochre_sync::SpinLockGuard;

use super::area::AreaFlags;
use super::map::page_range;
use super::pressure::HEADROOM;
use super::space::Inner;
use super::{AddressSpace, Collapse, Hole, Population, spare};

/// Pages that one part gives up, about.
pub(super) const PAGES_AT_ONCE: usize = 8192;

/// Areas that one part gives up.
pub(super) const AREAS_AT_ONCE: usize = 512;

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Areas and pages.
    Areas,
    /// The pages of all areas that are not locked; the areas stay.
    Pages,
    /// The pages of all areas.
    AllPages,
    /// What the pages hold, once memory is wanted.
    Content,
}

/// A range that is given up, as far as that is not yet done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is given up before it is stepped"]
pub struct Removal {
    rest: Range<u64>,
    what: What,
    /// How the call ends once everything is done.
    end: Result<(), Errno>,
}

/// What a part gave up, if that was something: for [`end_part`].
type Gone = Option<Forgotten>;

/// Ends a part: the space's lock goes first, then what was given up.
pub(super) fn end_part(inner: SpinLockGuard<'_, Inner>, gone: Gone) {
    drop(inner);
    drop(gone);
}

impl Removal {
    /// A range that is unmapped.
    fn of_areas(range: Range<u64>) -> Removal {
        Removal {
            rest: range,
            what: What::Areas,
            end: Ok(()),
        }
    }

    /// A range that loses its pages, the locked ones too with `even_locked`; the
    /// call ends so.
    pub(super) fn of_pages(
        range: Range<u64>,
        even_locked: bool,
        end: Result<(), Errno>,
    ) -> Removal {
        let what = if even_locked {
            What::AllPages
        } else {
            What::Pages
        };
        Removal {
            rest: range,
            what,
            end,
        }
    }

    /// A range whose pages the program can spare; the call ends so.
    pub(super) fn of_content(range: Range<u64>, end: Result<(), Errno>) -> Removal {
        Removal {
            rest: range,
            what: What::Content,
            end,
        }
    }

    /// Does a part of it; whether that was the last one.
    ///
    /// # Errors
    /// ENOMEM for a table that a fork left to two, what comes before it being
    /// done; or what was wrong from the start.
    pub fn step(&mut self, space: &AddressSpace) -> Result<bool, Errno> {
        let mut inner = space.inner();
        let (result, gone) = self.step_in(&mut inner);
        end_part(inner, gone);
        result
    }

    /// [`step`](Removal::step) in a space that is locked.
    pub(super) fn step_in(&mut self, inner: &mut Inner) -> (Result<bool, Errno>, Gone) {
        let part = self.rest.clone();
        let (next, gone) = match self.what {
            What::Areas => inner.unmap_some(part),
            What::Pages => inner.drop_some(part, AreaFlags::LOCKED),
            What::AllPages => inner.drop_some(part, AreaFlags::empty()),
            What::Content => (Ok(inner.spare_some(part)), None),
        };
        let next = match next {
            Ok(next) => next,
            Err(errno) => return (Err(errno), gone),
        };
        self.rest.start = next;
        if next < self.rest.end {
            return (Ok(false), gone);
        }
        (self.end.map(|()| true), gone)
    }
}

/// What is left of a call about a range: pages that come, go, or become others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing happens before it is stepped"]
pub enum Rest {
    /// Pages that come.
    Population(Population),
    /// Pages, or areas, that go.
    Removal(Removal),
    /// Pages that become huge ones.
    Collapse(Collapse),
    /// Pages that objects lose.
    Hole(Hole),
}

impl Rest {
    /// Does a part of it; whether that was the last one.
    ///
    /// # Errors
    /// As [`Population::step`], [`Removal::step`], [`Collapse::step`] and
    /// [`Hole::step`].
    pub fn step(&mut self, space: &AddressSpace) -> Result<bool, Errno> {
        match self {
            Rest::Population(population) => population.step(space),
            Rest::Removal(removal) => removal.step(space),
            Rest::Collapse(collapse) => collapse.step(space),
            Rest::Hole(hole) => hole.step(space),
        }
    }
}

impl From<Population> for Rest {
    fn from(population: Population) -> Rest {
        Rest::Population(population)
    }
}

impl From<Removal> for Rest {
    fn from(removal: Removal) -> Rest {
        Rest::Removal(removal)
    }
}

impl From<Collapse> for Rest {
    fn from(collapse: Collapse) -> Rest {
        Rest::Collapse(collapse)
    }
}

impl From<Hole> for Rest {
    fn from(hole: Hole) -> Rest {
        Rest::Hole(hole)
    }
}

impl AddressSpace {
    /// Removes every mapping from a range, in one go.
    ///
    /// # Errors
    /// As [`start_unmap`](AddressSpace::start_unmap).
    pub fn unmap(&self, start: u64, len: u64) -> Result<(), Errno> {
        let mut left = self.start_unmap(start, len)?;
        while let Some(removal) = &mut left
            && !removal.step(self)?
        {}
        Ok(())
    }

    /// Removes every mapping from a range, or a first part of it; what is left.
    ///
    /// # Errors
    /// EINVAL for a bad range, ENOMEM for a hole if there would be too many areas
    /// or memory is short.
    pub fn start_unmap(&self, start: u64, len: u64) -> Result<Option<Removal>, Errno> {
        let range = page_range(start, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        self.make_room();
        let mut inner = self.inner();
        let makes_two = !inner.is_edge(range.start) && !inner.is_edge(range.end);
        if makes_two && !(inner.areas.has_room() && memory::has_headroom(HEADROOM)) {
            return Err(Errno::ENOMEM);
        }
        let (next, gone) = inner.unmap_some(range.clone());
        end_part(inner, gone);
        let next = next?;
        Ok((next < range.end).then(|| Removal::of_areas(next..range.end)))
    }

    /// Gives up a part of a space that nobody runs in any more; whether what is
    /// left is little enough to go with the space itself.
    pub fn wind_down(&self) -> bool {
        let mut inner = self.inner();
        let is_little =
            inner.table.resident_pages() <= PAGES_AT_ONCE && inner.areas.len() <= AREAS_AT_ONCE;
        let first = inner.areas.iter().next().map(|area| area.start);
        match first {
            Some(first) if !is_little => {
                // Whole tables need no other one: it does not fail.
                let (next, gone) = inner.unmap_some(first..USER_END);
                end_part(inner, gone);
                next.is_err()
            }
            _ => true,
        }
    }
}

impl Inner {
    /// Removes areas and pages of a range, as many as a poll has time for; up to
    /// where.
    ///
    /// # Errors
    /// As [`unmap`](Inner::unmap).
    fn unmap_some(&mut self, range: Range<u64>) -> (Result<u64, Errno>, Gone) {
        let end = {
            let mut areas = self.areas.overlapping(range.clone());
            if areas.next().is_none() {
                return (Ok(range.end), None);
            }
            let beyond = areas.nth(AREAS_AT_ONCE - 1);
            beyond.map_or(range.end, |area| area.start)
        };
        self.note_peak();
        let mut budget = PAGES_AT_ONCE;
        let part = range.start..end;
        let (flush, next) = match self.table.unmap_some(part, &mut budget) {
            Ok(done) => done,
            Err(OutOfMemory) => return (Err(Errno::ENOMEM), None),
        };
        let gone = flush.forgotten();
        self.remove_areas(range.start..next);
        (Ok(next), gone)
    }

    /// Takes the pages of a range, as many as a poll has time for, but for those
    /// of areas that are so; up to where.
    ///
    /// # Errors
    /// ENOMEM for a table that a fork left to two.
    fn drop_some(&mut self, range: Range<u64>, spared: AreaFlags) -> (Result<u64, Errno>, Gone) {
        let mut flush = None;
        let next = self.take_some(range, spared, &mut flush);
        (next, flush.and_then(Flush::forgotten))
    }

    /// [`drop_some`](Inner::drop_some); what goes is added to `all`.
    fn take_some(
        &mut self,
        range: Range<u64>,
        spared: AreaFlags,
        all: &mut Option<Flush>,
    ) -> Result<u64, Errno> {
        self.note_peak();
        let mut budget = PAGES_AT_ONCE;
        let mut reached = range.end;
        for (areas, area) in self.areas.overlapping(range.clone()).enumerate() {
            if areas == AREAS_AT_ONCE || budget == 0 {
                reached = area.start.max(range.start);
                break;
            }
            if area.flags.intersects(spared) {
                continue;
            }
            let part = area.start.max(range.start)..area.end.min(range.end);
            let end = part.end;
            let (flush, next) = self
                .table
                .unmap_some(part, &mut budget)
                .map_err(|OutOfMemory| Errno::ENOMEM)?;
            match all {
                Some(all) => all.join(flush),
                None => *all = Some(flush),
            }
            if next < end {
                reached = next;
                break;
            }
        }
        Ok(reached)
    }

    /// Marks the pages of a range as spare, as many as a poll has time for; up to
    /// where.
    fn spare_some(&mut self, range: Range<u64>) -> u64 {
        let mut budget = PAGES_AT_ONCE;
        let mut at = range.start;
        for _ in 0..AREAS_AT_ONCE {
            let area = self.areas.at_or_above(at);
            let Some(area) = area.filter(|area| area.start < range.end) else {
                return range.end;
            };
            let part = area.start.max(at)..area.end.min(range.end);
            at = part.end;
            if spare::may_spare(area) {
                at = self.mark_spare(part.clone(), &mut budget);
            }
            if budget == 0 {
                break;
            }
        }
        at.min(range.end)
    }

    /// Removes the areas of a range that has no page any more.
    pub(super) fn remove_areas(&mut self, range: Range<u64>) {
        for area in self.areas.overlapping(range.clone()) {
            if let Some(source) = &area.source {
                source.backing.unmapped();
            }
        }
        self.areas.remove(range);
        self.settle();
    }
}
