//! Interval timers (setitimer(2)).
//!
//! A timer that has sent its signal goes on when the signal is taken, as on
//! Linux: however short the interval, a program that does not get to its
//! signals is not flooded, and neither is the machine.

use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::task::Waker;

use ochre_abi::signal::Signal;
use ochre_sync::SpinLock;

use super::{Alarm, ClockSource, CpuKind, Schedule};
use crate::process::Process;
use crate::signal::{self, Info};

/// Which interval timer, with the numbers of `ITIMER_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Which {
    /// Real time, SIGALRM.
    Real = 0,
    /// User mode, SIGVTALRM.
    Virtual = 1,
    /// User mode and kernel, SIGPROF.
    Prof = 2,
}

impl Which {
    /// The timer of a number.
    #[must_use]
    pub fn new(number: i32) -> Option<Which> {
        match number {
            0 => Some(Which::Real),
            1 => Some(Which::Virtual),
            2 => Some(Which::Prof),
            _ => None,
        }
    }

    fn of_signal(signal: Signal) -> Option<Which> {
        match signal {
            Signal::SIGALRM => Some(Which::Real),
            Signal::SIGVTALRM => Some(Which::Virtual),
            Signal::SIGPROF => Some(Which::Prof),
            _ => None,
        }
    }

    fn signal(self) -> Signal {
        match self {
            Which::Real => Signal::SIGALRM,
            Which::Virtual => Signal::SIGVTALRM,
            Which::Prof => Signal::SIGPROF,
        }
    }

    fn clock(self, process: &Arc<Process>) -> ClockSource {
        match self {
            Which::Real => ClockSource::Monotonic,
            Which::Virtual => ClockSource::Process(Arc::clone(process), CpuKind::User),
            Which::Prof => ClockSource::Process(Arc::clone(process), CpuKind::All),
        }
    }
}

/// The three timers of a process; each is made when first set.
#[derive(Default)]
pub struct IntervalTimers {
    timers: SpinLock<[Option<Running>; 3]>,
}

struct Running {
    alarm: Alarm,
    waker: Waker,
    /// Whether its signal was sent and not yet taken.
    is_sent: bool,
}

/// What a timer's waker knows: the process, which may be gone.
struct Bell {
    process: Weak<Process>,
    which: Which,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(process) = self.process.upgrade() {
            expire(&process, self.which);
        }
    }
}

/// An alarm went off, perhaps too early.
fn expire(process: &Process, which: Which) {
    {
        let mut timers = process.interval_timers.timers.lock();
        let Some(running) = &mut timers[which as usize] else {
            return;
        };
        if running.is_sent {
            return;
        }
        let now = running.alarm.now_ns();
        if !running.alarm.schedule.is_due(now) {
            let waker = running.waker.clone();
            running.alarm.arm(&waker);
            return;
        }
        running.is_sent = true;
    }
    // Standard signals cannot fail.
    let _ = signal::send_to_process(process, which.signal(), Info::KERNEL);
}

impl IntervalTimers {
    /// The timer as it stands: what remains and the interval.
    #[must_use]
    pub fn get(&self, which: Which) -> (u64, u64) {
        match &self.timers.lock()[which as usize] {
            Some(running) => show(running),
            None => (0, 0),
        }
    }

    /// Stops all timers: their process ends.
    pub fn clear(&self) {
        let timers = core::mem::take(&mut *self.timers.lock());
        drop(timers);
    }

    /// A signal was taken: if it was a timer's, that goes on.
    pub(super) fn signal_taken(&self, signal: Signal) {
        let Some(which) = Which::of_signal(signal) else {
            return;
        };
        let mut timers = self.timers.lock();
        let Some(running) = &mut timers[which as usize] else {
            return;
        };
        if core::mem::take(&mut running.is_sent) {
            let now = running.alarm.now_ns();
            running.alarm.schedule.advance(now);
            let waker = running.waker.clone();
            running.alarm.arm(&waker);
        }
    }
}

fn show(running: &Running) -> (u64, u64) {
    let schedule = running.alarm.schedule;
    (
        schedule.remaining_ns(running.alarm.now_ns()),
        schedule.interval_ns,
    )
}

/// Sets a timer to expire after `value_ns` (0 stops it); gives what it was.
pub fn set(process: &Arc<Process>, which: Which, value_ns: u64, interval_ns: u64) -> (u64, u64) {
    let clock = which.clock(process);
    let schedule = Schedule {
        next_ns: (value_ns != 0).then(|| clock.now_ns().saturating_add(value_ns)),
        interval_ns: if value_ns == 0 { 0 } else { interval_ns },
    };
    let mut timers = process.interval_timers.timers.lock();
    let slot = &mut timers[which as usize];
    let old = slot.as_ref().map_or((0, 0), show);
    if schedule.next_ns.is_none() {
        // A running processor clock holds its process: let go of it.
        let stopped = slot.take();
        drop(timers);
        drop(stopped);
        return old;
    }
    let running = slot.get_or_insert_with(|| Running {
        alarm: Alarm::new(ClockSource::Monotonic),
        waker: Waker::from(Arc::new(Bell {
            process: Arc::downgrade(process),
            which,
        })),
        is_sent: false,
    });
    running.is_sent = false;
    let waker = running.waker.clone();
    running.alarm.set(clock, schedule, &waker);
    old
}
