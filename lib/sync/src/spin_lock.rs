//! A test-and-test-and-set spin lock.
//!
//! For data held for a few instructions. It does not disable interrupts: in
//! Ochre the kernel is never interrupted while it may hold one.
//!
//! States of `locked`: `false` free, `true` held. Transitions: `lock` and
//! `try_lock` take `false -> true` with Acquire, the guard's drop stores
//! `false` with Release.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::maybe_const;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{UnsafeCell, spin_loop};

/// Mutual exclusion by spinning.
pub struct SpinLock<T: ?Sized> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out the value to one thread at a time, so sending or
// sharing the lock only ever moves access to a `Send` value between threads.
unsafe impl<T: ?Sized + Send> Send for SpinLock<T> {}
// SAFETY: as above; `&SpinLock` gives `&mut T` to one holder at a time, which needs `T: Send` only.
unsafe impl<T: ?Sized + Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    maybe_const! {
        /// A free lock around `value`.
        pub fn new(value: T) -> SpinLock<T> {
            SpinLock {
                locked: AtomicBool::new(false),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Gives the value back; nobody else can hold the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Takes the lock, spinning while it is held.
    #[inline]
    pub fn lock(&self) -> SpinLockGuard<'_, T> {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            // ORDERING: Relaxed; this only waits for a chance, `try_lock` synchronises.
            while self.locked.load(Ordering::Relaxed) {
                spin_loop();
            }
        }
    }

    /// Takes the lock if it is free now.
    #[inline]
    pub fn try_lock(&self) -> Option<SpinLockGuard<'_, T>> {
        // A swap would do as well, but it writes when it fails too, and loom then
        // lets a waiter read its own write for ever.
        // ORDERING: Acquire pairs with the Release of the guard's drop; a
        // failure tells nothing but that the lock was held.
        let taken = self
            .locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            return None;
        }
        Some(SpinLockGuard {
            lock: self,
            not_send: PhantomData,
        })
    }

    /// The value, through an exclusive reference to the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> SpinLock<T> {
        SpinLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("SpinLock").field(&&*guard).finish(),
            None => f.write_str("SpinLock(<locked>)"),
        }
    }
}

/// Access to a [`SpinLock`]'s value; gives the lock back when dropped.
///
/// Not `Send`: it cannot be held across an await of a `Send` future.
#[must_use = "the lock is given back at once if the guard is not kept"]
pub struct SpinLockGuard<'a, T: ?Sized> {
    lock: &'a SpinLock<T>,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: sharing the guard shares `&T` only, which `T: Sync` allows.
unsafe impl<T: ?Sized + Sync> Sync for SpinLockGuard<'_, T> {}

impl<T: ?Sized> Deref for SpinLockGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard exists, so `locked` is true and was set by us: no
        // other reference to the value is alive.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for SpinLockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only use of the guard.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for SpinLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release publishes what the holder wrote to the next `try_lock`.
        self.lock.locked.store(false, Ordering::Release);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for SpinLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::SpinLock;
    use std::sync::Arc;

    #[test]
    fn excludes_other_holders() {
        let lock = SpinLock::new(1);
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn counts_from_several_threads() {
        let rounds = if cfg!(miri) { 50 } else { 10_000 };
        let lock = Arc::new(SpinLock::new(0_u64));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let lock = Arc::clone(&lock);
                std::thread::spawn(move || {
                    for _ in 0..rounds {
                        *lock.lock() += 1;
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("a counting thread finishes");
        }
        assert_eq!(*lock.lock(), 3 * rounds);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::SpinLock;
    use loom::sync::Arc;

    #[test]
    fn two_threads_exclude_each_other() {
        loom::model(|| {
            let lock = Arc::new(SpinLock::new(0_u32));
            let other = Arc::clone(&lock);
            let thread = loom::thread::spawn(move || {
                let mut guard = other.lock();
                let seen = *guard;
                *guard = seen + 1;
            });
            {
                let mut guard = lock.lock();
                let seen = *guard;
                *guard = seen + 1;
            }
            thread.join().expect("the other thread finishes");
            assert_eq!(*lock.lock(), 2);
        });
    }
}
