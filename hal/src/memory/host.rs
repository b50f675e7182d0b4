//! A machine's memory for tests on a host: an arena and its records.
//!
//! There is one processor in the arena's world, so tests that use it take
//! turns: [`start`] returns the guard.

#[cfg(test)]
use core::cell::RefCell;
use core::cell::UnsafeCell;
#[cfg(test)]
use std::{thread_local, vec::Vec};

use ochre_alloc::Record;
use ochre_sync::{SpinLock, SpinLockGuard};

use super::{PAGE_SIZE, frames};
#[cfg(test)]
use super::{table::Table, walk};

/// Frames of the arena.
const FRAMES: usize = 8192;

#[repr(C, align(4096))]
struct Arena(UnsafeCell<[u8; FRAMES * PAGE_SIZE]>);

// SAFETY: only the address is used here; who may access what is the frame allocator's business.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; FRAMES * PAGE_SIZE]));

static RECORDS: [Record; FRAMES] = [const { Record::new() }; FRAMES];

/// Whether the arena was given to the frame allocator; held while a test uses it.
static STARTED: SpinLock<bool> = SpinLock::new(false);

/// The arena's address.
pub(super) fn arena() -> usize {
    ARENA.0.get().expose_provenance()
}

/// Makes an arena of 32 MiB the machine's memory, for a test on a host. The
/// test has it alone until it drops the guard.
pub fn start() -> SpinLockGuard<'static, bool> {
    let mut started = STARTED.lock();
    if !*started {
        frames::start(0, &RECORDS);
        // CAST: a few thousand.
        frames::add(1..FRAMES as u32);
        *started = frames::finish().is_ok();
    }
    started
}

#[cfg(test)]
thread_local! {
    static FORGOTTEN: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
}

/// Processors would be made to forget from an address on: notes the entry that
/// they would find for it then.
#[cfg(test)]
pub(super) fn note_forgotten(root: Table, address: u64) {
    let mut found = 0;
    walk::walk(root, address, |step| found = step.raw);
    FORGOTTEN.with_borrow_mut(|all| all.push((address, found)));
}

/// What was noted since the last time, on this thread: addresses, and the
/// entries that were there.
#[cfg(test)]
pub(super) fn forgotten() -> Vec<(u64, u64)> {
    FORGOTTEN.take()
}
