//! Job control: stopping all threads of a process.

use ochre_abi::signal::{CLD_STOPPED, Signal};

use super::mask::refresh;
use super::parent;
use super::state::StopState;
use crate::process::{Process, Thread, Work, table};

/// Begins a stop by `signal` that the thread took, unless the signal is one
/// of a terminal and the process's group is orphaned (nobody could continue
/// it), or a SIGCONT came in between.
pub(super) fn begin(thread: &Thread, signal: Signal) {
    let process = &thread.process;
    if signal != Signal::SIGSTOP && is_in_orphaned_group(process) {
        process.signals.lock().stop_taken = false;
        return;
    }
    let mut shared = process.signals.lock();
    if !core::mem::take(&mut shared.stop_taken) {
        return;
    }
    match shared.stop {
        StopState::Running => {}
        StopState::Stopping { .. } => return,
        StopState::Stopped => return,
    }
    let threads = process.threads.lock();
    shared.stop = StopState::Stopping {
        signal,
        missing: threads.len(),
    };
    for other in threads.iter() {
        other.add_work(Work::STOP);
        if !core::ptr::eq(&raw const **other, thread) {
            other.wake();
        }
    }
}

fn is_in_orphaned_group(process: &Process) -> bool {
    let table = table::lock();
    table
        .relations(process.pid)
        .is_some_and(|of| table.is_orphaned(of.group, None))
}

/// Takes part in a stop; false if it is over.
pub(super) fn take_part(thread: &Thread) -> bool {
    let process = &thread.process;
    let mut shared = process.signals.lock();
    if shared.stop == StopState::Running {
        let mut own = thread.signals.lock();
        own.stopped = false;
        thread.clear_work(Work::STOP);
        refresh(&shared, &own, thread);
        return false;
    }
    let was_stopped = core::mem::replace(&mut thread.signals.lock().stopped, true);
    let stopped_by = if was_stopped {
        None
    } else {
        shared.stop.one_less()
    };
    drop(shared);
    if let Some(signal) = stopped_by {
        tell(process, signal);
    }
    true
}

/// A thread ends: a stop does not wait for it, and what it was chosen for
/// others must see. The thread is out of `Process::threads` already.
pub fn thread_ended(thread: &Thread) {
    let process = &thread.process;
    let mut shared = process.signals.lock();
    let was_stopped = thread.signals.lock().stopped;
    let stopped_by = if was_stopped {
        None
    } else {
        shared.stop.one_less()
    };
    // Looked at by each of very many threads that end together, so not for nothing.
    if !shared.pending.set().is_empty() && process.exit_status().is_none() {
        for other in process.threads.lock().iter() {
            let own = other.signals.lock();
            refresh(&shared, &own, other);
            if other.work().contains(Work::SIGNAL) {
                other.wake();
            }
        }
    }
    drop(shared);
    if let Some(signal) = stopped_by.filter(|_| process.exit_status().is_none()) {
        tell(process, signal);
    }
}

/// The last thread stopped.
fn tell(process: &Process, signal: Signal) {
    {
        let mut report = process.report.lock();
        report.stopped = Some(signal.number());
        report.stop_told = false;
        report.continued = false;
    }
    parent::notify_stop(process, CLD_STOPPED, signal);
}

impl StopState {
    /// One thread less to stop; gives the signal if it was the last.
    fn one_less(&mut self) -> Option<Signal> {
        let StopState::Stopping { signal, missing } = *self else {
            return None;
        };
        if missing > 1 {
            *self = StopState::Stopping {
                signal,
                missing: missing - 1,
            };
            None
        } else {
            *self = StopState::Stopped;
            Some(signal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StopState;
    use ochre_abi::signal::Signal;

    #[test]
    fn the_last_thread_completes_the_stop() {
        let mut stop = StopState::Stopping {
            signal: Signal::SIGTSTP,
            missing: 2,
        };
        assert_eq!(stop.one_less(), None);
        assert_eq!(stop.one_less(), Some(Signal::SIGTSTP));
        assert_eq!(stop, StopState::Stopped);
        assert_eq!(stop.one_less(), None);
        assert_eq!(StopState::Running.one_less(), None);
    }
}
