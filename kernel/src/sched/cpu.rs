//! What each processor has: its run queue, its timers, the slice in progress.
//!
//! # The alarm
//! One alarm serves timers and time slices. It is set lazily: an earlier one
//! that is already set stays, and the event that comes too early only looks
//! again. So waking a thread, which starts a slice's end to matter, seldom
//! touches the device.

use ochre_executor::{RunQueue, TimerQueue};
use ochre_hal::clock;
use ochre_hal::cpu::{self, CpuId, MAX_CPUS};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::account::Account;
use super::executor::TaskRef;

/// How long a thread runs before another runnable one gets its turn.
const SLICE_NS: u64 = 4_000_000;

const NO_ALARM: u64 = u64::MAX;

/// One processor's scheduling state.
pub(super) struct Cpu {
    pub(super) queue: SpinLock<RunQueue<TaskRef>>,
    timers: SpinLock<TimerQueue>,
    /// When the poll in progress began.
    pub(super) slice_start_ns: AtomicU64,
    /// The deadline that the device has, or [`NO_ALARM`].
    alarm_ns: AtomicU64,
    /// What its time went to.
    pub(super) account: Account,
}

impl Cpu {
    const fn new() -> Cpu {
        Cpu {
            queue: SpinLock::new(RunQueue::new()),
            timers: SpinLock::new(TimerQueue::new()),
            slice_start_ns: AtomicU64::new(0),
            alarm_ns: AtomicU64::new(NO_ALARM),
            account: Account::new(),
        }
    }

    /// Sees to it that the alarm comes at `deadline_ns` or before.
    fn alarm_by(&self, deadline_ns: u64) {
        // ORDERING: Relaxed throughout; only this processor uses its alarm.
        if deadline_ns < self.alarm_ns.load(Ordering::Relaxed) {
            self.alarm_ns.store(deadline_ns, Ordering::Relaxed);
            clock::set_alarm(Some(deadline_ns));
        }
    }

    /// When the slice in progress ends.
    fn slice_end_ns(&self) -> u64 {
        self.slice_start_ns.load(Ordering::Relaxed) + SLICE_NS
    }

    /// Somebody waits for the processor: its slice must end.
    pub(super) fn limit_slice(&self) {
        self.alarm_by(self.slice_end_ns());
    }

    /// The alarm came: wakes what is due and sets it anew.
    pub(super) fn on_alarm(&self) {
        // ORDERING: Relaxed; see `alarm_by`.
        self.alarm_ns.store(NO_ALARM, Ordering::Relaxed);
        let now = clock::now_ns();
        loop {
            let due = self.timers.lock().pop_due(now);
            match due {
                Some(waker) => waker.wake(),
                None => break,
            }
        }
        let next = self.timers.lock().next_deadline();
        if let Some(next) = next {
            self.alarm_by(next);
        }
        if !self.queue.lock().is_empty() && self.slice_end_ns() > now {
            self.limit_slice();
        }
    }
}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

/// The processor that runs the caller.
#[inline]
pub(super) fn this() -> &'static Cpu {
    of(cpu::current())
}

/// A processor by number.
#[inline]
pub(super) fn of(cpu: CpuId) -> &'static Cpu {
    &CPUS[cpu.index()]
}

/// Runs `f` on a processor's timers and keeps its alarm early enough.
pub(super) fn with_timers<R>(cpu: CpuId, f: impl FnOnce(&mut TimerQueue) -> R) -> R {
    let cpu = of(cpu);
    let mut timers = cpu.timers.lock();
    let result = f(&mut timers);
    let next = timers.next_deadline();
    drop(timers);
    if let Some(next) = next {
        cpu.alarm_by(next);
    }
    result
}

/// Threads waiting to run on this processor.
#[must_use]
pub fn runnable() -> usize {
    this().queue.lock().len()
}

/// Whether the slice in progress is over and another thread waits.
#[must_use]
pub fn slice_is_over() -> bool {
    runnable() > 0 && clock::now_ns() >= this().slice_end_ns()
}
