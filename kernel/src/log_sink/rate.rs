//! How many lines the log takes: a burst, then so many a second.
//!
//! A line takes as long as it takes to write it, on a machine whose log is a
//! port byte by byte. Who logs in each interrupt of a device gone mad, or each
//! time a program does something odd, would leave no time for anything else,
//! and push out of the ring what explains it. What is left out is counted, and
//! told when lines are taken again.
//!
//! # Why this cannot deadlock
//! It is two words and no lock.

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

/// Lines that may come at once.
const BURST: u64 = 1000;

/// The time in which one more may come.
const INTERVAL_NS: u64 = 5_000_000;

/// See the module.
pub(super) struct Limit {
    /// When the log will be as if it had been silent, if nothing more comes.
    ///
    /// ORDERING: Relaxed, as for the other; nothing is published by them.
    rests_at_ns: AtomicU64,
    /// Lines left out that nobody has been told of.
    left_out: AtomicU64,
}

impl Limit {
    /// Nothing was logged yet.
    pub(super) const fn new() -> Limit {
        Limit {
            rests_at_ns: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether a line is taken now; if so, how many were left out before it.
    pub(super) fn admit(&self, now_ns: u64) -> Option<u64> {
        let admitted =
            self.rests_at_ns
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |rests_at| {
                    let from = rests_at.max(now_ns);
                    let is_full = from - now_ns >= BURST * INTERVAL_NS;
                    (!is_full).then(|| from.saturating_add(INTERVAL_NS))
                });
        if admitted.is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, INTERVAL_NS, Limit};

    #[test]
    fn a_storm_is_cut_and_told() {
        let limit = Limit::new();
        let mut now = 1;
        let taken = |now: u64, count: u64| {
            let admitted = (0..count).filter_map(|_| limit.admit(now));
            admitted.fold((0, 0), |(lines, told), left_out| {
                (lines + 1, told + left_out)
            })
        };
        assert_eq!(taken(now, BURST + 500), (BURST, 0));
        now += INTERVAL_NS;
        assert_eq!(taken(now, 10), (1, 500));
        // Who is silent for long may say as much as at first, and no more.
        now += 1_000_000 * INTERVAL_NS;
        assert_eq!(taken(now, 2 * BURST), (BURST, 9));
    }

    #[test]
    fn ordinary_lines_are_all_taken() {
        let limit = Limit::new();
        for line in 0..10_000 {
            assert_eq!(limit.admit(line * INTERVAL_NS), Some(0), "line {line}");
        }
    }
}
