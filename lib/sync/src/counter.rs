//! Counters that every processor adds to, each at a place of its own.
//!
//! A counter in one word goes from cache to cache with every addition. Here each
//! processor has a word on a cache line of its own; whoever wants the sum reads
//! all of them. It pays where additions are many and sums are few.
//!
//! ORDERING: Relaxed throughout: a counter tells how many, not what else has
//! happened.

use core::array;
use core::fmt;
use core::marker::PhantomData;

use crate::primitive::atomic::{AtomicU64, Ordering};

/// Who is asking. The machine implements it.
///
/// ```
/// use ochre_sync::Processor;
///
/// struct Here;
///
/// impl Processor for Here {
///     fn index() -> usize {
///         0 // from the machine
///     }
/// }
/// assert_eq!(Here::index(), 0);
/// ```
pub trait Processor {
    /// A number for the processor this runs on. It may be another one by the time
    /// the caller uses it; that costs speed, not correctness.
    fn index() -> usize;
}

/// A word with a cache line for itself, and for the one that is fetched with it.
#[repr(align(128))]
struct Slot(AtomicU64);

/// A counter for `N` processors or more (more share the words).
///
/// ```
/// use ochre_sync::{Counter, Processor};
///
/// struct Here;
///
/// impl Processor for Here {
///     fn index() -> usize {
///         0 // from the machine
///     }
/// }
///
/// static FAULTS: Counter<Here, 64> = Counter::new();
///
/// FAULTS.add(2);
/// FAULTS.sub(1);
/// assert_eq!(FAULTS.sum(), 1);
/// ```
pub struct Counter<P, const N: usize> {
    slots: [Slot; N],
    processor: PhantomData<fn() -> P>,
}

impl<P, const N: usize> Counter<P, N> {
    /// A counter at 0.
    ///
    /// ```
    /// use ochre_sync::{Counter, Processor};
    ///
    /// struct Here;
    ///
    /// impl Processor for Here {
    ///     fn index() -> usize {
    ///         0 // from the machine
    ///     }
    /// }
    ///
    /// static SWITCHES: Counter<Here, 8> = Counter::new();
    /// assert_eq!(SWITCHES.sum(), 0);
    /// ```
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Counter<P, N> {
        const { assert!(N > 0, "there is a processor") };
        Counter {
            slots: [const { Slot(AtomicU64::new(0)) }; N],
            processor: PhantomData,
        }
    }

    /// A counter at 0.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Counter<P, N> {
        Counter {
            slots: array::from_fn(|_| Slot(AtomicU64::new(0))),
            processor: PhantomData,
        }
    }

    /// The sum of what has been added and subtracted, modulo 2^64.
    ///
    /// Nothing is lost: once those who add are done, and the caller knows it, the
    /// sum is exact. Meanwhile it counts each addition once or not at all; as
    /// the words are read one after the other it may know of a later addition
    /// and not of an earlier one. If there are additions only, it lies between
    /// what the sum was when the call began and what it was when it ended.
    ///
    /// ```
    /// # use ochre_sync::{Counter, Processor};
    /// # struct Here;
    /// # impl Processor for Here {
    /// #     fn index() -> usize {
    /// #         0
    /// #     }
    /// # }
    /// static CALLS: Counter<Here, 8> = Counter::new();
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| (0..10).for_each(|_| CALLS.add(1)));
    ///     }
    /// });
    /// assert_eq!(CALLS.sum(), 20); // exact, as the threads have ended
    /// ```
    pub fn sum(&self) -> u64 {
        self.slots
            .iter()
            .map(|slot| slot.0.load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }

    /// What each processor has added.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicUsize, Ordering};
    /// use ochre_sync::{Counter, Processor};
    ///
    /// static HERE: AtomicUsize = AtomicUsize::new(0);
    /// struct Here;
    ///
    /// impl Processor for Here {
    ///     fn index() -> usize {
    ///         HERE.load(Ordering::Relaxed) // from the machine
    ///     }
    /// }
    ///
    /// let interrupts: Counter<Here, 2> = Counter::new();
    /// interrupts.add(3);
    /// HERE.store(1, Ordering::Relaxed); // the thread has been moved
    /// interrupts.add(5);
    /// assert_eq!((interrupts.parts(), interrupts.sum()), ([3, 5], 8));
    /// ```
    pub fn parts(&self) -> [u64; N] {
        array::from_fn(|index| self.slots[index].0.load(Ordering::Relaxed))
    }
}

impl<P: Processor, const N: usize> Counter<P, N> {
    /// Adds.
    ///
    /// ```
    /// # use ochre_sync::{Counter, Processor};
    /// # struct Here;
    /// # impl Processor for Here {
    /// #     fn index() -> usize {
    /// #         0
    /// #     }
    /// # }
    /// static SENT: Counter<Here, 8> = Counter::new();
    /// for packet in ["one", "three"] {
    ///     SENT.add(packet.len() as u64);
    /// }
    /// assert_eq!(SENT.sum(), 8);
    /// ```
    #[inline]
    pub fn add(&self, value: u64) {
        self.slot().fetch_add(value, Ordering::Relaxed);
    }

    /// Subtracts, from what other processors have added, too.
    ///
    /// ```
    /// # use ochre_sync::{Counter, Processor};
    /// # struct Here;
    /// # impl Processor for Here {
    /// #     fn index() -> usize {
    /// #         0
    /// #     }
    /// # }
    /// static OPEN: Counter<Here, 8> = Counter::new();
    /// OPEN.add(2);
    /// OPEN.sub(1);
    /// assert_eq!(OPEN.sum(), 1);
    /// ```
    #[inline]
    pub fn sub(&self, value: u64) {
        self.slot().fetch_sub(value, Ordering::Relaxed);
    }

    #[inline]
    fn slot(&self) -> &AtomicU64 {
        &self.slots[P::index() % N].0
    }
}

impl<P, const N: usize> Default for Counter<P, N> {
    fn default() -> Counter<P, N> {
        Counter::new()
    }
}

impl<P, const N: usize> fmt::Debug for Counter<P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.sum()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Counter, Processor};
    use core::cell::Cell;
    use std::thread;

    std::thread_local! {
        static INDEX: Cell<usize> = const { Cell::new(0) };
    }

    struct Thread;

    impl Processor for Thread {
        fn index() -> usize {
            INDEX.get()
        }
    }

    #[test]
    fn nothing_is_lost_also_when_processors_share_a_word() {
        let rounds = if cfg!(miri) { 20 } else { 20_000 };
        let counter: Counter<Thread, 2> = Counter::new();
        thread::scope(|scope| {
            for index in 0..3 {
                let counter = &counter;
                scope.spawn(move || {
                    INDEX.set(index);
                    let mut last = 0;
                    for _ in 0..rounds {
                        counter.add(3);
                        let sum = counter.sum();
                        assert!(sum > last, "with additions only it grows");
                        last = sum;
                    }
                });
            }
        });
        assert_eq!(counter.sum(), 9 * rounds);
        assert_eq!(counter.parts(), [6 * rounds, 3 * rounds]);
    }

    #[test]
    fn one_processor_may_take_what_another_gave() {
        let counter: Counter<Thread, 2> = Counter::default();
        counter.add(1);
        INDEX.set(1);
        counter.sub(1);
        assert_eq!(counter.sum(), 0);
        assert_eq!(format!("{counter:?}"), "Counter(0)");
        assert_eq!(align_of::<Counter<Thread, 2>>(), 128);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::{Counter, Processor};
    use loom::sync::Arc;
    use loom::thread;

    /// Both threads say they are the same processor: the worst that can be.
    struct Same;

    impl Processor for Same {
        fn index() -> usize {
            1
        }
    }

    #[test]
    fn two_at_one_word_lose_nothing() {
        loom::model(|| {
            let counter: Arc<Counter<Same, 2>> = Arc::new(Counter::new());
            let other = Arc::clone(&counter);
            let thread = thread::spawn(move || other.add(1));
            counter.add(2);
            thread.join().expect("no panic");
            assert_eq!(counter.sum(), 3);
        });
    }
}
