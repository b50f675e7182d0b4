//! The word of a mutex: three states, and no value.
//!
//! ```text
//!   UNLOCKED  --lock, try_lock (Acquire)-->  LOCKED     nobody sleeps
//!   LOCKED    --somebody is about to sleep-->  CONTENDED  somebody may sleep
//!   UNLOCKED  --lock by one who slept (Acquire)-->  CONTENDED
//!   LOCKED, CONTENDED  --unlock (Release)-->  UNLOCKED; from CONTENDED, wakes one
//! ```
//!
//! # What must hold
//! Where somebody sleeps, the word is `CONTENDED`, or one who slept was woken
//! and has not yet looked. That one makes it `CONTENDED` whatever it finds: it
//! cannot know whether it was the last. So no sleeper is forgotten, and the
//! price is one needless wake after the last of a crowd.
//!
//! The order between one holder and the next comes from `unlock`'s Release and
//! the Acquire that takes the word; sleeping and waking add nothing to it.

use core::fmt;
use core::marker::PhantomData;

use crate::backoff::Backoff;
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU32, Ordering};

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;

/// Mutual exclusion without a value: what [`Mutex`](super::Mutex) is made of,
/// and what to build other locks from.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::lock::RawMutex;
///
/// let raw = RawMutex::<Futex>::new();
/// raw.lock();
/// assert!(!raw.try_lock());
/// // SAFETY: this thread locked it above.
/// unsafe { raw.unlock() };
/// ```
pub struct RawMutex<B> {
    word: AtomicU32,
    backend: PhantomData<fn() -> B>,
}

impl<B: Blocking> RawMutex<B> {
    maybe_const! {
        /// A free mutex.
        ///
        /// ```
        /// use ochre_sync::blocking::Futex;
        /// use ochre_sync::lock::RawMutex;
        ///
        /// /// Four bytes in every object, and a value that the lock is not around.
        /// struct Object {
        ///     lock: RawMutex<Futex>,
        /// }
        ///
        /// const OBJECT: Object = Object { lock: RawMutex::new() };
        /// assert_eq!(size_of::<Object>(), 4);
        /// # assert!(!OBJECT.lock.is_locked());
        /// ```
        #[must_use]
        pub fn new() -> RawMutex<B> {
            RawMutex {
                word: AtomicU32::new(UNLOCKED),
                backend: PhantomData,
            }
        }
    }

    /// Takes the mutex; sleeps while somebody else holds it.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawMutex;
    ///
    /// static RAW: RawMutex<Futex> = RawMutex::new();
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             RAW.lock();
    ///             assert!(RAW.is_locked());
    ///             // SAFETY: this thread locked it above.
    ///             unsafe { RAW.unlock() };
    ///         });
    ///     }
    /// });
    /// ```
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended(None);
        }
    }

    /// Takes the mutex if it is free now.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawMutex;
    ///
    /// let raw = RawMutex::<Futex>::new();
    /// assert!(raw.try_lock() && !raw.try_lock());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `unlock`; a failure says
        // nothing but that the mutex was held.
        self.word
            .compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the mutex unless `deadline` passes first; says whether it did.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::lock::RawMutex;
    ///
    /// let soon = || Futex::after(Duration::from_millis(1)).expect("the clock can say it");
    /// let raw = RawMutex::<Futex>::new();
    /// assert!(raw.lock_until(soon()), "it was free");
    /// assert!(!raw.lock_until(soon()), "and nobody gives it back");
    /// ```
    #[inline]
    pub fn lock_until(&self, deadline: B::Instant) -> bool {
        self.try_lock() || self.lock_contended(Some(deadline))
    }

    /// Whether somebody holds it; old news as soon as it is told.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawMutex;
    ///
    /// let raw = RawMutex::<Futex>::new();
    /// raw.lock();
    /// assert!(raw.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        // ORDERING: Relaxed; nothing may be concluded from the answer.
        self.word.load(Ordering::Relaxed) != UNLOCKED
    }

    /// Gives the mutex back.
    ///
    /// ```
    /// use ochre_sync::blocking::Futex;
    /// use ochre_sync::lock::RawMutex;
    ///
    /// let raw = RawMutex::<Futex>::new();
    /// raw.lock();
    /// std::thread::scope(|scope| {
    ///     // SAFETY: it was locked above; that another thread gives it back is allowed.
    ///     scope.spawn(|| unsafe { raw.unlock() });
    /// });
    /// assert!(raw.try_lock());
    /// ```
    ///
    /// # Safety
    /// The caller holds it: it was locked and not yet unlocked on its behalf.
    #[inline]
    pub unsafe fn unlock(&self) {
        // ORDERING: Release pairs with the Acquires that take the mutex.
        if self.word.swap(UNLOCKED, Ordering::Release) == CONTENDED {
            self.wake();
        }
    }

    /// Lets those who sleep at `word`, which holds `expected`, sleep here
    /// instead; each must then come by [`lock_as_contended`]. False if the
    /// backend cannot. The caller holds the mutex, and will give it back.
    ///
    /// [`lock_as_contended`]: RawMutex::lock_as_contended
    pub(super) fn move_sleepers_here(&self, word: &AtomicU32, expected: u32) -> bool {
        let moved = B::requeue(word, expected, &raw const self.word);
        if moved {
            // A swap, not a store: others swap at the same time, and who reads
            // the word next then reads the last of them all (loom does not see
            // that a store beside them comes to the same).
            // ORDERING: Relaxed; nobody else unlocks, and others only ever
            // write this same value while the mutex is held.
            self.word.swap(CONTENDED, Ordering::Relaxed);
        }
        moved
    }

    #[cold]
    fn wake(&self) {
        B::wake_one(&raw const self.word);
    }

    /// Waits while the mutex is held and nobody sleeps; gives the last look.
    fn look(&self) -> u32 {
        let mut backoff = Backoff::<B>::for_lock();
        loop {
            // ORDERING: Relaxed; this only waits for a chance.
            let state = self.word.load(Ordering::Relaxed);
            // Where others sleep already, spinning would only jump the queue.
            if state != LOCKED || backoff.is_over() {
                return state;
            }
            backoff.between();
        }
    }

    #[cold]
    fn lock_contended(&self, deadline: Option<B::Instant>) -> bool {
        // Nobody knows of this thread yet: if the mutex comes free while it
        // spins, it may be taken as one that nobody sleeps at.
        if self.look() == UNLOCKED && self.try_lock() {
            return true;
        }
        self.lock_as_contended(deadline)
    }

    /// Takes the mutex as one where others may sleep: for who has slept, here
    /// or at a word whose sleepers were moved here.
    pub(super) fn lock_as_contended(&self, deadline: Option<B::Instant>) -> bool {
        loop {
            // ORDERING: Acquire pairs with the Release in `unlock`.
            if self.word.swap(CONTENDED, Ordering::Acquire) == UNLOCKED {
                return true;
            }
            match deadline {
                None => B::wait(&self.word, CONTENDED),
                Some(deadline) => {
                    if !B::wait_until(&self.word, CONTENDED, deadline) {
                        // Once more: were a wake meant for this thread lost
                        // with its patience, the next would sleep for ever.
                        // ORDERING: Acquire, as above.
                        return self.word.swap(CONTENDED, Ordering::Acquire) == UNLOCKED;
                    }
                }
            }
            // Woken, and another was faster: it may be as fast to give it back.
            self.look();
        }
    }
}

impl<B: Blocking> Default for RawMutex<B> {
    fn default() -> RawMutex<B> {
        RawMutex::new()
    }
}

impl<B> fmt::Debug for RawMutex<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMutex").finish_non_exhaustive()
    }
}
