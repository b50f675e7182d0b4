//! POSIX timers (timer_create(2)).
//!
//! As with interval timers, a timer that has sent its signal goes on when the
//! signal is taken; what expired in between is its overrun.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::task::Waker;

use ochre_abi::Errno;
use ochre_abi::signal::Signal;
use ochre_sync::SpinLock;

use super::{Alarm, ClockSource, Schedule};
use crate::memory;
use crate::process::{Process, Resource, SignalCharge, Thread};
use crate::signal::{self, Info};

/// How long a timer whose signal is ignored sleeps at least.
const IGNORED_PAUSE_NS: u64 = 4_000_000;

/// What an expiration does.
#[derive(Clone)]
pub struct Notify {
    /// The signal; `None` for nothing.
    pub signal: Option<Signal>,
    /// The thread that gets it, where one was named.
    pub thread: Option<Weak<Thread>>,
    /// What it tells; `None` for the timer's number.
    pub value: Option<u64>,
}

/// The timers of a process.
#[derive(Default)]
pub struct PosixTimers {
    table: SpinLock<Table>,
}

#[derive(Default)]
struct Table {
    timers: BTreeMap<i32, Arc<PosixTimer>>,
    next: i32,
}

struct PosixTimer {
    id: i32,
    process: Weak<Process>,
    clock: ClockSource,
    notify: Notify,
    state: SpinLock<State>,
    /// Held for its drop; see `RLIMIT_SIGPENDING`.
    _charge: SignalCharge,
}

struct State {
    alarm: Alarm,
    waker: Waker,
    is_sent: bool,
    overrun: i32,
}

struct Bell(SpinLock<Weak<PosixTimer>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let timer = self.0.lock().upgrade();
        if let Some(timer) = timer {
            timer.expire();
        }
    }
}

impl PosixTimer {
    fn expire(&self) {
        let Some(process) = self.process.upgrade() else {
            return;
        };
        let Some(signal) = self.notify.signal else {
            return;
        };
        {
            let mut state = self.state.lock();
            if state.is_sent {
                return;
            }
            let now = state.alarm.now_ns();
            let waker = state.waker.clone();
            if !state.alarm.schedule.is_due(now) {
                state.alarm.arm(&waker);
                return;
            }
            if signal::is_ignored(&process, signal) {
                state.alarm.schedule.advance(now);
                if state.alarm.schedule.next_ns.is_some() {
                    state.alarm.arm_after(IGNORED_PAUSE_NS, &waker);
                }
                return;
            }
            state.is_sent = true;
        }
        let value = self
            .notify
            .value
            .unwrap_or(u64::from(self.id.cast_unsigned()));
        let info = Info::timer(self.id, value);
        // A real-time signal over its limit is lost; the next one may not be.
        let _ = match &self.notify.thread {
            Some(thread) => match thread.upgrade() {
                Some(thread) => signal::send_to_thread(&thread, signal, info),
                None => Ok(()),
            },
            None => signal::send_to_process(&process, signal, info),
        };
    }

    fn show(&self, state: &State) -> (u64, u64) {
        let schedule = state.alarm.schedule;
        let now = state.alarm.now_ns();
        let remaining = match schedule.remaining_ns(now) {
            // It has expired and nobody was told yet: not the same as stopped.
            0 if schedule.next_ns.is_some() && self.notify.signal.is_some() => 1,
            remaining => remaining,
        };
        (remaining, schedule.interval_ns)
    }
}

impl PosixTimers {
    fn find(&self, id: i32) -> Result<Arc<PosixTimer>, Errno> {
        self.table
            .lock()
            .timers
            .get(&id)
            .cloned()
            .ok_or(Errno::EINVAL)
    }

    /// What remains and the interval.
    ///
    /// # Errors
    /// EINVAL if there is no such timer.
    pub fn get(&self, id: i32) -> Result<(u64, u64), Errno> {
        let timer = self.find(id)?;
        let state = timer.state.lock();
        Ok(timer.show(&state))
    }

    /// How often the timer expired beyond what its last signal was for.
    ///
    /// # Errors
    /// EINVAL if there is no such timer.
    pub fn overrun(&self, id: i32) -> Result<i32, Errno> {
        Ok(self.find(id)?.state.lock().overrun)
    }

    /// Sets a timer; gives what it was. `value_ns` of 0 stops it.
    ///
    /// # Errors
    /// EINVAL if there is no such timer.
    pub fn set(
        &self,
        id: i32,
        is_absolute: bool,
        value_ns: u64,
        interval_ns: u64,
    ) -> Result<(u64, u64), Errno> {
        let timer = self.find(id)?;
        let mut state = timer.state.lock();
        let old = timer.show(&state);
        // A relative time is not moved by setting the wall clock.
        let clock = match &timer.clock {
            ClockSource::Wall if !is_absolute => ClockSource::Monotonic,
            clock => clock.clone(),
        };
        let start = if is_absolute { 0 } else { clock.now_ns() };
        let schedule = Schedule {
            next_ns: (value_ns != 0).then(|| start.saturating_add(value_ns)),
            interval_ns,
        };
        state.is_sent = false;
        state.overrun = 0;
        let waker = state.waker.clone();
        state.alarm.set(clock, schedule, &waker);
        Ok(old)
    }

    /// Deletes a timer.
    ///
    /// # Errors
    /// EINVAL if there is no such timer.
    pub fn delete(&self, process: &Process, id: i32) -> Result<(), Errno> {
        let removed = self.table.lock().timers.remove(&id);
        let timer = removed.ok_or(Errno::EINVAL)?;
        drop(timer);
        signal::forget_timer(process, id);
        Ok(())
    }

    /// Deletes all: at `execve` and at the end.
    pub fn clear(&self) {
        let timers = core::mem::take(&mut self.table.lock().timers);
        drop(timers);
    }

    pub(super) fn signal_taken(&self, id: i32, info: &mut Info) {
        let Ok(timer) = self.find(id) else {
            return;
        };
        let mut state = timer.state.lock();
        if !core::mem::take(&mut state.is_sent) {
            return;
        }
        let now = state.alarm.now_ns();
        let beyond = state.alarm.schedule.advance(now).saturating_sub(1);
        state.overrun = i32::try_from(beyond).unwrap_or(i32::MAX);
        *info = info.with_overrun(state.overrun);
        let waker = state.waker.clone();
        state.alarm.arm(&waker);
    }
}

/// Makes a timer that does not run yet; gives its number.
///
/// # Errors
/// EAGAIN over the limit of queued signals, without a number or without memory.
pub fn create(process: &Arc<Process>, clock: ClockSource, notify: Notify) -> Result<i32, Errno> {
    let limit = process.limits.soft(Resource::SigPending);
    let charge = process
        .credentials()
        .user
        .charge_signal(limit)
        .ok_or(Errno::EAGAIN)?;
    memory::check_headroom().map_err(|_| Errno::EAGAIN)?;
    let bell = Arc::new(Bell(SpinLock::new(Weak::new())));
    let mut table = process.posix_timers.table.lock();
    let id = table.next;
    table.next = id.checked_add(1).ok_or(Errno::EAGAIN)?;
    let timer = Arc::new(PosixTimer {
        id,
        process: Arc::downgrade(process),
        clock: clock.clone(),
        notify,
        state: SpinLock::new(State {
            alarm: Alarm::new(clock),
            waker: Waker::from(Arc::clone(&bell)),
            is_sent: false,
            overrun: 0,
        }),
        _charge: charge,
    });
    *bell.0.lock() = Arc::downgrade(&timer);
    table.timers.insert(id, timer);
    Ok(id)
}
