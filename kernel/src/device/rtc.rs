//! `/dev/rtc0`: the battery-backed clock as rtc(4) has it.
//!
//! The clock has one match, and programs may want two things of it: an alarm,
//! and an interrupt each second (`RTC_UIE_ON`). The match is set to whichever
//! comes first; what is due is found by the clock's time, so an interrupt that
//! came for nothing, or twice, does no harm. An alarm comes once.
//!
//! One program at a time has the device open. What it asked for each second
//! ends with it; an alarm does not.

use alloc::sync::Arc;
use core::any::Any;

use ochre_abi::Errno;
use ochre_abi::rtc::{RtcTime, RtcWakeAlarm, event, request};
use ochre_hal::rtc::{Date, Rtc};
use ochre_sync::{Once, SpinLock};

use super::{Service, Serviced};
use crate::memory;
use crate::process::Capability;
use crate::syscall::{Call, FromArgument as _, Ptr};
use crate::vfs::{Events, File, Sink};
use crate::wait::{PollTable, WaitQueue};

/// One day, which an alarm without a date is within.
const DAY: u64 = 86_400;

/// Years of `struct rtc_time` begin here.
const FIRST_YEAR: i64 = 1900;

/// What the device needs of a clock.
trait Chip: Send {
    fn now(&self) -> Option<u64>;
    fn set(&mut self, seconds: u64) -> bool;
    fn set_match(&mut self, seconds: u64) -> bool;
    fn clear(&mut self);
    fn set_interrupt(&mut self, on: bool);
}

impl Chip for Rtc {
    fn now(&self) -> Option<u64> {
        Rtc::now(self)
    }

    fn set(&mut self, seconds: u64) -> bool {
        Rtc::set(self, seconds)
    }

    fn set_match(&mut self, seconds: u64) -> bool {
        Rtc::set_match(self, seconds)
    }

    fn clear(&mut self) {
        Rtc::clear(self);
    }

    fn set_interrupt(&mut self, on: bool) {
        Rtc::set_interrupt(self, on);
    }
}

/// The clock and what is wanted of it.
struct State<C> {
    chip: C,
    /// Whether its interrupt reaches anybody.
    can_wait: bool,
    /// The alarm's second, and whether it is to interrupt.
    alarm: u64,
    is_armed: bool,
    /// The next second to tell of.
    update: Option<u64>,
    /// What a read answers; 0 for nothing yet.
    events: u64,
    is_open: bool,
}

impl<C: Chip> State<C> {
    fn now(&self) -> Result<u64, Errno> {
        self.chip.now().ok_or(Errno::EINVAL)
    }

    /// Takes note of what is due, and sets the match to what comes next.
    ///
    /// # Errors
    /// EINVAL where the clock cannot wait for that.
    fn work(&mut self) -> Result<(), Errno> {
        // A second may pass while the match is being set, and be missed.
        for _ in 0..4 {
            self.chip.clear();
            let now = self.now()?;
            if self.is_armed && self.alarm <= now {
                self.is_armed = false;
                self.count(event::RTC_AF);
            }
            if self.update.is_some_and(|next| next <= now) {
                self.update = Some(now + 1);
                self.count(event::RTC_UF);
            }
            let alarm = self.is_armed.then_some(self.alarm);
            let next = match (alarm, self.update) {
                (Some(alarm), Some(update)) => alarm.min(update),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => {
                    self.chip.set_interrupt(false);
                    return Ok(());
                }
            };
            if !self.can_wait || !self.chip.set_match(next) {
                return Err(Errno::EINVAL);
            }
            self.chip.set_interrupt(true);
            if self.now()? < next {
                return Ok(());
            }
        }
        Ok(())
    }

    fn count(&mut self, kind: u64) {
        self.events = self.events.wrapping_add(1 << 8) | event::RTC_IRQF | kind;
    }

    fn set(&mut self, seconds: u64) -> Result<(), Errno> {
        if !self.chip.set(seconds) {
            return Err(Errno::ERANGE);
        }
        if self.update.is_some() {
            self.update = Some(seconds.saturating_add(1));
        }
        let _ = self.work();
        Ok(())
    }

    fn set_alarm(&mut self, seconds: u64, on: bool) -> Result<(), Errno> {
        if !self.can_wait {
            return Err(Errno::EINVAL);
        }
        self.alarm = seconds;
        self.arm(on)
    }

    fn arm(&mut self, on: bool) -> Result<(), Errno> {
        self.is_armed = on;
        let done = self.work();
        self.is_armed &= done.is_ok();
        done
    }

    fn tell_seconds(&mut self, on: bool) -> Result<(), Errno> {
        if on == self.update.is_some() {
            return Ok(());
        }
        self.update = if on { Some(self.now()? + 1) } else { None };
        let done = self.work();
        if done.is_err() {
            self.update = None;
        }
        done
    }

    fn release(&mut self) {
        self.is_open = false;
        // Nobody is there to be told of an error.
        let _ = self.tell_seconds(false);
    }
}

/// The device.
struct Device {
    state: SpinLock<State<Rtc>>,
    attention: WaitQueue,
    changed: WaitQueue,
}

static DEVICE: Once<Arc<Device>> = Once::new();

/// Takes the machine's clock, where there is one.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<(), Errno> {
    let Some(chip) = Rtc::open() else {
        // The hardware layer's wall clock has found nothing to begin with either.
        log::info!("no battery-backed clock: the time begins at 1970");
        return Ok(());
    };
    memory::check_headroom()?;
    let line = chip.line();
    let device = Arc::new(Device {
        state: SpinLock::new(State {
            chip,
            can_wait: false,
            alarm: 0,
            is_armed: false,
            update: None,
            events: 0,
            is_open: false,
        }),
        attention: WaitQueue::new(),
        changed: WaitQueue::new(),
    });
    if let Some(line) = line {
        match super::serve(Arc::clone(&device) as Arc<dyn Serviced>, line) {
            Ok(()) => device.state.lock().can_wait = true,
            // A clock that only tells the time.
            Err(Errno::ENXIO) => {}
            Err(errno) => return Err(errno),
        }
    }
    let _ = DEVICE.set(device);
    Ok(())
}

/// Whether the machine has a clock.
pub(super) fn exists() -> bool {
    DEVICE.get().is_some()
}

/// Opens the clock.
///
/// # Errors
/// ENXIO without one; EBUSY where a program has it; ENOMEM.
pub(super) fn open() -> Result<Arc<dyn File>, Errno> {
    let device = DEVICE.get().ok_or(Errno::ENXIO)?;
    memory::check_headroom()?;
    let mut state = device.state.lock();
    if state.is_open {
        return Err(Errno::EBUSY);
    }
    state.is_open = true;
    state.events = 0;
    drop(state);
    Ok(Arc::new(RtcFile(Arc::clone(device))))
}

impl Serviced for Device {
    fn service(&self) -> Service {
        let mut state = self.state.lock();
        // What cannot be waited for was refused when it was asked for.
        let _ = state.work();
        let is_ready = state.events != 0;
        drop(state);
        if is_ready {
            self.changed.wake();
        }
        Service::default()
    }

    fn attention(&self) -> &WaitQueue {
        &self.attention
    }
}

/// The clock, open.
struct RtcFile(Arc<Device>);

impl Drop for RtcFile {
    fn drop(&mut self) {
        self.0.state.lock().release();
    }
}

impl File for RtcFile {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        let len = match sink.remaining() {
            4 => 4,
            8.. => 8,
            _ => return Err(Errno::EINVAL),
        };
        let mut state = self.0.state.lock();
        if state.events == 0 {
            return Err(Errno::EAGAIN);
        }
        let bytes = state.events.to_ne_bytes();
        let put = sink.put(bytes.get(..len).unwrap_or_default());
        if put < len {
            return sink.moved_too_little(put);
        }
        state.events = 0;
        Ok(len)
    }

    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.0.changed);
        }
        if self.0.state.lock().events == 0 {
            Events::empty()
        } else {
            Events::READABLE
        }
    }

    fn ioctl(&self, call: &mut Call<'_>, request: u32, argument: u64) -> Result<usize, Errno> {
        let may_set = call.thread.has(Capability::SysTime);
        let lock = || self.0.state.lock();
        match request {
            request::RTC_RD_TIME => {
                let now = lock().now()?;
                let to = Ptr::from_argument(argument);
                call.space.write_value(to, &time_at(now))?;
            }
            request::RTC_SET_TIME if !may_set => return Err(Errno::EACCES),
            request::RTC_SET_TIME => {
                let time: RtcTime = call.space.read_value(Ptr::from_argument(argument))?;
                lock().set(seconds_of(&time)?)?;
            }
            request::RTC_ALM_SET => {
                let time: RtcTime = call.space.read_value(Ptr::from_argument(argument))?;
                let mut state = lock();
                let next = next_at(&time, state.now()?)?;
                state.set_alarm(next, false)?;
            }
            request::RTC_ALM_READ => {
                let alarm = lock().alarm;
                let to = Ptr::from_argument(argument);
                call.space.write_value(to, &time_at(alarm))?;
            }
            request::RTC_WKALM_SET => {
                let alarm: RtcWakeAlarm = call.space.read_value(Ptr::from_argument(argument))?;
                let seconds = seconds_of(&alarm.time)?;
                lock().set_alarm(seconds, alarm.enabled != 0)?;
            }
            request::RTC_WKALM_RD => {
                let state = lock();
                let alarm = RtcWakeAlarm {
                    enabled: u8::from(state.is_armed),
                    time: time_at(state.alarm),
                    ..RtcWakeAlarm::default()
                };
                drop(state);
                call.space
                    .write_value(Ptr::from_argument(argument), &alarm)?;
            }
            request::RTC_AIE_ON | request::RTC_AIE_OFF => {
                lock().arm(request == request::RTC_AIE_ON)?;
            }
            request::RTC_UIE_ON | request::RTC_UIE_OFF => {
                lock().tell_seconds(request == request::RTC_UIE_ON)?;
            }
            _ => return Err(Errno::ENOTTY),
        }
        // It may be due already.
        if lock().events != 0 {
            self.0.changed.wake();
        }
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A second as programs see it.
fn time_at(seconds: u64) -> RtcTime {
    let date = Date::at(seconds);
    let number = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
    RtcTime {
        seconds: number(date.seconds),
        minutes: number(date.minutes),
        hours: number(date.hours),
        day: number(date.day),
        month: number(date.month - 1),
        year: number(date.year - FIRST_YEAR.unsigned_abs()),
        weekday: number(date.weekday()),
        day_of_year: number(date.day_of_year() + 1),
        is_dst: 0,
    }
}

/// The second that a program means.
///
/// # Errors
/// EINVAL for what is no date since 1970.
fn seconds_of(time: &RtcTime) -> Result<u64, Errno> {
    let number = |value: i64| u64::try_from(value).map_err(|_| Errno::EINVAL);
    // Linux's limit: the year as people write it is an `int` too.
    let year = i64::from(time.year) + FIRST_YEAR;
    if year > i64::from(i32::MAX) {
        return Err(Errno::EINVAL);
    }
    let date = Date {
        year: number(year)?,
        month: number(i64::from(time.month) + 1)?,
        day: number(time.day.into())?,
        hours: number(time.hours.into())?,
        minutes: number(time.minutes.into())?,
        seconds: number(time.seconds.into())?,
    };
    date.to_seconds().ok_or(Errno::EINVAL)
}

/// The next time that it is this time of the day.
///
/// # Errors
/// EINVAL for what is no time of a day.
fn next_at(time: &RtcTime, now: u64) -> Result<u64, Errno> {
    let today = time_at(now);
    let alarm = RtcTime {
        day: today.day,
        month: today.month,
        year: today.year,
        ..*time
    };
    let seconds = seconds_of(&alarm)?;
    Ok(if seconds <= now {
        seconds + DAY
    } else {
        seconds
    })
}

#[cfg(test)]
mod tests;
