//! Locks whose waiters sleep.
//!
//! All are generic over where they sleep ([`Blocking`](crate::blocking::Blocking)):
//! on Linux use the names in [`host`](crate::host), in a kernel name your own
//! backend once in type aliases. Every one starts from a `const fn new`, can be
//! moved while nobody uses it, needs no heap, and makes no system call unless
//! somebody has to sleep or to be woken.
//!
//! | lock | for |
//! | --- | --- |
//! | [`Mutex`] | one thread at a time |
//! | [`Condvar`] | sleeping until what a mutex guards has changed |
//!
//! With [`Poisoning`], the default, a lock remembers that a holder panicked, as
//! std's do; with [`Plain`] it does not ask.

mod condvar;
mod mutex;
mod poison;
mod raw_mutex;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
pub use poison::{LockResult, Plain, PoisonError, Poisoning, Policy, TryLockError, TryLockResult};
pub use raw_mutex::RawMutex;
