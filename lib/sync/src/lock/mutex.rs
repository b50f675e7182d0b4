//! A mutex: one thread at a time has the value; the others sleep.
//!
//! The protocol is [`RawMutex`]'s (three states, see there); this file adds the
//! value, the guards and the poison flag.
//!
//! # What must hold
//! A guard exists only while the raw mutex is held on its behalf: that is what
//! makes each dereference exclusive.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;
use core::time::Duration;

use super::RawMutex;
use super::poison::{Flag, Poisoning, Policy};
use crate::blocking::Blocking;
use crate::maybe_const;
use crate::primitive::UnsafeCell;

/// Mutual exclusion for a value, by sleeping.
///
/// Taking a free mutex is one compare-exchange and giving it back one swap;
/// only a crowd makes system calls. A thread that finds it held spins for a
/// moment first, because most holders are short.
///
/// Not fair: a running thread may take it before one that was just woken, which
/// is what makes it fast. Not recursive: locking it twice in one thread is a
/// deadlock. How long a guard lives, [`MutexGuard`] says.
///
/// `B` is where waiters sleep, `P` whether a panic poisons it.
///
/// ```
/// use std::sync::Arc;
/// use std::thread;
///
/// use ochre_sync::host::Mutex;
///
/// let sum = Arc::new(Mutex::new(0));
/// let threads: Vec<_> = (0..4)
///     .map(|_| {
///         let sum = Arc::clone(&sum);
///         thread::spawn(move || *sum.lock().expect("nobody panics") += 1)
///     })
///     .collect();
/// for thread in threads {
///     thread.join().expect("nobody panics");
/// }
/// assert_eq!(*sum.lock().expect("nobody panics"), 4);
/// ```
///
/// What it is for: two threads that both borrow a value to change it are refused
/// when they are compiled.
///
/// ```compile_fail,E0499
/// let mut sum = 0;
/// std::thread::scope(|scope| {
///     scope.spawn(|| sum += 1);
///     scope.spawn(|| sum += 1);
/// });
/// ```
///
/// A value that may not change threads does not make a mutex that may:
///
/// ```compile_fail,E0277
/// use ochre_sync::host::Mutex;
/// let mutex = Mutex::new(std::rc::Rc::new(1));
/// std::thread::scope(|scope| {
///     scope.spawn(|| mutex.lock().is_ok());
/// });
/// ```
pub struct Mutex<T: ?Sized, B: Blocking, P: Policy = Poisoning> {
    raw: RawMutex<B>,
    flag: Flag<B, P>,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex owns the value; sending it sends the value.
unsafe impl<T: ?Sized + Send, B: Blocking, P: Policy> Send for Mutex<T, B, P> {}
// SAFETY: `&Mutex` gives `&mut T` to one thread at a time, each of which may
// move the value out: that needs `T: Send`, and no `T: Sync`.
unsafe impl<T: ?Sized + Send, B: Blocking, P: Policy> Sync for Mutex<T, B, P> {}

// A panic that leaves the value half changed is told by the poison.
impl<T: ?Sized, B: Blocking> UnwindSafe for Mutex<T, B, Poisoning> {}
impl<T: ?Sized, B: Blocking> RefUnwindSafe for Mutex<T, B, Poisoning> {}

impl<T, B: Blocking, P: Policy> Mutex<T, B, P> {
    maybe_const! {
        /// A free mutex around `value`.
        ///
        /// ```
        /// use ochre_sync::blocking::Futex;
        /// use ochre_sync::host;
        /// use ochre_sync::lock::{Mutex, Plain};
        ///
        /// static POISONED_BY_PANICS: host::Mutex<u32> = Mutex::new(1);
        /// static NEVER_POISONED: Mutex<u32, Futex, Plain> = Mutex::new(2);
        /// assert_eq!(*POISONED_BY_PANICS.lock().expect("new") + *NEVER_POISONED.lock(), 3);
        /// ```
        pub fn new(value: T) -> Mutex<T, B, P> {
            Mutex {
                raw: RawMutex::new(),
                flag: Flag::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Gives the value back; nobody else can have it.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let words = Mutex::new(Vec::new());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| words.lock().expect("nobody panics").push("one"));
    /// });
    /// assert_eq!(words.into_inner().expect("nobody panicked"), ["one"]);
    /// ```
    pub fn into_inner(self) -> P::Locked<T> {
        let poisoned = self.flag.is_set();
        P::locked(self.value.into_inner(), poisoned)
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> Mutex<T, B, P> {
    /// Takes the mutex; sleeps while somebody else holds it.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let balance = Mutex::new(10);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         scope.spawn(|| {
    ///             let mut balance = balance.lock().expect("nobody panics");
    ///             if *balance >= 7 {
    ///                 *balance -= 7; // nobody has looked or changed it meanwhile
    ///             }
    ///         });
    ///     }
    /// });
    /// assert_eq!(*balance.lock().expect("nobody panics"), 3);
    /// ```
    #[inline]
    pub fn lock(&self) -> P::Locked<MutexGuard<'_, T, B, P>> {
        self.raw.lock();
        let guard = self.guard();
        P::locked(guard, self.flag.is_set())
    }

    /// Takes the mutex if it is free now.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let cache = Mutex::new(vec![1]);
    /// let held = cache.lock();
    /// // Tidied up if that costs no waiting.
    /// assert!(cache.try_lock().is_err());
    /// drop(held);
    /// cache.try_lock().expect("it is free").clear();
    /// ```
    #[inline]
    pub fn try_lock(&self) -> P::Tried<MutexGuard<'_, T, B, P>> {
        let guard = self.raw.try_lock().then(|| self.guard());
        P::tried(guard, self.flag.is_set())
    }

    /// Takes the mutex if it comes free within `timeout`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::host::Mutex;
    /// use ochre_sync::lock::TryLockError;
    ///
    /// let mutex = Mutex::new(1);
    /// let held = mutex.lock();
    /// let second = mutex.try_lock_for(Duration::from_millis(1));
    /// assert!(matches!(second, Err(TryLockError::WouldBlock)));
    /// # drop(held);
    /// ```
    pub fn try_lock_for(&self, timeout: Duration) -> P::Tried<MutexGuard<'_, T, B, P>> {
        // A clock that cannot say the moment will not see it either.
        let Some(deadline) = B::after(timeout) else {
            self.raw.lock();
            return P::tried(Some(self.guard()), self.flag.is_set());
        };
        self.try_lock_until(deadline)
    }

    /// Takes the mutex if it comes free before `deadline`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use ochre_sync::blocking::{Blocking, Futex};
    /// use ochre_sync::host::Mutex;
    ///
    /// let (one, two) = (Mutex::new(1), Mutex::new(2));
    /// // One deadline for both.
    /// let deadline = Futex::after(Duration::from_secs(60)).expect("the clock can say it");
    /// let both = (one.try_lock_until(deadline), two.try_lock_until(deadline));
    /// assert!(both.0.is_ok() && both.1.is_ok());
    /// ```
    pub fn try_lock_until(&self, deadline: B::Instant) -> P::Tried<MutexGuard<'_, T, B, P>> {
        let guard = self.raw.lock_until(deadline).then(|| self.guard());
        P::tried(guard, self.flag.is_set())
    }

    /// The value, through an exclusive reference to the mutex.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let mut count = Mutex::new(1);
    /// *count.get_mut().expect("new") += 1; // nobody else has it: nothing to lock
    /// assert_eq!(count.into_inner().expect("nobody panicked"), 2);
    /// ```
    pub fn get_mut(&mut self) -> P::Locked<&mut T> {
        let poisoned = self.flag.is_set();
        P::locked(self.value.get_mut(), poisoned)
    }

    /// Whether a holder panicked, or [`poison`](Mutex::poison) was called. With
    /// [`Plain`](super::Plain), never.
    ///
    /// ```
    /// use std::thread;
    /// use ochre_sync::host::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// thread::scope(|scope| {
    ///     let thread = scope.spawn(|| {
    ///         let _held = mutex.lock();
    ///         panic!("with the guard in hand");
    ///     });
    ///     assert!(thread.join().is_err());
    /// });
    /// assert!(mutex.is_poisoned());
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.flag.is_set()
    }

    /// Poisons the mutex from outside: for who knows that a holder's work was
    /// cut off, where no unwinding tells. Whoever holds it goes on holding it.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let table = Mutex::new([1, 2]);
    /// table.poison(); // a process that was changing it has been killed
    /// assert!(table.lock().is_err());
    /// ```
    pub fn poison(&self) {
        self.flag.set();
    }

    /// Says that the value is in order again.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let table = Mutex::new(vec![1, 2]);
    /// table.poison();
    /// if let Err(poisoned) = table.lock() {
    ///     poisoned.into_inner().clear(); // as good as new
    ///     table.clear_poison();
    /// }
    /// assert!(table.lock().is_ok_and(|table| table.is_empty()));
    /// ```
    pub fn clear_poison(&self) {
        self.flag.clear();
    }

    /// Poisons the mutex and gives it back in the place of a holder that will
    /// never run again.
    ///
    /// A kernel that survives a panic leaks what the dead thread had on its
    /// stack, guards too; this lets the others go on, warned.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// core::mem::forget(mutex.lock()); // it was on the stack of a thread that died
    /// assert!(mutex.try_lock().is_err());
    /// // SAFETY: the guard was leaked, and nothing was made from it.
    /// unsafe { mutex.abandon() };
    /// assert_eq!(*mutex.lock().expect_err("a warning").into_inner(), 1);
    /// ```
    ///
    /// # Safety
    /// The mutex is held by a guard that was leaked: nobody uses that guard, or
    /// a reference made from it, ever again.
    pub unsafe fn abandon(&self) {
        self.flag.set();
        // SAFETY: the mutex is held, by a guard that will not unlock it.
        unsafe { self.raw.unlock() };
    }

    /// A guard; the caller has just taken the raw mutex.
    #[inline]
    fn guard(&self) -> MutexGuard<'_, T, B, P> {
        MutexGuard {
            mutex: self,
            panicking: self.flag.begin(),
            not_send: PhantomData,
        }
    }
}

impl<T: Default, B: Blocking, P: Policy> Default for Mutex<T, B, P> {
    fn default() -> Mutex<T, B, P> {
        Mutex::new(T::default())
    }
}

impl<T, B: Blocking, P: Policy> From<T> for Mutex<T, B, P> {
    fn from(value: T) -> Mutex<T, B, P> {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug, B: Blocking, P: Policy> fmt::Debug for Mutex<T, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        if self.raw.try_lock() {
            out.field("value", &&*self.guard());
        } else {
            out.field("value", &format_args!("<locked>"));
        }
        out.field("poisoned", &self.is_poisoned()).finish()
    }
}

/// Access to a [`Mutex`]'s value; gives the mutex back when dropped.
///
/// Not `Send`: some backends know threads, and a future that holds one across
/// an await would stop others for as long as it likes.
///
/// ```compile_fail,E0277
/// use ochre_sync::host::Mutex;
/// let mutex = Mutex::new(1);
/// let guard = mutex.lock();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
///
/// Sharing it shares the value, so the value has to be `Sync`:
///
/// ```compile_fail,E0277
/// use core::cell::Cell;
/// use ochre_sync::host::Mutex;
/// let mutex = Mutex::new(Cell::new(1));
/// let guard = mutex.lock().expect("new");
/// std::thread::scope(|scope| {
///     scope.spawn(|| guard.set(2));
///     guard.set(3);
/// });
/// ```
///
/// It does not outlive its mutex:
///
/// ```compile_fail,E0597
/// use ochre_sync::host::Mutex;
/// let guard = {
///     let mutex = Mutex::new(1);
///     mutex.lock().expect("new")
/// };
/// println!("{}", *guard);
/// ```
///
/// A guard without a name lives to the end of the statement that made it. In
/// `match`, `while let` and `if let` that is behind the body, as what the pattern
/// matches is borrowed from it; the condition of a plain `if` ends before:
///
/// ```
/// use ochre_sync::host::Mutex;
/// let mutex = Mutex::new(Some(1));
/// if mutex.lock().expect("new").is_some() {
///     assert!(mutex.try_lock().is_ok());
/// }
/// if let Some(1) = *mutex.lock().expect("new") {
///     assert!(mutex.try_lock().is_err());
/// }
/// match *mutex.lock().expect("new") {
///     _ => assert!(mutex.try_lock().is_err()),
/// }
/// ```
///
/// Since edition 2024 an `if let` lets go before its `else`; until then it held
/// on there too, and locking again was a deadlock:
///
/// ```
/// # use ochre_sync::host::Mutex;
/// let mutex = Mutex::new(None::<u32>);
/// if let Some(1) = *mutex.lock().expect("new") {
/// } else {
///     assert!(mutex.try_lock().is_ok());
/// }
/// ```
///
/// ```edition2021
/// # use ochre_sync::host::Mutex;
/// let mutex = Mutex::new(None::<u32>);
/// if let Some(1) = *mutex.lock().expect("new") {
/// } else {
///     assert!(mutex.try_lock().is_err());
/// };
/// ```
///
/// After `drop(guard)` there is nothing to use:
///
/// ```compile_fail,E0382
/// use ochre_sync::host::Mutex;
/// let mutex = Mutex::new(1);
/// let guard = mutex.lock().expect("new");
/// drop(guard);
/// println!("{}", *guard);
/// ```
#[must_use = "the mutex is given back at once if the guard is not kept"]
pub struct MutexGuard<'a, T: ?Sized, B: Blocking, P: Policy = Poisoning> {
    mutex: &'a Mutex<T, B, P>,
    panicking: bool,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: sharing the guard shares `&T` only, which `T: Sync` allows. Without
// the bound the compiler would let `&Mutex<T>` decide, which asks for less.
unsafe impl<T: ?Sized + Sync, B: Blocking, P: Policy> Sync for MutexGuard<'_, T, B, P> {}

impl<'a, T: ?Sized, B: Blocking, P: Policy> MutexGuard<'a, T, B, P> {
    /// The mutex this is a guard of.
    ///
    /// ```
    /// use ochre_sync::host::{Mutex, MutexGuard};
    ///
    /// /// Lets others have the mutex for a moment.
    /// fn pause(guard: MutexGuard<'_, u32>) -> MutexGuard<'_, u32> {
    ///     let mutex = MutexGuard::mutex(&guard);
    ///     drop(guard);
    ///     mutex.lock().expect("nobody panics")
    /// }
    ///
    /// let mutex = Mutex::new(1);
    /// assert_eq!(*pause(mutex.lock().expect("new")), 1);
    /// ```
    pub fn mutex(guard: &MutexGuard<'a, T, B, P>) -> &'a Mutex<T, B, P> {
        guard.mutex
    }

    /// A guard of a part of the value.
    ///
    /// ```
    /// use ochre_sync::host::Mutex;
    /// use ochre_sync::lock::MutexGuard;
    ///
    /// let pair = Mutex::new((1, "one"));
    /// let guard = pair.lock().expect("new");
    /// let mut number = MutexGuard::map(guard, |pair| &mut pair.0);
    /// *number = 2;
    /// ```
    pub fn map<U: ?Sized>(
        mut guard: MutexGuard<'a, T, B, P>,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U, B, P> {
        let part = NonNull::from(part(&mut guard));
        let mapped = MappedMutexGuard {
            part,
            raw: &guard.mutex.raw,
            flag: &guard.mutex.flag,
            panicking: guard.panicking,
            variance: PhantomData,
        };
        core::mem::forget(guard);
        mapped
    }
}

impl<'a, T: ?Sized, B: Blocking, P: Policy> MutexGuard<'a, T, B, P> {
    /// The word behind the mutex, for the condition variable.
    pub(super) fn raw(guard: &Self) -> &'a RawMutex<B> {
        &guard.mutex.raw
    }

    /// Whether the mutex is poisoned, and tells of it.
    pub(super) fn is_poisoned(guard: &Self) -> bool {
        guard.mutex.flag.is_set()
    }

    /// What taking the mutex now would give.
    pub(super) fn finish(guard: Self) -> P::Locked<Self> {
        let poisoned = MutexGuard::is_poisoned(&guard);
        P::locked(guard, poisoned)
    }

    /// The same, with something beside the guard.
    pub(super) fn finish_with<R>(guard: Self, more: R) -> P::Locked<(Self, R)> {
        let poisoned = MutexGuard::is_poisoned(&guard);
        P::locked((guard, more), poisoned)
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> Deref for MutexGuard<'_, T, B, P> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the mutex is held on this guard's behalf, so that nobody else
        // has a reference to the value; this one borrows from the guard.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> DerefMut for MutexGuard<'_, T, B, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized, B: Blocking, P: Policy> Drop for MutexGuard<'_, T, B, P> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.flag.end(self.panicking);
        // SAFETY: the guard stands for one lock of the mutex, and ends here.
        unsafe { self.mutex.raw.unlock() };
    }
}

impl<T: ?Sized + fmt::Debug, B: Blocking, P: Policy> fmt::Debug for MutexGuard<'_, T, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display, B: Blocking, P: Policy> fmt::Display for MutexGuard<'_, T, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// Access to a part of a [`Mutex`]'s value; made by [`MutexGuard::map`].
///
/// ```
/// use ochre_sync::host::{Mutex, MutexGuard};
///
/// let pair = Mutex::new((1, 2));
/// let guard = pair.lock().expect("nobody panics");
/// let mut second = MutexGuard::map(guard, |pair| &mut pair.1);
/// *second += 1;
/// drop(second);
/// assert_eq!(*pair.lock().expect("nobody panics"), (1, 3));
/// ```
#[must_use = "the mutex is given back at once if the guard is not kept"]
pub struct MappedMutexGuard<'a, U: ?Sized, B: Blocking, P: Policy = Poisoning> {
    /// A raw pointer, because the guard may be moved while the part is in use.
    part: NonNull<U>,
    raw: &'a RawMutex<B>,
    flag: &'a Flag<B, P>,
    panicking: bool,
    /// It gives `&mut U`.
    variance: PhantomData<&'a mut U>,
}

// SAFETY: sharing the guard shares `&U` only.
unsafe impl<U: ?Sized + Sync, B: Blocking, P: Policy> Sync for MappedMutexGuard<'_, U, B, P> {}

impl<U: ?Sized, B: Blocking, P: Policy> Deref for MappedMutexGuard<'_, U, B, P> {
    type Target = U;
    fn deref(&self) -> &U {
        // SAFETY: the mutex is held on this guard's behalf, and the part, made
        // from the whole value's `&mut`, is reached through this guard only.
        unsafe { self.part.as_ref() }
    }
}

impl<U: ?Sized, B: Blocking, P: Policy> DerefMut for MappedMutexGuard<'_, U, B, P> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        unsafe { self.part.as_mut() }
    }
}

impl<U: ?Sized, B: Blocking, P: Policy> Drop for MappedMutexGuard<'_, U, B, P> {
    fn drop(&mut self) {
        self.flag.end(self.panicking);
        // SAFETY: this took over from a guard that was forgotten, and ends here.
        unsafe { self.raw.unlock() };
    }
}

impl<U: ?Sized + fmt::Debug, B: Blocking, P: Policy> fmt::Debug for MappedMutexGuard<'_, U, B, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
