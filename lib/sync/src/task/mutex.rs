//! One task at a time, also across awaits.
//!
//! A [`Semaphore`] with one permit, and the value that goes with it.

use core::fmt;
use core::future::Future;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::{Context, Poll};

use super::semaphore::{Acquire, Permit, Semaphore};
use crate::maybe_const;
use crate::primitive::UnsafeCell;

/// A value that one task at a time can reach, and keep while it waits for
/// something else.
///
/// Where nothing is awaited with the value in hand, a spin lock is smaller and
/// faster.
///
/// ```
/// # use core::task::{Context, Poll, Waker};
/// # use core::future::Future;
/// use ochre_sync::task::Mutex;
///
/// static LOG: Mutex<Vec<u32>> = Mutex::new(Vec::new());
///
/// async fn note(number: u32) {
///     LOG.lock().await.push(number);
/// }
/// # let mut note = core::pin::pin!(note(3));
/// # assert!(note.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// assert_eq!(*LOG.try_lock().unwrap(), [3]);
/// ```
pub struct Mutex<T: ?Sized> {
    semaphore: Semaphore,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex hands out the value to one task at a time (`T: Send`).
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    maybe_const! {
        /// A free mutex around `value`.
        ///
        /// ```
        /// use ochre_sync::task::Mutex;
        ///
        /// static DISK: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        /// assert!(DISK.try_lock().is_some_and(|disk| disk.is_empty()));
        /// ```
        pub fn new(value: T) -> Mutex<T> {
            Mutex { semaphore: Semaphore::new(1), value: UnsafeCell::new(value) }
        }
    }

    /// The value; nobody else can have the mutex.
    ///
    /// ```
    /// use ochre_sync::task::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// *mutex.try_lock().expect("it is free") += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the mutex, in turn.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::task::{Context, Poll, Waker};
    /// use ochre_sync::task::Mutex;
    ///
    /// async fn add(sum: &Mutex<u32>, number: u32) -> u32 {
    ///     let mut sum = sum.lock().await; // and it may await other things with it
    ///     *sum += number;
    ///     *sum
    /// }
    ///
    /// let mut context = Context::from_waker(Waker::noop());
    /// let sum = Mutex::new(1);
    /// let held = sum.try_lock().expect("it is free");
    /// let mut adds = pin!(add(&sum, 2));
    /// assert_eq!(adds.as_mut().poll(&mut context), Poll::Pending);
    /// drop(held);
    /// assert_eq!(adds.as_mut().poll(&mut context), Poll::Ready(3));
    /// ```
    ///
    /// # Cancel safety
    /// If dropped, it gives up its place, or the mutex to the next.
    pub fn lock(&self) -> Lock<'_, T> {
        Lock {
            mutex: self,
            acquire: self.semaphore.acquire(1),
        }
    }

    /// Takes the mutex if it is free now.
    ///
    /// ```
    /// use ochre_sync::task::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock().expect("it is free");
    /// assert!(mutex.try_lock().is_none());
    /// # drop(guard);
    /// ```
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let permit = self.semaphore.try_acquire(1)?;
        Some(MutexGuard {
            mutex: self,
            _permit: permit,
        })
    }

    /// The value, through an exclusive reference to the mutex.
    ///
    /// ```
    /// use ochre_sync::task::Mutex;
    ///
    /// let mut mutex = Mutex::new(1);
    /// *mutex.get_mut() += 1; // nobody else has it: nothing to wait for
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("Mutex").field(&&*guard).finish(),
            None => f.write_str("Mutex(<locked>)"),
        }
    }
}

/// The future of [`Mutex::lock`].
///
/// ```
/// use core::future::Future;
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use ochre_sync::task::Mutex;
///
/// let mut context = Context::from_waker(Waker::noop());
/// let mutex = Mutex::new(1);
/// let guard = mutex.try_lock().expect("it is free");
/// let mut lock = pin!(mutex.lock());
/// assert!(lock.as_mut().poll(&mut context).is_pending());
/// drop(guard);
/// assert!(lock.as_mut().poll(&mut context).is_ready());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Lock<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    acquire: Acquire<'a>,
}

impl<'a, T: ?Sized> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        let mutex = self.mutex;
        // SAFETY: `acquire` is pinned as this future is; it is never moved out.
        let acquire = unsafe { self.map_unchecked_mut(|this| &mut this.acquire) };
        acquire.poll(context).map(|permit| MutexGuard {
            mutex,
            _permit: permit,
        })
    }
}

impl<T: ?Sized> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// Access to a [`Mutex`]'s value; gives the mutex to the next when dropped. May
/// be held across awaits and go to another thread with its task.
///
/// ```
/// use ochre_sync::task::Mutex;
///
/// let mutex = Mutex::new(1);
/// let mut guard = mutex.try_lock().expect("it is free");
/// *guard += 1;
/// assert!(mutex.try_lock().is_none());
/// drop(guard);
/// assert_eq!(mutex.into_inner(), 2);
/// ```
///
/// It does not outlive its mutex:
///
/// ```compile_fail,E0597
/// use ochre_sync::task::Mutex;
/// let guard = {
///     let mutex = Mutex::new(1);
///     mutex.try_lock()
/// };
/// println!("{}", guard.is_some());
/// ```
#[must_use = "the mutex is given back at once if the guard is not kept"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    _permit: Permit<'a>,
}

// SAFETY: sharing the guard shares `&T` only, which `T: Sync` allows.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

// (`Send` if the value is: `&Mutex<T>` is, and so is the permit.)

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard has the one permit: no other reference to the value is alive.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
