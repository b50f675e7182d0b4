//! Timers that are read as files (timerfd_create(2)).

use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::any::Any;
use core::task::Waker;

use ochre_abi::Errno;
use ochre_sync::SpinLock;

use super::{Alarm, ClockSource, Schedule, wall};
use crate::memory;
use crate::vfs::{Events, File, Sink};
use crate::wait::{PollTable, WaitQueue};

/// See the module.
pub struct TimerFd {
    clock: ClockSource,
    state: SpinLock<State>,
    bell: Waker,
    changed: WaitQueue,
}

struct State {
    alarm: Alarm,
    /// The count of settings of the wall clock that the owner knows, if it
    /// wants to know of others (`TFD_TIMER_CANCEL_ON_SET`).
    settings: Option<u64>,
}

struct Bell(SpinLock<Weak<TimerFd>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let timer = self.0.lock().upgrade();
        if let Some(timer) = timer {
            timer.ring();
        }
    }
}

impl TimerFd {
    /// A timer on a clock that is no processor time.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(clock: ClockSource) -> Result<Arc<TimerFd>, Errno> {
        memory::check_headroom()?;
        let bell = Arc::new(Bell(SpinLock::new(Weak::new())));
        let timer = Arc::new(TimerFd {
            clock: clock.clone(),
            state: SpinLock::new(State {
                alarm: Alarm::new(clock),
                settings: None,
            }),
            bell: Waker::from(Arc::clone(&bell)),
            changed: WaitQueue::new(),
        });
        *bell.0.lock() = Arc::downgrade(&timer);
        Ok(timer)
    }

    /// It may have expired, or the wall clock was set.
    fn ring(&self) {
        let mut state = self.state.lock();
        let now = state.alarm.now_ns();
        // Once due it stays so until it is read; then it is armed again.
        if !state.alarm.schedule.is_due(now) {
            state.alarm.arm(&self.bell);
        }
        let is_ready = state.is_ready();
        drop(state);
        if is_ready {
            self.changed.wake();
        }
    }

    /// What remains and the interval.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        self.state.lock().show()
    }

    /// Sets it; gives what it was. `value_ns` of 0 stops it.
    pub fn set(
        &self,
        is_absolute: bool,
        is_cancelled_by_set: bool,
        value_ns: u64,
        interval_ns: u64,
    ) -> (u64, u64) {
        let mut state = self.state.lock();
        let old = state.show();
        let clock = match &self.clock {
            ClockSource::Wall if !is_absolute => ClockSource::Monotonic,
            clock => clock.clone(),
        };
        state.settings =
            (is_cancelled_by_set && matches!(clock, ClockSource::Wall)).then(wall::settings);
        let start = if is_absolute { 0 } else { clock.now_ns() };
        let schedule = Schedule {
            next_ns: (value_ns != 0).then(|| start.saturating_add(value_ns)),
            interval_ns,
        };
        state.alarm.set(clock, schedule, &self.bell);
        old
    }
}

impl State {
    fn show(&self) -> (u64, u64) {
        let schedule = self.alarm.schedule;
        (
            schedule.remaining_ns(self.alarm.now_ns()),
            schedule.interval_ns,
        )
    }

    fn is_cancelled(&self) -> bool {
        self.settings.is_some_and(|known| known != wall::settings())
    }

    fn is_ready(&self) -> bool {
        self.is_cancelled() || self.alarm.schedule.is_due(self.alarm.now_ns())
    }
}

impl File for TimerFd {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut state = self.state.lock();
        if state.is_cancelled() {
            state.settings = Some(wall::settings());
            return Err(Errno::ECANCELED);
        }
        let mut schedule = state.alarm.schedule;
        let expirations = schedule.advance(state.alarm.now_ns());
        if expirations == 0 {
            return Err(Errno::EAGAIN);
        }
        let put = sink.put(&expirations.to_ne_bytes());
        if put < 8 {
            return if put == 0 { Ok(0) } else { Err(Errno::EFAULT) };
        }
        state.alarm.schedule = schedule;
        state.alarm.arm(&self.bell);
        Ok(8)
    }

    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.changed);
        }
        if self.state.lock().is_ready() {
            Events::READABLE
        } else {
            Events::empty()
        }
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
