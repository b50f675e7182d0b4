//! The page behind the vDSO, under a sequence lock.
//!
//! # Protocol
//! `sequence` is odd while the kernel writes. A reader loads it, then the
//! values, then it again; an odd number, or another one the second time, means
//! that the values may not belong together, and it starts anew. Every access is
//! an atomic one, so a value is old or new but never torn.
//!
//! ```text
//! kernel                         program
//! sequence = n + 1               s = sequence (Acquire); odd: again
//! fence(Release)                 values
//! values                         fence(Acquire)
//! sequence = n + 2 (Release)     sequence == s, or again
//! ```
//! The kernel has no reference to the page, which programs share: it copies
//! [`Step`]s into it, one after the other, with a fence between.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

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

/// The page, as a program sees it.
#[repr(C)]
#[derive(Debug)]
pub struct Page {
    sequence: AtomicU32,
    reserved: AtomicU32,
    origin: AtomicU64,
    factor: AtomicU64,
    wall_offset_ns: AtomicU64,
}

impl Page {
    /// What the page says; `None` if the counter is not the clock.
    #[inline(always)]
    pub fn read(&self) -> Option<Clock> {
        loop {
            // ORDERING: Acquire: the values are loaded after this; see the module.
            let before = self.sequence.load(Ordering::Acquire);
            let clock = Clock {
                origin: self.origin.load(Ordering::Relaxed),
                factor: self.factor.load(Ordering::Relaxed),
                wall_offset_ns: self.wall_offset_ns.load(Ordering::Relaxed),
            };
            // ORDERING: the values are loaded before what comes after.
            fence(Ordering::Acquire);
            if before & 1 == 0 && self.sequence.load(Ordering::Relaxed) == before {
                return if clock.factor == 0 { None } else { Some(clock) };
            }
            spin_loop();
        }
    }
}

/// Bytes that go to a place in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A word of 32 bits.
    Word(usize, u32),
    /// A word of 64 bits.
    Double(usize, u64),
}

/// What to write, in this order, to change the page from what has `sequence`
/// (an even number) to `clock`; the page has `sequence + 2` then.
#[must_use]
pub fn steps(sequence: u32, clock: Clock) -> [Step; 5] {
    use core::mem::offset_of;
    [
        Step::Word(offset_of!(Page, sequence), sequence.wrapping_add(1)),
        Step::Double(offset_of!(Page, origin), clock.origin),
        Step::Double(offset_of!(Page, factor), clock.factor),
        Step::Double(offset_of!(Page, wall_offset_ns), clock.wall_offset_ns),
        Step::Word(offset_of!(Page, sequence), sequence.wrapping_add(2)),
    ]
}

#[cfg(test)]
mod tests {
    use super::{AtomicU32, AtomicU64, Clock, Ordering, Page, Step, fence, steps};
    use core::sync::atomic::AtomicBool;
    use std::sync::Arc;

    impl Page {
        fn empty() -> Page {
            Page {
                sequence: AtomicU32::new(0),
                reserved: AtomicU32::new(0),
                origin: AtomicU64::new(0),
                factor: AtomicU64::new(0),
                wall_offset_ns: AtomicU64::new(0),
            }
        }

        /// As the kernel does.
        fn apply(&self, step: Step) {
            fence(Ordering::SeqCst);
            match step {
                Step::Word(0, value) => self.sequence.store(value, Ordering::Relaxed),
                Step::Double(8, value) => self.origin.store(value, Ordering::Relaxed),
                Step::Double(16, value) => self.factor.store(value, Ordering::Relaxed),
                Step::Double(24, value) => self.wall_offset_ns.store(value, Ordering::Relaxed),
                other => panic!("no such place: {other:?}"),
            }
            fence(Ordering::SeqCst);
        }
    }

    fn clock(n: u64) -> Clock {
        Clock {
            origin: n,
            factor: n.wrapping_mul(3) | 1,
            wall_offset_ns: !n,
        }
    }

    #[test]
    fn an_empty_page_is_no_clock() {
        assert_eq!(Page::empty().read(), None);
    }

    #[test]
    fn readers_see_what_belongs_together() {
        let page = Arc::new(Page::empty());
        let done = Arc::new(AtomicBool::new(false));
        let reader = {
            let (page, done) = (Arc::clone(&page), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut seen = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    if let Some(read) = page.read() {
                        assert_eq!(read, clock(read.origin));
                        assert!(read.origin >= seen, "time went back");
                        seen = read.origin;
                    }
                }
                seen
            })
        };
        let rounds = if cfg!(miri) { 20 } else { 100_000 };
        let mut sequence = 0;
        for n in 1..=rounds {
            for step in steps(sequence, clock(n)) {
                page.apply(step);
            }
            sequence += 2;
        }
        done.store(true, Ordering::Relaxed);
        let seen = reader.join().expect("the reader found nothing torn");
        assert!(seen <= rounds);
        assert_eq!(page.read(), Some(clock(rounds)));
    }

    #[test]
    fn half_a_step_is_not_read() {
        let page = Page::empty();
        for step in steps(0, clock(1)) {
            page.apply(step);
        }
        let [odd, ..] = steps(2, clock(2));
        assert_eq!(odd, Step::Word(0, 3));
        page.apply(odd);
        assert_eq!(page.sequence.load(Ordering::Relaxed) & 1, 1);
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
