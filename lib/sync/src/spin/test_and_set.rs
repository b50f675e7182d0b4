//! Test and test-and-set: one bit, taken by whoever comes first.
//!
//! States of `locked`: `false` free, `true` held. Transitions: `lock` and
//! `try_lock` take `false -> true` with Acquire, `unlock` stores `false` with
//! Release.
//!
//! Those who wait only read: a read leaves the cache line with all of them, while
//! an attempt takes it from the holder, who needs it to give the lock back.

use super::lock::{Guard, Lock, RawSpin};
use crate::maybe_const;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::spin_loop;

/// Mutual exclusion by spinning, for data held for a few instructions.
///
/// Unfair: under contention a processor near the holder may get it again and
/// again; see [`TicketLock`](super::TicketLock). It does not keep interrupts out;
/// see [`IrqSafe`](super::IrqSafe).
///
/// ```
/// use ochre_sync::SpinLock;
///
/// static NUMBERS: SpinLock<Vec<u32>> = SpinLock::new(Vec::new());
///
/// std::thread::scope(|scope| {
///     scope.spawn(|| NUMBERS.lock().push(1));
///     scope.spawn(|| {
///         let mut numbers = NUMBERS.lock();
///         numbers.push(2);
///         numbers.push(2);
///     });
/// });
/// let numbers = NUMBERS.lock();
/// assert!(*numbers == [1, 2, 2] || *numbers == [2, 2, 1]);
/// ```
pub type SpinLock<T> = Lock<TestAndSet, T>;

/// Access to a [`SpinLock`]'s value; gives the lock back when dropped.
///
/// ```
/// use ochre_sync::SpinLock;
/// use ochre_sync::spin::SpinLockGuard;
///
/// fn count(mut numbers: SpinLockGuard<'_, u32>) {
///     *numbers += 1;
/// }
///
/// let lock = SpinLock::new(1);
/// count(lock.lock());
/// assert_eq!(lock.into_inner(), 2);
/// ```
pub type SpinLockGuard<'a, T> = Guard<'a, TestAndSet, T>;

/// How a [`SpinLock`] waits.
///
/// ```
/// use ochre_sync::spin::{Lock, TestAndSet};
///
/// static LOCK: Lock<TestAndSet, u32> = Lock::with_raw(TestAndSet::new(), 1);
/// assert_eq!(*LOCK.lock(), 1);
/// ```
#[derive(Debug, Default)]
pub struct TestAndSet {
    locked: AtomicBool,
}

impl TestAndSet {
    maybe_const! {
        /// A free lock.
        ///
        /// ```
        /// use ochre_sync::spin::{RawSpin, TestAndSet};
        ///
        /// static RAW: TestAndSet = TestAndSet::new();
        /// assert!(RAW.try_lock() && !RAW.try_lock());
        /// ```
        #[must_use]
        pub fn new() -> TestAndSet {
            TestAndSet {
                locked: AtomicBool::new(false),
            }
        }
    }
}

// SAFETY: `locked` goes from false to true by one compare-exchange at a time,
// with Acquire, and back by a Release store of the one who did that.
unsafe impl RawSpin for TestAndSet {
    const NAME: &'static str = "SpinLock";
    const FAIR: bool = false;

    // ANCHOR: lock
    #[inline]
    fn lock(&self) {
        let mut hints = 1;
        while !self.try_lock() {
            while self.is_locked() {
                for _ in 0..hints {
                    spin_loop();
                }
                hints = (2 * hints).min(MOST_HINTS);
            }
        }
    }
    // ANCHOR_END: lock

    // ANCHOR: try_lock
    #[inline]
    fn try_lock(&self) -> bool {
        // A swap would do as well, but it writes when it fails too, and loom then
        // lets a waiter read its own write for ever.
        // ORDERING: Acquire pairs with the Release of `unlock`; a failure tells
        // nothing but that the lock was held.
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }
    // ANCHOR_END: try_lock

    #[inline]
    fn is_locked(&self) -> bool {
        // ORDERING: Relaxed; a chance is waited for, `try_lock` synchronises.
        self.locked.load(Ordering::Relaxed)
    }

    #[inline]
    unsafe fn unlock(&self) {
        // ORDERING: Release publishes what the holder wrote to the next `try_lock`.
        self.locked.store(false, Ordering::Release);
    }
}

/// How many hints there are at most between two looks. Not more than one for a
/// checker, to which each is another step to explore.
const MOST_HINTS: u32 = if cfg!(any(loom, shuttle, miri)) {
    1
} else {
    16
};

impl<T> Lock<TestAndSet, T> {
    maybe_const! {
        /// A free lock around `value`.
        ///
        /// ```
        /// use ochre_sync::SpinLock;
        ///
        /// static TICKS: SpinLock<u64> = SpinLock::new(0);
        /// *TICKS.lock() += 1;
        /// assert_eq!(*TICKS.lock(), 1);
        /// ```
        pub fn new(value: T) -> Lock<TestAndSet, T> {
            Lock::with_raw(TestAndSet::new(), value)
        }
    }
}
