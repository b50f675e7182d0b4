//! The locks of this crate for programs on Linux: those that sleep do so in
//! its futexes.
//!
//! ```
//! use ochre_sync::host::Mutex;
//!
//! static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
//! NAMES.lock().expect("nobody panics").push("first".to_owned());
//! ```

use core::time::Duration;
use std::thread_local;

use crate::Arc;
use crate::blocking::Futex;
use crate::parking_lot::{Lot, ParkingLot};
use crate::{lock, park, parking_lot};

/// A [`lock::Mutex`] that sleeps in Linux's futexes.
pub type Mutex<T> = lock::Mutex<T, Futex>;
/// A guard of a [`Mutex`].
pub type MutexGuard<'a, T> = lock::MutexGuard<'a, T, Futex>;
/// A [`lock::QueueMutex`] that sleeps in Linux's futexes.
pub type QueueMutex<T> = lock::QueueMutex<T, Futex>;
/// A [`lock::Condvar`] that sleeps in Linux's futexes.
pub type Condvar = lock::Condvar<Futex>;
/// A [`lock::RwLock`] that sleeps in Linux's futexes.
pub type RwLock<T> = lock::RwLock<T, Futex>;
/// A reader's guard of a [`RwLock`].
pub type RwLockReadGuard<'a, T> = lock::RwLockReadGuard<'a, T, Futex>;
/// A writer's guard of a [`RwLock`].
pub type RwLockWriteGuard<'a, T> = lock::RwLockWriteGuard<'a, T, Futex>;
/// A [`lock::Semaphore`] that sleeps in Linux's futexes.
pub type Semaphore = lock::Semaphore<Futex>;
/// A [`lock::BinarySemaphore`] that sleeps in Linux's futexes.
pub type BinarySemaphore = lock::BinarySemaphore<Futex>;
/// A [`lock::Barrier`] that sleeps in Linux's futexes.
pub type Barrier = lock::Barrier<Futex>;
/// A [`lock::CallOnce`] that sleeps in Linux's futexes.
pub type CallOnce = lock::CallOnce<Futex>;
/// A [`lock::OnceLock`] that sleeps in Linux's futexes.
pub type OnceLock<T> = lock::OnceLock<T, Futex>;
/// A [`lock::LazyLock`] that sleeps in Linux's futexes.
pub type LazyLock<T, F = fn() -> T> = lock::LazyLock<T, Futex, F>;
/// A [`park::Parker`] that sleeps in Linux's futexes.
pub type Parker = park::Parker<Futex>;

/// The table of sleepers of this program.
#[derive(Debug)]
pub struct HostLot;

impl Lot for HostLot {
    type Backend = Futex;

    fn lot() -> &'static ParkingLot<Futex> {
        static LOT: ParkingLot<Futex> = ParkingLot::new();
        &LOT
    }
}

/// A [`parking_lot::ByteMutex`] whose sleepers stand in [`HostLot`].
pub type ByteMutex = parking_lot::ByteMutex<HostLot>;

thread_local! {
    static CURRENT: Thread = Thread(Arc::new(Parker::new()));
}

/// A thread that can be unparked; made by [`current`].
#[derive(Clone, Debug)]
pub struct Thread(Arc<Parker>);

impl Thread {
    /// Leaves the thread a token, and wakes it if it is parked.
    pub fn unpark(&self) {
        self.0.unpark();
    }
}

/// This thread.
#[must_use]
pub fn current() -> Thread {
    CURRENT.with(Thread::clone)
}

/// Sleeps until this thread is unparked; returns at once if it was before. Look
/// at the condition in a loop.
///
/// ```
/// use std::thread;
/// use ochre_sync::host;
///
/// let sleeper = host::current();
/// let waker = thread::spawn(move || sleeper.unpark());
/// host::park();
/// # waker.join().expect("no panic");
/// ```
pub fn park() {
    CURRENT.with(|thread| thread.0.park());
}

/// As [`park()`], but not for longer than `timeout`; says whether it was unparked.
pub fn park_timeout(timeout: Duration) -> bool {
    CURRENT.with(|thread| thread.0.park_timeout(timeout))
}
