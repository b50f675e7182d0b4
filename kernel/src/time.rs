//! Clocks, and what goes off by them.
//!
//! Everything counts nanoseconds in `u64`. Two time lines: monotonic, which
//! the machine gives, and the wall clock, which is monotonic plus an offset
//! that can be set; beside them the processor time of threads and processes.
//! Timers run on [`sched::Timer`](crate::sched::Timer).
//!
//! # Lock protocol
//! A timer's lock is taken with none of the signal locks held, and given back
//! before its signal is sent.

mod alarm;
mod clock_id;
mod cpu;
pub mod cpu_limit;
pub mod itimer;
pub mod posix;
pub mod rt_limit;
mod schedule;
mod timerfd;
mod wall;

pub use alarm::Alarm;
pub use clock_id::{ClockId, ClockSource, CpuKind};
pub use cpu::{
    CpuAccount, CpuTimes, cycles_to_ns, own_times, process_times, thread_times, to_ticks,
};
pub use cpu_limit::CpuLimit;
pub use itimer::IntervalTimers;
pub use posix::PosixTimers;
pub use rt_limit::RtLimit;
pub use schedule::Schedule;
pub use timerfd::TimerFd;
pub use wall::{SettingListener, monotonic_ns, offset_ns, set_wall_ns, settings, wall_ns};

use ochre_abi::signal::Signal;

use crate::process::Process;
use crate::signal::Info;

/// A signal was taken off a queue: if a timer sent it, the timer goes on.
#[inline]
pub fn signal_taken(process: &Process, signal: Signal, info: &mut Info) {
    match info.timer_id() {
        Some(id) => process.posix_timers.signal_taken(id, info),
        None => process.interval_timers.signal_taken(signal),
    }
}
