//! Futexes (futex(2)): a word in user memory to wait at.
//!
//! The kernel keeps nothing about a word but those who wait at it. They are in
//! a fixed table of buckets, each with a lock of its own, found by the word's
//! [`Key`]. Looking at the word and joining the bucket happen under the
//! bucket's lock, and a wake takes the same lock, so a wake between the two is
//! not lost. The look never faults under the lock: an absent page is faulted in
//! first and the look repeated.
//!
//! | module | what |
//! |---|---|
//! | `key` | what a word is known by |
//! | `word` | loads and changes of the word itself |
//! | `table` | the buckets; wake, requeue |
//! | `wait` | the future of a thread that waits |
//! | `robust` | mutexes whose owner dies |
//! | `graph`, `pi`, `pi_wait` | mutexes with priority inheritance |
//!
//! # Memory
//! A waiter is one [`Node`](ochre_sync::Node) in the heap, allocated when its
//! thread blocks; joining, waking and moving allocate nothing.
//!
//! # Cancel safety
//! A waiter leaves its bucket under the bucket's lock. If it is not there any
//! more it was woken, and says so: a wake-up goes to nobody else afterwards.

mod graph;
mod key;
mod pi;
mod pi_wait;
mod robust;
mod table;
mod wait;
mod word;

pub use key::{Key, Scope};
pub use pi::priority_changed;
pub use pi_wait::{Lock, Locked, WaitOnward, check_owner, lock, try_lock, unlock};
pub use robust::release_owned;
pub use table::{Move, requeue, requeue_inheriting, start, wake, wake_op};
pub use wait::{Deadline, Ended, Target, Wait, WaitMany};

use crate::process::{Pid, Thread};

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// The word.
    pub at: Key,
    /// Who has it, where the kernel knows: mutexes with priority inheritance.
    pub owner: Option<Pid>,
}

/// The futex that a thread waits at, if it does: for people, not fast.
#[must_use]
pub fn waited_for(thread: &Thread) -> Option<Waited> {
    if let Some((at, owner)) = pi::waited_for(thread.tid()) {
        let owner = Some(owner);
        return Some(Waited { at, owner });
    }
    let at = table::word_of(&thread.task()?)?;
    Some(Waited { at, owner: None })
}

/// The owner of a mutex died (`FUTEX_OWNER_DIED`).
const OWNER_DIED: u32 = 0x4000_0000;
/// Somebody waits in the kernel (`FUTEX_WAITERS`).
const HAS_WAITERS: u32 = 0x8000_0000;
/// The owner's number (`FUTEX_TID_MASK`).
const OWNER: u32 = 0x3fff_ffff;
