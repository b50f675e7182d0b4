//! Robust lists (get_robust_list(2)): the mutexes of a thread that dies.
//!
//! The list is the program's, in its memory, and may be anything: every step
//! may fail, which ends the walk, and the walk ends after so many steps.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_hal::user::Access;
use ochre_sync::primitive::atomic::Ordering;

use super::key::{Key, Scope};
use super::{HAS_WAITERS, OWNER, OWNER_DIED, pi, table, word};
use crate::memory::AddressSpace;
use crate::process::Thread;

/// Entries looked at (`ROBUST_LIST_LIMIT`).
const LIMIT: usize = 2048;

/// The bit of an entry's address that marks a mutex with priority inheritance.
const INHERITS: u64 = 1;

/// Gives up the mutexes on a dying thread's robust list: marks each word that
/// the thread owns, and wakes one waiter. The one that the thread was about to
/// take or give up, which may or may not be on the list, comes last.
fn release_robust_list(thread: &Thread, space: &Arc<AddressSpace>) {
    let head = thread.robust_list.swap(0, Ordering::Relaxed);
    if head != 0 {
        // What cannot be read or changed is the program's loss.
        let _: Result<(), Errno> = walk(thread, space, head);
    }
}

/// Gives up all that a thread has of futexes: the mutexes of its robust list,
/// and those with priority inheritance for which somebody waits. With
/// `for_good` the thread ends, and nobody can wait for it from now on.
pub fn release_owned(thread: &Thread, space: &Arc<AddressSpace>, for_good: bool) {
    release_robust_list(thread, space);
    pi::leave(thread, for_good);
}

fn walk(thread: &Thread, space: &Arc<AddressSpace>, head: u64) -> Result<(), Errno> {
    let read = |at: u64| {
        let mut bytes = [0; 8];
        space.read(at, &mut bytes)?;
        Ok::<u64, Errno>(u64::from_ne_bytes(bytes))
    };
    let mut entry = read(head)?;
    let offset = read(head.wrapping_add(8))?;
    let pending = read(head.wrapping_add(16))?;
    for _ in 0..LIMIT {
        if entry & !INHERITS == head {
            break;
        }
        // Before the word is given up: its next owner may free the entry.
        let next = read(entry & !INHERITS);
        if entry & !INHERITS != pending & !INHERITS {
            release(thread, space, entry, offset, false)?;
        }
        entry = next?;
    }
    if pending & !INHERITS != 0 {
        release(thread, space, pending, offset, true)?;
    }
    Ok(())
}

/// Gives up the mutex of one entry. With `pending`, a mutex that nobody owns is
/// one that the thread just unlocked, perhaps without the wake-up.
fn release(
    thread: &Thread,
    space: &Arc<AddressSpace>,
    entry: u64,
    offset: u64,
    pending: bool,
) -> Result<(), Errno> {
    let address = (entry & !INHERITS).wrapping_add(offset);
    let inherits = entry & INHERITS != 0;
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mut value = word::load(space, address)?;
    loop {
        if pending && !inherits && value & OWNER == 0 {
            wake_one(space, address);
            return Ok(());
        }
        if value & OWNER != thread.tid().0 {
            return Ok(());
        }
        let dead = value & HAS_WAITERS | OWNER_DIED;
        match word::try_exchange(space, address, value, dead) {
            Some(held) if held == value => break,
            Some(held) => value = held,
            None => word::fault_in(space, address)?,
        }
    }
    // Who waits for one with priority inheritance gets it from the thread's end.
    if !inherits && value & HAS_WAITERS != 0 {
        wake_one(space, address);
    }
    Ok(())
}

/// Wakes one who waits at a word, asked for as shared, as robust mutexes are.
fn wake_one(space: &Arc<AddressSpace>, address: u64) {
    if let Ok(key) = Key::new(space, address, Scope::Shared, Access::Read) {
        // A word that is used otherwise too is the program's mistake.
        let _: Result<usize, Errno> = table::wake(&key, 1, u32::MAX);
    }
}
