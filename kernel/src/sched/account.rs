//! What a processor's time went to, for `/proc/stat` and `/proc/uptime`.
//!
//! Threads count their own cycles in user mode and in the kernel; a processor
//! takes over what a poll added when the poll ends, so that counting costs
//! nothing on the way of a system call. What is left of a processor's time is
//! its own: interrupts and the run queue.

use ochre_hal::cpu::{self, CpuId};
use ochre_hal::irq::Event;
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};

use super::cpu as processors;
use crate::process::{Pid, Thread};
use crate::time::{self, CpuTimes};

/// One processor's counters. Only that processor writes them: a load and a
/// store are enough.
pub(super) struct Account {
    user: AtomicU64,
    niced: AtomicU64,
    system: AtomicU64,
    idle: AtomicU64,
    /// The cycle counter when the sleep in progress began; 0 while awake.
    asleep_since: AtomicU64,
    switches: AtomicU64,
    timer_events: AtomicU64,
    line_events: AtomicU64,
    /// The thread whose poll is in progress; 0 for none.
    current: AtomicU32,
}

/// A poll in progress: what its thread had before.
pub(super) struct Poll {
    before: CpuTimes,
    niced: bool,
}

/// What a processor did so far; times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// In user mode.
    pub user_ns: u64,
    /// In user mode on behalf of threads with a positive nice level.
    pub niced_ns: u64,
    /// In the kernel for threads.
    pub system_ns: u64,
    /// Asleep.
    pub idle_ns: u64,
    /// Polls of threads.
    pub switches: u64,
    /// Alarms.
    pub timer_events: u64,
    /// Interrupts of devices.
    pub line_events: u64,
}

// ORDERING: Relaxed throughout; statistics with one writer each.
fn add(counter: &AtomicU64, more: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
    counter.store(sum, Ordering::Relaxed);
}

impl Account {
    pub(super) const fn new() -> Account {
        Account {
            user: AtomicU64::new(0),
            niced: AtomicU64::new(0),
            system: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            asleep_since: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            timer_events: AtomicU64::new(0),
            line_events: AtomicU64::new(0),
            current: AtomicU32::new(0),
        }
    }

    /// A thread's poll begins.
    #[inline]
    pub(super) fn enter(&self, thread: &Thread, nice: i32) -> Poll {
        self.current.store(thread.tid().0, Ordering::Relaxed);
        Poll {
            before: time::thread_times(thread),
            niced: nice > 0,
        }
    }

    /// It ended.
    #[inline]
    pub(super) fn leave(&self, thread: &Thread, poll: Poll) {
        let after = time::thread_times(thread);
        let user = if poll.niced { &self.niced } else { &self.user };
        add(user, after.user.wrapping_sub(poll.before.user));
        add(&self.system, after.system.wrapping_sub(poll.before.system));
        add(&self.switches, 1);
        self.current.store(0, Ordering::Relaxed);
    }

    /// The processor goes to sleep.
    pub(super) fn fall_asleep(&self) {
        self.asleep_since.store(cpu::cycles(), Ordering::Relaxed);
    }

    /// It woke up.
    pub(super) fn wake_up(&self) {
        let since = self.asleep_since.load(Ordering::Relaxed);
        add(&self.idle, cpu::cycles().wrapping_sub(since));
        self.asleep_since.store(0, Ordering::Relaxed);
    }

    /// Cycles asleep, with the sleep in progress. Seen from another processor
    /// one that is just ending may be counted twice or not at all.
    fn idle_cycles(&self) -> u64 {
        let idle = self.idle.load(Ordering::Relaxed);
        match self.asleep_since.load(Ordering::Relaxed) {
            0 => idle,
            since => idle.wrapping_add(cpu::cycles().saturating_sub(since)),
        }
    }

    pub(super) fn count_event(&self, event: Event) {
        match event {
            Event::Timer => add(&self.timer_events, 1),
            Event::Line(_) => add(&self.line_events, 1),
            Event::Reschedule | Event::Nothing => {}
        }
    }
}

/// What a processor did so far.
#[must_use]
pub fn of(cpu: CpuId) -> Activity {
    let account = &processors::of(cpu).account;
    let ns = |counter: &AtomicU64| time::cycles_to_ns(counter.load(Ordering::Relaxed));
    Activity {
        user_ns: ns(&account.user),
        niced_ns: ns(&account.niced),
        system_ns: ns(&account.system),
        idle_ns: time::cycles_to_ns(account.idle_cycles()),
        switches: account.switches.load(Ordering::Relaxed),
        timer_events: account.timer_events.load(Ordering::Relaxed),
        line_events: account.line_events.load(Ordering::Relaxed),
    }
}

/// The thread on whose behalf the kernel works here has another number.
pub fn renumber_current(tid: Pid) {
    processors::this()
        .account
        .current
        .store(tid.0, Ordering::Relaxed);
}

/// The thread on whose behalf the kernel works here, if it does for one.
#[must_use]
pub fn current_thread() -> Option<Pid> {
    match processors::this().account.current.load(Ordering::Relaxed) {
        0 => None,
        tid => Some(Pid(tid)),
    }
}
