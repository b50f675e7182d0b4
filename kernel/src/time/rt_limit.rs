//! The limit of real-time work without a wait (`RLIMIT_RTTIME`, getrlimit(2)).
//!
//! A thread of a real-time policy that works for longer than the soft limit,
//! in microseconds, without waiting for anything brings its process SIGXCPU;
//! the soft limit is then a second more. At the hard limit the process is
//! killed. Only a process that has the limit and such a thread is watched: its
//! threads are looked at when one of them could be over.

use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::task::Waker;

use ochre_abi::resource::{RLIM_INFINITY, RLimit};
use ochre_abi::signal::Signal;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use super::cpu::kick_runners;
use super::{cycles_to_ns, wall};
use crate::process::{Process, Resource, Thread};
use crate::sched;
use crate::signal::{self, Info};

/// What the soft limit grows by with each signal, in microseconds.
const GROWTH_US: u64 = 1_000_000;

/// The least time between two looks.
const LOOK_NS: u64 = 1_000_000;

/// The time that one who was warned has at least.
const WARNED_NS: u64 = 10_000_000;

/// The watch over one process.
#[derive(Default)]
pub struct RtLimit {
    is_watched: AtomicBool,
    /// Whether what runs elsewhere was counted for the look to come.
    is_fresh: AtomicBool,
    timer: SpinLock<Option<sched::Timer>>,
}

impl RtLimit {
    /// Whether threads have to say when they wait.
    #[inline]
    #[must_use]
    pub fn is_watched(&self) -> bool {
        // ORDERING: Relaxed; a thread that says so late is judged by what it
        // did before, too.
        self.is_watched.load(Ordering::Relaxed)
    }

    /// Ends the watch.
    pub fn clear(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
        let timer = self.timer.lock().take();
        drop(timer);
    }
}

struct Bell(Weak<Process>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(process) = self.0.upgrade() {
            look(&process);
        }
    }
}

/// What is to happen to a process whose busiest thread worked for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing yet; the time that is left.
    Wait(u64),
    /// It is warned, and has a new soft limit.
    Warn(u64),
    Kill,
}

fn judge(worked_ns: u64, limit: RLimit) -> Verdict {
    let worked_us = worked_ns / 1000;
    // A look that comes late warns first, too.
    if worked_us >= limit.soft && limit.soft < limit.hard {
        Verdict::Warn(limit.soft.saturating_add(GROWTH_US).min(RLIM_INFINITY - 1))
    } else if worked_us >= limit.hard {
        Verdict::Kill
    } else {
        let next_ns = limit.soft.min(limit.hard).saturating_mul(1000);
        Verdict::Wait(next_ns.saturating_sub(worked_ns))
    }
}

/// Starts the watch, if the process has the limit and a real-time thread: when
/// either may have come to be.
pub fn watch(process: &Arc<Process>) {
    if process.limits.get(Resource::RtTime).soft == RLIM_INFINITY {
        if process.rt_limit.is_watched() {
            process.rt_limit.clear();
        }
        return;
    }
    if !process.rt_limit.is_watched.swap(true, Ordering::Relaxed) {
        // What was before the watch does not count.
        for thread in process.threads.lock().iter() {
            thread.note_wait();
        }
    }
    look(process);
}

/// The real-time thread that worked longest, and how long; `None` without one.
fn busiest(process: &Process) -> Option<(u64, Arc<Thread>)> {
    let threads = process.threads.lock();
    let is_real_time = |thread: &&Arc<Thread>| {
        let task = thread.task();
        task.is_some_and(|task| task.attributes().policy.is_real_time())
    };
    let worked = |thread: &Arc<Thread>| cycles_to_ns(thread.cycles_since_wait());
    let busiest = threads
        .iter()
        .filter(is_real_time)
        .max_by_key(|thread| worked(thread))?;
    Some((worked(busiest), Arc::clone(busiest)))
}

fn look(process: &Arc<Process>) {
    // What runs elsewhere is counted first, and looked at when it is.
    let limit = &process.rt_limit;
    if !limit.is_fresh.swap(false, Ordering::Relaxed) && kick_runners(process) {
        limit.is_fresh.store(true, Ordering::Relaxed);
        look_after(process, LOOK_NS);
        return;
    }
    let limit = process.limits.get(Resource::RtTime);
    let busiest = busiest(process).filter(|_| limit.soft != RLIM_INFINITY);
    let Some((worked_ns, thread)) = busiest else {
        process.rt_limit.clear();
        return;
    };
    // Standard signals cannot fail.
    match judge(worked_ns, limit) {
        Verdict::Kill => {
            process.rt_limit.clear();
            let _ = signal::send_to_process(process, Signal::SIGKILL, Info::KERNEL);
        }
        Verdict::Warn(soft) => {
            process.limits.raise_soft(Resource::RtTime, soft);
            let _ = signal::send_because_of(&thread, Signal::SIGXCPU, Info::KERNEL);
            look_after(process, WARNED_NS);
        }
        Verdict::Wait(left_ns) => look_after(process, left_ns.max(LOOK_NS)),
    }
}

fn look_after(process: &Arc<Process>, delay_ns: u64) {
    let at = wall::monotonic_ns().saturating_add(delay_ns);
    let waker = Waker::from(Arc::new(Bell(Arc::downgrade(process))));
    let timer = sched::Timer::arm(at, waker);
    let old = process.rt_limit.timer.lock().replace(timer);
    drop(old);
}

#[cfg(test)]
mod tests {
    use super::{RLIM_INFINITY, RLimit, Verdict, judge};

    #[test]
    fn soft_limits_warn_and_grow_and_hard_limits_kill() {
        let limit = |soft, hard| RLimit { soft, hard };
        assert_eq!(judge(0, limit(5, 9)), Verdict::Wait(5000));
        assert_eq!(judge(4999, limit(5, 9)), Verdict::Wait(1));
        assert_eq!(judge(5000, limit(5, 9)), Verdict::Warn(1_000_005));
        assert_eq!(judge(5000, limit(1_000_005, 9)), Verdict::Wait(4000));
        assert_eq!(judge(9000, limit(1_000_005, 9)), Verdict::Kill);
        assert_eq!(judge(9000, limit(5, 9)), Verdict::Warn(1_000_005));
        assert_eq!(judge(9000, limit(9, 9)), Verdict::Kill);
        assert_eq!(
            judge(u64::MAX, limit(RLIM_INFINITY - 5, RLIM_INFINITY)),
            Verdict::Wait(0)
        );
    }
}
