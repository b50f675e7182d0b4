//! Times as calls carry them, and the clocks' numbers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Errno;

/// Nanoseconds of a second.
pub const NS_PER_SECOND: u64 = 1_000_000_000;
/// Clock ticks of a second, as times(2) and `/proc` count (`AT_CLKTCK`).
pub const TICKS_PER_SECOND: u64 = 100;

/// Wall clock.
pub const CLOCK_REALTIME: i32 = 0;
/// Time since some point, without leaps.
pub const CLOCK_MONOTONIC: i32 = 1;
/// Processor time of the process.
pub const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
/// Processor time of the thread.
pub const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
/// Like monotonic, without rate corrections.
pub const CLOCK_MONOTONIC_RAW: i32 = 4;
/// Wall clock at the last tick.
pub const CLOCK_REALTIME_COARSE: i32 = 5;
/// Monotonic at the last tick.
pub const CLOCK_MONOTONIC_COARSE: i32 = 6;
/// Time since boot, suspension included.
pub const CLOCK_BOOTTIME: i32 = 7;
/// Wall clock that could wake the machine.
pub const CLOCK_REALTIME_ALARM: i32 = 8;
/// Time since boot that could wake the machine.
pub const CLOCK_BOOTTIME_ALARM: i32 = 9;
/// International atomic time.
pub const CLOCK_TAI: i32 = 11;

/// The time given is absolute.
pub const TIMER_ABSTIME: i32 = 1;

/// `struct timespec`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TimeSpec {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds, below one second.
    pub nanoseconds: i64,
}

const _: () = assert!(size_of::<TimeSpec>() == 16);

impl TimeSpec {
    /// From nanoseconds.
    #[must_use]
    pub const fn from_ns(ns: u64) -> TimeSpec {
        TimeSpec {
            seconds: (ns / NS_PER_SECOND).cast_signed(),
            nanoseconds: (ns % NS_PER_SECOND).cast_signed(),
        }
    }

    /// As nanoseconds; a time too far away is the farthest there is.
    ///
    /// # Errors
    /// EINVAL for negative seconds, or nanoseconds that are not below a second.
    pub const fn to_ns(self) -> Result<u64, Errno> {
        if self.seconds < 0
            || self.nanoseconds < 0
            || self.nanoseconds >= NS_PER_SECOND.cast_signed()
        {
            return Err(Errno::EINVAL);
        }
        let ns = self
            .seconds
            .cast_unsigned()
            .saturating_mul(NS_PER_SECOND)
            .saturating_add(self.nanoseconds.cast_unsigned());
        // Half of the range, so that adding two is still a time.
        Ok(if ns > FAR_AWAY_NS { FAR_AWAY_NS } else { ns })
    }
}

/// The farthest time, some 292 years away.
pub const FAR_AWAY_NS: u64 = u64::MAX / 2;

/// `struct timeval`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TimeVal {
    /// Seconds.
    pub seconds: i64,
    /// Microseconds, below one second.
    pub microseconds: i64,
}

const _: () = assert!(size_of::<TimeVal>() == 16);

impl TimeVal {
    /// From nanoseconds, rounded down.
    #[must_use]
    pub const fn from_ns(ns: u64) -> TimeVal {
        TimeVal {
            seconds: (ns / NS_PER_SECOND).cast_signed(),
            microseconds: (ns % NS_PER_SECOND / 1000).cast_signed(),
        }
    }

    /// As nanoseconds; a time too far away is the farthest there is.
    ///
    /// # Errors
    /// EINVAL for negative seconds, or microseconds that are not below a second.
    pub const fn to_ns(self) -> Result<u64, Errno> {
        if self.microseconds < 0 || self.microseconds >= 1_000_000 {
            return Err(Errno::EINVAL);
        }
        TimeSpec {
            seconds: self.seconds,
            nanoseconds: self.microseconds * 1000,
        }
        .to_ns()
    }
}

/// `struct itimerspec`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ITimerSpec {
    /// Between expirations; zero for one.
    pub interval: TimeSpec,
    /// Until the first; zero for none.
    pub value: TimeSpec,
}

const _: () = assert!(size_of::<ITimerSpec>() == 32);

/// `struct itimerval`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ITimerVal {
    /// Between expirations; zero for one.
    pub interval: TimeVal,
    /// Until the first; zero for none.
    pub value: TimeVal,
}

const _: () = assert!(size_of::<ITimerVal>() == 32);

/// `struct timezone`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct TimeZone {
    /// Minutes west of Greenwich.
    pub minutes_west: i32,
    /// Kind of daylight saving.
    pub daylight: i32,
}

const _: () = assert!(size_of::<TimeZone>() == 8);

/// `struct sigevent`, as far as `timer_create` reads it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SigEvent {
    /// What the signal tells.
    pub value: u64,
    /// The signal.
    pub signal: i32,
    /// `SIGEV_*`.
    pub notify: i32,
    /// The thread of [`SIGEV_THREAD_ID`].
    pub thread: i32,
    /// Unused.
    pub padding: [u32; 11],
}

const _: () = assert!(size_of::<SigEvent>() == 64);

/// Notify by a signal.
pub const SIGEV_SIGNAL: i32 = 0;
/// Do not notify.
pub const SIGEV_NONE: i32 = 1;
/// Notify by a thread (for the C library a signal too).
pub const SIGEV_THREAD: i32 = 2;
/// Notify one thread by a signal; a flag.
pub const SIGEV_THREAD_ID: i32 = 4;

/// `struct timex` (adjtimex(2)).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the fields are those of adjtimex(2), one by one"
)]
pub struct Timex {
    pub modes: u32,
    pub padding0: u32,
    pub offset: i64,
    pub frequency: i64,
    pub max_error: i64,
    pub estimated_error: i64,
    pub status: i32,
    pub padding1: u32,
    pub constant: i64,
    pub precision: i64,
    pub tolerance: i64,
    pub time: TimeVal,
    pub tick: i64,
    pub pps: [i64; 3],
    pub shift: i32,
    pub padding2: u32,
    pub pps_counts: [i64; 4],
    pub tai: i32,
    pub padding3: [u32; 11],
}

const _: () = assert!(size_of::<Timex>() == 208);

#[cfg(test)]
mod tests {
    use super::{FAR_AWAY_NS, TimeSpec, TimeVal};
    use crate::Errno;

    fn spec(seconds: i64, nanoseconds: i64) -> Result<u64, Errno> {
        TimeSpec {
            seconds,
            nanoseconds,
        }
        .to_ns()
    }

    #[test]
    fn what_is_no_time_is_invalid() {
        assert_eq!(spec(1, 5), Ok(1_000_000_005));
        assert_eq!(spec(-1, 0), Err(Errno::EINVAL));
        assert_eq!(spec(0, -1), Err(Errno::EINVAL));
        assert_eq!(spec(0, 1_000_000_000), Err(Errno::EINVAL));
        assert_eq!(spec(i64::MAX, 999_999_999), Ok(FAR_AWAY_NS));
        assert_eq!(spec(i64::MIN, i64::MIN), Err(Errno::EINVAL));
        let far = TimeVal {
            seconds: i64::MAX,
            microseconds: 999_999,
        };
        assert_eq!(far.to_ns(), Ok(FAR_AWAY_NS));
        let wrong = TimeVal {
            seconds: 0,
            microseconds: i64::MAX,
        };
        assert_eq!(wrong.to_ns(), Err(Errno::EINVAL));
    }

    #[test]
    fn nanoseconds_come_back() {
        for ns in [0, 1, 999_999_999, 1_000_000_000, 123_456_789_012] {
            assert_eq!(TimeSpec::from_ns(ns).to_ns(), Ok(ns));
        }
        assert_eq!(TimeVal::from_ns(1_999_999_999).to_ns(), Ok(1_999_999_000));
    }
}
