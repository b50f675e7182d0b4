//! Time: a monotonic count of nanoseconds, one alarm per processor, the wall clock at boot.

pub(crate) mod alarm;
mod scale;

use ochre_sync::Once;

use crate::arch::machine::{clock as machine, rtc};

pub(crate) use scale::{FRACTION_BITS, Scale};

/// In a second.
pub(crate) const NANOSECONDS: u64 = 1_000_000_000;

/// One look at the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What [`cycles`](crate::cpu::cycles) says at that moment.
    pub cycles: u64,
    /// What [`now_ns`] says at that moment.
    pub ns: u64,
}

/// Cycles and nanoseconds, for those who count in both.
#[must_use]
#[inline]
pub fn now() -> Moment {
    machine::now()
}

/// Nanoseconds since boot; never goes back.
#[must_use]
pub fn now_ns() -> u64 {
    machine::now_ns()
}

/// Asks for an [`Event::Timer`](crate::irq::Event::Timer) on this processor at
/// `deadline_ns` (monotonic; a past one fires at once), replacing an earlier
/// request; `None` withdraws it.
pub fn set_alarm(deadline_ns: Option<u64>) {
    alarm::set(deadline_ns);
}

/// The wall clock at monotonic time zero, in nanoseconds since the Unix epoch,
/// from the machine's battery-backed clock, which is read at the first call.
#[must_use]
pub fn boot_wall_ns() -> u64 {
    static BOOT_WALL: Once<u64> = Once::new();
    if BOOT_WALL.get().is_none() {
        let now = rtc::read_seconds().unwrap_or(0).saturating_mul(NANOSECONDS);
        let _ = BOOT_WALL.set(now.saturating_sub(now_ns()));
    }
    BOOT_WALL.get().copied().unwrap_or(0)
}

/// How the clock follows from a counter that programs can read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterScale {
    /// The counter at time zero.
    pub origin: u64,
    /// Nanoseconds per count, with a fraction.
    pub factor: u64,
    /// Bits behind the point of `factor`.
    pub fraction_bits: u32,
}

/// How programs can compute [`now_ns`] themselves; `None` if they cannot.
#[must_use]
pub fn counter_scale() -> Option<CounterScale> {
    machine::counter_scale()
}

/// The time stamp counter's frequency in hertz, as calibrated at boot.
#[must_use]
pub fn counter_hz() -> u64 {
    machine::counter_hz()
}
