//! A barrier: threads meet, and go on together.
//!
//! Every arrival draws a number. Of each `size` of them that follow one another,
//! which are a round, the last ends the round: it counts `ended` up and wakes
//! the others, who sleep at that word until their round is over.
//!
//! # What must hold
//! A number is drawn once and its round follows from it alone, so a thread that
//! arrives while a round is ending is in the next one, whatever it sees of
//! `ended`. The numbers do not wrap (2^64 arrivals).

use core::fmt;
use core::marker::PhantomData;

use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A meeting point for `size` threads, again and again.
///
/// What any of them did before it came happens before all of them go on. One
/// that never comes keeps the others for ever; if more than `size` take part,
/// the next rounds are theirs.
///
/// ```
/// use std::thread;
/// use ochre_sync::host::Barrier;
///
/// let barrier = Barrier::new(3);
/// let leaders = thread::scope(|scope| {
///     let threads: Vec<_> = (0..3)
///         .map(|_| scope.spawn(|| barrier.wait().is_leader()))
///         .collect();
///     let leads = threads.into_iter().map(|thread| thread.join().expect("no panic"));
///     leads.filter(|leads| *leads).count()
/// });
/// assert_eq!(leaders, 1);
/// ```
pub struct Barrier<B> {
    size: usize,
    arrivals: AtomicUsize,
    ended: AtomicU32,
    backend: PhantomData<fn() -> B>,
}

/// What a thread is told that has been at a [`Barrier`].
///
/// ```
/// use ochre_sync::host::Barrier;
///
/// let barrier = Barrier::new(1);
/// assert!(barrier.wait().is_leader(), "one of one");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    leader: bool,
}

impl BarrierWaitResult {
    /// Whether it was the last to come; true for one thread of each round.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU32, Ordering};
    /// use ochre_sync::host::Barrier;
    ///
    /// let (barrier, reports) = (Barrier::new(3), AtomicU32::new(0));
    /// std::thread::scope(|scope| {
    ///     for _ in 0..3 {
    ///         scope.spawn(|| {
    ///             if barrier.wait().is_leader() {
    ///                 reports.fetch_add(1, Ordering::Relaxed); // one for all of them
    ///             }
    ///         });
    ///     }
    /// });
    /// assert_eq!(reports.into_inner(), 1);
    /// ```
    #[must_use]
    pub fn is_leader(self) -> bool {
        self.leader
    }
}

impl<B: Blocking> Barrier<B> {
    maybe_const! {
        /// A barrier for `size` threads; 0 is as 1.
        ///
        /// ```
        /// use ochre_sync::host::Barrier;
        ///
        /// static ALONE: Barrier = Barrier::new(1);
        /// assert!(ALONE.wait().is_leader() && ALONE.wait().is_leader(), "nobody to wait for");
        /// ```
        #[must_use]
        pub fn new(size: usize) -> Barrier<B> {
            Barrier {
                size: if size == 0 { 1 } else { size },
                arrivals: AtomicUsize::new(0),
                ended: AtomicU32::new(0),
                backend: PhantomData,
            }
        }
    }

    /// Sleeps until the others of the round are here.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU32, Ordering};
    /// use ochre_sync::host::Barrier;
    ///
    /// let (barrier, written) = (Barrier::new(2), AtomicU32::new(0));
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             written.fetch_add(1, Ordering::Relaxed);
    ///             barrier.wait();
    ///             // Each sees what both wrote before they met.
    ///             assert_eq!(written.load(Ordering::Relaxed), 2);
    ///         });
    ///     }
    /// });
    /// ```
    pub fn wait(&self) -> BarrierWaitResult {
        // ORDERING: Release and Acquire: each arrival passes on what it and
        // those before it did, so that the last has all of it.
        let number = self.arrivals.fetch_add(1, Ordering::AcqRel);
        let leader = number % self.size == self.size - 1;
        if leader {
            // ORDERING: Release pairs with the Acquire below.
            self.ended.fetch_add(1, Ordering::Release);
            B::wake_all(&raw const self.ended);
        } else {
            // Rounds end in order or nearly so: how many have ended when this
            // one has, in 32 bits of which differences are meant.
            let round = u32::try_from((number / self.size) & 0xffff_ffff).expect("32 bits fit");
            loop {
                // ORDERING: Acquire pairs with the leader's Release.
                let ended = self.ended.load(Ordering::Acquire);
                if ended.wrapping_sub(round).cast_signed() > 0 {
                    break;
                }
                B::wait(&self.ended, ended);
            }
        }
        BarrierWaitResult { leader }
    }
}

impl<B> fmt::Debug for Barrier<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Barrier;
    use crate::blocking::{Blocking, Futex, Spin};
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    fn rounds<B: Blocking>(size: u32, rounds: u32) {
        let barrier = Barrier::<B>::new(size as usize);
        let (done, leaders) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..size {
                scope.spawn(|| {
                    for round in 1..=rounds {
                        done.fetch_add(1, Ordering::Relaxed);
                        if barrier.wait().is_leader() {
                            leaders.fetch_add(1, Ordering::Relaxed);
                        }
                        // All have done this round, and nobody the next.
                        assert_eq!(done.load(Ordering::Relaxed), round * size);
                        barrier.wait();
                    }
                });
            }
        });
        assert_eq!(leaders.into_inner(), rounds);
    }

    #[test]
    fn nobody_goes_on_alone() {
        rounds::<Futex>(4, if cfg!(miri) { 5 } else { 2_000 });
        rounds::<Spin>(2, if cfg!(miri) { 3 } else { 50 });
        rounds::<Futex>(1, 3);
        assert!(Barrier::<Spin>::new(0).wait().is_leader());
    }

    #[test]
    fn more_threads_than_a_round_has_places_take_turns() {
        let barrier = Barrier::<Futex>::new(2);
        let turns = if cfg!(miri) { 4 } else { 2_000 };
        // From one pool, so that nobody is left to meet itself.
        let left = AtomicU32::new(2 * turns);
        let leaders = AtomicU32::new(0);
        let draw = || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while draw().is_ok() {
                        if barrier.wait().is_leader() {
                            leaders.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(leaders.into_inner(), turns);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Barrier;
    use crate::blocking::Model;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Shared {
        barrier: Barrier<Model>,
        data: Vec<UnsafeCell<u32>>,
    }

    // SAFETY: the models are there to check the accesses to `data`.
    unsafe impl Sync for Shared {}
    // SAFETY: as above.
    unsafe impl Send for Shared {}

    fn meet(size: usize, rounds: usize) {
        loom::model(move || {
            let shared = Arc::new(Shared {
                barrier: Barrier::new(size),
                data: (0..size * rounds).map(|_| UnsafeCell::new(0)).collect(),
            });
            let visit = move |shared: &Shared, me: usize| {
                for round in 0..rounds {
                    let data = &shared.data[round * size..][..size];
                    // SAFETY: each writes its own before the barrier.
                    data[me].with_mut(|data| unsafe { *data = 1 });
                    shared.barrier.wait();
                    for data in data {
                        // SAFETY: behind the barrier nobody writes.
                        assert_eq!(data.with(|data| unsafe { *data }), 1);
                    }
                }
            };
            let threads: Vec<_> = (1..size)
                .map(|me| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || visit(&shared, me))
                })
                .collect();
            visit(&shared, 0);
            for thread in threads {
                thread.join().expect("all finish");
            }
        });
    }

    #[test]
    fn all_that_was_done_before_is_seen_behind() {
        meet(2, 2);
        meet(3, 1);
    }
}
