//! A mutex of one byte, whose sleepers stand in a parking lot.
//!
//! ```text
//!   bit 0  LOCKED  somebody holds it
//!   bit 1  PARKED  somebody sleeps at its address, or is about to
//!
//!   lock    0 -> LOCKED;  PARKED -> LOCKED|PARKED         (Acquire)
//!   sleep   LOCKED -> LOCKED|PARKED, then into the lot
//!   unlock  LOCKED -> 0                                   (Release)
//!           LOCKED|PARKED -> PARKED or 0, wakes one       (Release)
//!           now and then LOCKED stays, and the one that wakes has it
//! ```
//!
//! # What must hold
//! `PARKED` is written with the bucket locked, except when it is set; a sleeper
//! goes into the lot only if both bits are set, which it checks with the bucket
//! locked. So where somebody sleeps, `PARKED` is set.

use core::fmt;
use core::marker::PhantomData;

use super::{Park, ParkingLot, Unpark};
use crate::backoff::Backoff;
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicU8, Ordering};

const LOCKED: u8 = 1;
const PARKED: u8 = 2;

/// Tokens: the mutex may be taken, or is given.
const TRY: usize = 0;
const GIVEN: usize = 1;

/// Where a type's sleepers stand.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::parking_lot::{ByteMutex, Lot, ParkingLot};
///
/// /// A table of one's own.
/// struct Mine;
///
/// impl Lot for Mine {
///     type Backend = Futex;
///
///     fn lot() -> &'static ParkingLot<Futex> {
///         static LOT: ParkingLot<Futex> = ParkingLot::new();
///         &LOT
///     }
/// }
///
/// let mutex: ByteMutex<Mine> = ByteMutex::new();
/// assert!(mutex.try_lock());
/// ```
pub trait Lot: 'static {
    /// Where they sleep.
    type Backend: Blocking;

    /// The table; the same one every time.
    fn lot() -> &'static ParkingLot<Self::Backend>;
}

/// Mutual exclusion in one byte, without a value.
///
/// For many small objects that each need a lock. Fairer than
/// [`RawMutex`](crate::lock::RawMutex): each sixteenth time it goes to the one
/// that has slept longest, whoever else is there. For a value in it use it with
/// `lock_api::Mutex` (feature `lock_api`).
///
/// ```
/// use ochre_sync::host::ByteMutex;
///
/// let mutex = ByteMutex::new();
/// assert_eq!(size_of_val(&mutex), 1);
/// mutex.lock();
/// assert!(!mutex.try_lock());
/// // SAFETY: locked above.
/// unsafe { mutex.unlock() };
/// ```
pub struct ByteMutex<L> {
    state: AtomicU8,
    lot: PhantomData<fn() -> L>,
}

impl<L: Lot> ByteMutex<L> {
    maybe_const! {
        /// A free mutex.
        ///
        /// ```
        /// use ochre_sync::host::ByteMutex;
        ///
        /// /// A lock in each of them costs a byte.
        /// struct Inode {
        ///     lock: ByteMutex,
        ///     kind: u8,
        /// }
        ///
        /// let inodes = [const { Inode { lock: ByteMutex::new(), kind: 0 } }; 100];
        /// assert_eq!(size_of_val(&inodes), 200);
        /// # assert!(inodes[0].lock.try_lock() && inodes[0].kind == 0);
        /// ```
        #[must_use]
        pub fn new() -> ByteMutex<L> {
            ByteMutex {
                state: AtomicU8::new(0),
                lot: PhantomData,
            }
        }
    }

    fn address(&self) -> usize {
        (&raw const self.state).addr()
    }

    /// Takes the mutex if it is free now.
    ///
    /// ```
    /// use ochre_sync::host::ByteMutex;
    ///
    /// let mutex = ByteMutex::new();
    /// assert!(mutex.try_lock() && !mutex.try_lock());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> bool {
        // ORDERING: Relaxed; the compare-exchange decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & LOCKED == 0 {
            // ORDERING: Acquire pairs with the Release in `unlock`.
            match self.state.compare_exchange_weak(
                state,
                state | LOCKED,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Takes the mutex; sleeps while somebody else holds it.
    ///
    /// ```
    /// use ochre_sync::host::ByteMutex;
    ///
    /// static LOCK: ByteMutex = ByteMutex::new();
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             LOCK.lock();
    ///             assert!(LOCK.is_locked());
    ///             // SAFETY: locked above.
    ///             unsafe { LOCK.unlock() };
    ///         });
    ///     }
    /// });
    /// assert!(!LOCK.is_locked());
    /// ```
    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended(None);
        }
    }

    /// Takes the mutex unless `deadline` passes first; says whether it did.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::host::ByteMutex;
    ///
    /// let soon = || Futex::after(Duration::from_millis(1)).expect("the clock can say it");
    /// let mutex = ByteMutex::new();
    /// assert!(mutex.lock_until(soon()) && !mutex.lock_until(soon()));
    /// ```
    pub fn lock_until(&self, deadline: <L::Backend as Blocking>::Instant) -> bool {
        self.try_lock() || self.lock_contended(Some(deadline))
    }

    /// Whether somebody holds it; old news as soon as it is told.
    ///
    /// ```
    /// use ochre_sync::host::ByteMutex;
    ///
    /// let mutex = ByteMutex::new();
    /// assert!(!mutex.is_locked());
    /// mutex.lock();
    /// assert!(mutex.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        // ORDERING: Relaxed; nothing may be concluded from the answer.
        self.state.load(Ordering::Relaxed) & LOCKED != 0
    }

    /// Gives the mutex back.
    ///
    /// ```
    /// use ochre_sync::host::ByteMutex;
    ///
    /// let mutex = ByteMutex::new();
    /// mutex.lock();
    /// // SAFETY: locked above.
    /// unsafe { mutex.unlock() };
    /// assert!(mutex.try_lock());
    /// ```
    ///
    /// # Safety
    /// The caller holds it.
    #[inline]
    pub unsafe fn unlock(&self) {
        // ORDERING: Release pairs with the Acquire in `try_lock`.
        let free = self
            .state
            .compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed);
        if free.is_err() {
            self.unlock_contended();
        }
    }

    #[cold]
    fn unlock_contended(&self) {
        let token = |found: Unpark| {
            let left = if found.more { PARKED } else { 0 };
            if found.woken && found.be_fair {
                // ORDERING: Relaxed; the sleeper is ordered after by the lot.
                self.state.store(LOCKED | left, Ordering::Relaxed);
                return GIVEN;
            }
            // ORDERING: Release pairs with the Acquire in `try_lock`.
            self.state.store(left, Ordering::Release);
            TRY
        };
        // SAFETY: who parks at the address of this byte does so in
        // `lock_contended`, and knows these tokens.
        unsafe { L::lot().unpark_one(self.address(), token) };
    }

    #[cold]
    fn lock_contended(&self, deadline: Option<<L::Backend as Blocking>::Instant>) -> bool {
        let mut backoff = Backoff::<L::Backend>::for_lock();
        // ORDERING: Relaxed; this only waits for a chance.
        while self.state.load(Ordering::Relaxed) == LOCKED && !backoff.is_over() {
            backoff.between();
        }
        loop {
            if self.try_lock() {
                return true;
            }
            // ORDERING: Relaxed; to say that one sleeps publishes nothing.
            let said = self.state.compare_exchange(
                LOCKED,
                LOCKED | PARKED,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if said.is_err_and(|state| state != LOCKED | PARKED) {
                continue;
            }
            let parked = L::lot().park(
                self.address(),
                // ORDERING: Relaxed; the bucket's lock orders it beside `unlock`.
                || self.state.load(Ordering::Relaxed) == LOCKED | PARKED,
                || (),
                |more| {
                    if !more {
                        // ORDERING: Relaxed; the bucket is locked, and only the
                        // bit changes.
                        self.state.fetch_and(!PARKED, Ordering::Relaxed);
                    }
                },
                deadline,
            );
            match parked {
                Park::Unparked(GIVEN) => return true,
                Park::Unparked(_) | Park::Invalid => {}
                Park::TimedOut => return false,
            }
        }
    }
}

impl<L: Lot> Default for ByteMutex<L> {
    fn default() -> ByteMutex<L> {
        ByteMutex::new()
    }
}

impl<L> fmt::Debug for ByteMutex<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteMutex").finish_non_exhaustive()
    }
}
