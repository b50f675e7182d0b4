//! Locks and cells for kernels.
//!
//! `no_std`, knows nothing of Ochre. All atomics come through [`primitive`], so
//! that a model checker can take their place.
//!
//! What is here today is what the first kernel needs: [`SpinLock`], [`Once`] and
//! lists of waiters (`List`). Guards are `!Send`: a future that holds one across an
//! await is not `Send`, and an executor that wants `Send` futures refuses it.
#![cfg_attr(not(any(test, loom, shuttle, feature = "std")), no_std)]
#![expect(
    unsafe_code,
    reason = "locks are built from UnsafeCell; checked by loom and Miri"
)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod arc;
#[cfg(test)]
mod assertions;
pub mod blocking;
pub mod channel;
mod counter;
#[cfg(all(feature = "std", target_os = "linux", not(loom), not(shuttle)))]
pub mod host;
mod ids;
pub mod levels;
pub mod lock;
#[cfg(feature = "alloc")]
pub mod lockfree;
mod once;
pub mod park;
pub mod parking_lot;
pub mod primitive;
mod race;
#[cfg(all(feature = "lock_api", not(loom)))]
mod raw_traits;
#[cfg(feature = "alloc")]
pub mod rcu;
mod seq_lock;
#[cfg(all(feature = "alloc", not(loom)))]
mod shared_list;
pub mod spin;
pub mod task;
mod wait_list;

#[cfg(feature = "alloc")]
pub use arc::{Arc, Shared, Weak};
pub use counter::{Counter, Processor};
pub use ids::Ids;
pub use once::Once;
#[cfg(feature = "alloc")]
pub use race::RaceBox;
pub use race::RaceWord;
pub use seq_lock::{SeqLock, SeqWords, Words};
#[cfg(all(feature = "alloc", not(loom)))]
pub use shared_list::{Chain, List, Node, Verdict};
pub use spin::{ClhHandle, ClhLock, ClhNode, McsLock, SpinLock, SpinLockGuard, TicketLock};
