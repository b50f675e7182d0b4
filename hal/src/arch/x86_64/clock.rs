//! The time stamp counter as the monotonic clock, the APIC timer under the
//! alarms.
//!
//! Nanoseconds are the counter's distance from boot, scaled. The frequencies
//! come from [`calibrate`].

use core::arch::asm;

use ochre_sync::Once;

use super::{apic, calibrate};
use crate::clock::{CounterScale, FRACTION_BITS, Moment, NANOSECONDS, Scale};

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
pub(crate) fn now() -> Moment {
    let cycles = counter();
    let ns = CLOCK.get().map_or(0, |clock| {
        clock
            .to_nanoseconds
            .apply_to_uptime(cycles.saturating_sub(clock.origin))
    });
    Moment { cycles, ns }
}

#[inline]
pub(crate) fn now_ns() -> u64 {
    now().ns
}

pub(crate) fn counter_scale() -> Option<CounterScale> {
    let clock = CLOCK.get()?;
    Some(CounterScale {
        origin: clock.origin,
        factor: clock.to_nanoseconds.factor(),
        fraction_bits: FRACTION_BITS,
    })
}

pub(crate) fn counter_hz() -> u64 {
    CLOCK.get().map_or(0, |clock| clock.counter_hz)
}

/// Sets this processor's timer to `deadline_ns`, or as far towards it as it
/// reaches; returns to what. `None` before there is a clock.
pub(crate) fn program(deadline_ns: u64) -> Option<u64> {
    let (clock, apic) = (CLOCK.get()?, apic::local()?);
    let now = now_ns();
    let wait_ns = deadline_ns.saturating_sub(now).min(clock.timer_reach_ns);
    let programmed = now.saturating_add(wait_ns);
    // Rounded up: an alarm must not come before its time.
    if apic.tsc_deadline {
        let stamp = clock.to_counter.apply(programmed).saturating_add(1);
        apic.start_deadline(clock.origin.saturating_add(stamp));
    } else {
        let count = clock.to_timer.apply(wait_ns).saturating_add(1);
        apic.start_timer(u32::try_from(count).unwrap_or(u32::MAX));
    }
    Some(programmed)
}
