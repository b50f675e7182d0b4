//! A timer on any clock: schedule, source, and the kernel timer that is armed
//! for the next expiration.
//!
//! Processor time does not tell when it will have passed: while a timer runs
//! on it, the owner is looked at when it *could* have, at most once in
//! [`LOOK_NS`], and other processors that run it are asked to count by then. A
//! wall-clock time may come nearer or go away when the clock is set; then every
//! timer on it looks again.

use core::task::Waker;

use super::wall;
use super::{ClockSource, Schedule};
use crate::sched;

/// The least time between two looks at a processor clock.
const LOOK_NS: u64 = 1_000_000;

/// See the module.
pub struct Alarm {
    /// When it expires, in the clock's time.
    pub schedule: Schedule,
    clock: ClockSource,
    armed: Option<sched::Timer>,
    /// Held while the alarm is for a time on the wall clock.
    _settings: Option<wall::SettingListener>,
}

impl Alarm {
    /// An alarm that does not run.
    #[must_use]
    pub fn new(clock: ClockSource) -> Alarm {
        Alarm {
            schedule: Schedule::default(),
            clock,
            armed: None,
            _settings: None,
        }
    }

    /// What time the alarm's clock has.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Sets it: `waker` is woken when it may have expired.
    pub fn set(&mut self, clock: ClockSource, schedule: Schedule, waker: &Waker) {
        self.stop();
        self._settings = match clock {
            ClockSource::Wall => Some(wall::SettingListener::new(waker.clone())),
            _ => None,
        };
        self.clock = clock;
        self.schedule = schedule;
        self.arm(waker);
    }

    /// Stops it; the schedule stays.
    pub fn stop(&mut self) {
        self.armed = None;
        self._settings = None;
    }

    /// Sees to it that `waker` is woken for the next expiration.
    pub fn arm(&mut self, waker: &Waker) {
        // The old one goes first: its key must not outlive it.
        self.armed = None;
        let Some(next) = self.schedule.next_ns else {
            return;
        };
        let now = wall::monotonic_ns();
        let at = match &self.clock {
            ClockSource::Monotonic => next,
            ClockSource::Wall => next.saturating_sub(wall::offset_ns()),
            clock @ (ClockSource::Process(..) | ClockSource::Thread(..)) => {
                clock.refresh();
                let left = next.saturating_sub(clock.now_ns());
                now.saturating_add(left.max(LOOK_NS))
            }
        };
        self.armed = Some(sched::Timer::arm(at, waker.clone()));
    }

    /// The same, not before `delay_ns` from now.
    pub fn arm_after(&mut self, delay_ns: u64, waker: &Waker) {
        self.armed = None;
        let at = wall::monotonic_ns().saturating_add(delay_ns);
        self.armed = Some(sched::Timer::arm(at, waker.clone()));
    }
}
