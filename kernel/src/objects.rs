//! How many of the kernel's larger objects are alive (`/proc/ochre/objects`).
//!
//! What leaks in the kernel is a handle that somebody forgot to drop, so the
//! things that handles are of are counted where they come and go: each has a
//! field of type [`Counted`], which takes no room. Tests compare the numbers
//! before and after.

use ochre_hal::cpu::{self, MAX_CPUS};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Processes, until the last handle is gone.
    Process,
    /// Threads, until the last handle is gone.
    Thread,
    /// Descriptions of open files.
    OpenFile,
    /// Places in wait queues.
    Waiter,
    /// Armed timers.
    Timer,
}

impl Kind {
    /// All kinds, and what they are called.
    pub const ALL: [(Kind, &str); 5] = [
        (Kind::Process, "processes"),
        (Kind::Thread, "threads"),
        (Kind::OpenFile, "open_files"),
        (Kind::Waiter, "waiters"),
        (Kind::Timer, "timers"),
    ];
}

/// One processor's counters, in cache lines of their own: those made less
/// those dropped there, which may be less than none.
#[repr(align(64))]
struct Counts([AtomicU64; Kind::ALL.len()]);

static COUNTS: [Counts; MAX_CPUS] =
    [const { Counts([const { AtomicU64::new(0) }; Kind::ALL.len()]) }; MAX_CPUS];

fn add(kind: usize, more: u64) {
    if let Some(counter) = COUNTS[cpu::current().index()].0.get(kind) {
        // ORDERING: Relaxed; statistics. Only this processor writes them, and
        // nothing interrupts it in between.
        let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
        counter.store(sum, Ordering::Relaxed);
    }
}

/// How many are alive.
#[must_use]
pub fn alive(kind: Kind) -> u64 {
    let of = |counts: &Counts| counts.0[kind as usize].load(Ordering::Relaxed);
    COUNTS.iter().map(of).fold(0, u64::wrapping_add)
}

/// One of a kind that is there now is the kernel's own for ever: it does not count.
pub fn is_own(kind: Kind) {
    add(kind as usize, u64::MAX);
}

/// A part of something that is counted; `KIND` is a [`Kind`].
#[derive(Debug)]
pub struct Counted<const KIND: usize>(());

impl<const KIND: usize> Counted<KIND> {
    /// One more.
    #[inline]
    #[must_use]
    pub fn new() -> Counted<KIND> {
        add(KIND, 1);
        Counted(())
    }
}

impl<const KIND: usize> Default for Counted<KIND> {
    fn default() -> Counted<KIND> {
        Counted::new()
    }
}

impl<const KIND: usize> Drop for Counted<KIND> {
    #[inline]
    fn drop(&mut self) {
        add(KIND, u64::MAX);
    }
}

/// A process.
pub type CountedProcess = Counted<{ Kind::Process as usize }>;
/// A thread.
pub type CountedThread = Counted<{ Kind::Thread as usize }>;
/// An open file.
pub type CountedFile = Counted<{ Kind::OpenFile as usize }>;
/// A waiter.
pub type CountedWaiter = Counted<{ Kind::Waiter as usize }>;
/// A timer.
pub type CountedTimer = Counted<{ Kind::Timer as usize }>;

const _: () = assert!(size_of::<CountedThread>() == 0);

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_are_in_the_order_of_their_numbers() {
        for (index, (kind, _)) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
    }
}
