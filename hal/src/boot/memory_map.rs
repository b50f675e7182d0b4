//! The machine's memory as a short list of ranges.
//!
//! Firmware maps are hostile input: unsorted, overlapping, overflowing, with
//! odd ends. What comes out is sorted, disjoint, whole pages. Where memory and
//! something else overlap, the something else wins. A map with more pieces
//! than fit loses memory, never safety.

use core::ops::Range;

/// Pieces a list can hold.
const CAPACITY: usize = 128;

/// One past the highest physical address that the kernel handles (46 bits: half
/// of the direct map's half of the address space).
pub(crate) const PHYSICAL_END: u64 = 1 << 46;

const PAGE: u64 = 4096;

/// Sorted, disjoint, non-adjacent ranges of whole pages.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    pieces: [(u64, u64); CAPACITY],
    len: usize,
}

impl Ranges {
    /// No memory.
    pub(crate) const fn new() -> Ranges {
        Ranges {
            pieces: [(0, 0); CAPACITY],
            len: 0,
        }
    }

    /// Whether there is no memory.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.pieces
            .iter()
            .take(self.len)
            .map(|&(start, end)| start..end)
    }

    /// Whether `range` lies in one piece.
    pub(crate) fn contains(&self, range: &Range<u64>) -> bool {
        self.iter()
            .any(|piece| piece.start <= range.start && range.end <= piece.end)
    }

    /// Adds the whole pages of `range`; nothing where the list is full.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        let start = range.start.checked_next_multiple_of(PAGE);
        let end = range.end.min(PHYSICAL_END) / PAGE * PAGE;
        let Some(start) = start.filter(|start| *start < end) else {
            return;
        };
        // Every piece that touches the new one melts into it.
        let (mut low, mut high) = (start, end);
        let mut kept = 0;
        for index in 0..self.len {
            let piece = self.pieces[index];
            if piece.1 < low || high < piece.0 {
                self.pieces[kept] = piece;
                kept += 1;
            } else {
                low = low.min(piece.0);
                high = high.max(piece.1);
            }
        }
        self.len = kept;
        self.insert(low, high);
    }

    /// Removes every page that `range` touches.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let start = range.start / PAGE * PAGE;
        let end = range.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        let old = self.clone();
        self.len = 0;
        for piece in old.iter() {
            let below = piece.start..piece.end.min(start);
            let above = piece.start.max(end)..piece.end;
            for rest in [below, above] {
                if !rest.is_empty() {
                    self.insert(rest.start, rest.end);
                }
            }
        }
    }

    /// Puts a piece that touches no other at its place.
    fn insert(&mut self, low: u64, high: u64) {
        if self.len == CAPACITY {
            return;
        }
        let at = self
            .pieces
            .iter()
            .take(self.len)
            .position(|piece| piece.0 > low)
            .unwrap_or(self.len);
        self.pieces.copy_within(at..self.len, at + 1);
        self.pieces[at] = (low, high);
        self.len += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, PHYSICAL_END, Ranges};
    use core::ops::Range;

    fn list(ranges: &Ranges) -> Vec<Range<u64>> {
        ranges.iter().collect()
    }

    #[test]
    fn sorts_and_melts() {
        let mut ranges = Ranges::new();
        ranges.add(0x5000..0x7000);
        ranges.add(0x1000..0x3000);
        ranges.add(0x3000..0x4000);
        ranges.add(0x6000..0x9000);
        assert_eq!(list(&ranges), [0x1000..0x4000, 0x5000..0x9000]);
        ranges.add(0x2000..0x8000);
        assert_eq!(list(&ranges), vec![0x1000..0x9000]);
    }

    #[test]
    fn rounds_memory_inward_and_holes_outward() {
        let mut ranges = Ranges::new();
        ranges.add(0x1001..0x8fff);
        assert_eq!(list(&ranges), vec![0x2000..0x8000]);
        ranges.remove(0x3fff..0x4001);
        assert_eq!(list(&ranges), [0x2000..0x3000, 0x5000..0x8000]);
        ranges.remove(0..u64::MAX);
        assert!(list(&ranges).is_empty());
    }

    #[test]
    fn survives_wild_ranges() {
        let mut ranges = Ranges::new();
        ranges.add(u64::MAX - 5..u64::MAX);
        ranges.add(0x5000..0x5001);
        ranges.add(Range { start: 9, end: 3 });
        assert!(list(&ranges).is_empty());
        ranges.add(0x1000..u64::MAX);
        assert_eq!(list(&ranges), vec![0x1000..PHYSICAL_END]);
        ranges.remove(Range { start: 9, end: 3 });
        ranges.remove(0x3000..0x3000);
        assert_eq!(list(&ranges), vec![0x1000..PHYSICAL_END]);
    }

    #[test]
    fn a_full_list_loses_memory_only() {
        let mut ranges = Ranges::new();
        for n in 0..2 * CAPACITY as u64 {
            ranges.add(n * 0x4000..n * 0x4000 + 0x1000);
        }
        assert_eq!(list(&ranges).len(), CAPACITY);
        ranges.remove(0x2000..0x3000);
        assert_eq!(list(&ranges).len(), CAPACITY);
        assert!(ranges.contains(&(0x4000..0x5000)));
        assert!(!ranges.contains(&(0x4000..0x5001)));
    }
}
