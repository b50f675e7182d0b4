//! The areas of an address space, by address: pure bookkeeping.
//!
//! # Invariants
//! Areas do not overlap. The key of each is its start. Neighbours that could be
//! one area are one area.
//!
//! Nothing here touches a page table; [`space`](super::space) keeps the two in
//! step.

use alloc::collections::BTreeMap;
use core::ops::Range;

use super::area::Area;

/// The most areas that an address space may have (`vm.max_map_count`).
pub const MAX_AREAS: usize = 65_530;

/// Areas sorted by address.
#[derive(Clone, Debug, Default)]
pub struct AreaMap {
    areas: BTreeMap<u64, Area>,
    searched: Searched,
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
        }
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
        let mut covered = range.start;
        for area in self.overlapping(range.clone()) {
            if area.start > covered {
                return false;
            }
            covered = area.end;
        }
        covered >= range.end
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
        debug_assert!(self.is_free(area.range()));
        if let Some((_, below)) = self.areas.range_mut(..area.start).next_back()
            && below.continues_into(&area)
        {
            below.end = area.end;
            let start = below.start;
            self.join_above(start);
            return;
        }
        if let Some(above) = self.areas.get(&area.end)
            && area.continues_into(above)
        {
            let end = above.end;
            self.areas.remove(&area.end);
            area.end = end;
        }
        self.areas.insert(area.start, area);
    }

    /// Removes whatever lies in the range.
    pub fn remove(&mut self, range: Range<u64>) {
        // A hole gets longer; the next search has to look at it.
        let hole_end = self
            .areas
            .range(range.end..)
            .next()
            .map_or(u64::MAX, |(start, _)| *start);
        self.searched.from = self.searched.from.max(hole_end).min(self.searched.top);
        self.split(range.start);
        self.split(range.end);
        while let Some((&start, _)) = self.areas.range(range.clone()).next() {
            self.areas.remove(&start);
        }
    }

    /// Changes whatever lies in the range, splitting areas at its edges.
    /// `change` must leave the addresses alone.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Area)) {
        self.split(range.start);
        self.split(range.end);
        for (_, area) in self.areas.range_mut(range.clone()) {
            change(area);
        }
        let mut start = self
            .below(range.start)
            .map_or(range.start, |below| below.start);
        loop {
            if self.join_above(start) {
                continue;
            }
            match self.above(start) {
                Some(next) if next.start <= range.end => start = next.start,
                _ => break,
            }
        }
    }

    /// Moves the start of the area at `start` down to `new_start`, above which
    /// everything up to it is free.
    pub fn extend_down(&mut self, start: u64, new_start: u64) {
        if let Some(mut area) = self.areas.remove(&start) {
            area.start = new_start;
            self.insert(area);
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
        let new_end = above.end;
        self.areas.remove(&end);
        if let Some(area) = self.areas.get_mut(&start) {
            area.end = new_end;
        }
        true
    }

    /// Makes `address` an edge.
    fn split(&mut self, address: u64) {
        if let Some((_, area)) = self.areas.range_mut(..address).next_back()
            && address < area.end
        {
            let upper = area.split_off(address);
            self.areas.insert(address, upper);
        }
    }
}

#[cfg(test)]
mod tests;
