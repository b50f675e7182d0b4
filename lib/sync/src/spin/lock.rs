//! A value, a way to spin, and the guard that both give.
//!
//! The value is reached through the guard only, the guard is made by whoever
//! has taken the raw lock, and gives it back when dropped. That is all the
//! unsafe code that the locks with guards share.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::maybe_const;
use crate::primitive::UnsafeCell;

/// A lock without a value: how [`Lock`] waits.
///
/// ```
/// use core::sync::atomic::{AtomicBool, Ordering};
/// use ochre_sync::spin::{Lock, RawSpin};
///
/// /// The simplest there is: asks for the line again and again.
/// struct Swap(AtomicBool);
///
/// // SAFETY: one swap at a time finds false, and none does until `unlock`, whose
/// // Release pairs with its Acquire.
/// unsafe impl RawSpin for Swap {
///     const NAME: &'static str = "SwapLock";
///     const FAIR: bool = false;
///
///     fn lock(&self) {
///         while !self.try_lock() {
///             core::hint::spin_loop();
///         }
///     }
///
///     fn try_lock(&self) -> bool {
///         !self.0.swap(true, Ordering::Acquire)
///     }
///
///     fn is_locked(&self) -> bool {
///         self.0.load(Ordering::Relaxed)
///     }
///
///     unsafe fn unlock(&self) {
///         self.0.store(false, Ordering::Release);
///     }
/// }
///
/// static NUMBER: Lock<Swap, u32> = Lock::with_raw(Swap(AtomicBool::new(false)), 1);
/// assert_eq!(*NUMBER.lock(), 1);
/// assert!(!NUMBER.is_locked());
/// ```
///
/// # Safety
/// Between a `lock` that returned (or a `try_lock` that returned true) and the
/// next `unlock`, no other may succeed; and what happens before an `unlock`
/// happens before whatever follows the next success.
pub unsafe trait RawSpin {
    /// What the lock is called when it is shown.
    const NAME: &'static str;

    /// Whether the lock goes to those who wait in the order in which they came.
    const FAIR: bool;

    /// Takes the lock, spinning while it is held.
    fn lock(&self);

    /// Takes the lock if it is free now.
    fn try_lock(&self) -> bool;

    /// Whether somebody holds the lock. It may have changed before the caller knows.
    fn is_locked(&self) -> bool;

    /// Gives the lock back.
    ///
    /// # Safety
    /// The caller must have taken the lock, and not have given it back.
    unsafe fn unlock(&self);
}

/// A value that one thread at a time can reach; `R` is how the others wait.
///
/// Use it by the name of what it waits like: [`SpinLock`](super::SpinLock),
/// [`TicketLock`](super::TicketLock).
///
/// ```
/// use ochre_sync::spin::{Lock, Ticket};
///
/// static COUNT: Lock<Ticket, u32> = Lock::with_raw(Ticket::new(), 0);
/// *COUNT.lock() += 1;
/// assert!(COUNT.try_lock().is_some_and(|count| *count == 1));
/// ```
pub struct Lock<R, T: ?Sized> {
    raw: R,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out the value to one thread at a time, so sending or
// sharing the lock only ever moves access to a `Send` value between threads.
unsafe impl<R: Send, T: ?Sized + Send> Send for Lock<R, T> {}
// SAFETY: as above; `&Lock` gives `&mut T` to one holder at a time, which needs `T: Send` only.
unsafe impl<R: Sync, T: ?Sized + Send> Sync for Lock<R, T> {}

impl<R, T> Lock<R, T> {
    maybe_const! {
        /// A lock around `value` that waits as `raw` does.
        ///
        /// ```
        /// use ochre_sync::spin::{Lock, TestAndSet, Ticket};
        ///
        /// static QUICK: Lock<TestAndSet, u32> = Lock::with_raw(TestAndSet::new(), 1);
        /// static FAIR: Lock<Ticket, u32> = Lock::with_raw(Ticket::new(), 2);
        /// assert_eq!(*QUICK.lock() + *FAIR.lock(), 3);
        /// ```
        pub fn with_raw(raw: R, value: T) -> Lock<R, T> {
            Lock {
                raw,
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Gives the value back; nobody else can hold the lock.
    ///
    /// ```
    /// use ochre_sync::SpinLock;
    ///
    /// let found = SpinLock::new(Vec::new());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| found.lock().push("one"));
    ///     scope.spawn(|| found.lock().push("other"));
    /// });
    /// assert_eq!(found.into_inner().len(), 2);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<R, T: ?Sized> Lock<R, T> {
    /// The value, through an exclusive reference to the lock.
    ///
    /// ```
    /// use ochre_sync::SpinLock;
    ///
    /// let mut lock = SpinLock::new(1);
    /// *lock.get_mut() += 1; // no atomic operation: the reference is the only one
    /// assert_eq!(*lock.lock(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<R: RawSpin, T: ?Sized> Lock<R, T> {
    /// Takes the lock, spinning while it is held.
    ///
    /// ```
    /// use ochre_sync::SpinLock;
    ///
    /// static PAIR: SpinLock<(u32, u32)> = SpinLock::new((10, 0));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let mut pair = PAIR.lock();
    ///         pair.0 -= 3;
    ///         pair.1 += 3; // the guard goes here, and with it the lock
    ///     });
    ///     let pair = PAIR.lock();
    ///     assert_eq!(pair.0 + pair.1, 10);
    /// });
    /// ```
    #[inline]
    pub fn lock(&self) -> Guard<'_, R, T> {
        self.raw.lock();
        Guard {
            lock: self,
            not_send: PhantomData,
        }
    }

    /// Takes the lock if it is free now.
    ///
    /// ```
    /// use ochre_sync::SpinLock;
    ///
    /// static LOG: SpinLock<Vec<&str>> = SpinLock::new(Vec::new());
    ///
    /// /// What a panic handler may do: its processor may hold the lock.
    /// fn last_words() -> bool {
    ///     LOG.try_lock().map(|mut log| log.push("panicked")).is_some()
    /// }
    ///
    /// let held = LOG.lock();
    /// assert!(!last_words());
    /// drop(held);
    /// assert!(last_words());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, R, T>> {
        if !self.raw.try_lock() {
            return None;
        }
        Some(Guard {
            lock: self,
            not_send: PhantomData,
        })
    }

    /// Whether somebody holds the lock. It may have changed before the caller knows.
    ///
    /// ```
    /// use ochre_sync::SpinLock;
    ///
    /// let lock = SpinLock::new(1);
    /// let guard = lock.lock();
    /// assert!(lock.is_locked());
    /// drop(guard);
    /// assert!(!lock.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }
}

#[cfg(all(test, not(loom)))]
impl<R, T> Lock<R, T> {
    /// How the lock waits.
    pub(super) fn raw(&self) -> &R {
        &self.raw
    }
}

impl<R: Default, T: Default> Default for Lock<R, T> {
    fn default() -> Lock<R, T> {
        Lock::with_raw(R::default(), T::default())
    }
}

impl<R: RawSpin, T: ?Sized + fmt::Debug> fmt::Debug for Lock<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple(R::NAME).field(&&*guard).finish(),
            None => write!(f, "{}(<locked>)", R::NAME),
        }
    }
}

/// Access to a [`Lock`]'s value; gives the lock back when dropped.
///
/// Not `Send`: it cannot be held across an await of a `Send` future.
///
/// ```compile_fail,E0277
/// # use ochre_sync::SpinLock;
/// let lock = SpinLock::new(1);
/// let guard = lock.lock();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
///
/// It may be shared between threads only if the value may: two threads with one
/// guard have two `&T`.
///
/// ```compile_fail,E0277
/// # use ochre_sync::SpinLock;
/// let lock = SpinLock::new(core::cell::Cell::new(1));
/// let guard = &lock.lock();
/// std::thread::scope(|scope| {
///     scope.spawn(|| guard.set(2));
///     guard.set(3);
/// });
/// ```
///
/// Once it is dropped, the value cannot be reached.
///
/// ```compile_fail,E0382
/// # use ochre_sync::SpinLock;
/// let lock = SpinLock::new(vec![1]);
/// let mut guard = lock.lock();
/// drop(guard);
/// guard.push(2);
/// ```
///
/// It does not outlive the lock.
///
/// ```compile_fail,E0106
/// # use ochre_sync::{SpinLock, spin::{Guard, TestAndSet}};
/// fn taken() -> Guard<TestAndSet, u32> {
///     SpinLock::new(1).lock()
/// }
/// ```
#[must_use = "the lock is given back at once if the guard is not kept"]
pub struct Guard<'a, R: RawSpin, T: ?Sized> {
    lock: &'a Lock<R, T>,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: sharing the guard shares `&T` only, which `T: Sync` allows.
unsafe impl<R: RawSpin + Sync, T: ?Sized + Sync> Sync for Guard<'_, R, T> {}

impl<R: RawSpin, T: ?Sized> Deref for Guard<'_, R, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard exists, so the lock is held by its owner: no other
        // reference to the value is alive.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<R: RawSpin, T: ?Sized> DerefMut for Guard<'_, R, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<R: RawSpin, T: ?Sized> Drop for Guard<'_, R, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a guard is made by who has taken the lock, and given back here only.
        unsafe { self.lock.raw.unlock() };
    }
}

impl<R: RawSpin, T: ?Sized + fmt::Debug> fmt::Debug for Guard<'_, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<R: RawSpin, T: ?Sized + fmt::Display> fmt::Display for Guard<'_, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
