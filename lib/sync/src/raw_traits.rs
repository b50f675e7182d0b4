//! The locks as `lock_api` knows them: raw locks that its guards wrap.
//!
//! For code written against that interface, and for locks that have no type of
//! their own around a value, like
//! `lock_api::Mutex<ochre_sync::host::ByteMutex, T>`.
//!
//! ```
//! use ochre_sync::host;
//!
//! static NUMBER: lock_api::Mutex<host::ByteMutex, u32> =
//!     lock_api::Mutex::from_raw(host::ByteMutex::new(), 1);
//! *NUMBER.lock() += 1;
//! ```

use core::time::Duration;

use lock_api::GuardNoSend;

use crate::blocking::Blocking;
use crate::lock::{RawMutex, RawQueueMutex, RawRwLock};
use crate::parking_lot::{ByteMutex, Lot};

/// What all three kinds of mutex have in common.
macro_rules! raw_mutex {
    ([$($generic:tt)*] $type:ty) => {
        // SAFETY: one holder at a time, from `lock` to `unlock`.
        unsafe impl<$($generic)*> lock_api::RawMutex for $type {
            type GuardMarker = GuardNoSend;
            const INIT: $type = <$type>::new();

            #[inline]
            fn lock(&self) {
                <$type>::lock(self);
            }

            #[inline]
            fn try_lock(&self) -> bool {
                <$type>::try_lock(self)
            }

            #[inline]
            unsafe fn unlock(&self) {
                // SAFETY: the caller holds it.
                unsafe { <$type>::unlock(self) };
            }

            fn is_locked(&self) -> bool {
                <$type>::is_locked(self)
            }
        }
    };
}

raw_mutex!([B: Blocking] RawMutex<B>);
raw_mutex!([B: Blocking] RawQueueMutex<B>);
raw_mutex!([L: Lot] ByteMutex<L>);

/// The timed half, with the backend's clock.
macro_rules! raw_mutex_timed {
    ([$($generic:tt)*] $type:ty, $backend:ty) => {
        // SAFETY: says true exactly if it locked.
        unsafe impl<$($generic)*> lock_api::RawMutexTimed for $type {
            type Duration = Duration;
            type Instant = <$backend as Blocking>::Instant;

            fn try_lock_for(&self, timeout: Duration) -> bool {
                match <$backend as Blocking>::after(timeout) {
                    Some(deadline) => self.lock_until(deadline),
                    None => {
                        <$type>::lock(self);
                        true
                    }
                }
            }

            fn try_lock_until(&self, deadline: Self::Instant) -> bool {
                self.lock_until(deadline)
            }
        }
    };
}

raw_mutex_timed!([B: Blocking] RawMutex<B>, B);
raw_mutex_timed!([L: Lot] ByteMutex<L>, L::Backend);

// SAFETY: many readers or one writer, each from locking to unlocking.
unsafe impl<B: Blocking> lock_api::RawRwLock for RawRwLock<B> {
    type GuardMarker = GuardNoSend;
    const INIT: RawRwLock<B> = RawRwLock::new();

    #[inline]
    fn lock_shared(&self) {
        self.read();
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        self.try_read()
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        // SAFETY: the caller has a share.
        unsafe { self.unlock_read() };
    }

    #[inline]
    fn lock_exclusive(&self) {
        self.write();
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.try_write()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        // SAFETY: the caller holds it for writing.
        unsafe { self.unlock_write() };
    }

    fn is_locked(&self) -> bool {
        RawRwLock::is_locked(self)
    }

    fn is_locked_exclusive(&self) -> bool {
        self.is_write_locked()
    }
}

// SAFETY: no other writer comes between.
unsafe impl<B: Blocking> lock_api::RawRwLockDowngrade for RawRwLock<B> {
    unsafe fn downgrade(&self) {
        // SAFETY: the caller holds it for writing, and has a share afterwards.
        unsafe { RawRwLock::downgrade(self) };
    }
}

// SAFETY: says true exactly if it locked.
unsafe impl<B: Blocking> lock_api::RawRwLockTimed for RawRwLock<B> {
    type Duration = Duration;
    type Instant = B::Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        match B::after(timeout) {
            Some(deadline) => self.read_until(deadline),
            None => {
                self.read();
                true
            }
        }
    }

    fn try_lock_shared_until(&self, deadline: B::Instant) -> bool {
        self.read_until(deadline)
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        match B::after(timeout) {
            Some(deadline) => self.write_until(deadline),
            None => {
                self.write();
                true
            }
        }
    }

    fn try_lock_exclusive_until(&self, deadline: B::Instant) -> bool {
        self.write_until(deadline)
    }
}

#[cfg(test)]
mod tests {
    use crate::blocking::Futex;
    use crate::host::ByteMutex;
    use crate::lock::{RawMutex, RawQueueMutex, RawRwLock};
    use core::time::Duration;
    use lock_api::RwLockWriteGuard;

    fn excludes<R: lock_api::RawMutex>() {
        let mutex = lock_api::Mutex::<R, u32>::new(1);
        let mut guard = mutex.lock();
        *guard += 1;
        assert!(mutex.try_lock().is_none() && mutex.is_locked());
        drop(guard);
        assert_eq!(mutex.into_inner(), 2);
    }

    fn gives_up<R: lock_api::RawMutexTimed<Duration = Duration>>() {
        let mutex = lock_api::Mutex::<R, u32>::new(1);
        let guard = mutex.lock();
        assert!(mutex.try_lock_for(Duration::from_millis(1)).is_none());
        drop(guard);
        assert!(mutex.try_lock_for(Duration::MAX).is_some());
    }

    #[test]
    fn mutexes_are_those_of_the_interface() {
        excludes::<RawMutex<Futex>>();
        excludes::<RawQueueMutex<Futex>>();
        excludes::<ByteMutex>();
        gives_up::<RawMutex<Futex>>();
        gives_up::<ByteMutex>();
    }

    #[test]
    fn the_readers_writer_lock_is_that_of_the_interface() {
        let lock = lock_api::RwLock::<RawRwLock<Futex>, u32>::new(1);
        let writer = lock.write();
        assert!(lock.try_read_for(Duration::from_millis(1)).is_none());
        let reader = RwLockWriteGuard::downgrade(writer);
        assert!(lock.try_read().is_some() && lock.try_write().is_none());
        assert!(lock.try_write_for(Duration::from_millis(1)).is_none());
        drop(reader);
        assert!(lock.try_write_for(Duration::MAX).is_some());
    }
}
