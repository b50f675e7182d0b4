//! How many threads there may be: of all users, and of one.
//!
//! Both limits are looked at twice: when a child is asked for, so that one that
//! is refused costs nothing, and under the table's lock when it is inserted,
//! so that several makers at once stay within them, too.

use ochre_abi::Errno;
use ochre_hal::memory;
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

use super::table::{self, Table};
use super::{Capability, Resource, Thread};

/// Threads that a machine has at least, whatever its memory.
const LEAST_TASKS: usize = 64;

/// What the limit was set to; 0 is never.
static TASK_LIMIT: AtomicUsize = AtomicUsize::new(0);

/// What it may be set to: numbers of threads have 30 bits in futex words.
const TASK_LIMITS: core::ops::RangeInclusive<usize> = 20..=0x3fff_ffff;

/// How many threads there may be (`/proc/sys/kernel/threads-max`), ended
/// processes that nobody has asked after among them: unless set, as many as fit
/// in an eighth of memory at 16 KiB each, as Linux reckons.
#[must_use]
pub fn task_limit() -> usize {
    // ORDERING: a limit that stands for itself.
    match TASK_LIMIT.load(Ordering::Relaxed) {
        0 => (memory::total() / 32).max(LEAST_TASKS),
        set => set,
    }
}

/// Sets how many threads there may be. Those there are stay.
///
/// # Errors
/// EINVAL outside of what it may be.
pub fn set_task_limit(limit: usize) -> Result<(), Errno> {
    if !TASK_LIMITS.contains(&limit) {
        return Err(Errno::EINVAL);
    }
    // ORDERING: as above.
    TASK_LIMIT.store(limit, Ordering::Relaxed);
    Ok(())
}

/// Whether there may be one more thread; the superuser is no exception.
///
/// # Errors
/// EAGAIN.
pub(super) fn check_all(table: &Table) -> Result<(), Errno> {
    if table.task_count() >= task_limit() {
        return Err(Errno::EAGAIN);
    }
    Ok(())
}

/// What a user may have yet (`RLIMIT_NPROC`), as it was when it was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// None for the superuser and those who may raise limits (setrlimit(2)).
    limited: Option<Limited>,
}

#[derive(Clone, Copy, Debug)]
struct Limited {
    user: u32,
    limit: u64,
    /// How many the user had.
    counted: u64,
    /// Threads ever made by then.
    made: u64,
}

impl Share {
    /// Looks whether a thread's user may have one more.
    ///
    /// # Errors
    /// EAGAIN.
    pub(super) fn of(thread: &Thread) -> Result<Share, Errno> {
        let credentials = thread.credentials();
        let user = credentials.uid.real;
        if user == 0
            || credentials.has(Capability::SysAdmin)
            || credentials.has(Capability::SysResource)
        {
            return Ok(Share { limited: None });
        }
        let limit = thread.process.limits.soft(Resource::Processes);
        let table = table::lock();
        let limited = Limited {
            user,
            limit,
            counted: count(&table, user),
            made: table.threads_made(),
        };
        drop(table);
        if limited.counted >= limit {
            return Err(Errno::EAGAIN);
        }
        Ok(Share {
            limited: Some(limited),
        })
    }

    /// Looks again, when the thread is inserted. Most times nothing has to be
    /// counted: the user has at most as many more as were made meanwhile.
    ///
    /// # Errors
    /// EAGAIN.
    pub(super) fn check(&self, table: &Table) -> Result<(), Errno> {
        check_all(table)?;
        let Some(of) = &self.limited else {
            return Ok(());
        };
        let made = table.threads_made().saturating_sub(of.made);
        if of.counted.saturating_add(made) >= of.limit && count(table, of.user) >= of.limit {
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }
}

/// How many threads a user has. As on Linux, processes that have ended and that
/// nobody has asked after yet count, too.
fn count(table: &Table, user: u32) -> u64 {
    let threads = table
        .threads()
        .filter(|thread| thread.credentials().uid.real == user)
        .count();
    let ended = table
        .iter()
        .filter(|of| of.is_zombie && of.process.credentials().uid.real == user)
        .count();
    (threads + ended) as u64
}
