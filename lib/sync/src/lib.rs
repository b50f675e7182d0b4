//! Locks and cells for kernels.
//!
//! `no_std`, knows nothing of Ochre. All atomics come through [`primitive`], so
//! that a model checker can take their place.
//!
//! ```
//! use ochre_sync::SpinLock;
//! use ochre_sync::host::Mutex; // on Linux; elsewhere name your own way to sleep
//!
//! static QUICK: SpinLock<u32> = SpinLock::new(0);
//! static SLOW: Mutex<Vec<u32>> = Mutex::new(Vec::new());
//!
//! *QUICK.lock() += 1;
//! SLOW.lock().expect("nobody panics").push(*QUICK.lock());
//! ```
//!
//! # Which one?
//!
//! | you want | take |
//! | --- | --- |
//! | a few instructions at a time, and may not sleep | [`spin`] |
//! | to sleep until it is your turn, or until something is so | [`lock`], [`park`] |
//! | to wait in a task, not in a thread | [`task`] |
//! | to hand things over | [`channel`] |
//! | something that is there as long as somebody has it | `Arc` |
//! | something set once | [`Once`], [`RaceWord`]; `lock::OnceLock` if others should wait for it |
//! | to read far more often than to write | [`SeqLock`] for a few words, `rcu` for anything, `lock::RwLock` if readers may wait |
//! | a collection that an interrupt handler may use | `lockfree` |
//! | numbers, each once; a count that many add to | [`Ids`], [`Counter`] |
//! | a wait queue of nodes that others can find and take out | `List`, `Node`, `Chain` |
//! | thousands of small locks | [`parking_lot`] |
//! | never to take two locks in the wrong order | [`levels`] |
//!
//! # To learn from it
//! Begin with `spin/test_and_set.rs`, a lock in two steps, and go on to
//! `channel/oneshot/checked.rs`, a value handed over by one flag: Release and
//! Acquire are all there is to both. `arc/strong.rs` counts, and says why only the
//! last drop has a fence. `lock/raw_mutex.rs` sleeps: its three states are what all
//! that sleep have in common. `seq_lock.rs` has fences on both sides, and
//! `rcu/state.rs` the one pair in the crate that must be sequentially consistent.
//! Each file opens with its states, and who goes from which to which; each
//! ordering has a comment that names its partner. The examples show what these
//! came from: `spin_lock_steps`, `channel_steps`, `arc_steps`, `blocking_steps`,
//! `list_steps`, `aba` and `id_allocation`.
//!
//! # Guards
//! Guards are `!Send`: a future that holds one across an await is not `Send`, and
//! an executor that wants `Send` futures refuses it. (Those of [`task`] are made
//! for that, and are.)
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
mod backoff;
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
#[cfg(feature = "alloc")]
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
#[cfg(feature = "alloc")]
pub use shared_list::{Chain, List, Node, Verdict};
pub use spin::{ClhHandle, ClhLock, ClhNode, McsLock, SpinLock, SpinLockGuard, TicketLock};
