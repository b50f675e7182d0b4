//! Poisoning: a lock remembers that a holder may have left its value half
//! changed.
//!
//! A flag beside each lock, `sound -> poisoned` when a guard is dropped by a
//! panic that began while it was held, or when [`Mutex::poison`] says so from
//! outside; back to sound by `clear_poison`. The flag never keeps anybody out:
//! a poisoned lock still locks, and its guard comes inside an error so that the
//! caller decides.
//!
//! Whether a lock reports its flag is a type, [`Poisoning`] or [`Plain`], so
//! that there is one implementation of each lock and no cost where it is not
//! wanted.
//!
//! [`Mutex::poison`]: super::Mutex::poison

use core::error::Error;
use core::fmt;
use core::marker::PhantomData;

use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::atomic::{AtomicBool, Ordering};

/// What taking a lock gives: the guard, or the guard in an error if the lock is
/// poisoned.
///
/// ```
/// use ochre_sync::host::Mutex;
/// use ochre_sync::lock::LockResult;
///
/// fn even_if_poisoned<G>(result: LockResult<G>) -> G {
///     result.unwrap_or_else(|poisoned| poisoned.into_inner())
/// }
///
/// assert_eq!(*even_if_poisoned(Mutex::new(1).lock()), 1);
/// ```
pub type LockResult<G> = Result<G, PoisonError<G>>;

/// What trying to take a lock gives.
///
/// ```
/// use ochre_sync::host::Mutex;
/// use ochre_sync::lock::{TryLockError, TryLockResult};
///
/// fn is_busy<G>(result: TryLockResult<G>) -> bool {
///     matches!(result, Err(TryLockError::WouldBlock))
/// }
///
/// assert!(!is_busy(Mutex::new(1).try_lock()));
/// ```
pub type TryLockResult<G> = Result<G, TryLockError<G>>;

/// A lock was taken whose earlier holder panicked; the guard is inside.
///
/// ```
/// use ochre_sync::host::Mutex;
/// use ochre_sync::lock::PoisonError;
///
/// let account = Mutex::new(10);
/// account.poison();
/// // Whoever knows how to repair the value may go on.
/// let mut balance = account.lock().unwrap_or_else(PoisonError::into_inner);
/// *balance = 0;
/// ```
pub struct PoisonError<G> {
    guard: G,
}

impl<G> PoisonError<G> {
    /// An error around `guard`.
    ///
    /// ```
    /// use ochre_sync::lock::{LockResult, PoisonError};
    ///
    /// /// A lock of one's own that reports as these do.
    /// fn take(poisoned: bool) -> LockResult<u32> {
    ///     if poisoned { Err(PoisonError::new(1)) } else { Ok(1) }
    /// }
    ///
    /// assert_eq!(take(true).unwrap_or_else(PoisonError::into_inner), 1);
    /// # assert!(take(false).is_ok());
    /// ```
    pub fn new(guard: G) -> PoisonError<G> {
        PoisonError { guard }
    }

    /// The guard, for who does not mind.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    /// use ochre_sync::lock::PoisonError;
    ///
    /// let hits = Mutex::new(1);
    /// hits.poison();
    /// // A count is as good after a panic as before.
    /// *hits.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    /// assert_eq!(hits.into_inner().unwrap_or_else(PoisonError::into_inner), 2);
    /// ```
    pub fn into_inner(self) -> G {
        self.guard
    }

    /// A look at the guard.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let account = Mutex::new(10);
    /// account.poison();
    /// let error = account.lock().expect_err("it is poisoned");
    /// assert_eq!(**error.get_ref(), 10, "what was left behind, for a report");
    /// ```
    pub fn get_ref(&self) -> &G {
        &self.guard
    }

    /// Exclusive access to the guard.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let account = Mutex::new(-1);
    /// account.poison();
    /// let mut error = account.lock().expect_err("it is poisoned");
    /// **error.get_mut() = 0; // mended, and reported all the same
    /// assert_eq!(*error.into_inner(), 0);
    /// ```
    pub fn get_mut(&mut self) -> &mut G {
        &mut self.guard
    }
}

impl<G> fmt::Debug for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoisonError").finish_non_exhaustive()
    }
}

impl<G> fmt::Display for PoisonError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a holder of this lock panicked")
    }
}

impl<G> Error for PoisonError<G> {}

/// Why a lock was not taken without trouble.
///
/// ```
/// use ochre_sync::host::Mutex;
/// use ochre_sync::lock::TryLockError;
///
/// let mutex = Mutex::new(1);
/// let guard = mutex.lock().expect("nobody panics");
/// assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
/// drop(guard);
/// mutex.poison();
/// assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
/// ```
pub enum TryLockError<G> {
    /// It was taken, and is poisoned.
    Poisoned(PoisonError<G>),
    /// It was not taken: somebody holds it, or held it for as long as one was
    /// ready to wait.
    WouldBlock,
}

impl<G> fmt::Debug for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryLockError::Poisoned(_) => "Poisoned(..)",
            TryLockError::WouldBlock => "WouldBlock",
        })
    }
}

impl<G> fmt::Display for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryLockError::Poisoned(error) => fmt::Display::fmt(error, f),
            TryLockError::WouldBlock => f.write_str("somebody else holds this lock"),
        }
    }
}

impl<G> Error for TryLockError<G> {}

impl<G> From<PoisonError<G>> for TryLockError<G> {
    fn from(error: PoisonError<G>) -> TryLockError<G> {
        TryLockError::Poisoned(error)
    }
}

mod sealed {
    /// Nobody else writes policies: the locks rely on what these two do.
    pub trait Sealed {}
    impl Sealed for super::Poisoning {}
    impl Sealed for super::Plain {}
}

/// Whether a lock tells of its poison: [`Poisoning`] or [`Plain`].
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::lock::{Mutex, Plain, Poisoning};
///
/// let asks: Mutex<u32, Futex, Poisoning> = Mutex::new(1);
/// let does_not: Mutex<u32, Futex, Plain> = Mutex::new(2);
/// assert_eq!(*asks.lock().expect("nobody panics") + *does_not.lock(), 3);
/// ```
pub trait Policy: sealed::Sealed + 'static {
    /// What taking a lock gives.
    type Locked<G>;
    /// What trying to take a lock gives.
    type Tried<G>;

    /// Whether the flag is kept at all.
    #[doc(hidden)]
    const POISONS: bool;

    /// The result of taking a lock.
    #[doc(hidden)]
    fn locked<G>(guard: G, poisoned: bool) -> Self::Locked<G>;

    /// The result of trying to.
    #[doc(hidden)]
    fn tried<G>(guard: Option<G>, poisoned: bool) -> Self::Tried<G>;
}

/// The lock reports that a holder panicked, as std's do.
///
/// ```
/// use ochre_sync::host::Mutex;
///
/// let mutex = Mutex::new(1);
/// mutex.poison(); // as a panic with the guard in hand does
/// let guard = match mutex.lock() {
///     Ok(guard) => guard,
///     Err(poisoned) => poisoned.into_inner(), // to look, or to mend it
/// };
/// assert_eq!(*guard, 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Poisoning;

/// The lock does not ask how its holders ended.
///
/// ```
/// use ochre_sync::blocking::Futex;
/// use ochre_sync::lock::{Mutex, Plain};
///
/// let hits: Mutex<u32, Futex, Plain> = Mutex::new(0);
/// *hits.lock() += 1;
/// assert_eq!(hits.into_inner(), 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Policy for Poisoning {
    type Locked<G> = LockResult<G>;
    type Tried<G> = TryLockResult<G>;

    const POISONS: bool = true;

    #[inline]
    fn locked<G>(guard: G, poisoned: bool) -> LockResult<G> {
        if poisoned {
            Err(PoisonError::new(guard))
        } else {
            Ok(guard)
        }
    }

    #[inline]
    fn tried<G>(guard: Option<G>, poisoned: bool) -> TryLockResult<G> {
        let guard = guard.ok_or(TryLockError::WouldBlock)?;
        Ok(Poisoning::locked(guard, poisoned)?)
    }
}

impl Policy for Plain {
    type Locked<G> = G;
    type Tried<G> = Option<G>;

    const POISONS: bool = false;

    #[inline]
    fn locked<G>(guard: G, _poisoned: bool) -> G {
        guard
    }

    #[inline]
    fn tried<G>(guard: Option<G>, _poisoned: bool) -> Option<G> {
        guard
    }
}

/// The flag beside a lock.
pub(super) struct Flag<B, P> {
    poisoned: AtomicBool,
    types: PhantomData<fn() -> (B, P)>,
}

impl<B: Blocking, P: Policy> Flag<B, P> {
    maybe_const! {
        pub(super) fn new() -> Flag<B, P> {
            Flag {
                poisoned: AtomicBool::new(false),
                types: PhantomData,
            }
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        // ORDERING: Relaxed; who holds the lock sees what earlier holders
        // wrote, and without the lock the answer is old in any case.
        P::POISONS && self.poisoned.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        // ORDERING: Relaxed, as in `is_set`.
        self.poisoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        // ORDERING: Relaxed, as in `is_set`.
        self.poisoned.store(false, Ordering::Relaxed);
    }

    /// For a guard to keep: was a panic under way when it was made?
    #[inline]
    pub(super) fn begin(&self) -> bool {
        P::POISONS && B::panicking()
    }

    /// For a guard that ends: a panic that began meanwhile poisons the lock.
    #[inline]
    pub(super) fn end(&self, panicking_before: bool) {
        if P::POISONS && !panicking_before && B::panicking() {
            self.set();
        }
    }
}
