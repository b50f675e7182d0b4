//! Advisory locks: of byte ranges (fcntl) and of whole files (flock).
//!
//! A lock belongs to a process or to an open file description. Locks of one
//! file are kept under the address of what is locked, which lives as long as
//! anybody has it open; a process's locks end when it closes any descriptor of
//! the file, a description's when the description ends.
//!
//! # Lock protocol
//! `TABLE` is the only lock; wait queues are woken after it.

mod ranges;
mod told;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

pub use ranges::{Held, Owner, RangeLocks, Span};
pub use told::{Kind, Told, all};

use super::OpenFile;
use crate::memory::{Identity, MakeRoom};
use crate::wait::WaitQueue;

/// Steps that a search for a circle of waiting processes takes.
const CIRCLE_MAX: usize = 16;

/// A lock of a whole file.
#[derive(Clone, Copy, Debug)]
struct Whole {
    description: usize,
    exclusive: bool,
    /// The process that asked for it.
    asked_by: u32,
}

/// The locks of one file.
#[derive(Default)]
struct FileLocks {
    ranges: RangeLocks,
    whole: Vec<Whole>,
    changed: WaitQueue,
    /// Which file it is, for people. Known soon after the first lock.
    file: Option<Identity>,
}

impl FileLocks {
    /// Locks all of the file instead of what the description had, and whether
    /// it gave up a lock on the way: then others are told. Who had none must
    /// not tell, as it would wake itself for ever while it waits.
    fn lock_whole(&mut self, wanted: Whole) -> (Result<(), Errno>, bool) {
        let is_wanted = |held: &Whole| {
            held.description == wanted.description && held.exclusive == wanted.exclusive
        };
        if self.whole.iter().any(is_wanted) {
            return (Ok(()), false);
        }
        let gave_up = self.release_whole(wanted.description);
        let mut others = self.whole.iter();
        if others.any(|other| wanted.exclusive || other.exclusive) {
            return (Err(Errno::EAGAIN), gave_up);
        }
        if self.whole.make_room(1).is_err() {
            return (Err(Errno::ENOLCK), gave_up);
        }
        self.whole.push(wanted);
        (Ok(()), gave_up)
    }

    /// Ends what a description has locked as a whole; whether it had.
    fn release_whole(&mut self, description: usize) -> bool {
        let before = self.whole.len();
        self.whole.retain(|held| held.description != description);
        self.whole.len() < before
    }
}

struct Table {
    files: BTreeMap<usize, FileLocks>,
    /// Who waits for whom, among processes.
    waits: Vec<(Owner, Owner)>,
}

static TABLE: SpinLock<Table> = SpinLock::new(Table {
    files: BTreeMap::new(),
    waits: Vec::new(),
});

/// Files with locks: closing anything looks here first.
static LOCKED_FILES: AtomicUsize = AtomicUsize::new(0);

/// What identifies the file that is locked.
#[must_use]
pub fn key(file: &OpenFile) -> usize {
    match file.path() {
        Some(path) => alloc::sync::Arc::as_ptr(path.inode()).addr(),
        None => alloc::sync::Arc::as_ptr(file.file()).addr(),
    }
}

/// What identifies a description.
#[must_use]
pub fn description(file: &OpenFile) -> usize {
    core::ptr::from_ref(file).addr()
}

/// Keeps which file has this key. The file system is asked with nothing locked.
fn name(key: usize, file: &OpenFile) {
    let metadata = file.metadata();
    if let Some(locks) = TABLE.lock().files.get_mut(&key) {
        locks.file = Some(Identity {
            device: metadata.device,
            inode: metadata.inode,
        });
    }
}

fn with_file<R>(key: usize, act: impl FnOnce(&mut FileLocks) -> R) -> R {
    let mut table = TABLE.lock();
    let file = table.files.entry(key).or_default();
    let result = act(file);
    let queue = file.changed.clone();
    if file.ranges.is_empty() && file.whole.is_empty() && !queue.has_waiters() {
        table.files.remove(&key);
    }
    // ORDERING: Relaxed; a hint for closes, which lock the table to be sure.
    LOCKED_FILES.store(table.files.len(), Ordering::Relaxed);
    drop(table);
    result
}

/// The queue that announces changes of a file's locks.
#[must_use]
pub fn queue(key: usize) -> WaitQueue {
    let mut table = TABLE.lock();
    table.files.entry(key).or_default().changed.clone()
}

/// The lock that keeps `owner` from locking `span`, if one does.
#[must_use]
pub fn conflict(key: usize, owner: Owner, span: Span, exclusive: bool) -> Option<Held> {
    with_file(key, |file| file.ranges.conflict(owner, span, exclusive))
}

/// Locks a range.
///
/// # Errors
/// EAGAIN when another owner's lock is in the way; ENOLCK without memory.
pub fn lock_range(file: &OpenFile, owner: Owner, span: Span, exclusive: bool) -> Result<(), Errno> {
    let key = key(file);
    let (queue, is_named) = with_file(key, |locks| {
        if locks.ranges.conflict(owner, span, exclusive).is_some() {
            return Err(Errno::EAGAIN);
        }
        locks.ranges.set(owner, span, Some(exclusive))?;
        Ok((locks.changed.clone(), locks.file.is_some()))
    })?;
    if !is_named {
        name(key, file);
    }
    // An exclusive lock may have become a shared one.
    queue.wake();
    Ok(())
}

/// Unlocks a range.
///
/// # Errors
/// ENOLCK without memory to split a lock.
pub fn unlock_range(key: usize, owner: Owner, span: Span) -> Result<(), Errno> {
    let queue = with_file(key, |file| {
        file.ranges
            .set(owner, span, None)
            .map(|()| file.changed.clone())
    })?;
    queue.wake();
    Ok(())
}

/// Notes that `owner` waits for what is in the way of `span`, until dropped.
///
/// # Errors
/// EDEADLK if that owner waits for `owner` already, through however many others.
pub fn note_wait(key: usize, owner: Owner, span: Span, exclusive: bool) -> Result<Waiting, Errno> {
    let Some(held) = conflict(key, owner, span, exclusive) else {
        return Ok(Waiting(owner));
    };
    let mut table = TABLE.lock();
    let mut at = held.owner;
    for _ in 0..CIRCLE_MAX {
        if at == owner {
            return Err(Errno::EDEADLK);
        }
        match table.waits.iter().find(|(waiter, _)| *waiter == at) {
            Some((_, next)) => at = *next,
            None => break,
        }
    }
    if let Owner::Process(_) = owner {
        table.waits.retain(|(waiter, _)| *waiter != owner);
        table.waits.make_room(1).map_err(|_| Errno::ENOLCK)?;
        table.waits.push((owner, held.owner));
    }
    Ok(Waiting(owner))
}

/// A note of who waits; see [`note_wait`].
#[must_use = "dropping the note ends it"]
#[derive(Debug)]
pub struct Waiting(Owner);

impl Drop for Waiting {
    fn drop(&mut self) {
        TABLE.lock().waits.retain(|(waiter, _)| *waiter != self.0);
    }
}

/// Locks a whole file for a description, instead of what it had.
///
/// # Errors
/// EAGAIN when another description's lock is in the way (what it had is gone,
/// as flock(2) says); ENOLCK without memory.
pub fn lock_whole(file: &OpenFile, asked_by: u32, exclusive: bool) -> Result<(), Errno> {
    let key = key(file);
    let wanted = Whole {
        description: description(file),
        exclusive,
        asked_by,
    };
    let (result, queue, is_named) = with_file(key, |locks| {
        let (result, gave_up) = locks.lock_whole(wanted);
        let queue = gave_up.then(|| locks.changed.clone());
        (result, queue, locks.file.is_some())
    });
    if let Some(queue) = queue {
        queue.wake();
    }
    if result.is_ok() && !is_named {
        name(key, file);
    }
    result
}

/// Ends a description's whole-file lock.
pub fn unlock_whole(file: &OpenFile) {
    let description = description(file);
    let queue = with_file(key(file), |file| {
        file.release_whole(description);
        file.changed.clone()
    });
    queue.wake();
}

fn release(key: usize, owner: Owner) {
    let queue = with_file(key, |file| {
        file.ranges.release(owner);
        if let Owner::Description(description) = owner {
            file.release_whole(description);
        }
        file.changed.clone()
    });
    queue.wake();
}

/// A process closed a descriptor of the file: its locks there end.
#[inline]
pub fn descriptor_closed(file: &OpenFile, pid: u32) {
    if LOCKED_FILES.load(Ordering::Relaxed) != 0 {
        release(key(file), Owner::Process(pid));
    }
}

/// A description ends, and its locks.
#[inline]
pub fn description_ended(file: &OpenFile) {
    if LOCKED_FILES.load(Ordering::Relaxed) != 0 {
        release(key(file), Owner::Description(description(file)));
    }
}

/// A process ended: whatever it still locks.
pub fn process_ended(pid: u32) {
    if LOCKED_FILES.load(Ordering::Relaxed) == 0 {
        return;
    }
    // One by one, with the lock given back in between: no list, so no memory.
    let mut from = 0;
    loop {
        let next = TABLE.lock().files.range(from..).next().map(|(key, _)| *key);
        let Some(key) = next else {
            return;
        };
        release(key, Owner::Process(pid));
        from = key.saturating_add(1);
    }
}
