//! The areas of an address space, by address: pure bookkeeping.
//!
//! # Invariants
//! Areas do not overlap. The key of each is its start. An area that is added or
//! changed is joined with its neighbours where that can be; one that grows down,
//! or loses its lock by moving away, is not, as on Linux.
//!
//! Nothing here touches a page table; [`space`](super::space) keeps the two in
//! step.

use alloc::collections::BTreeMap;
use core::ops::Range;

use super::area::{Anonymous, Area, AreaFlags, PAGE};

/// The most areas that an address space may have (`vm.max_map_count`).
pub const MAX_AREAS: usize = 65_530;

/// Areas sorted by address.
#[derive(Clone, Debug, Default)]
pub struct AreaMap {
    areas: BTreeMap<u64, Area>,
    searched: Searched,
    changes: u64,
    /// Bytes of areas that are counted against what memory there is.
    accounted: u64,
    /// Bytes of all areas, and the most there ever were.
    total: u64,
    peak: u64,
}

/// What an area counts against what memory there is, in bytes.
fn weight(area: &Area) -> u64 {
    if area.flags.contains(AreaFlags::ACCOUNTED) {
        area.bytes()
    } else {
        0
    }
}

/// What is known of free ranges from searches: in `from..top` none is longer
/// than `longest`. Without it a program with many areas would have each
/// search look at all of them.
#[derive(Clone, Copy, Debug, Default)]
struct Searched {
    from: u64,
    top: u64,
    longest: u64,
}

/// An area as it was when it was found.
#[derive(Debug, Default)]
pub struct Recent {
    /// The state of the areas then.
    changes: u64,
    area: Option<Area>,
}

impl AreaMap {
    /// No areas.
    #[must_use]
    pub const fn new() -> AreaMap {
        AreaMap {
            areas: BTreeMap::new(),
            searched: Searched {
                from: 0,
                top: 0,
                longest: 0,
            },
            changes: 0,
            accounted: 0,
            total: 0,
            peak: 0,
        }
    }

    /// The most bytes that all areas ever had together.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.peak
    }

    /// There are so many bytes more.
    fn grows(&mut self, bytes: u64) {
        self.total += bytes;
        self.peak = self.peak.max(self.total);
    }

    /// Pages that are counted against what memory there is.
    #[inline]
    #[must_use]
    pub fn accounted_pages(&self) -> u64 {
        self.accounted / PAGE
    }

    /// A number that is another one after each change.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    fn changed(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// All, by address.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Area> {
        self.areas.values()
    }

    /// The area that contains an address.
    #[must_use]
    pub fn get(&self, address: u64) -> Option<&Area> {
        let (_, area) = self.areas.range(..=address).next_back()?;
        (address < area.end).then_some(area)
    }

    /// [`get`](AreaMap::get) for one who asks for neighbours: an area without an
    /// object that was found last is not searched for while nothing changes.
    #[inline]
    #[must_use]
    pub fn get_near<'a>(&'a self, address: u64, recent: &'a mut Recent) -> Option<&'a Area> {
        let is_it = |area: &Area| (area.start..area.end).contains(&address);
        if recent.changes != self.changes || !recent.area.as_ref().is_some_and(is_it) {
            let area = self.get(address)?;
            if area.source.is_some() {
                return Some(area);
            }
            *recent = Recent {
                changes: self.changes,
                area: Some(area.clone()),
            };
        }
        recent.area.as_ref()
    }

    /// The first area that ends above an address: the one that contains it, or
    /// the next one.
    #[must_use]
    pub fn at_or_above(&self, address: u64) -> Option<&Area> {
        self.get(address).or_else(|| self.above(address))
    }

    /// The first area that starts above an address.
    #[must_use]
    pub fn above(&self, address: u64) -> Option<&Area> {
        let (_, area) = self.areas.range(address.checked_add(1)?..).next()?;
        Some(area)
    }

    /// The last area that starts below an address.
    #[must_use]
    pub fn below(&self, address: u64) -> Option<&Area> {
        let (_, area) = self.areas.range(..address).next_back()?;
        Some(area)
    }

    /// Areas that have an address in the range, by address.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Area> {
        let first = self
            .get(range.start)
            .map_or(range.start, |area| area.start)
            .min(range.end);
        self.areas.range(first..range.end).map(|(_, area)| area)
    }

    /// Whether no area has an address in the range.
    #[must_use]
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Whether every address of the range is in an area.
    #[must_use]
    pub fn covers(&self, range: Range<u64>) -> bool {
        self.covered_from(range.clone()) >= range.end
    }

    /// How far a range is in areas from its start on, without a hole.
    #[must_use]
    pub fn covered_from(&self, range: Range<u64>) -> u64 {
        let mut covered = range.start;
        for area in self.overlapping(range.clone()) {
            if area.start > covered {
                break;
            }
            covered = area.end;
        }
        covered.min(range.end)
    }

    /// Whether there is room for as many areas as one change can add.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.areas.len() + 2 <= MAX_AREAS
    }

    /// The highest free range of `len` bytes within `within`, guard gaps
    /// below areas that grow downwards left alone; returns its start.
    #[must_use]
    pub fn find_free(&mut self, len: u64, within: Range<u64>) -> Option<u64> {
        if self.searched.top != within.end || len <= self.searched.longest {
            self.searched = Searched {
                from: within.end,
                top: within.end,
                longest: 0,
            };
        }
        let Searched {
            from,
            top,
            mut longest,
        } = self.searched;
        let mut end = from;
        if let Some(next) = self.at_or_above(from) {
            end = end.min(next.guarded_start());
        }
        let mut found = None;
        for (_, area) in self.areas.range(..from).rev() {
            if area.end <= within.start {
                break;
            }
            let hole = end.saturating_sub(area.end);
            if hole >= len {
                found = Some(end - len);
                break;
            }
            longest = longest.max(hole);
            end = end.min(area.guarded_start());
        }
        if found.is_none() {
            found = end.checked_sub(len).filter(|start| *start >= within.start);
        }
        // What was passed over need not be looked at again; the hole found may
        // be used up or not, so the next search begins at its end.
        self.searched = Searched {
            from: end.max(within.start),
            top,
            longest,
        };
        found
    }

    /// Whether a hint can be followed: the range is free and outside guard gaps.
    #[must_use]
    pub fn is_free_with_guard(&self, range: Range<u64>) -> bool {
        self.is_free(range.clone())
            && self
                .above(range.start)
                .is_none_or(|next| range.end <= next.guarded_start())
    }

    /// Adds an area where none is, joined with its neighbours where it can be.
    pub fn insert(&mut self, mut area: Area) {
        self.changed();
        debug_assert!(self.is_free(area.range()));
        self.accounted += weight(&area);
        self.grows(area.bytes());
        if let Some((_, below)) = self.areas.range_mut(..area.start).next_back()
            && below.continues_into(&area)
        {
            below.end = area.end;
            below.anonymous = below.anonymous.or(area.anonymous);
            let start = below.start;
            self.join_above(start);
            return;
        }
        if let Some(above) = self.areas.get(&area.end)
            && area.continues_into(above)
        {
            let (end, anonymous) = (above.end, above.anonymous);
            self.areas.remove(&area.end);
            area.end = end;
            area.anonymous = area.anonymous.or(anonymous);
        }
        self.areas.insert(area.start, area);
    }

    /// Removes whatever lies in the range.
    pub fn remove(&mut self, range: Range<u64>) {
        self.changed();
        // A hole gets longer; the next search has to look at it.
        let hole_end = self
            .areas
            .range(range.end..)
            .next()
            .map_or(u64::MAX, |(start, _)| *start);
        self.searched.from = self.searched.from.max(hole_end).min(self.searched.top);
        self.split(range.start);
        self.split(range.end);
        while let Some((&start, area)) = self.areas.range(range.clone()).next() {
            self.accounted -= weight(area);
            self.total -= area.bytes();
            self.areas.remove(&start);
        }
    }

    /// Changes whatever lies in the range, splitting areas at its edges.
    /// `change` must leave the addresses alone.
    ///
    /// As on Linux, what stays as it was joins nothing: a fork, which takes locks
    /// away, leaves neighbours that could be one.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Area)) {
        self.changed();
        // Whether the edge below the next area may have become needless.
        let mut may_join = self.split(range.start);
        let was_split = self.split(range.end);
        let mut from = range.start;
        while let Some((&start, area)) = self.areas.range_mut(from..range.end).next() {
            let before = (area.protection, area.flags);
            self.accounted -= weight(area);
            change(area);
            self.accounted += weight(area);
            from = area.end;
            let changes = before != (area.protection, area.flags);
            if changes || may_join {
                self.join_below(start);
            }
            may_join = changes;
        }
        if may_join || was_split {
            self.join_below(range.end);
        }
    }

    /// Changes the area at `address` without joining it with its neighbours.
    pub fn change(&mut self, address: u64, change: impl FnOnce(&mut Area)) {
        self.changed();
        if let Some((_, area)) = self.areas.range_mut(..=address).next_back()
            && address < area.end
        {
            self.accounted -= weight(area);
            change(area);
            self.accounted += weight(area);
        }
    }

    /// Moves the start of the area at `start` down to `new_start`, above which
    /// everything up to it is free.
    pub fn extend_down(&mut self, start: u64, new_start: u64) {
        self.changed();
        if let Some(mut area) = self.areas.remove(&start) {
            area.origin = area.origin.wrapping_sub((start - new_start) / PAGE);
            self.accounted -= weight(&area);
            area.start = new_start;
            self.accounted += weight(&area);
            self.grows(start - new_start);
            // As on Linux, it does not become one with what is below it now.
            self.areas.insert(new_start, area);
        }
    }

    /// The area at `address` is about to get a page of its own: gives it the
    /// set of a neighbour with which it could be one some day, or this new one.
    /// Whether the new one was used.
    pub fn own_pages(&mut self, address: u64, new: u64) -> bool {
        let Some(area) = self.get(address).filter(|area| area.anonymous.is_none()) else {
            return false;
        };
        let usable =
            |other: &Area| Some(other.anonymous).filter(|own| !own.is_none() && !own.inherited);
        let above = self
            .areas
            .get(&area.end)
            .filter(|above| area.may_share_set(above))
            .and_then(usable);
        let known = above.or_else(|| {
            self.below(area.start)
                .filter(|below| below.may_share_set(area))
                .and_then(usable)
        });
        let start = area.start;
        let own = known.unwrap_or(Anonymous {
            set: new,
            inherited: false,
        });
        if let Some(area) = self.areas.get_mut(&start) {
            area.anonymous = own;
        }
        self.changed();
        known.is_none()
    }

    /// The same areas for a child.
    pub fn for_child(&self, next_set: &mut u64) -> AreaMap {
        let mut child = self.clone();
        for area in child.areas.values_mut() {
            area.pass_on(next_set);
        }
        for area in self.iter().filter(|area| !area.is_inherited()) {
            child.remove(area.range());
        }
        child.peak = child.total;
        child
    }

    /// Adds a parent's area for its child, behind all others and joined with
    /// none.
    pub fn inherit(&mut self, area: &Area, next_set: &mut u64) {
        if area.is_inherited() {
            let mut area = area.clone();
            area.pass_on(next_set);
            self.changed();
            self.accounted += weight(&area);
            self.grows(area.bytes());
            self.areas.insert(area.start, area);
        }
    }

    /// Joins the area at `start` with the next one if they could be one.
    fn join_above(&mut self, start: u64) -> bool {
        let Some(area) = self.areas.get(&start) else {
            return false;
        };
        let end = area.end;
        let Some(above) = self.areas.get(&end) else {
            return false;
        };
        if !area.continues_into(above) {
            return false;
        }
        let (new_end, anonymous) = (above.end, above.anonymous);
        self.areas.remove(&end);
        if let Some(area) = self.areas.get_mut(&start) {
            area.end = new_end;
            area.anonymous = area.anonymous.or(anonymous);
        }
        true
    }

    /// Joins the area that begins at `address` with the one below, if they can be one.
    fn join_below(&mut self, address: u64) {
        if let Some((&below, _)) = self.areas.range(..address).next_back() {
            self.join_above(below);
        }
    }

    /// Makes `address` an edge; whether it was none.
    fn split(&mut self, address: u64) -> bool {
        if let Some((_, area)) = self.areas.range_mut(..address).next_back()
            && address < area.end
        {
            let upper = area.split_off(address);
            self.areas.insert(address, upper);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests;
