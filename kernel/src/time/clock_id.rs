//! Clock numbers, fixed and made (clock_gettime(2), clock_getcpuclockid(3)).
//!
//! A negative number names the processor clock of a process or thread: the
//! complement of its number above three bits, of which the third says
//! "thread" and the lower two which time is meant.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
    CLOCK_REALTIME_COARSE, CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID,
};

use super::cpu::kick_runners;
use super::{CpuTimes, own_times, thread_times, wall};
use crate::process::{Pid, Process, Thread, table};

/// What a coarse clock of Linux steps by.
const COARSE_NS: u64 = 4_000_000;

/// Which processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuKind {
    /// User mode and kernel.
    All,
    /// User mode.
    User,
}

/// Whose processor time a number asks for; `None` is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockId {
    /// The wall clock.
    Wall {
        /// Whether it steps.
        coarse: bool,
    },
    /// Time since boot.
    Monotonic {
        /// Whether it steps.
        coarse: bool,
    },
    /// A process's.
    Process(Option<Pid>, CpuKind),
    /// A thread's.
    Thread(Option<Pid>, CpuKind),
}

impl ClockId {
    /// The clock of a number, if there is one.
    #[must_use]
    pub fn new(number: i32) -> Option<ClockId> {
        Some(match number {
            CLOCK_REALTIME | CLOCK_REALTIME_ALARM | CLOCK_TAI => ClockId::Wall { coarse: false },
            CLOCK_REALTIME_COARSE => ClockId::Wall { coarse: true },
            CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => {
                ClockId::Monotonic { coarse: false }
            }
            CLOCK_MONOTONIC_COARSE => ClockId::Monotonic { coarse: true },
            CLOCK_PROCESS_CPUTIME_ID => ClockId::Process(None, CpuKind::All),
            CLOCK_THREAD_CPUTIME_ID => ClockId::Thread(None, CpuKind::All),
            number if number < 0 => return ClockId::made(number),
            _ => return None,
        })
    }

    fn made(number: i32) -> Option<ClockId> {
        let kind = match number & 3 {
            0 | 2 => CpuKind::All,
            1 => CpuKind::User,
            _ => return None,
        };
        let id = Some(Pid(!(number >> 3).cast_unsigned())).filter(|id| *id != Pid::NONE);
        Some(if number & 4 == 0 {
            ClockId::Process(id, kind)
        } else {
            ClockId::Thread(id, kind)
        })
    }

    /// The clock as something that can be read.
    ///
    /// # Errors
    /// EINVAL if the process is gone, or the thread is not the caller's.
    pub fn source(self, caller: &Arc<Thread>) -> Result<ClockSource, Errno> {
        Ok(match self {
            ClockId::Wall { .. } => ClockSource::Wall,
            ClockId::Monotonic { .. } => ClockSource::Monotonic,
            ClockId::Process(None, kind) => ClockSource::Process(Arc::clone(&caller.process), kind),
            ClockId::Process(Some(pid), kind) => {
                ClockSource::Process(table::process(pid).ok_or(Errno::EINVAL)?, kind)
            }
            ClockId::Thread(None, kind) => ClockSource::Thread(Arc::clone(caller), kind),
            ClockId::Thread(Some(tid), kind) => {
                let thread = table::thread(tid)
                    .filter(|thread| Arc::ptr_eq(&thread.process, &caller.process));
                ClockSource::Thread(thread.ok_or(Errno::EINVAL)?, kind)
            }
        })
    }

    /// What the clock counts in (clock_getres(2)).
    #[must_use]
    pub fn resolution_ns(self) -> u64 {
        match self {
            ClockId::Wall { coarse: true } | ClockId::Monotonic { coarse: true } => COARSE_NS,
            _ => 1,
        }
    }

    /// Whether the clock goes on while its owner sleeps.
    #[must_use]
    pub fn is_processor_time(self) -> bool {
        matches!(self, ClockId::Process(..) | ClockId::Thread(..))
    }
}

/// A clock that can be read.
#[derive(Clone)]
pub enum ClockSource {
    /// The wall clock.
    Wall,
    /// Time since boot.
    Monotonic,
    /// A process's processor time.
    Process(Arc<Process>, CpuKind),
    /// A thread's processor time.
    Thread(Arc<Thread>, CpuKind),
}

impl ClockSource {
    /// What time it is.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        match self {
            ClockSource::Wall => wall::wall_ns(),
            ClockSource::Monotonic => wall::monotonic_ns(),
            ClockSource::Process(process, kind) => kind.pick(own_times(process)),
            ClockSource::Thread(thread, kind) => kind.pick(thread_times(thread)),
        }
    }
}

impl ClockSource {
    /// Has what runs elsewhere be counted, so that soon the time is right.
    pub(super) fn refresh(&self) {
        match self {
            ClockSource::Wall | ClockSource::Monotonic => {}
            ClockSource::Process(process, _) => {
                kick_runners(process);
            }
            ClockSource::Thread(thread, _) => {
                kick_runners(&thread.process);
            }
        }
    }
}

impl CpuKind {
    /// The time meant, in nanoseconds.
    #[must_use]
    pub fn pick(self, times: CpuTimes) -> u64 {
        match self {
            CpuKind::All => times.sum_ns(),
            CpuKind::User => times.ns().0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockId, CpuKind};
    use crate::process::Pid;

    /// The number that glibc makes for a process (`CLOCK_IDFIELD_SIZE` 3).
    fn made(pid: i32, thread: bool, which: i32) -> i32 {
        (!pid << 3) | if thread { 4 } else { 0 } | which
    }

    #[test]
    fn fixed_numbers_name_their_clocks() {
        assert_eq!(ClockId::new(0), Some(ClockId::Wall { coarse: false }));
        assert_eq!(ClockId::new(6), Some(ClockId::Monotonic { coarse: true }));
        assert_eq!(ClockId::new(10), None);
        assert_eq!(ClockId::new(12), None);
        assert_eq!(ClockId::new(i32::MAX), None);
    }

    #[test]
    fn made_numbers_name_processes_and_threads() {
        assert_eq!(
            ClockId::new(made(77, false, 2)),
            Some(ClockId::Process(Some(Pid(77)), CpuKind::All))
        );
        assert_eq!(
            ClockId::new(made(77, true, 1)),
            Some(ClockId::Thread(Some(Pid(77)), CpuKind::User))
        );
        assert_eq!(
            ClockId::new(made(0, true, 2)),
            Some(ClockId::Thread(None, CpuKind::All))
        );
        assert_eq!(ClockId::new(made(5, false, 3)), None);
        assert_eq!(
            ClockId::new(i32::MIN),
            Some(ClockId::Process(Some(Pid(0x0fff_ffff)), CpuKind::All))
        );
    }
}
