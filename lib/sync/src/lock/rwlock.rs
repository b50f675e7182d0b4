//! A readers-writer lock: many may read at once, or one write.
//!
//! The protocol is [`RawRwLock`]'s (see there); this file adds the value, the
//! guards and the poison flag, which only writers set.
//!
//! # What must hold
//! A read guard exists only while a reader's share is held on its behalf, a
//! write guard only while the lock is held for writing.

use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::time::Duration;

use super::RawRwLock;
use super::poison::{Flag, Poisoning, Policy};
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::UnsafeCell;

/// Shared reading, exclusive writing, by sleeping.
///
/// For values that are read often and for some time: counting readers costs two
/// writes to a shared word for each read, so for short reads a
/// [`Mutex`](super::Mutex) is as good.
///
/// Waiting writers keep new readers out, so none starves; therefore a thread
/// that reads and wants to read again while a writer waits stops for ever.
///
/// ```
/// use ochre_sync::host::RwLock;
///
/// let names = RwLock::new(vec!["first"]);
/// {
///     let (one, other) = (names.read(), names.read());
///     assert_eq!(one.expect("new").len(), other.expect("new").len());
/// }
/// names.write().expect("not poisoned").push("second");
/// ```
///
/// Readers share the value between threads, so it has to be `Sync`:
///
/// ```compile_fail,E0277
/// use ochre_sync::host::RwLock;
/// let lock = RwLock::new(core::cell::Cell::new(1));
/// std::thread::scope(|scope| {
///     scope.spawn(|| lock.read().is_ok());
/// });
/// ```
pub struct RwLock<T: ?Sized, B: Blocking, P: Policy = Poisoning> {
    raw: RawRwLock<B>,
    flag: Flag<B, P>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock owns the value; sending it sends the value.
unsafe impl<T: ?Sized + Send, B: Blocking, P: Policy> Send for RwLock<T, B, P> {}
// SAFETY: `&RwLock` gives `&mut T` to one thread at a time (`T: Send`), and `&T`
// to several at once (`T: Sync`).
unsafe impl<T: ?Sized + Send + Sync, B: Blocking, P: Policy> Sync for RwLock<T, B, P> {}

// A panic that leaves the value half changed is told by the poison.
impl<T: ?Sized, B: Blocking> UnwindSafe for RwLock<T, B, Poisoning> {}
impl<T: ?Sized, B: Blocking> RefUnwindSafe for RwLock<T, B, Poisoning> {}

impl<T, B: Blocking, P: Policy> RwLock<T, B, P> {
    maybe_const! {
        /// A free lock around `value`.
        ///
        /// ```
        /// use ochre_sync::host::RwLock;
        ///
        /// static ROUTES: RwLock<Vec<u32>> = RwLock::new(Vec::new());
        /// ROUTES.write().expect("new").push(1);
        /// assert_eq!(ROUTES.read().expect("nobody panicked").len(), 1);
        /// ```
        pub fn new(value: T) -> RwLock<T, B, P> {
            RwLock {
                raw: RawRwLock::new(),
                flag: Flag::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Gives the value back; nobody else can have it.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let names = RwLock::new(vec!["one"]);
    /// names.write().expect("new").push("two");
    /// assert_eq!(names.into_inner().expect("nobody panicked"), ["one", "two"]);
    /// ```
    pub fn into_inner(self) -> P::Locked<T> {
        let poisoned = self.flag.is_set();
        P::locked(self.value.into_inner(), poisoned)
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> RwLock<T, B, P> {
    /// Takes the lock for reading; sleeps while a writer holds it or waits.
    ///
    /// ```
    /// use ochre_sync::host::{Barrier, RwLock};
    ///
    /// let (limit, both) = (RwLock::new(3), Barrier::new(2));
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             let limit = limit.read().expect("new");
    ///             both.wait(); // both are reading
    ///             assert_eq!(*limit, 3);
    ///         });
    ///     }
    /// });
    /// ```
    ///
    /// # Panics
    /// If there are 2^28 readers already.
    #[inline]
    pub fn read(&self) -> P::Locked<RwLockReadGuard<'_, T, B, P>> {
        self.raw.read();
        P::locked(self.read_guard(), self.flag.is_set())
    }

    /// Takes the lock for reading if that is possible now.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// let writer = table.write().expect("new");
    /// assert!(table.try_read().is_err());
    /// drop(writer);
    /// assert_eq!(*table.try_read().expect("nobody writes"), 1);
    /// ```
    #[inline]
    pub fn try_read(&self) -> P::Tried<RwLockReadGuard<'_, T, B, P>> {
        let guard = self.raw.try_read().then(|| self.read_guard());
        P::tried(guard, self.flag.is_set())
    }

    /// Takes the lock for reading if that is possible within `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// let reader = table.read().expect("new");
    /// // Readers do not wait for readers.
    /// assert!(table.try_read_for(Duration::from_secs(60)).is_ok());
    /// # drop(reader);
    /// ```
    pub fn try_read_for(&self, timeout: Duration) -> P::Tried<RwLockReadGuard<'_, T, B, P>> {
        let taken = match B::after(timeout) {
            Some(deadline) => self.raw.read_until(deadline),
            None => {
                self.raw.read();
                true
            }
        };
        let guard = taken.then(|| self.read_guard());
        P::tried(guard, self.flag.is_set())
    }

    /// Takes the lock for writing; sleeps while anybody holds it.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let range = RwLock::new((0, 0));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let mut range = range.write().expect("nobody panics");
    ///         range.0 += 1;
    ///         range.1 += 1; // nobody sees one without the other
    ///     });
    ///     let range = range.read().expect("nobody panics");
    ///     assert_eq!(range.0, range.1);
    /// });
    /// ```
    #[inline]
    pub fn write(&self) -> P::Locked<RwLockWriteGuard<'_, T, B, P>> {
        self.raw.write();
        let guard = self.write_guard();
        P::locked(guard, self.flag.is_set())
    }

    /// Takes the lock for writing if it is free now.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// let reader = table.read().expect("new");
    /// assert!(table.try_write().is_err(), "somebody reads");
    /// drop(reader);
    /// *table.try_write().expect("it is free") = 2;
    /// ```
    #[inline]
    pub fn try_write(&self) -> P::Tried<RwLockWriteGuard<'_, T, B, P>> {
        let guard = self.raw.try_write().then(|| self.write_guard());
        P::tried(guard, self.flag.is_set())
    }

    /// Takes the lock for writing if it comes free within `timeout`. One that
    /// gives up lets the readers in that waited behind it.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// let reader = table.read().expect("new");
    /// assert!(table.try_write_for(Duration::from_millis(1)).is_err());
    /// assert!(table.try_read().is_ok(), "it no longer keeps readers out");
    /// # drop(reader);
    /// ```
    pub fn try_write_for(&self, timeout: Duration) -> P::Tried<RwLockWriteGuard<'_, T, B, P>> {
        let taken = match B::after(timeout) {
            Some(deadline) => self.raw.write_until(deadline),
            None => {
                self.raw.write();
                true
            }
        };
        let guard = taken.then(|| self.write_guard());
        P::tried(guard, self.flag.is_set())
    }

    /// The value, through an exclusive reference to the lock.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let mut table = RwLock::new(1);
    /// *table.get_mut().expect("new") += 1;
    /// assert_eq!(*table.read().expect("nobody panicked"), 2);
    /// ```
    pub fn get_mut(&mut self) -> P::Locked<&mut T> {
        let poisoned = self.flag.is_set();
        P::locked(self.value.get_mut(), poisoned)
    }

    /// Whether a writer panicked, or [`poison`](RwLock::poison) was called.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// let while_reading = std::panic::catch_unwind(|| {
    ///     let _reader = table.read();
    ///     panic!("nothing is half changed");
    /// });
    /// assert!(while_reading.is_err() && !table.is_poisoned());
    /// let while_writing = std::panic::catch_unwind(|| {
    ///     let _writer = table.write();
    ///     panic!("something may be");
    /// });
    /// assert!(while_writing.is_err() && table.is_poisoned());
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.flag.is_set()
    }

    /// Poisons the lock from outside; see [`Mutex::poison`](super::Mutex::poison).
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// table.poison();
    /// assert!(table.read().is_err() && table.write().is_err());
    /// ```
    pub fn poison(&self) {
        self.flag.set();
    }

    /// Says that the value is in order again.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(vec![1]);
    /// table.poison();
    /// if let Err(poisoned) = table.write() {
    ///     poisoned.into_inner().clear(); // as good as new
    ///     table.clear_poison();
    /// }
    /// assert!(table.read().is_ok());
    /// ```
    pub fn clear_poison(&self) {
        self.flag.clear();
    }

    /// Poisons the lock and gives it back in the place of a writer that will
    /// never run again; see [`Mutex::abandon`](super::Mutex::abandon).
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// core::mem::forget(table.write()); // it was on the stack of a thread that died
    /// // SAFETY: the guard was leaked, and nothing was made from it.
    /// unsafe { table.abandon_write() };
    /// assert!(table.try_read().is_err() && table.is_poisoned(), "free, with a warning");
    /// ```
    ///
    /// # Safety
    /// The lock is held by a write guard that was leaked: nobody uses that
    /// guard, or a reference made from it, ever again.
    pub unsafe fn abandon_write(&self) {
        self.flag.set();
        // SAFETY: held for writing, by a guard that will not unlock it.
        unsafe { self.raw.unlock_write() };
    }

    /// Gives the share of a reader back that will never run again.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    ///
    /// let table = RwLock::new(1);
    /// core::mem::forget(table.read()); // it was on the stack of a thread that died
    /// assert!(table.try_write().is_err());
    /// // SAFETY: the guard was leaked, and nothing was made from it.
    /// unsafe { table.abandon_read() };
    /// assert!(table.try_write().is_ok(), "a reader changed nothing: no poison");
    /// ```
    ///
    /// # Safety
    /// There is a read guard that was leaked, not yet given back so: nobody
    /// uses that guard, or a reference made from it, ever again.
    pub unsafe fn abandon_read(&self) {
        // SAFETY: a share is held, by a guard that will not give it back.
        unsafe { self.raw.unlock_read() };
    }

    #[inline]
    fn read_guard(&self) -> RwLockReadGuard<'_, T, B, P> {
        RwLockReadGuard {
            lock: self,
            not_send: PhantomData,
        }
    }

    #[inline]
    fn write_guard(&self) -> RwLockWriteGuard<'_, T, B, P> {
        RwLockWriteGuard {
            lock: self,
            panicking: self.flag.begin(),
            not_send: PhantomData,
        }
    }
}

impl<T: Default, B: Blocking, P: Policy> Default for RwLock<T, B, P> {
    fn default() -> RwLock<T, B, P> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug, B: Blocking, P: Policy> fmt::Debug for RwLock<T, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        if self.raw.try_read() {
            out.field("value", &&*self.read_guard());
        } else {
            out.field("value", &format_args!("<locked>"));
        }
        out.field("poisoned", &self.is_poisoned()).finish()
    }
}

/// Shared access to a [`RwLock`]'s value; gives the share back when dropped.
///
/// It reads only:
///
/// ```compile_fail,E0594
/// use ochre_sync::host::RwLock;
/// let lock = RwLock::new(1);
/// *lock.read().expect("new") = 2;
/// ```
#[must_use = "the share is given back at once if the guard is not kept"]
pub struct RwLockReadGuard<'a, T: ?Sized, B: Blocking, P: Policy = Poisoning> {
    lock: &'a RwLock<T, B, P>,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: sharing the guard shares `&T` only.
unsafe impl<T: ?Sized + Sync, B: Blocking, P: Policy> Sync for RwLockReadGuard<'_, T, B, P> {}

impl<T: ?Sized, B: Blocking, P: Policy> Deref for RwLockReadGuard<'_, T, B, P> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a reader's share is held on this guard's behalf: no writer
        // has the value while it lasts.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> Drop for RwLockReadGuard<'_, T, B, P> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard stands for one share, and ends here.
        unsafe { self.lock.raw.unlock_read() };
    }
}

impl<T: ?Sized + fmt::Debug, B: Blocking, P: Policy> fmt::Debug for RwLockReadGuard<'_, T, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Exclusive access to a [`RwLock`]'s value; gives the lock back when dropped.
///
/// ```compile_fail,E0277
/// use ochre_sync::host::RwLock;
/// let lock = RwLock::new(1);
/// let guard = lock.write();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
#[must_use = "the lock is given back at once if the guard is not kept"]
pub struct RwLockWriteGuard<'a, T: ?Sized, B: Blocking, P: Policy = Poisoning> {
    lock: &'a RwLock<T, B, P>,
    panicking: bool,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: sharing the guard shares `&T` only.
unsafe impl<T: ?Sized + Sync, B: Blocking, P: Policy> Sync for RwLockWriteGuard<'_, T, B, P> {}

impl<'a, T: ?Sized, B: Blocking, P: Policy> RwLockWriteGuard<'a, T, B, P> {
    /// Goes on as a reader; nobody writes between.
    ///
    /// ```
    /// use ochre_sync::host::RwLock;
    /// use ochre_sync::lock::RwLockWriteGuard;
    ///
    /// let lock = RwLock::new(1);
    /// let mut guard = lock.write().expect("new");
    /// *guard = 2;
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!(*lock.read().expect("not poisoned"), *guard);
    /// ```
    pub fn downgrade(guard: RwLockWriteGuard<'a, T, B, P>) -> RwLockReadGuard<'a, T, B, P> {
        let lock = guard.lock;
        lock.flag.end(guard.panicking);
        mem::forget(guard);
        // SAFETY: the guard held it for writing and is forgotten; the new guard
        // stands for the reader's share.
        unsafe { lock.raw.downgrade() };
        lock.read_guard()
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> Deref for RwLockWriteGuard<'_, T, B, P> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held for writing on this guard's behalf.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> DerefMut for RwLockWriteGuard<'_, T, B, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> Drop for RwLockWriteGuard<'_, T, B, P> {
    #[inline]
    fn drop(&mut self) {
        self.lock.flag.end(self.panicking);
        // SAFETY: the guard stands for one lock for writing, and ends here.
        unsafe { self.lock.raw.unlock_write() };
    }
}

impl<T: ?Sized + fmt::Debug, B: Blocking, P: Policy> fmt::Debug for RwLockWriteGuard<'_, T, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
