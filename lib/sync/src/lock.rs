//! Locks whose waiters sleep.
//!
//! All are generic over where they sleep ([`Blocking`](crate::blocking::Blocking)):
//! on Linux use the names in the module `host`, in a kernel name your own
//! backend once in type aliases. Every one starts from a `const fn new`, can be
//! moved while nobody uses it, needs no heap, and makes no system call unless
//! somebody has to sleep or to be woken.
//!
//! | lock | for |
//! | --- | --- |
//! | [`Mutex`] | one thread at a time |
//! | [`QueueMutex`] | the same, first come, first served |
//! | [`Condvar`] | sleeping until what a mutex guards has changed |
//! | [`RwLock`] | many readers or one writer |
//! | [`Semaphore`], [`BinarySemaphore`] | so many at once; a signal |
//! | [`Barrier`] | threads that go on together |
//! | [`CallOnce`], [`OnceLock`], [`LazyLock`] | what is done or made once, while others wait |
//!
//! With [`Poisoning`], the default, a lock remembers that a holder panicked, as
//! std's do; with [`Plain`] it does not ask.
//!
//! ```
//! use ochre_sync::host::{Condvar, Mutex};
//!
//! static JOBS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
//! static CHANGED: Condvar = Condvar::new();
//!
//! std::thread::scope(|scope| {
//!     let worker = scope.spawn(|| {
//!         let jobs = JOBS.lock().expect("nobody panics");
//!         let mut jobs = CHANGED.wait_while(jobs, |jobs| jobs.is_empty()).expect("nor here");
//!         jobs.pop()
//!     });
//!     JOBS.lock().expect("nobody panics").push(7);
//!     CHANGED.notify_one();
//!     assert_eq!(worker.join().expect("no panic"), Some(7));
//! });
//! ```

mod barrier;
mod call_once;
mod condvar;
mod lazy_lock;
mod mutex;
mod once_lock;
mod poison;
mod queue_mutex;
mod raw_mutex;
mod raw_rwlock;
mod rwlock;
mod semaphore;

pub use barrier::{Barrier, BarrierWaitResult};
pub use call_once::CallOnce;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy_lock::LazyLock;
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
pub use once_lock::OnceLock;
pub use poison::{LockResult, Plain, PoisonError, Poisoning, Policy, TryLockError, TryLockResult};
pub use queue_mutex::{QueueMutex, QueueMutexGuard, RawQueueMutex};
pub use raw_mutex::RawMutex;
pub use raw_rwlock::RawRwLock;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{BinarySemaphore, Permit, Semaphore};
