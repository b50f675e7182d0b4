//! Processor time of threads and processes.
//!
//! Threads count cycles; a process keeps what its ended threads had, and what
//! the children had that it asked after.

use ochre_abi::time::{NS_PER_SECOND, TICKS_PER_SECOND};
use ochre_hal::cpu::{self, CpuId};
use ochre_hal::{clock, irq};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::Ordering;

use crate::process::{Process, Thread};

/// Cycles in user mode and in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
}

impl CpuTimes {
    /// Both summed up.
    #[must_use]
    pub fn plus(self, other: CpuTimes) -> CpuTimes {
        CpuTimes {
            user: self.user.wrapping_add(other.user),
            system: self.system.wrapping_add(other.system),
        }
    }

    /// In nanoseconds: user mode, kernel.
    #[must_use]
    pub fn ns(self) -> (u64, u64) {
        (cycles_to_ns(self.user), cycles_to_ns(self.system))
    }

    /// All together in nanoseconds.
    #[must_use]
    pub fn sum_ns(self) -> u64 {
        cycles_to_ns(self.user.wrapping_add(self.system))
    }
}

/// What a process keeps of others.
#[derive(Debug, Default)]
pub struct CpuAccount {
    kept: SpinLock<Kept>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    ended: CpuTimes,
    children: CpuTimes,
}

impl CpuAccount {
    /// Takes over a thread that ends.
    pub fn add_ended(&self, thread: &Thread) {
        let times = thread_times(thread);
        let mut kept = self.kept.lock();
        kept.ended = kept.ended.plus(times);
    }

    /// Takes over a child that was asked after, and what it took over itself.
    pub fn add_child(&self, child: &Process) {
        let times = own_times(child).plus(child.account.children());
        let mut kept = self.kept.lock();
        kept.children = kept.children.plus(times);
    }

    /// Times of children that ended and were asked after.
    #[must_use]
    pub fn children(&self) -> CpuTimes {
        self.kept.lock().children
    }
}

/// The times of a thread, up to when it last changed between user mode and
/// the kernel.
#[must_use]
pub fn thread_times(thread: &Thread) -> CpuTimes {
    CpuTimes {
        user: thread.user_cycles.load(Ordering::Relaxed),
        system: thread.kernel_cycles.load(Ordering::Relaxed),
    }
}

/// Has other processors that run threads of the process count what these had:
/// soon [`own_times`] is right, of a thread that makes no calls too. Whether
/// there are any.
pub(super) fn kick_runners(process: &Process) -> bool {
    let here = cpu::current();
    let mut any = false;
    for thread in process.threads.lock().iter() {
        if let Some(task) = thread.task()
            && task.is_running()
            && let Some(there) = CpuId::from_index(task.processor())
            && there != here
        {
            irq::kick(there);
            any = true;
        }
    }
    any
}

/// The times of all threads of a process, ended ones too.
#[must_use]
pub fn own_times(process: &Process) -> CpuTimes {
    let ended = process.account.kept.lock().ended;
    let threads = process.threads.lock();
    threads
        .iter()
        .fold(ended, |sum, thread| sum.plus(thread_times(thread)))
}

/// [`own_times`] in nanoseconds: user mode, kernel.
#[must_use]
pub fn process_times(process: &Process) -> (u64, u64) {
    own_times(process).ns()
}

/// Cycles as nanoseconds.
#[must_use]
pub fn cycles_to_ns(cycles: u64) -> u64 {
    scale(cycles, clock::counter_hz())
}

fn scale(cycles: u64, hz: u64) -> u64 {
    let ns = u128::from(cycles) * u128::from(NS_PER_SECOND) / u128::from(hz.max(1));
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// Nanoseconds as clock ticks.
#[must_use]
pub fn to_ticks(ns: u64) -> u64 {
    ns / (NS_PER_SECOND / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::{scale, to_ticks};

    #[test]
    fn scaling_neither_overflows_nor_divides_by_zero() {
        assert_eq!(scale(3_000_000_000, 3_000_000_000), 1_000_000_000);
        assert_eq!(scale(1, 2_000_000_000), 0);
        assert_eq!(scale(u64::MAX, 1), u64::MAX);
        assert_eq!(scale(5, 0), 5_000_000_000);
    }

    #[test]
    fn a_tick_is_ten_milliseconds() {
        assert_eq!(to_ticks(9_999_999), 0);
        assert_eq!(to_ticks(10_000_000), 1);
    }
}
