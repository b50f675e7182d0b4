//! What each processor has beside its run queue: timers, and the alarm.
//!
//! # The alarm
//! One alarm serves timers and time slices. It is set lazily: an earlier one
//! that is already set stays, and the event that comes too early only looks
//! again. So waking a thread, which makes a slice's end matter, seldom touches
//! the device. Only the processor itself sets its alarm. One that takes away
//! another's timer leaves the alarm as it is.

use ochre_executor::{Machine, Processors, TimerQueue};
use ochre_hal::clock;
use ochre_hal::cpu::{self, CpuId, MAX_CPUS};
use ochre_hal::irq;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU64, Ordering};

use super::account::Account;
use super::executor::Entity;

const NO_ALARM: u64 = u64::MAX;

/// One processor's scheduling state; in cache lines of its own.
#[repr(align(128))]
pub(super) struct Cpu {
    timers: SpinLock<TimerQueue>,
    /// When this processor last looked at the clock: when the poll in progress
    /// began, or the last one ended.
    looked_ns: AtomicU64,
    /// The same in cycles.
    looked_cycles: AtomicU64,
    /// The deadline that the device has, or [`NO_ALARM`].
    alarm_ns: AtomicU64,
    /// Whether the call that it works at takes addresses with tags.
    takes_tags: AtomicBool,
    /// What its time went to.
    pub(super) account: Account,
}

impl Cpu {
    const fn new() -> Cpu {
        Cpu {
            timers: SpinLock::new(TimerQueue::new()),
            looked_ns: AtomicU64::new(0),
            looked_cycles: AtomicU64::new(0),
            alarm_ns: AtomicU64::new(NO_ALARM),
            takes_tags: AtomicBool::new(false),
            account: Account::new(),
        }
    }

    /// Looks at the clock: what it shows, and what it showed last; nanoseconds.
    #[inline]
    pub(super) fn look_at_clock(&self) -> (u64, u64) {
        let now = clock::now();
        // ORDERING: Relaxed throughout; only this processor uses these.
        let before = self.looked_ns.load(Ordering::Relaxed);
        self.looked_ns.store(now.ns, Ordering::Relaxed);
        self.looked_cycles.store(now.cycles, Ordering::Relaxed);
        (now.ns, before)
    }

    /// What the clock showed when it was last looked at.
    #[inline]
    pub(super) fn looked_ns(&self) -> u64 {
        self.looked_ns.load(Ordering::Relaxed)
    }

    /// The same in cycles: from here on its time is that of what it polls next.
    #[inline]
    pub(super) fn looked_cycles(&self) -> u64 {
        self.looked_cycles.load(Ordering::Relaxed)
    }

    /// Sees to it that the alarm of this processor, the caller's, comes at
    /// `deadline_ns` or before; `u64::MAX` for no need of one.
    #[inline]
    pub(super) fn alarm_by(&self, deadline_ns: u64) {
        // ORDERING: Relaxed throughout; only this processor uses its alarm.
        if deadline_ns < self.alarm_ns.load(Ordering::Relaxed) {
            self.alarm_ns.store(deadline_ns, Ordering::Relaxed);
            clock::set_alarm(Some(deadline_ns));
        }
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
    }

    /// Sets the alarm for the end of the slice in progress, if that is still to
    /// come and somebody waits for it.
    pub(super) fn limit_slice(&self) {
        let end = PROCESSORS.slice_end(cpu::current().index());
        if end != u64::MAX && end > clock::now_ns() {
            self.alarm_by(end);
        }
    }
}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

/// The machine, as the run queues see it.
pub(super) struct ThisMachine;

impl Machine for ThisMachine {
    #[inline]
    fn now_ns(&self) -> u64 {
        clock::now_ns()
    }

    fn kick(&self, cpu: usize) {
        if let Some(cpu) = CpuId::from_index(cpu) {
            irq::kick(cpu);
        }
    }
}

/// The run queues.
pub(super) static PROCESSORS: Processors<Entity, ThisMachine, MAX_CPUS> =
    Processors::new(ThisMachine);

/// The processor that runs the caller.
#[inline]
pub(super) fn this() -> &'static Cpu {
    of(cpu::current())
}

/// Whether the call that this processor works at takes addresses with tags.
#[must_use]
pub fn takes_tags() -> bool {
    // ORDERING: Relaxed, here and below; only the processor itself uses it.
    this().takes_tags.load(Ordering::Relaxed)
}

/// Says whether it does, until the same poll says otherwise.
pub fn take_tags(takes: bool) {
    this().takes_tags.store(takes, Ordering::Relaxed);
}

/// A processor by number.
#[inline]
pub(super) fn of(cpu: CpuId) -> &'static Cpu {
    &CPUS[cpu.index()]
}

/// Runs `f` on a processor's timers and keeps the alarm early enough, if it is
/// the caller's own.
pub(super) fn with_timers<R>(cpu: CpuId, f: impl FnOnce(&mut TimerQueue) -> R) -> R {
    let processor = of(cpu);
    let mut timers = processor.timers.lock();
    let result = f(&mut timers);
    let next = timers.next_deadline();
    drop(timers);
    if let Some(next) = next
        && cpu == cpu::current()
    {
        processor.alarm_by(next);
    }
    result
}

/// Threads and jobs that run or wait to, on all processors.
#[must_use]
pub fn active() -> usize {
    let of = |cpu| PROCESSORS.waiting(cpu) + usize::from(PROCESSORS.is_busy(cpu));
    cpu::all().map(|cpu| of(cpu.index())).sum()
}

/// Whether the thread that runs here has to let another one run: its slice is
/// over and somebody waits, somebody more important waits, or it must not run
/// here any more. The caller then gives way.
#[must_use]
pub fn must_give_way() -> bool {
    PROCESSORS.must_give_way(cpu::current().index(), clock::now_ns())
}
