//! Clocks, and what goes off by them.
//!
//! Everything counts nanoseconds in `u64`. Two time lines: monotonic, which
//! the machine gives, and the wall clock, which is monotonic plus an offset
//! that can be set. Timers run on [`sched::Timer`](crate::sched::Timer).

mod cpu;

pub use cpu::{
    CpuAccount, CpuTimes, cycles_to_ns, own_times, process_times, thread_times, to_ticks,
};

use ochre_abi::signal::Signal;

use crate::process::Process;
use crate::signal::Info;

/// A signal was taken off a queue: if a timer sent it, the timer goes on.
pub fn signal_taken(process: &Process, signal: Signal, info: &mut Info) {
    let _ = (process, signal, info);
}
