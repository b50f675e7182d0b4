//! One alarm per processor, on a timer that can be set to one time.
//!
//! The scheduler sets it at every switch, nearly always to a later time than
//! the timer is already set to. So the timer is programmed only when the new
//! deadline is *earlier* than what is programmed; an interrupt that turns out
//! to be early just programs the rest.
//!
//! | `programmed` | `wanted` | at the timer's interrupt |
//! |---|---|---|
//! | never | never | (none comes) |
//! | t | never | nothing; withdrawn |
//! | t | at most now | [`Event::Timer`] |
//! | t | after now | programs again; far deadlines get here too |
//!
//! With several processors there is a third, `watch`: when to look after
//! another one ([`watch`]), which is none of the kernel's events.
//!
//! Each processor's alarm is touched by that processor only, with interrupts
//! off, so all accesses are Relaxed.

use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::now_ns;
use crate::arch::machine::clock as machine;
use crate::cpu::{self, MAX_CPUS};
use crate::irq::Event;
use crate::smp::watch;

/// A point in time that does not come.
const NEVER: u64 = u64::MAX;

/// One processor's alarm; see the module's table.
#[repr(align(64))]
struct Alarm {
    wanted: AtomicU64,
    programmed: AtomicU64,
    watch: AtomicU64,
}

static ALARMS: [Alarm; MAX_CPUS] = [const {
    Alarm {
        wanted: AtomicU64::new(NEVER),
        programmed: AtomicU64::new(NEVER),
        watch: AtomicU64::new(NEVER),
    }
}; MAX_CPUS];

impl Alarm {
    /// This processor's.
    #[inline]
    fn here() -> &'static Alarm {
        &ALARMS[cpu::current().index()]
    }

    /// Has the timer interrupt at `deadline_ns`, or before.
    #[inline]
    fn program(&self, deadline_ns: u64) {
        if let Some(programmed) = machine::program(deadline_ns) {
            self.programmed.store(programmed, Ordering::Relaxed);
        }
    }

    /// The same, unless it does so already.
    #[inline]
    fn program_if_earlier(&self, deadline_ns: u64) {
        if deadline_ns < self.programmed.load(Ordering::Relaxed) {
            self.program(deadline_ns);
        }
    }
}

/// Sets this processor's alarm, or withdraws it.
pub(super) fn set(deadline_ns: Option<u64>) {
    let wanted = deadline_ns.unwrap_or(NEVER);
    let alarm = Alarm::here();
    alarm.wanted.store(wanted, Ordering::Relaxed);
    alarm.program_if_earlier(wanted);
}

/// The timer's interrupt came, and the timer is off: what that means.
pub(crate) fn timer_fired() -> Event {
    let alarm = Alarm::here();
    alarm.programmed.store(NEVER, Ordering::Relaxed);
    let now = now_ns();
    let mut watch = alarm.watch.load(Ordering::Relaxed);
    if watch <= now {
        watch = watch::look(now);
        alarm.watch.store(watch, Ordering::Relaxed);
    }
    let mut wanted = alarm.wanted.load(Ordering::Relaxed);
    let mut event = Event::Nothing;
    if wanted <= now {
        alarm.wanted.store(NEVER, Ordering::Relaxed);
        wanted = NEVER;
        event = Event::Timer;
    }
    let next = wanted.min(watch);
    if next != NEVER {
        alarm.program(next);
    }
    event
}

/// Begins to look after another processor; once on each.
pub(crate) fn start_watch() {
    let alarm = Alarm::here();
    let watch = watch::look(now_ns());
    alarm.watch.store(watch, Ordering::Relaxed);
    alarm.program_if_earlier(watch);
}
