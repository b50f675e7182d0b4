//! The generic timer: a counter for the time, and one alarm per processor.
//!
//! Setting the timer is left out as often as possible: it is set only when the
//! new deadline is *earlier* than what is programmed; an interrupt that turns
//! out to be early just programs the rest.
//!
//! | `programmed` | `wanted` | at the timer's interrupt |
//! |---|---|---|
//! | never | never | (none comes) |
//! | t | never | nothing; withdrawn |
//! | t | at most now | [`Event::Timer`] |
//! | t | after now | programs again |
//!
//! With several processors there is a third, `watch`: when to look after
//! another one ([`watch`]), which is none of the kernel's events.
//!
//! Each processor's alarm is touched by that processor only, with interrupts
//! off, so all accesses are Relaxed.

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::rtc;
use super::system::{mrs, msr};
use crate::clock::CounterScale;
use crate::cpu::{self, MAX_CPUS};
use crate::irq::Event;
use crate::smp::watch;

/// A point in time that does not come.
const NEVER: u64 = u64::MAX;

const NANOSECONDS: u64 = 1_000_000_000;

/// Fraction bits of the factors.
const FRACTION_BITS: u32 = 40;

/// The longest wait that the timer is given at once: a year, so that the sum
/// with the present cannot overflow.
const REACH_NS: u64 = 365 * 86_400 * NANOSECONDS;

/// Bits of CNTV_CTL: on, and its interrupt masked.
const ENABLE: u64 = 1;

/// What the machine says of its counter, ready for use.
struct Clock {
    /// The counter at time zero.
    origin: u64,
    hz: u64,
    /// Nanoseconds per count, and counts per nanosecond, in fixed point.
    to_nanoseconds: u64,
    to_counter: u64,
}

static CLOCK: Once<Clock> = Once::new();
static BOOT_WALL: Once<u64> = Once::new();

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

/// Starts the clock.
pub(super) fn init() {
    let hz = mrs!("cntfrq_el0").max(1);
    let factor = |from: u64, to: u64| {
        let factor = (u128::from(to) << FRACTION_BITS) / u128::from(from);
        u64::try_from(factor).unwrap_or(u64::MAX)
    };
    let _ = CLOCK.set(Clock {
        origin: counter(),
        hz,
        to_nanoseconds: factor(hz, NANOSECONDS),
        to_counter: factor(NANOSECONDS, hz),
    });
}

/// Multiplies by a fixed-point fraction.
#[inline]
fn scale(value: u64, factor: u64) -> u64 {
    let product = (u128::from(value) * u128::from(factor)) >> FRACTION_BITS;
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// The counter, not read ahead of earlier instructions.
#[inline]
pub(super) fn counter() -> u64 {
    let value;
    // SAFETY: reads a counter.
    unsafe {
        core::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack, preserves_flags));
    }
    value
}

#[inline]
pub(crate) fn now_ns() -> u64 {
    CLOCK.get().map_or(0, |clock| {
        scale(counter().saturating_sub(clock.origin), clock.to_nanoseconds)
    })
}

pub(crate) fn counter_scale() -> Option<CounterScale> {
    let clock = CLOCK.get()?;
    Some(CounterScale {
        origin: clock.origin,
        factor: clock.to_nanoseconds,
        fraction_bits: FRACTION_BITS,
    })
}

pub(crate) fn counter_hz() -> u64 {
    CLOCK.get().map_or(0, |clock| clock.hz)
}

/// Reads the battery-backed clock at the first call only.
pub(crate) fn boot_wall_ns() -> u64 {
    if BOOT_WALL.get().is_none() {
        let now = rtc::read_seconds().unwrap_or(0).saturating_mul(NANOSECONDS);
        let _ = BOOT_WALL.set(now.saturating_sub(now_ns()));
    }
    BOOT_WALL.get().copied().unwrap_or(0)
}

pub(crate) fn set_alarm(deadline_ns: Option<u64>) {
    let wanted = deadline_ns.unwrap_or(NEVER);
    let alarm = &ALARMS[cpu::current().index()];
    alarm.wanted.store(wanted, Ordering::Relaxed);
    if wanted < alarm.programmed.load(Ordering::Relaxed) {
        program(alarm, wanted);
    }
}

/// The timer's interrupt came. Its line is quiet afterwards.
pub(super) fn timer_fired() -> Event {
    // SAFETY: the timer is off until it is programmed.
    unsafe { msr!("cntv_ctl_el0", 0) };
    let alarm = &ALARMS[cpu::current().index()];
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
        program(alarm, next);
    }
    event
}

/// Begins to look after another processor; once on each.
pub(super) fn start_watch() {
    let alarm = &ALARMS[cpu::current().index()];
    let watch = watch::look(now_ns());
    alarm.watch.store(watch, Ordering::Relaxed);
    if watch < alarm.programmed.load(Ordering::Relaxed) {
        program(alarm, watch);
    }
}

/// Sets the timer to `deadline_ns`, or as far towards it as it reaches.
fn program(alarm: &Alarm, deadline_ns: u64) {
    let Some(clock) = CLOCK.get() else {
        return;
    };
    let now = now_ns();
    let wait_ns = deadline_ns.saturating_sub(now).min(REACH_NS);
    let programmed = now.saturating_add(wait_ns);
    alarm.programmed.store(programmed, Ordering::Relaxed);
    // Rounded up: an alarm must not come before its time.
    let count = scale(programmed, clock.to_counter).saturating_add(1);
    // SAFETY: this processor's timer, whose interrupt is taken as the kernel's alarm.
    unsafe { msr!("cntv_cval_el0", clock.origin.saturating_add(count)) };
    // SAFETY: as above.
    unsafe { msr!("cntv_ctl_el0", ENABLE) };
}
