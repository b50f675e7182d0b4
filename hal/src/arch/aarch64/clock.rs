//! The generic timer: a counter for the time, and a timer per processor under
//! the alarms.

use ochre_sync::Once;

use super::system::{mrs, msr};
use crate::clock::{CounterScale, FRACTION_BITS, Moment, NANOSECONDS, Scale};

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
    to_nanoseconds: Scale,
    to_counter: Scale,
}

static CLOCK: Once<Clock> = Once::new();

/// Starts the clock.
pub(super) fn init() {
    let hz = mrs!("cntfrq_el0").max(1);
    let _ = CLOCK.set(Clock {
        origin: counter(),
        hz,
        to_nanoseconds: Scale::new(hz, NANOSECONDS),
        to_counter: Scale::new(NANOSECONDS, hz),
    });
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
    CLOCK.get().map_or(0, |clock| clock.hz)
}

/// Switches this processor's timer off, and with it its line.
pub(super) fn stop_timer() {
    // SAFETY: the timer is off until it is programmed.
    unsafe { msr!("cntv_ctl_el0", 0) };
}

/// Sets this processor's timer to `deadline_ns`, or as far towards it as it
/// reaches; returns to what. `None` before there is a clock.
pub(crate) fn program(deadline_ns: u64) -> Option<u64> {
    let clock = CLOCK.get()?;
    let now = now_ns();
    let wait_ns = deadline_ns.saturating_sub(now).min(REACH_NS);
    let programmed = now.saturating_add(wait_ns);
    // Rounded up: an alarm must not come before its time.
    let count = clock.to_counter.apply(programmed).saturating_add(1);
    // SAFETY: this processor's timer, whose interrupt is taken as the kernel's alarm.
    unsafe { msr!("cntv_cval_el0", clock.origin.saturating_add(count)) };
    // SAFETY: as above.
    unsafe { msr!("cntv_ctl_el0", ENABLE) };
    Some(programmed)
}
