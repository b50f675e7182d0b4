//! Semaphores: a number of permits to take and to give.
//!
//! One word: the permits in the low bits, and `WAITS` if somebody may sleep.
//!
//! ```text
//!   acquire, nobody asleep that is known of:  n -> n - 1
//!   acquire, about to sleep:                  0 -> WAITS
//!   release:                   [WAITS |] n -> n + k, wakes one if WAITS was set
//!   acquire by one who slept:  [WAITS |] n -> WAITS | n - 1, wakes one if n > 1
//! ```
//!
//! # What must hold
//! Where somebody sleeps, `WAITS` is set or one who slept was woken and has not
//! yet looked. That one sets it again, whether it takes a permit or sleeps or
//! gives up; and if it leaves permits behind, it wakes the next, because those
//! who released them may have seen no `WAITS`.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use crate::backoff::Backoff;
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU32, Ordering};

const WAITS: u32 = 1 << 31;
const PERMITS: u32 = WAITS - 1;

/// A count of permits: [`acquire`](Semaphore::acquire) takes one and sleeps at
/// none, [`release`](Semaphore::release) gives some.
///
/// To limit how many do something at once, use [`access`](Semaphore::access),
/// whose guard gives the permit back. Who acquires and who releases may be
/// different threads: then a permit is a message without content, and what was
/// done before `release` happens before the `acquire` that gets it.
///
/// ```
/// use ochre_sync::host::Semaphore;
///
/// static SLOTS: Semaphore = Semaphore::new(2);
/// let (one, two) = (SLOTS.access(), SLOTS.access());
/// assert!(!SLOTS.try_acquire());
/// drop(one);
/// assert!(SLOTS.try_acquire());
/// # drop(two);
/// ```
pub struct Semaphore<B> {
    word: AtomicU32,
    backend: PhantomData<fn() -> B>,
}

impl<B: Blocking> Semaphore<B> {
    /// The most permits there can be.
    ///
    /// ```
    /// use ochre_sync::host::Semaphore;
    ///
    /// // For what has no limit of its own.
    /// let wanted = usize::MAX;
    /// let slots = Semaphore::new(u32::try_from(wanted).map_or(Semaphore::MAX, |n| n.min(Semaphore::MAX)));
    /// assert_eq!(slots.available(), Semaphore::MAX);
    /// ```
    pub const MAX: u32 = PERMITS;

    maybe_const! {
        /// A semaphore with so many permits.
        ///
        /// ```
        /// use ochre_sync::host::Semaphore;
        ///
        /// static CONNECTIONS: Semaphore = Semaphore::new(100);
        /// assert_eq!(CONNECTIONS.available(), 100);
        /// ```
        ///
        /// # Panics
        /// If they are more than [`MAX`](Semaphore::MAX).
        #[must_use]
        pub fn new(permits: u32) -> Semaphore<B> {
            assert!(permits <= PERMITS, "too many permits");
            Semaphore {
                word: AtomicU32::new(permits),
                backend: PhantomData,
            }
        }
    }

    /// Takes a permit; sleeps while there is none.
    ///
    /// ```
    /// use ochre_sync::host::Semaphore;
    ///
    /// let done = Semaphore::new(0);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..3 {
    ///         scope.spawn(|| done.release(1));
    ///     }
    ///     for _ in 0..3 {
    ///         done.acquire(); // one for each thread that is done
    ///     }
    /// });
    /// assert_eq!(done.available(), 0);
    /// ```
    #[inline]
    pub fn acquire(&self) {
        if !self.take_first() {
            self.acquire_contended(None);
        }
    }

    /// Takes a permit if there is one now.
    ///
    /// ```
    /// use ochre_sync::host::Semaphore;
    ///
    /// let slots = Semaphore::new(2);
    /// let served = (0..5).filter(|_| slots.try_acquire()).count();
    /// assert_eq!(served, 2); // the others are turned away
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.take(0)
    }

    /// Takes a permit if there is one within `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::Semaphore;
    ///
    /// let slots = Semaphore::new(1);
    /// assert!(slots.try_acquire_for(Duration::from_secs(60)), "at once");
    /// assert!(!slots.try_acquire_for(Duration::from_millis(1)));
    /// ```
    pub fn try_acquire_for(&self, timeout: Duration) -> bool {
        self.take_first() || self.acquire_contended(B::after(timeout))
    }

    /// Takes a permit if there is one before `deadline`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::host::Semaphore;
    ///
    /// let answers = Semaphore::new(2);
    /// // As many of three answers as come before one deadline.
    /// let deadline = Futex::after(Duration::from_millis(1)).expect("the clock can say it");
    /// let came = (0..3).filter(|_| answers.try_acquire_until(deadline)).count();
    /// assert_eq!(came, 2);
    /// ```
    pub fn try_acquire_until(&self, deadline: B::Instant) -> bool {
        self.take_first() || self.acquire_contended(Some(deadline))
    }

    /// Takes a permit, and gives it back when the guard is dropped.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicU32, Ordering};
    /// use ochre_sync::host::Semaphore;
    ///
    /// let (slots, inside) = (Semaphore::new(2), AtomicU32::new(0));
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(|| {
    ///             let _permit = slots.access();
    ///             assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
    ///             inside.fetch_sub(1, Ordering::Relaxed);
    ///         });
    ///     }
    /// });
    /// ```
    pub fn access(&self) -> Permit<'_, B> {
        self.acquire();
        Permit { semaphore: self }
    }

    /// Gives so many permits.
    ///
    /// ```
    /// use ochre_sync::host::Semaphore;
    ///
    /// let blocks = Semaphore::new(0);
    /// blocks.release(4); // a buffer of four has come
    /// assert!((0..4).all(|_| blocks.try_acquire()) && !blocks.try_acquire());
    /// ```
    ///
    /// # Panics
    /// If there would be more than [`MAX`](Semaphore::MAX).
    #[inline]
    pub fn release(&self, permits: u32) {
        assert!(self.try_release(permits), "too many permits");
    }

    /// Gives so many permits, unless there would be more than
    /// [`MAX`](Semaphore::MAX); says whether it did.
    ///
    /// ```
    /// use ochre_sync::host::Semaphore;
    ///
    /// let semaphore = Semaphore::new(Semaphore::MAX);
    /// assert!(!semaphore.try_release(1), "it would not know them all");
    /// assert!(semaphore.try_acquire() && semaphore.try_release(1));
    /// ```
    #[inline]
    pub fn try_release(&self, permits: u32) -> bool {
        let mut races = Backoff::<B>::for_races();
        // ORDERING: Relaxed; the compare-exchange decides.
        let mut state = self.word.load(Ordering::Relaxed);
        loop {
            let sum = match (state & PERMITS).checked_add(permits) {
                Some(sum) if sum <= PERMITS => sum,
                _ => return false,
            };
            // ORDERING: Release pairs with the Acquire in `take`; others that
            // take or give between continue the release sequence.
            match self
                .word
                .compare_exchange_weak(state, sum, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(_) => {
                    races.lost();
                    // ORDERING: Relaxed, as above.
                    state = self.word.load(Ordering::Relaxed);
                }
            }
        }
        if state & WAITS != 0 {
            self.wake();
        }
        true
    }

    /// How many permits there are; old news as soon as it is told.
    ///
    /// ```
    /// use ochre_sync::host::Semaphore;
    ///
    /// let slots = Semaphore::new(3);
    /// let permit = slots.access();
    /// assert_eq!(slots.available(), 2);
    /// # drop(permit);
    /// ```
    pub fn available(&self) -> u32 {
        // ORDERING: Relaxed; nothing may be concluded from the answer.
        self.word.load(Ordering::Relaxed) & PERMITS
    }

    #[cold]
    fn wake(&self) {
        B::wake_one(&raw const self.word);
    }

    /// Takes a permit if there is one and nobody else is about to.
    #[inline]
    fn take_first(&self) -> bool {
        // ORDERING: Relaxed; the compare-exchange decides.
        let state = self.word.load(Ordering::Relaxed);
        state & PERMITS != 0 && self.take_from(state)
    }

    /// Takes a permit of those that there are in `state`, by one who has not
    /// slept and is not answerable for others who do.
    #[inline]
    fn take_from(&self, state: u32) -> bool {
        // ORDERING: Acquire pairs with the Release in `try_release`.
        self.word
            .compare_exchange_weak(state, state - 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes a permit; `waits` is the bit to set for those who may sleep.
    #[inline]
    fn take(&self, waits: u32) -> bool {
        // ORDERING: Relaxed; the compare-exchange decides.
        let mut state = self.word.load(Ordering::Relaxed);
        while state & PERMITS != 0 {
            let left = (state - 1) | waits;
            // ORDERING: Acquire pairs with the Release in `try_release`.
            match self
                .word
                .compare_exchange_weak(state, left, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => {
                    if waits != 0 && left & PERMITS != 0 {
                        self.wake();
                    }
                    return true;
                }
                Err(now) => state = now,
            }
        }
        false
    }

    #[cold]
    fn acquire_contended(&self, deadline: Option<B::Instant>) -> bool {
        let mut backoff = Backoff::<B>::for_lock();
        let mut races = Backoff::<B>::for_races();
        loop {
            // ORDERING: Relaxed; this only waits for a chance.
            let state = self.word.load(Ordering::Relaxed);
            if state & PERMITS != 0 {
                if self.take_from(state) {
                    return true;
                }
                races.lost();
            } else if state == 0 && !backoff.is_over() {
                backoff.between();
            } else {
                break;
            }
        }
        let mut in_time = true;
        loop {
            if self.take(WAITS) {
                return true;
            }
            // ORDERING: Relaxed; to say that one sleeps publishes nothing.
            let said = self
                .word
                .compare_exchange(0, WAITS, Ordering::Relaxed, Ordering::Relaxed);
            if said.is_err_and(|state| state != WAITS) {
                continue;
            }
            // Without a permit, and the bit set for those who still sleep.
            if !in_time {
                return false;
            }
            match deadline {
                None => B::wait(&self.word, WAITS),
                Some(deadline) => in_time = B::wait_until(&self.word, WAITS, deadline),
            }
        }
    }
}

impl<B> fmt::Debug for Semaphore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").finish_non_exhaustive()
    }
}

/// A permit of a [`Semaphore`]; given back when dropped. It may change threads.
///
/// ```
/// use ochre_sync::host::Semaphore;
///
/// let slots = Semaphore::new(2);
/// let permit = slots.access();
/// assert_eq!(slots.available(), 1);
/// drop(permit);
/// assert_eq!(slots.available(), 2);
/// ```
///
/// It is given back once:
///
/// ```compile_fail,E0382
/// let slots = ochre_sync::host::Semaphore::new(2);
/// let permit = slots.access();
/// drop(permit);
/// drop(permit);
/// ```
#[must_use = "the permit is given back at once if this is not kept"]
pub struct Permit<'a, B: Blocking> {
    semaphore: &'a Semaphore<B>,
}

impl<B: Blocking> Permit<'_, B> {
    /// Takes the permit out of use for ever.
    ///
    /// ```
    /// use ochre_sync::host::Semaphore;
    ///
    /// let workers = Semaphore::new(2);
    /// workers.access().forget(); // one has died, and its place with it
    /// assert_eq!(workers.available(), 1);
    /// ```
    pub fn forget(self) {
        core::mem::forget(self);
    }
}

impl<B: Blocking> Drop for Permit<'_, B> {
    fn drop(&mut self) {
        // It was there before; only a release too many elsewhere can have
        // filled its place, and then it is not missed.
        self.semaphore.try_release(1);
    }
}

impl<B: Blocking> fmt::Debug for Permit<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A semaphore with at most one permit: a signal that is up or down.
///
/// [`raise`](BinarySemaphore::raise) on one that is up leaves it up, and is
/// still seen: all that was done before any `raise` so far happens before the
/// `acquire` that takes the signal. It is what parking is made of, for any
/// number of sleepers.
///
/// ```
/// use ochre_sync::host::BinarySemaphore;
///
/// let signal = BinarySemaphore::new(false);
/// signal.raise();
/// signal.raise();
/// signal.acquire();
/// assert!(!signal.try_acquire());
/// ```
pub struct BinarySemaphore<B> {
    inner: Semaphore<B>,
}

impl<B: Blocking> BinarySemaphore<B> {
    maybe_const! {
        /// A signal that is up or down.
        ///
        /// ```
        /// use ochre_sync::host::BinarySemaphore;
        ///
        /// static BUTTON: BinarySemaphore = BinarySemaphore::new(false);
        /// assert!(!BUTTON.try_acquire());
        /// ```
        #[must_use]
        pub fn new(up: bool) -> BinarySemaphore<B> {
            BinarySemaphore {
                inner: Semaphore::new(if up { 1 } else { 0 }),
            }
        }
    }

    /// Takes the signal down; sleeps until it is up.
    ///
    /// ```
    /// use ochre_sync::host::BinarySemaphore;
    ///
    /// let (ping, pong) = (BinarySemaphore::new(false), BinarySemaphore::new(false));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         ping.acquire();
    ///         pong.raise();
    ///     });
    ///     ping.raise();
    ///     pong.acquire();
    /// });
    /// assert!(!ping.try_acquire() && !pong.try_acquire());
    /// ```
    #[inline]
    pub fn acquire(&self) {
        self.inner.acquire();
    }

    /// Takes the signal down if it is up now.
    ///
    /// ```
    /// use ochre_sync::host::BinarySemaphore;
    ///
    /// let dirty = BinarySemaphore::new(true);
    /// assert!(dirty.try_acquire(), "there is something to write back");
    /// assert!(!dirty.try_acquire(), "it is done");
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.inner.try_acquire()
    }

    /// Takes the signal down if it is up within `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::BinarySemaphore;
    ///
    /// let stop = BinarySemaphore::new(false);
    /// // What is done now and then, until somebody says that it is enough.
    /// assert!(!stop.try_acquire_for(Duration::from_millis(1)));
    /// stop.raise();
    /// assert!(stop.try_acquire_for(Duration::from_secs(60)));
    /// ```
    pub fn try_acquire_for(&self, timeout: Duration) -> bool {
        self.inner.try_acquire_for(timeout)
    }

    /// Puts the signal up; says whether it was down.
    ///
    /// ```
    /// use ochre_sync::host::BinarySemaphore;
    ///
    /// let signal = BinarySemaphore::new(false);
    /// assert!(signal.raise());
    /// assert!(!signal.raise(), "it was up already");
    /// ```
    #[inline]
    pub fn raise(&self) -> bool {
        // ORDERING: Release pairs with the Acquire in `take`. A swap also if it
        // is up, so that the writes before this call are published.
        let state = self.inner.word.swap(1, Ordering::Release);
        if state & WAITS != 0 {
            self.inner.wake();
        }
        state & PERMITS == 0
    }
}

impl<B> fmt::Debug for BinarySemaphore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BinarySemaphore").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{BinarySemaphore, Semaphore};
    use crate::blocking::{Blocking, Futex, Spin};
    use core::sync::atomic::{AtomicU32, Ordering};
    use core::time::Duration;
    use std::thread;

    #[test]
    fn counts_permits() {
        let semaphore = Semaphore::<Futex>::new(1);
        semaphore.acquire();
        assert!(!semaphore.try_acquire());
        assert!(!semaphore.try_acquire_for(Duration::from_millis(1)));
        semaphore.release(2);
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire_for(Duration::MAX));
        drop(semaphore.access());
        semaphore.access().forget();
        assert!(!semaphore.try_acquire());
        semaphore.release(Semaphore::<Futex>::MAX);
        assert!(!semaphore.try_release(1));
        assert!(!semaphore.try_release(u32::MAX));
    }

    fn limits<B: Blocking>(rounds: u32) {
        let semaphore = Semaphore::<B>::new(2);
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let permit = semaphore.access();
                        let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
                        most.fetch_max(now, Ordering::Relaxed);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        drop(permit);
                        semaphore
                            .try_acquire_for(Duration::from_nanos(50))
                            .then(|| semaphore.release(1));
                    }
                });
            }
        });
        assert!(most.into_inner() <= 2);
        assert_eq!(semaphore.available(), 2);
    }

    #[test]
    fn lets_so_many_in_at_once() {
        limits::<Futex>(if cfg!(miri) { 10 } else { 5_000 });
        limits::<Spin>(if cfg!(miri) { 3 } else { 200 });
    }

    #[test]
    fn many_permits_at_once_reach_all_who_sleep() {
        let semaphore = Semaphore::<Futex>::new(0);
        for _ in 0..if cfg!(miri) { 1 } else { 50 } {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| semaphore.acquire());
                }
                semaphore.release(1);
                semaphore.release(3);
            });
            assert_eq!(semaphore.available(), 0);
        }
    }

    #[test]
    fn a_signal_is_up_or_down() {
        let signal = BinarySemaphore::<Futex>::new(true);
        assert!(!signal.raise());
        signal.acquire();
        assert!(!signal.try_acquire() && !signal.try_acquire_for(Duration::ZERO));
        assert!(signal.raise());
        assert!(signal.try_acquire());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::{BinarySemaphore, Semaphore};
    use crate::blocking::Model;
    use core::time::Duration;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    struct Shared {
        permits: Semaphore<Model>,
        signal: BinarySemaphore<Model>,
        data: UnsafeCell<u32>,
    }

    // SAFETY: the models are there to check the accesses to `data`.
    unsafe impl Sync for Shared {}

    fn shared(permits: u32) -> Arc<Shared> {
        Arc::new(Shared {
            permits: Semaphore::new(permits),
            signal: BinarySemaphore::new(false),
            data: UnsafeCell::new(0),
        })
    }

    fn spawn(shared: &Arc<Shared>, action: fn(&Shared)) -> thread::JoinHandle<()> {
        let shared = Arc::clone(shared);
        thread::spawn(move || action(&shared))
    }

    fn add(shared: &Shared) {
        shared.permits.acquire();
        // SAFETY: the one permit excludes the others.
        shared.data.with_mut(|data| unsafe { *data += 1 });
        shared.permits.release(1);
    }

    #[test]
    fn one_permit_excludes() {
        loom::model(|| {
            let shared = shared(1);
            let threads = [spawn(&shared, add), spawn(&shared, add)];
            add(&shared);
            for thread in threads {
                thread.join().expect("all finish");
            }
        });
    }

    #[test]
    fn permits_reach_all_who_sleep() {
        loom::model(|| {
            let shared = shared(0);
            let threads = [(); 2].map(|()| spawn(&shared, |shared| shared.permits.acquire()));
            shared.permits.release(1);
            shared.permits.release(1);
            for thread in threads {
                thread.join().expect("all finish");
            }
        });
    }

    #[test]
    fn two_permits_at_once_reach_both() {
        loom::model(|| {
            let shared = shared(0);
            let threads = [(); 2].map(|()| spawn(&shared, |shared| shared.permits.acquire()));
            shared.permits.release(2);
            for thread in threads {
                thread.join().expect("all finish");
            }
        });
    }

    #[test]
    fn one_that_gives_up_swallows_nothing() {
        loom::model(|| {
            let shared = shared(0);
            let impatient = spawn(&shared, |shared| {
                if shared.permits.try_acquire_for(Duration::ZERO) {
                    shared.permits.release(1);
                }
            });
            let patient = spawn(&shared, |shared| shared.permits.acquire());
            shared.permits.release(1);
            impatient.join().expect("it finishes");
            patient.join().expect("it finishes");
        });
    }

    #[test]
    fn a_signal_carries_what_was_done_before() {
        loom::model(|| {
            let shared = shared(0);
            let writer = spawn(&shared, |shared| {
                // SAFETY: the other looks when it has the signal.
                shared.data.with_mut(|data| unsafe { *data = 7 });
                shared.signal.raise();
            });
            shared.signal.acquire();
            // SAFETY: the writer is done.
            assert_eq!(shared.data.with(|data| unsafe { *data }), 7);
            writer.join().expect("it finishes");
        });
    }

    #[test]
    fn a_signal_that_is_up_still_publishes() {
        loom::model(|| {
            let shared = shared(0);
            shared.signal.raise();
            let writer = spawn(&shared, |shared| {
                // SAFETY: the other looks when this raise was the last.
                shared.data.with_mut(|data| unsafe { *data = 7 });
                if !shared.signal.raise() {
                    // It was up, so the other has yet to take it.
                    shared.permits.release(1);
                }
            });
            shared.signal.acquire();
            if shared.permits.try_acquire() || shared.signal.try_acquire() {
                // SAFETY: the writer is done.
                assert_eq!(shared.data.with(|data| unsafe { *data }), 7);
            }
            writer.join().expect("it finishes");
        });
    }
}
