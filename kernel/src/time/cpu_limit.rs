//! The limit of processor time (`RLIMIT_CPU`, getrlimit(2)).
//!
//! A process over its soft limit gets SIGXCPU, and again every second; at the
//! hard limit it is killed. Only a process that has a limit is watched.

use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::task::Waker;

use ochre_abi::resource::{RLIM_INFINITY, RLimit};
use ochre_abi::signal::Signal;
use ochre_abi::time::NS_PER_SECOND;
use ochre_sync::SpinLock;

use super::{Alarm, ClockSource, CpuKind, Schedule};
use crate::process::{Process, Resource};
use crate::signal::{self, Info};

/// The watch over one process; made when there is a limit.
#[derive(Default)]
pub struct CpuLimit {
    alarm: SpinLock<Option<Alarm>>,
}

struct Bell(Weak<Process>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(process) = self.0.upgrade() {
            look(&process);
        }
    }
}

/// What is to happen now, and when to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    signal: Option<Signal>,
    next_ns: Option<u64>,
}

/// Judges a process that had `now_ns` of processor time.
fn judge(now_ns: u64, limit: RLimit) -> Verdict {
    let ns =
        |seconds: u64| (seconds != RLIM_INFINITY).then(|| seconds.saturating_mul(NS_PER_SECOND));
    let (soft, hard) = (ns(limit.soft), ns(limit.hard));
    if hard.is_some_and(|hard| now_ns >= hard) {
        return Verdict {
            signal: Some(Signal::SIGKILL),
            next_ns: None,
        };
    }
    let is_over = soft.is_some_and(|soft| now_ns >= soft);
    let next = if is_over {
        Some(now_ns.saturating_add(NS_PER_SECOND))
    } else {
        soft
    };
    Verdict {
        signal: is_over.then_some(Signal::SIGXCPU),
        next_ns: [next, hard].into_iter().flatten().min(),
    }
}

/// Starts the watch over a process whose limit was set or inherited.
pub fn watch(process: &Arc<Process>) {
    let limit = process.limits.get(Resource::Cpu);
    if limit.soft == RLIM_INFINITY && limit.hard == RLIM_INFINITY {
        process.cpu_limit.clear();
    } else {
        look(process);
    }
}

fn look(process: &Arc<Process>) {
    let clock = ClockSource::Process(Arc::clone(process), CpuKind::All);
    let verdict = judge(clock.now_ns(), process.limits.get(Resource::Cpu));
    if let Some(next) = verdict.next_ns {
        let waker = Waker::from(Arc::new(Bell(Arc::downgrade(process))));
        let schedule = Schedule {
            next_ns: Some(next),
            interval_ns: 0,
        };
        let mut slot = process.cpu_limit.alarm.lock();
        let alarm = slot.get_or_insert_with(|| Alarm::new(clock.clone()));
        alarm.set(clock, schedule, &waker);
    } else {
        process.cpu_limit.clear();
    }
    if let Some(signal) = verdict.signal {
        // Standard signals cannot fail.
        let _ = signal::send_to_process(process, signal, Info::KERNEL);
    }
}

impl CpuLimit {
    /// Ends the watch.
    pub fn clear(&self) {
        let alarm = self.alarm.lock().take();
        drop(alarm);
    }
}

#[cfg(test)]
mod tests {
    use super::{RLimit, Signal, Verdict, judge};

    const SECOND: u64 = 1_000_000_000;

    fn verdict(now_ns: u64, soft: u64, hard: u64) -> (Option<Signal>, Option<u64>) {
        let Verdict { signal, next_ns } = judge(now_ns, RLimit { soft, hard });
        (signal, next_ns)
    }

    #[test]
    fn soft_limits_warn_and_hard_limits_kill() {
        assert_eq!(verdict(0, 1, 3), (None, Some(SECOND)));
        assert_eq!(
            verdict(SECOND, 1, 3),
            (Some(Signal::SIGXCPU), Some(2 * SECOND))
        );
        assert_eq!(
            verdict(5 * SECOND / 2, 1, 3),
            (Some(Signal::SIGXCPU), Some(3 * SECOND))
        );
        assert_eq!(verdict(3 * SECOND, 1, 3), (Some(Signal::SIGKILL), None));
        assert_eq!(verdict(9, u64::MAX, u64::MAX), (None, None));
        assert_eq!(verdict(0, u64::MAX - 1, u64::MAX).0, None);
    }
}
