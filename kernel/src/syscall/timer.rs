//! Calls about timers that send signals.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::signal::Signal;
use ochre_abi::time::{
    ITimerSpec, ITimerVal, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SigEvent,
    TIMER_ABSTIME, TimeSpec, TimeVal,
};

use super::{Call, Ptr, SysResult};
use crate::memory;
use crate::process::{Pid, table};
use crate::time::ClockId;
use crate::time::itimer::{self, Which};
use crate::time::posix::{self, Notify};

const NS_PER_SECOND: u64 = 1_000_000_000;

fn interval_value((remaining, interval): (u64, u64)) -> ITimerVal {
    // What is less than a microsecond away is still to come.
    let remaining = if remaining == 0 {
        0
    } else {
        remaining.max(1000)
    };
    ITimerVal {
        interval: TimeVal::from_ns(interval),
        value: TimeVal::from_ns(remaining),
    }
}

fn timer_spec((remaining, interval): (u64, u64)) -> ITimerSpec {
    ITimerSpec {
        interval: TimeSpec::from_ns(interval),
        value: TimeSpec::from_ns(remaining),
    }
}

/// `getitimer(2)`.
pub fn getitimer(call: &mut Call<'_>, which: i32, to: Ptr<ITimerVal>) -> Result<(), Errno> {
    let which = Which::new(which).ok_or(Errno::EINVAL)?;
    let value = interval_value(call.process().interval_timers.get(which));
    call.space.write_value(to, &value)
}

/// `setitimer(2)`.
pub fn setitimer(
    call: &mut Call<'_>,
    which: i32,
    new: Ptr<ITimerVal>,
    old: Ptr<ITimerVal>,
) -> Result<(), Errno> {
    let new = if new.is_null() {
        ITimerVal::default()
    } else {
        call.space.read_value(new)?
    };
    let value = new.value.to_ns()?;
    let interval = new.interval.to_ns()?;
    let which = Which::new(which).ok_or(Errno::EINVAL)?;
    let before = itimer::set(call.process(), which, value, interval);
    if !old.is_null() {
        call.space.write_value(old, &interval_value(before))?;
    }
    Ok(())
}

/// `alarm(2)`.
pub fn alarm(call: &mut Call<'_>, seconds: u32) -> SysResult {
    let value = u64::from(seconds) * NS_PER_SECOND;
    let (before, _) = itimer::set(call.process(), Which::Real, value, 0);
    Ok(alarm_seconds(before))
}

/// What remained in seconds: rounded, but never down to none.
fn alarm_seconds(ns: u64) -> usize {
    let seconds = ns / NS_PER_SECOND;
    let is_up = (seconds == 0 && ns > 0) || ns % NS_PER_SECOND >= NS_PER_SECOND / 2;
    (seconds + u64::from(is_up)) as usize
}

/// What a `struct sigevent` asks for; null is SIGALRM with the timer's number.
fn notification(call: &Call<'_>, event: Ptr<SigEvent>) -> Result<Notify, Errno> {
    if event.is_null() {
        return Ok(Notify {
            signal: Some(Signal::SIGALRM),
            thread: None,
            value: None,
        });
    }
    let event = call.space.read_value(event)?;
    let signal = || {
        u32::try_from(event.signal)
            .ok()
            .and_then(Signal::new)
            .ok_or(Errno::EINVAL)
    };
    let value = Some(event.value);
    match event.notify {
        SIGEV_NONE => Ok(Notify {
            signal: None,
            thread: None,
            value,
        }),
        SIGEV_SIGNAL | SIGEV_THREAD => Ok(Notify {
            signal: Some(signal()?),
            thread: None,
            value,
        }),
        SIGEV_THREAD_ID => {
            let thread = u32::try_from(event.thread)
                .ok()
                .and_then(|tid| table::thread(Pid(tid)))
                .filter(|thread| Arc::ptr_eq(&thread.process, call.process()))
                .ok_or(Errno::EINVAL)?;
            Ok(Notify {
                signal: Some(signal()?),
                thread: Some(Arc::downgrade(&thread)),
                value,
            })
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `timer_create(2)`.
pub fn timer_create(
    call: &mut Call<'_>,
    number: i32,
    event: Ptr<SigEvent>,
    to: Ptr<i32>,
) -> Result<(), Errno> {
    let clock = ClockId::new(number).ok_or(Errno::EINVAL)?;
    let coarse = matches!(
        clock,
        ClockId::Wall { coarse: true } | ClockId::Monotonic { coarse: true }
    );
    if coarse || number == ochre_abi::time::CLOCK_MONOTONIC_RAW {
        return Err(Errno::EOPNOTSUPP);
    }
    let notify = notification(call, event)?;
    let source = clock.source(call.thread)?;
    let id = posix::create(call.process(), source, notify)?;
    if let Err(errno) = call.space.write_value(to, &id) {
        call.process().posix_timers.delete(call.process(), id)?;
        return Err(errno);
    }
    Ok(())
}

/// `timer_settime(2)`.
pub fn timer_settime(
    call: &mut Call<'_>,
    id: i32,
    flags: i32,
    new: Ptr<ITimerSpec>,
    old: Ptr<ITimerSpec>,
) -> Result<(), Errno> {
    if new.is_null() {
        return Err(Errno::EINVAL);
    }
    let new = call.space.read_value(new)?;
    let value = new.value.to_ns()?;
    let interval = new.interval.to_ns()?;
    let is_absolute = flags & TIMER_ABSTIME != 0;
    if value != 0 {
        memory::check_headroom()?;
    }
    let before = call
        .process()
        .posix_timers
        .set(id, is_absolute, value, interval)?;
    if !old.is_null() {
        call.space.write_value(old, &timer_spec(before))?;
    }
    Ok(())
}

/// `timer_gettime(2)`.
pub fn timer_gettime(call: &mut Call<'_>, id: i32, to: Ptr<ITimerSpec>) -> Result<(), Errno> {
    let value = timer_spec(call.process().posix_timers.get(id)?);
    call.space.write_value(to, &value)
}

/// `timer_getoverrun(2)`.
pub fn timer_getoverrun(call: &mut Call<'_>, id: i32) -> SysResult {
    let overrun = call.process().posix_timers.overrun(id)?;
    Ok(overrun.unsigned_abs() as usize)
}

/// `timer_delete(2)`.
pub fn timer_delete(call: &mut Call<'_>, id: i32) -> Result<(), Errno> {
    call.process().posix_timers.delete(call.process(), id)
}

#[cfg(test)]
mod tests {
    use super::{alarm_seconds, interval_value};

    #[test]
    fn alarm_rounds_but_never_to_none() {
        assert_eq!(alarm_seconds(0), 0);
        assert_eq!(alarm_seconds(1), 1);
        assert_eq!(alarm_seconds(1_400_000_000), 1);
        assert_eq!(alarm_seconds(1_500_000_000), 2);
    }

    #[test]
    fn what_is_to_come_is_not_shown_as_none() {
        assert_eq!(interval_value((1, 0)).value.microseconds, 1);
        assert_eq!(interval_value((0, 5000)).value.microseconds, 0);
        assert_eq!(interval_value((0, 5000)).interval.microseconds, 5);
    }
}
