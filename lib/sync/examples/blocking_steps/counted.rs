//! Linux's futexes, counted.

use core::time::Duration;

use ochre_sync::blocking::{Blocking, Futex};
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Sleeps in Linux's futexes and counts the calls.
#[derive(Debug)]
pub(crate) struct Counted;

/// How many calls there were since the last time this was asked.
pub(crate) fn calls() -> u64 {
    // ORDERING: Relaxed; asked when the others are done.
    CALLS.swap(0, Ordering::Relaxed)
}

fn count() {
    // ORDERING: Relaxed; a statistic.
    CALLS.fetch_add(1, Ordering::Relaxed);
}

impl Blocking for Counted {
    type Instant = <Futex as Blocking>::Instant;

    fn after(timeout: Duration) -> Option<Self::Instant> {
        Futex::after(timeout)
    }

    fn wait(word: &AtomicU32, expected: u32) {
        count();
        Futex::wait(word, expected);
    }

    fn wait_until(word: &AtomicU32, expected: u32, deadline: Self::Instant) -> bool {
        count();
        Futex::wait_until(word, expected, deadline)
    }

    fn wake_one(word: *const AtomicU32) -> bool {
        count();
        Futex::wake_one(word)
    }

    fn wake_all(word: *const AtomicU32) {
        count();
        Futex::wake_all(word);
    }

    fn requeue(word: &AtomicU32, expected: u32, target: *const AtomicU32) -> bool {
        count();
        Futex::requeue(word, expected, target)
    }
}
