//! What programs can spare (`MADV_FREE`), and when it is taken.
//!
//! A page that a program can spare stays where it is, with its content, until the
//! program stores to it or memory is wanted. The page table knows which pages
//! those are (`PageTable::mark_spare`); a space knows about where (`Spares`),
//! so that nobody who wants memory looks at pages of programs that spare none.
//!
//! | who wants memory | takes from |
//! |---|---|
//! | any allocation that would be refused ([`start`]) | spaces that nobody uses at this moment |
//! | a fault, before it is told that memory is out | all spaces |
//! | whoever is about to have a process killed | all spaces |
//!
//! # Lock protocol
//! The first kind may hold any lock, so it only tries for the table of processes,
//! a process's space and the space's inside, in this order, and passes over what
//! is held. The others hold none and wait for them.

use core::ops::Range;

use ochre_hal::memory;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU64, Ordering};

use super::area::{Area, AreaFlags};
use super::space::Inner;
use super::{AddressSpace, leftovers};
use crate::process::table;

/// Pages that are taken at once.
const AT_ONCE: usize = 512;

/// Ranges that a space remembers.
const RANGES: usize = 4;

/// Whether a space may have spare pages.
///
/// ORDERING: Relaxed throughout; it is set with the space locked that has some,
/// and who misses it comes again.
static EXIST: AtomicBool = AtomicBool::new(false);

/// Pages that became spare, ever.
///
/// ORDERING: Relaxed throughout; counts.
static MARKED: AtomicU64 = AtomicU64::new(0);
/// Pages that were taken, ever.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Pages of programs that became spare, and those that were taken, since the
/// machine runs.
#[must_use]
pub fn counts() -> (u64, u64) {
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    (load(&MARKED), load(&TAKEN))
}

/// Has allocations that would be refused take what programs can spare.
pub fn start() {
    memory::spare_with(|| match leftovers::give_some() {
        0 => take(Patience::None),
        given => given,
    });
}

/// Whether a space may have spare pages.
#[inline]
pub(super) fn exist() -> bool {
    EXIST.load(Ordering::Relaxed)
}

/// Takes some pages that programs can spare; whether there were any. Call it with
/// no lock held.
pub(super) fn take_some() -> bool {
    take(Patience::ForLocks) > 0
}

/// Whether locks are waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    ForLocks,
}

impl Patience {
    fn lock<T>(self, lock: &SpinLock<T>) -> Option<ochre_sync::SpinLockGuard<'_, T>> {
        match self {
            Patience::None => lock.try_lock(),
            Patience::ForLocks => Some(lock.lock()),
        }
    }
}

/// Takes pages that programs can spare, some at once; how many.
fn take(patience: Patience) -> usize {
    if !exist() {
        return 0;
    }
    let table = match patience {
        Patience::None => table::try_lock(),
        Patience::ForLocks => Some(table::lock()),
    };
    let Some(table) = table else {
        return 0;
    };
    // Who marks more meanwhile sets it again.
    EXIST.store(false, Ordering::Relaxed);
    let mut taken = 0;
    let mut exist = false;
    for relations in table.iter() {
        if taken >= AT_ONCE {
            exist = true;
            break;
        }
        let Some(space) = patience.lock(&relations.process.space) else {
            exist = true;
            continue;
        };
        match space.try_inner(patience == Patience::ForLocks) {
            Some(mut inner) => {
                taken += inner.take_spares(AT_ONCE - taken);
                exist |= !inner.spares.is_empty();
            }
            None => exist = true,
        }
    }
    if exist {
        EXIST.store(true, Ordering::Relaxed);
    }
    TAKEN.fetch_add(taken as u64, Ordering::Relaxed);
    taken
}

/// Whether an area may have spare pages: memory that nothing else knows the
/// content of, and that is not locked.
pub(super) fn may_spare(area: &Area) -> bool {
    area.source.is_none() && !area.flags.contains(AreaFlags::LOCKED)
}

impl AddressSpace {
    /// Makes room for what is about to be done with the space locked, where pages
    /// could not be taken from itself.
    #[inline]
    pub(super) fn make_room(&self) {
        if exist() {
            let _ = memory::has_headroom(super::pressure::HEADROOM);
        }
    }
}

impl Inner {
    /// Marks pages of a range, which is in one area, as spare; up to where.
    pub(super) fn mark_spare(&mut self, range: Range<u64>, budget: &mut usize) -> u64 {
        let (flush, next, count) = self.table.mark_spare(range.clone(), budget);
        flush.flush();
        if count > 0 {
            self.spares.add(range.start..next);
            EXIST.store(true, Ordering::Relaxed);
            MARKED.fetch_add(count as u64, Ordering::Relaxed);
        }
        next
    }

    /// Takes spare pages, about so many at most; how many.
    pub(super) fn take_spares(&mut self, most: usize) -> usize {
        if self.spares.is_empty() {
            return 0;
        }
        self.note_peak();
        let mut taken = 0;
        let Inner {
            areas,
            table,
            spares,
            ..
        } = self;
        let ranges = core::mem::take(spares);
        for range in ranges.iter() {
            for area in areas.overlapping(range.clone()) {
                let part = area.start.max(range.start)..area.end.min(range.end);
                if taken >= most || !may_spare(area) {
                    // It may come to that yet.
                    spares.add(part);
                    continue;
                }
                let found = table.take_spare(part.clone(), most - taken);
                found.flush.flush();
                taken += found.count;
                let rest = if found.are_held {
                    part.start
                } else {
                    found.next
                };
                spares.add(rest..part.end);
            }
        }
        taken
    }
}

/// Where a space may have spare pages: a few ranges, which may hold more than was
/// marked.
///
/// # Invariants
/// 1. The first `len` ranges are not empty, in the order of addresses, and do not
///    touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spares {
    ranges: [Range<u64>; RANGES + 1],
    len: usize,
}

impl Spares {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.ranges.iter().take(self.len)
    }

    /// Whether some of a range may be spare.
    pub(super) fn overlap(&self, range: &Range<u64>) -> bool {
        self.iter()
            .any(|one| one.start < range.end && range.start < one.end)
    }

    /// Adds a range; if there are too many then, the two that are nearest to each
    /// other become one.
    pub(super) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut new = range;
        let mut kept = Spares::default();
        for old in self.iter() {
            if old.end < new.start || new.end < old.start {
                kept.put(old.clone());
            } else {
                new = old.start.min(new.start)..old.end.max(new.end);
            }
        }
        kept.put(new);
        let len = kept.len;
        if let Some(all) = kept.ranges.get_mut(..len) {
            all.sort_unstable_by_key(|range| range.start);
        }
        if len > RANGES {
            kept.join_nearest();
        }
        *self = kept;
    }

    fn put(&mut self, range: Range<u64>) {
        if let Some(slot) = self.ranges.get_mut(self.len) {
            *slot = range;
            self.len += 1;
        }
    }

    fn join_nearest(&mut self) {
        let gap = |pair: &[Range<u64>]| match pair {
            [one, next] => next.start - one.end,
            _ => u64::MAX,
        };
        let pairs = self.ranges.windows(2).enumerate();
        let nearest = pairs.min_by_key(|(_, pair)| gap(pair));
        if let Some((at, [one, next])) = nearest {
            let joined = one.start..next.end;
            if let Some(rest) = self.ranges.get_mut(at..) {
                rest.rotate_left(1);
            }
            if let Some(slot) = self.ranges.get_mut(at) {
                *slot = joined;
            }
            self.len -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spares;

    fn of(ranges: &[(u64, u64)]) -> Spares {
        let mut spares = Spares::default();
        for &(start, end) in ranges {
            spares.add(start..end);
        }
        spares
    }

    fn check(ranges: &[(u64, u64)], expected: &[(u64, u64)]) {
        let found: Vec<_> = of(ranges).iter().map(|one| (one.start, one.end)).collect();
        assert_eq!(found, expected, "{ranges:?}");
    }

    #[test]
    fn ranges_that_touch_become_one() {
        check(&[(4, 8), (8, 9), (2, 4)], &[(2, 9)]);
        check(&[(4, 5), (1, 2), (1, 9)], &[(1, 9)]);
        check(&[(4, 5), (1, 2), (3, 3)], &[(1, 2), (4, 5)]);
    }

    #[test]
    fn too_many_ranges_lose_their_smallest_gap() {
        let four = [(10, 11), (20, 21), (30, 31), (40, 41)];
        check(&four, &four);
        let five = [(40, 41), (10, 11), (30, 31), (20, 21), (33, 34)];
        check(&five, &[(10, 11), (20, 21), (30, 34), (40, 41)]);
        let at_the_end = [(10, 11), (20, 21), (30, 31), (40, 41), (42, 43)];
        check(&at_the_end, &[(10, 11), (20, 21), (30, 31), (40, 43)]);
    }

    #[test]
    fn what_may_be_spare_is_told() {
        let spares = of(&[(4, 8), (20, 30)]);
        for (start, end, expected) in [(0, 4, false), (7, 20, true), (8, 20, false), (29, 40, true)]
        {
            assert_eq!(spares.overlap(&(start..end)), expected, "{start}..{end}");
        }
    }
}
