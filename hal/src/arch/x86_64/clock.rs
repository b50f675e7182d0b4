//! The time stamp counter as the monotonic clock, the APIC timer as the alarm.
//!
//! # The clock
//! Nanoseconds are the counter's distance from boot times a fixed-point
//! factor, in 128 bits: no overflow for centuries, and monotonic because a
//! product with a constant is. The frequencies come from [`calibrate`].
//!
//! # The alarm
//! The scheduler sets it at every switch, nearly always to a later time than
//! the timer is already set to. So the timer is programmed only when the new
//! deadline is *earlier* than what is programmed; an interrupt that turns out
//! to be early just programs the rest.
//!
//! | `programmed` | `wanted` | at the timer's interrupt |
//! |---|---|---|
//! | never | never | (none comes) |
//! | t | never | nothing; withdrawn |
//! | t | ≤ now | [`Event::Timer`] |
//! | t | > now | programs again; far deadlines get here too |
//!
//! With several processors there is a third, `watch`: when to look after
//! another one ([`watch`]), which is none of the kernel's events.
//!
//! Each processor's alarm is touched by that processor only, with interrupts
//! off, so all accesses are Relaxed.

use core::arch::asm;

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::{apic, calibrate, rtc};
use crate::clock::CounterScale;
use crate::cpu::{self, MAX_CPUS};
use crate::irq::Event;
use crate::smp::watch;

/// A point in time that does not come.
const NEVER: u64 = u64::MAX;

const NANOSECONDS: u64 = 1_000_000_000;

/// Fraction bits of [`Scale::factor`].
const FRACTION_BITS: u32 = 40;

/// Multiplies by a fixed-point fraction.
#[derive(Clone, Copy, Debug)]
struct Scale {
    factor: u64,
}

impl Scale {
    /// From units of `from_hz` to units of `to_hz`.
    fn new(from_hz: u64, to_hz: u64) -> Scale {
        let factor = (u128::from(to_hz) << FRACTION_BITS) / u128::from(from_hz.max(1));
        Scale {
            factor: u64::try_from(factor).unwrap_or(u64::MAX),
        }
    }

    #[inline]
    fn apply(self, value: u64) -> u64 {
        let product = (u128::from(value) * u128::from(self.factor)) >> FRACTION_BITS;
        if product > u128::from(u64::MAX) {
            u64::MAX
        } else {
            product as u64
        }
    }

    /// As [`apply`](Scale::apply), for what has less than 64 bits as
    /// nanoseconds: five centuries.
    #[inline]
    fn apply_to_uptime(self, value: u64) -> u64 {
        // CAST: see above.
        ((u128::from(value) * u128::from(self.factor)) >> FRACTION_BITS) as u64
    }
}

/// What calibration found, ready for use.
struct Clock {
    /// The counter at time zero.
    origin: u64,
    counter_hz: u64,
    to_nanoseconds: Scale,
    to_counter: Scale,
    to_timer: Scale,
    /// The longest wait that the timer can be given at once.
    timer_reach_ns: u64,
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

/// Calibrates and starts the clock; the local APIC must be up.
pub(super) fn init() {
    let Some(apic) = apic::local() else {
        return;
    };
    let rates = calibrate::run(apic);
    let to_timer = Scale::new(NANOSECONDS, rates.timer_hz);
    let _ = CLOCK.set(Clock {
        origin: counter(),
        counter_hz: rates.counter_hz,
        to_nanoseconds: Scale::new(rates.counter_hz, NANOSECONDS),
        to_counter: Scale::new(NANOSECONDS, rates.counter_hz),
        to_timer,
        timer_reach_ns: if apic.tsc_deadline {
            // A year, so that the sum with the present cannot overflow.
            365 * 86_400 * NANOSECONDS
        } else {
            Scale::new(rates.timer_hz, NANOSECONDS).apply(u64::from(u32::MAX)) / 2
        },
    });
}

/// The time stamp counter, not read ahead of earlier instructions.
#[inline]
pub(super) fn counter() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a counter; every x86_64 processor has both instructions
    // and the kernel runs where they are allowed.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

#[inline]
pub(crate) fn now_ns() -> u64 {
    CLOCK.get().map_or(0, |clock| {
        clock
            .to_nanoseconds
            .apply_to_uptime(counter().saturating_sub(clock.origin))
    })
}

pub(crate) fn counter_scale() -> Option<CounterScale> {
    let clock = CLOCK.get()?;
    Some(CounterScale {
        origin: clock.origin,
        factor: clock.to_nanoseconds.factor,
        fraction_bits: FRACTION_BITS,
    })
}

pub(crate) fn counter_hz() -> u64 {
    CLOCK.get().map_or(0, |clock| clock.counter_hz)
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

/// The timer's interrupt came (and is acknowledged).
pub(super) fn timer_fired() -> Event {
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
    let (Some(clock), Some(apic)) = (CLOCK.get(), apic::local()) else {
        return;
    };
    let now = now_ns();
    let wait_ns = deadline_ns.saturating_sub(now).min(clock.timer_reach_ns);
    let programmed = now.saturating_add(wait_ns);
    alarm.programmed.store(programmed, Ordering::Relaxed);
    // Rounded up: an alarm must not come before its time.
    if apic.tsc_deadline {
        let stamp = clock.to_counter.apply(programmed).saturating_add(1);
        apic.start_deadline(clock.origin.saturating_add(stamp));
    } else {
        let count = clock.to_timer.apply(wait_ns).saturating_add(1);
        apic.start_timer(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::{NANOSECONDS, Scale};

    #[test]
    fn scales_without_drift_or_overflow() {
        for hz in [
            1_000_000,
            1_193_182,
            999_999_937,
            1_000_000_000,
            2_899_999_000,
            5_000_000_000,
        ] {
            let there = Scale::new(hz, NANOSECONDS);
            let day = hz * 86_400;
            let off = there.apply(day).abs_diff(86_400 * NANOSECONDS);
            assert!(off < 1_000_000, "{hz} Hz is {off} ns off in a day");
            assert_eq!(there.apply(0), 0);
            let (high, higher) = (there.apply(u64::MAX - 1), there.apply(u64::MAX));
            assert!(high <= higher);
        }
        assert_eq!(Scale::new(0, NANOSECONDS).apply(u64::MAX), u64::MAX);
    }

    #[test]
    fn one_gigahertz_is_exact() {
        let same = Scale::new(NANOSECONDS, NANOSECONDS);
        for value in [0, 1, 999, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(same.apply(value), value);
        }
    }
}
