//! Calls about clocks and sleeping.

use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::Poll;

use ochre_abi::Errno;
use ochre_abi::time::{TICKS_PER_SECOND, TIMER_ABSTIME, TimeSpec, TimeVal, TimeZone, Timex};
use ochre_sync::SpinLock;

use super::{Call, Outcome, Ptr, SysResult};
use crate::memory::AddressSpace;
use crate::process::{Capability, Thread};
use crate::signal;
use crate::time::{self, ClockId, ClockSource};
use crate::wait::{self, Interrupted};

/// Times beyond this are refused by clock_settime(2), as on Linux, so that
/// nothing can overflow for decades: 30 years before the end.
const LATEST_SECOND: i64 = i64::MAX / 1_000_000_000 - 30 * 365 * 24 * 3600;

/// The time zone, which the kernel keeps and does not use.
static ZONE: SpinLock<(i32, i32)> = SpinLock::new((0, 0));

fn clock(number: i32) -> Result<ClockId, Errno> {
    ClockId::new(number).ok_or(Errno::EINVAL)
}

/// `clock_gettime(2)`.
pub fn clock_gettime(call: &mut Call<'_>, number: i32, to: Ptr<TimeSpec>) -> Result<(), Errno> {
    let now = match clock(number)? {
        ClockId::Wall { .. } => time::wall_ns(),
        ClockId::Monotonic { .. } => time::monotonic_ns(),
        processor => processor.source(call.thread)?.now_ns(),
    };
    call.space.write_value(to, &TimeSpec::from_ns(now))
}

/// `clock_getres(2)`.
pub fn clock_getres(call: &mut Call<'_>, number: i32, to: Ptr<TimeSpec>) -> Result<(), Errno> {
    let clock = clock(number)?;
    if clock.is_processor_time() {
        // It has to exist.
        let _ = clock.source(call.thread)?;
    }
    if to.is_null() {
        return Ok(());
    }
    let resolution = TimeSpec::from_ns(clock.resolution_ns());
    call.space.write_value(to, &resolution)
}

/// Sets the wall clock if the caller may.
fn set_wall(call: &Call<'_>, new: TimeSpec) -> Result<(), Errno> {
    let ns = new.to_ns()?;
    if new.seconds > LATEST_SECOND {
        return Err(Errno::EINVAL);
    }
    if !call.thread.has(Capability::SysTime) {
        return Err(Errno::EPERM);
    }
    if time::set_wall_ns(ns) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// `clock_settime(2)`.
pub fn clock_settime(call: &mut Call<'_>, number: i32, from: Ptr<TimeSpec>) -> Result<(), Errno> {
    if number != ochre_abi::time::CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    let new = call.space.read_value(from)?;
    set_wall(call, new)
}

/// `gettimeofday(2)`.
pub fn gettimeofday(
    call: &mut Call<'_>,
    to: Ptr<TimeVal>,
    zone: Ptr<TimeZone>,
) -> Result<(), Errno> {
    if !to.is_null() {
        let now = TimeVal::from_ns(time::wall_ns());
        call.space.write_value(to, &now)?;
    }
    if !zone.is_null() {
        let (minutes_west, daylight) = *ZONE.lock();
        let value = TimeZone {
            minutes_west,
            daylight,
        };
        call.space.write_value(zone, &value)?;
    }
    Ok(())
}

/// `settimeofday(2)`.
pub fn settimeofday(
    call: &mut Call<'_>,
    from: Ptr<TimeVal>,
    zone: Ptr<TimeZone>,
) -> Result<(), Errno> {
    let new = if from.is_null() {
        None
    } else {
        let value = call.space.read_value(from)?;
        if !(0..=1_000_000).contains(&value.microseconds) {
            return Err(Errno::EINVAL);
        }
        Some(TimeSpec {
            seconds: value.seconds,
            nanoseconds: value.microseconds * 1000,
        })
    };
    let zone = if zone.is_null() {
        None
    } else {
        Some(call.space.read_value(zone)?)
    };
    if let Some(new) = new {
        new.to_ns()?;
    }
    if !call.thread.has(Capability::SysTime) {
        return Err(Errno::EPERM);
    }
    if let Some(zone) = zone {
        if !(-15 * 60..=15 * 60).contains(&zone.minutes_west) {
            return Err(Errno::EINVAL);
        }
        *ZONE.lock() = (zone.minutes_west, zone.daylight);
    }
    match new {
        Some(new) => set_wall(call, new),
        None => Ok(()),
    }
}

/// `time(2)`.
pub fn time(call: &mut Call<'_>, to: Ptr<i64>) -> SysResult {
    let seconds = TimeSpec::from_ns(time::wall_ns()).seconds;
    if !to.is_null() {
        call.space.write_value(to, &seconds)?;
    }
    Ok(seconds.cast_unsigned() as usize)
}

// ANCHOR: nanosleep
/// `nanosleep(2)`.
pub fn nanosleep(
    call: &mut Call<'_>,
    request: Ptr<TimeSpec>,
    remaining: Ptr<TimeSpec>,
) -> Result<Outcome, Errno> {
    let duration = call.space.read_value(request)?.to_ns()?;
    let deadline = time::monotonic_ns().saturating_add(duration);
    Ok(sleep_until(call, deadline, remaining))
}
// ANCHOR_END: nanosleep

/// `clock_nanosleep(2)`.
pub fn clock_nanosleep(
    call: &mut Call<'_>,
    number: i32,
    flags: i32,
    request: Ptr<TimeSpec>,
    remaining: Ptr<TimeSpec>,
) -> Result<Outcome, Errno> {
    let clock = clock(number)?;
    match clock {
        // A thread cannot wait for its own time, and no coarse clock wakes.
        ClockId::Thread(..) if number >= 0 => return Err(Errno::EOPNOTSUPP),
        ClockId::Thread(..) => return Err(Errno::EINVAL),
        ClockId::Wall { coarse: true } | ClockId::Monotonic { coarse: true } => {
            return Err(Errno::EOPNOTSUPP);
        }
        _ => {}
    }
    if number == ochre_abi::time::CLOCK_MONOTONIC_RAW {
        return Err(Errno::EOPNOTSUPP);
    }
    let wanted = call.space.read_value(request)?.to_ns()?;
    let is_absolute = flags & TIMER_ABSTIME != 0;
    let source = clock.source(call.thread)?;
    Ok(match (source, is_absolute) {
        (ClockSource::Wall | ClockSource::Monotonic, false) => {
            let deadline = time::monotonic_ns().saturating_add(wanted);
            sleep_until(call, deadline, remaining)
        }
        (ClockSource::Monotonic, true) => sleep_absolute(call, wanted),
        (ClockSource::Wall, true) => sleep_wall(call, wanted),
        (source, _) => {
            let start = if is_absolute { 0 } else { source.now_ns() };
            sleep_processor_time(call, source, start.saturating_add(wanted))
        }
    })
}

/// Sleeps until a monotonic time; an interrupted sleep goes on unless a
/// handler ran, and then tells what remained.
fn sleep_until(call: &Call<'_>, deadline: u64, remaining: Ptr<TimeSpec>) -> Outcome {
    if time::monotonic_ns() >= deadline {
        return Outcome::Done(Ok(0));
    }
    let thread = Arc::clone(call.thread);
    let space = Arc::clone(call.space);
    Outcome::wait(async move {
        match wait::until(Arc::clone(&thread), Some(deadline), |_| None::<()>).await {
            Ok(()) | Err(Interrupted::Timeout) => Ok(0),
            Err(Interrupted::NoMemory) => Err(Errno::ENOMEM),
            Err(Interrupted::Signal) => {
                Err(interrupted_sleep(&thread, &space, deadline, remaining))
            }
        }
    })
}

fn interrupted_sleep(
    thread: &Thread,
    space: &AddressSpace,
    deadline: u64,
    remaining: Ptr<TimeSpec>,
) -> Errno {
    let left = deadline.saturating_sub(time::monotonic_ns());
    if !remaining.is_null()
        && let Err(errno) = space.write_value(remaining, &TimeSpec::from_ns(left))
    {
        return errno;
    }
    signal::set_restart(thread, move |call| sleep_until(call, deadline, remaining))
}

/// Sleeps until a monotonic time that the program named: it is made again as
/// it is.
fn sleep_absolute(call: &Call<'_>, deadline: u64) -> Outcome {
    if time::monotonic_ns() >= deadline {
        return Outcome::Done(Ok(0));
    }
    let thread = Arc::clone(call.thread);
    Outcome::wait(async move {
        absolute_result(wait::until(thread, Some(deadline), |_| None::<()>).await)
    })
}

fn absolute_result(result: Result<(), Interrupted>) -> SysResult {
    match result {
        Ok(()) | Err(Interrupted::Timeout) => Ok(0),
        Err(Interrupted::NoMemory) => Err(Errno::ENOMEM),
        Err(Interrupted::Signal) => Err(Errno::ERESTARTNOHAND),
    }
}

/// Sleeps until the wall clock shows a time, also if it is set meanwhile.
fn sleep_wall(call: &Call<'_>, until: u64) -> Outcome {
    let thread = Arc::clone(call.thread);
    Outcome::wait(async move {
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let _listener = time::SettingListener::new(waker);
        loop {
            let settings = time::settings();
            let deadline = until.saturating_sub(time::offset_ns());
            let waited = wait::until(Arc::clone(&thread), Some(deadline), |_| {
                (time::settings() != settings).then_some(())
            })
            .await;
            if !matches!(waited, Ok(())) {
                return absolute_result(waited);
            }
        }
    })
}

/// Sleeps until a process has had so much processor time. Nobody tells when it
/// has; it is looked at when it could.
fn sleep_processor_time(call: &Call<'_>, source: ClockSource, until: u64) -> Outcome {
    const LOOK_NS: u64 = 1_000_000;
    let thread = Arc::clone(call.thread);
    Outcome::wait(async move {
        loop {
            let left = until.saturating_sub(source.now_ns());
            if left == 0 {
                return Ok(0);
            }
            let look = time::monotonic_ns().saturating_add(left.max(LOOK_NS));
            match wait::until(Arc::clone(&thread), Some(look), |_| None::<()>).await {
                Err(Interrupted::Timeout) => {}
                other => return absolute_result(other),
            }
        }
    })
}

/// `adjtimex(2)`: the clock is never slewed, so there is nothing to set, and nothing
/// left of what was to be slewed.
pub fn adjtimex(call: &mut Call<'_>, buffer: Ptr<Timex>) -> SysResult {
    /// `TIME_ERROR`: not synchronised.
    const UNSYNCHRONISED: usize = 5;
    /// `STA_UNSYNC`.
    const STATUS: i32 = 0x40;
    /// `ADJ_ADJTIME`, of adjtime(3), which comes with `ADJ_OFFSET_SINGLESHOT`.
    const ADJTIME: u32 = 0x8000;
    const SINGLE_SHOT: u32 = 1;
    /// `ADJ_OFFSET_READONLY`: asks how much of it is left.
    const READ_ONLY: u32 = 0x2000;
    let asked = call.space.read_value(buffer)?;
    let is_adjtime = asked.modes & ADJTIME != 0;
    if is_adjtime && asked.modes & SINGLE_SHOT == 0 {
        return Err(Errno::EINVAL);
    }
    if asked.modes != 0 && !(is_adjtime && asked.modes & READ_ONLY != 0) {
        if !call.thread.has(Capability::SysTime) {
            return Err(Errno::EPERM);
        }
        // Nothing more to slew is what there is already.
        if !is_adjtime || asked.offset != 0 {
            return Err(Errno::EINVAL);
        }
    }
    let answer = Timex {
        modes: asked.modes,
        max_error: 16_000_000,
        estimated_error: 16_000_000,
        status: STATUS,
        constant: 2,
        precision: 1,
        tolerance: 32_768_000,
        time: TimeVal::from_ns(time::wall_ns()),
        tick: (1_000_000 / TICKS_PER_SECOND).cast_signed(),
        ..zerocopy::FromZeros::new_zeroed()
    };
    call.space.write_value(buffer, &answer)?;
    Ok(UNSYNCHRONISED)
}

/// `clock_adjtime(2)`.
pub fn clock_adjtime(call: &mut Call<'_>, number: i32, buffer: Ptr<Timex>) -> SysResult {
    match clock(number)? {
        ClockId::Wall { coarse: false } => adjtimex(call, buffer),
        _ => Err(Errno::EOPNOTSUPP),
    }
}
