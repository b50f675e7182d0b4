//! The page behind the vDSO, under the sequence lock of [`ochre_sync`].
//!
//! It is a [`SeqWords`], whose readers write nothing: programs have the page for
//! reading. The kernel has no reference to it, as programs share it, and makes the
//! [`copies`] one after the other.

use ochre_sync::SeqWords;

/// Fraction bits of [`Clock::factor`].
pub const FRACTION_BITS: u32 = 40;

/// How the time follows from the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The counter at monotonic time zero.
    pub origin: u64,
    /// Nanoseconds per count, with [`FRACTION_BITS`] bits behind the point; 0
    /// if the counter is not the clock.
    pub factor: u64,
    /// What the wall clock is ahead of the monotonic one, in nanoseconds.
    pub wall_offset_ns: u64,
}

impl Clock {
    /// The monotonic clock, as the kernel computes it too.
    #[inline(always)]
    pub fn monotonic_ns(&self, counter: u64) -> u64 {
        let elapsed = u128::from(counter.saturating_sub(self.origin));
        // CAST: the product has no more bits for centuries.
        (elapsed.wrapping_mul(u128::from(self.factor)) >> FRACTION_BITS) as u64
    }

    /// The wall clock.
    #[inline(always)]
    pub fn wall_ns(&self, counter: u64) -> u64 {
        self.monotonic_ns(counter).wrapping_add(self.wall_offset_ns)
    }
}

/// The page, as a program sees it: the words of a [`Clock`], in order.
#[repr(transparent)]
#[derive(Debug)]
pub struct Page(SeqWords<3>);

impl Page {
    /// What the page says; `None` if the counter is not the clock.
    #[inline(always)]
    pub fn read(&self) -> Option<Clock> {
        let [origin, factor, wall_offset_ns] = self.0.read();
        (factor != 0).then_some(Clock {
            origin,
            factor,
            wall_offset_ns,
        })
    }
}

/// What to copy to which byte of the page, in this order, to change it from what
/// has `sequence` (an even number) to `clock`; the page has `sequence + 2` then.
/// See [`SeqWords::copies`].
pub fn copies(sequence: u64, clock: Clock) -> impl Iterator<Item = (usize, u64)> {
    let words = [clock.origin, clock.factor, clock.wall_offset_ns];
    SeqWords::copies(sequence, words)
}

#[cfg(test)]
mod tests {
    use super::{Clock, Page, SeqWords, copies};
    use std::vec::Vec;

    #[test]
    fn an_empty_page_is_no_clock() {
        assert_eq!(Page(SeqWords::new([0; 3])).read(), None);
    }

    #[test]
    fn what_is_copied_is_what_is_read() {
        let clock = Clock {
            origin: 1,
            factor: 2,
            wall_offset_ns: 3,
        };
        assert_eq!(Page(SeqWords::new([1, 2, 3])).read(), Some(clock));
        let copies: Vec<_> = copies(4, clock).collect();
        assert_eq!(copies, [(0, 5), (8, 1), (16, 2), (24, 3), (0, 6)]);
    }

    #[test]
    fn counts_become_nanoseconds() {
        let at = |hz: u64, counter: u64| {
            Clock {
                origin: 1000,
                factor: ((1_000_000_000_u128 << 40) / u128::from(hz)) as u64,
                wall_offset_ns: 5,
            }
            .wall_ns(counter)
        };
        assert_eq!(at(1_000_000_000, 1000), 5);
        assert_eq!(at(1_000_000_000, 999), 5, "not before zero");
        assert_eq!(at(1_000_000_000, 8000), 7005);
        let century = 3_000_000_000 * 86_400 * 36_525;
        let off = at(3_000_000_000, century).abs_diff(86_400 * 36_525 * 1_000_000_000);
        assert!(off < 3_600_000_000, "{off}");
    }
}
