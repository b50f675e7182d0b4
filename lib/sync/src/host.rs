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
///
/// ```
/// use ochre_sync::host::Mutex;
///
/// static COUNT: Mutex<u32> = Mutex::new(0);
/// *COUNT.lock().expect("nobody panics") += 1;
/// assert_eq!(*COUNT.lock().expect("nobody panics"), 1);
/// ```
pub type Mutex<T> = lock::Mutex<T, Futex>;
/// A guard of a [`Mutex`].
///
/// ```
/// use ochre_sync::host::{Mutex, MutexGuard};
///
/// fn count(mut number: MutexGuard<'_, u32>) {
///     *number += 1;
/// }
///
/// let number = Mutex::new(1);
/// count(number.lock().expect("nobody panics"));
/// assert_eq!(*number.lock().expect("nobody panics"), 2);
/// ```
pub type MutexGuard<'a, T> = lock::MutexGuard<'a, T, Futex>;
/// A [`lock::QueueMutex`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::QueueMutex;
///
/// static COUNT: QueueMutex<u32> = QueueMutex::new(0);
/// *COUNT.lock() += 1;
/// assert_eq!(*COUNT.lock(), 1);
/// ```
pub type QueueMutex<T> = lock::QueueMutex<T, Futex>;
/// A [`lock::Condvar`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::{Condvar, Mutex};
///
/// static READY: Mutex<bool> = Mutex::new(false);
/// static CHANGED: Condvar = Condvar::new();
///
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         *READY.lock().expect("nobody panics") = true;
///         CHANGED.notify_one();
///     });
///     let ready = READY.lock().expect("nobody panics");
///     let ready = CHANGED.wait_while(ready, |ready| !*ready).expect("nobody panics");
///     assert!(*ready);
/// });
/// ```
pub type Condvar = lock::Condvar<Futex>;
/// A [`lock::RwLock`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::RwLock;
///
/// static LIMITS: RwLock<(u32, u32)> = RwLock::new((1, 2));
/// LIMITS.write().expect("nobody panics").1 = 3;
/// let (one, other) = (LIMITS.read(), LIMITS.read());
/// assert_eq!(*one.expect("nobody panics"), *other.expect("nobody panics"));
/// ```
pub type RwLock<T> = lock::RwLock<T, Futex>;
/// A reader's guard of a [`RwLock`].
///
/// ```
/// use ochre_sync::host::{RwLock, RwLockReadGuard};
///
/// fn sum(numbers: RwLockReadGuard<'_, Vec<u32>>) -> u32 {
///     numbers.iter().sum()
/// }
///
/// let numbers = RwLock::new(vec![1, 2]);
/// assert_eq!(sum(numbers.read().expect("nobody panics")), 3);
/// ```
pub type RwLockReadGuard<'a, T> = lock::RwLockReadGuard<'a, T, Futex>;
/// A writer's guard of a [`RwLock`].
///
/// ```
/// use ochre_sync::host::{RwLock, RwLockWriteGuard};
///
/// let numbers = RwLock::new(vec![1]);
/// let mut guard = numbers.write().expect("nobody panics");
/// guard.push(2);
/// // From writer to reader, with nobody in between.
/// let guard = RwLockWriteGuard::downgrade(guard);
/// assert_eq!(guard.len(), 2);
/// ```
pub type RwLockWriteGuard<'a, T> = lock::RwLockWriteGuard<'a, T, Futex>;
/// A [`lock::Semaphore`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::Semaphore;
///
/// static SLOTS: Semaphore = Semaphore::new(1);
/// let slot = SLOTS.access();
/// assert!(!SLOTS.try_acquire());
/// drop(slot);
/// assert!(SLOTS.try_acquire());
/// ```
pub type Semaphore = lock::Semaphore<Futex>;
/// A [`lock::BinarySemaphore`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::BinarySemaphore;
///
/// static DONE: BinarySemaphore = BinarySemaphore::new(false);
/// std::thread::scope(|scope| {
///     scope.spawn(|| DONE.raise());
///     DONE.acquire(); // until it is done
/// });
/// ```
pub type BinarySemaphore = lock::BinarySemaphore<Futex>;
/// A [`lock::Barrier`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::Barrier;
///
/// static START: Barrier = Barrier::new(2);
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| START.wait().is_leader());
///     let own = START.wait().is_leader();
///     assert!(own ^ other.join().expect("no panic"), "one of them leads");
/// });
/// ```
pub type Barrier = lock::Barrier<Futex>;
/// A [`lock::CallOnce`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::CallOnce;
///
/// static SETUP: CallOnce = CallOnce::new();
/// let mut calls = 0;
/// for _ in 0..2 {
///     SETUP.call_once(|| calls += 1);
/// }
/// assert_eq!(calls, 1);
/// ```
pub type CallOnce = lock::CallOnce<Futex>;
/// A [`lock::OnceLock`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert_eq!(NAME.get_or_init(|| "first".to_owned()), "first");
/// assert_eq!(NAME.get_or_init(|| "second".to_owned()), "first");
/// ```
pub type OnceLock<T> = lock::OnceLock<T, Futex>;
/// A [`lock::LazyLock`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::LazyLock;
///
/// static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| vec!["made when asked for".to_owned()]);
/// assert_eq!(NAMES.len(), 1);
/// ```
pub type LazyLock<T, F = fn() -> T> = lock::LazyLock<T, Futex, F>;
/// A [`park::Parker`] that sleeps in Linux's futexes.
///
/// ```
/// use ochre_sync::host::Parker;
///
/// static PARKER: Parker = Parker::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| PARKER.unpark());
///     // One thread parks here, and any may unpark it.
///     PARKER.park();
/// });
/// ```
pub type Parker = park::Parker<Futex>;

/// The table of sleepers of this program.
///
/// ```
/// use ochre_sync::host::HostLot;
/// use ochre_sync::parking_lot::ByteMutex;
///
/// static MUTEX: ByteMutex<HostLot> = ByteMutex::new();
/// assert!(MUTEX.try_lock());
/// ```
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
///
/// ```
/// use ochre_sync::host::ByteMutex;
///
/// static MUTEX: ByteMutex = ByteMutex::new();
/// assert!(MUTEX.try_lock());
/// assert!(MUTEX.is_locked());
/// ```
pub type ByteMutex = parking_lot::ByteMutex<HostLot>;

thread_local! {
    static CURRENT: Thread = Thread(Arc::new(Parker::new()));
}

/// A thread that can be unparked; made by [`current`].
///
/// ```
/// use ochre_sync::host;
///
/// let this = host::current();
/// this.unpark(); // remembered
/// host::park(); // so this returns at once
/// ```
#[derive(Clone, Debug)]
pub struct Thread(Arc<Parker>);

impl Thread {
    /// Leaves the thread a token, and wakes it if it is parked.
    ///
    /// ```
    /// use core::sync::atomic::{AtomicBool, Ordering};
    /// use ochre_sync::host;
    ///
    /// let done = AtomicBool::new(false);
    /// let sleeper = host::current();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         done.store(true, Ordering::Relaxed); // happens before the `park` returns
    ///         sleeper.unpark();
    ///     });
    ///     while !done.load(Ordering::Relaxed) {
    ///         host::park();
    ///     }
    /// });
    /// ```
    pub fn unpark(&self) {
        self.0.unpark();
    }
}

/// This thread.
///
/// ```
/// use ochre_sync::host;
///
/// let sleeper = host::current();
/// std::thread::scope(|scope| {
///     scope.spawn(|| sleeper.unpark());
///     host::park();
/// });
/// ```
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
///
/// ```
/// use core::time::Duration;
/// use ochre_sync::host;
///
/// assert!(!host::park_timeout(Duration::from_millis(1)));
/// host::current().unpark();
/// assert!(host::park_timeout(Duration::from_secs(60)));
/// ```
pub fn park_timeout(timeout: Duration) -> bool {
    CURRENT.with(|thread| thread.0.park_timeout(timeout))
}
