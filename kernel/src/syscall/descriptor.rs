//! Signals and timers as files: signalfd(2), timerfd_create(2).

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::signal::{SIGSET_SIZE, SignalSet};
use ochre_abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
    ITimerSpec, TimeSpec,
};

use super::{Call, Fd, Ptr, SysResult};
use crate::memory;
use crate::process::Capability;
use crate::signal::SignalFd;
use crate::time::{ClockSource, TimerFd};
use crate::vfs::{File, OpenFile, StatusFlags};

const O_CLOEXEC: i32 = 0o2_000_000;
const O_NONBLOCK: i32 = 0o4000;

fn install(call: &Call<'_>, file: Arc<dyn File>, flags: i32) -> SysResult {
    let status = if flags & O_NONBLOCK != 0 {
        StatusFlags::NONBLOCK
    } else {
        StatusFlags::empty()
    };
    let file = OpenFile::new(file, true, true, status);
    call.install(file, flags & O_CLOEXEC != 0)
}

fn check_flags(flags: i32) -> Result<(), Errno> {
    if flags & !(O_CLOEXEC | O_NONBLOCK) == 0 {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// `signalfd(2)` without flags.
pub fn signalfd(call: &mut Call<'_>, fd: i32, set: Ptr<u64>, set_size: usize) -> SysResult {
    signalfd4(call, fd, set, set_size, 0)
}

/// `signalfd(2)`.
pub fn signalfd4(
    call: &mut Call<'_>,
    fd: i32,
    set: Ptr<u64>,
    set_size: usize,
    flags: i32,
) -> SysResult {
    if set_size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = SignalSet(call.space.read_value(set)?);
    check_flags(flags)?;
    if fd == -1 {
        memory::check_headroom()?;
        let file = Arc::new(SignalFd::new(set));
        return install(call, file, flags);
    }
    let open = call.file(Fd(fd))?;
    let file = open.file().as_any().downcast_ref::<SignalFd>();
    file.ok_or(Errno::EINVAL)?.set(set);
    Ok(fd.cast_unsigned() as usize)
}

/// `timerfd_create(2)`.
pub fn timerfd_create(call: &mut Call<'_>, clock: i32, flags: i32) -> SysResult {
    check_flags(flags)?;
    let source = match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_ALARM => ClockSource::Wall,
        CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => ClockSource::Monotonic,
        _ => return Err(Errno::EINVAL),
    };
    let wakes_machine = matches!(clock, CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM);
    if wakes_machine && !call.thread.has(Capability::WakeAlarm) {
        return Err(Errno::EPERM);
    }
    install(call, TimerFd::new(source)?, flags)
}

fn spec((remaining, interval): (u64, u64)) -> ITimerSpec {
    ITimerSpec {
        interval: TimeSpec::from_ns(interval),
        value: TimeSpec::from_ns(remaining),
    }
}

/// `timerfd_settime(2)`.
pub fn timerfd_settime(
    call: &mut Call<'_>,
    fd: Fd,
    flags: i32,
    new: Ptr<ITimerSpec>,
    old: Ptr<ITimerSpec>,
) -> Result<(), Errno> {
    const ABSOLUTE: i32 = 1;
    const CANCEL_ON_SET: i32 = 2;
    let new = call.space.read_value(new)?;
    if flags & !(ABSOLUTE | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let value = new.value.to_ns()?;
    let interval = new.interval.to_ns()?;
    let open = call.file(fd)?;
    let timer = open.file().as_any().downcast_ref::<TimerFd>();
    if value != 0 {
        memory::check_headroom()?;
    }
    let before = timer.ok_or(Errno::EINVAL)?.set(
        flags & ABSOLUTE != 0,
        flags & CANCEL_ON_SET != 0,
        value,
        interval,
    );
    if !old.is_null() {
        call.space.write_value(old, &spec(before))?;
    }
    Ok(())
}

/// `timerfd_gettime(2)`.
pub fn timerfd_gettime(call: &mut Call<'_>, fd: Fd, to: Ptr<ITimerSpec>) -> Result<(), Errno> {
    let open = call.file(fd)?;
    let timer = open.file().as_any().downcast_ref::<TimerFd>();
    let value = spec(timer.ok_or(Errno::EINVAL)?.get());
    call.space.write_value(to, &value)
}
