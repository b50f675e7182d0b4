//! Timers of the kernel: a deadline and a waker, cancelled when dropped.

use core::task::Waker;

use ochre_executor::TimerKey;
use ochre_hal::cpu::{self, CpuId};

use super::cpu::with_timers;
use crate::objects::CountedTimer;

/// An armed timer; dropping it cancels it.
#[must_use = "dropping the timer cancels it"]
#[derive(Debug)]
pub struct Timer {
    cpu: CpuId,
    key: TimerKey,
    _counted: CountedTimer,
}

impl Timer {
    /// Wakes `waker` at `deadline_ns` (monotonic).
    pub fn arm(deadline_ns: u64, waker: Waker) -> Timer {
        let cpu = cpu::current();
        Timer {
            cpu,
            key: with_timers(cpu, |timers| timers.arm(deadline_ns, waker)),
            _counted: CountedTimer::new(),
        }
    }

    /// When it fires.
    #[must_use]
    pub fn deadline_ns(&self) -> u64 {
        self.key.deadline()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        with_timers(self.cpu, |timers| timers.cancel(self.key));
    }
}
