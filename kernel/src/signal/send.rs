//! Sending a signal.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::signal::{CLD_CONTINUED, CLD_STOPPED, SI_USER, SigAction, Signal, SignalSet};

use super::actions::Disposition;
use super::mask::refresh;
use super::pending::Pending;
use super::state::{Shared, StopState, ThreadSignals};
use super::{DefaultAction, Info, may_signal, parent};
use crate::memory::MakeRoom;
use crate::process::table::{self, Broadcast};
use crate::process::{ExitStatus, Pid, Process, Resource, Thread, Work};

/// Sends a signal to a process: any of its threads may take it.
///
/// # Errors
/// EAGAIN if a real-time signal's details cannot be queued.
pub fn send_to_process(process: &Process, signal: Signal, info: Info) -> Result<(), Errno> {
    send(process, To::Process(None), signal, info)
}

/// Sends a signal to a thread's process for what the thread did: it takes it,
/// unless it blocks it.
///
/// # Errors
/// As [`send_to_process`].
pub fn send_because_of(thread: &Thread, signal: Signal, info: Info) -> Result<(), Errno> {
    send(&thread.process, To::Process(Some(thread)), signal, info)
}

/// Sends a signal to one thread.
///
/// # Errors
/// EAGAIN if a real-time signal's details cannot be queued.
pub fn send_to_thread(thread: &Thread, signal: Signal, info: Info) -> Result<(), Errno> {
    send(&thread.process, To::Thread(thread), signal, info)
}

/// Sends a signal of the kernel to every process of a group.
///
/// # Errors
/// ESRCH for an empty group; ENOMEM.
pub fn send_to_group(group: Pid, signal: Signal, info: Info) -> Result<(), Errno> {
    let (members, _broadcast) = members(group)?;
    if members.is_empty() {
        return Err(Errno::ESRCH);
    }
    for process in &members {
        send_to_process(process, signal, info)?;
    }
    Ok(())
}

/// Sends a terminal's signal to its foreground group; a group that is gone is
/// nobody's loss.
pub fn send_to_session_foreground(group: Pid, signal: Signal) {
    let _: Result<(), Errno> = send_to_group(group, signal, Info::KERNEL);
}

/// The living processes of a group, to send to; the table's lock is free again.
fn members(group: Pid) -> Result<(Vec<Arc<Process>>, Broadcast), Errno> {
    let mut members = Vec::new();
    let mut table = table::lock();
    for process in table.group_processes(group) {
        members.make_room(1)?;
        members.push(Arc::clone(process));
    }
    let broadcast = table.broadcast();
    Ok((members, broadcast))
}

/// Sends for `sender`, if that is allowed; `None` only asks.
///
/// # Errors
/// EPERM; EAGAIN if a real-time signal's details cannot be queued.
pub fn signal_from(
    sender: &Thread,
    target: &Process,
    signal: Option<Signal>,
    info: Info,
) -> Result<(), Errno> {
    may_signal(sender, target, &target.credentials(), signal)?;
    match signal {
        Some(signal) => send_to_process(target, signal, info),
        None => Ok(()),
    }
}

/// Writes down a process's action for a signal in `before`, and sets it if a
/// new one is given.
/// Pending signals that would now be ignored are forgotten.
///
/// # Errors
/// EINVAL for what cannot be caught or ignored.
pub fn exchange_action(
    process: &Process,
    signal: Signal,
    new: Option<&SigAction>,
    before: Option<&mut SigAction>,
) -> Result<(), Errno> {
    let mut shared = process.signals.lock();
    let Some(new) = new else {
        if let Some(before) = before {
            *before = shared.actions.get(signal);
        }
        return Ok(());
    };
    if SignalSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL);
    }
    if shared.actions.exchange(signal, new, before) == Disposition::Ignored {
        let threads = process.threads.lock();
        flush(&mut shared, &threads, SignalSet::of(&[signal]));
    }
    Ok(())
}

/// Whether a signal to the process would be dropped.
#[must_use]
pub fn is_ignored(process: &Process, signal: Signal) -> bool {
    let shared = process.signals.lock();
    let is_blocked = process
        .threads
        .lock()
        .first()
        .is_some_and(|first| first.signals.lock().blocks(signal));
    !is_blocked && shared.actions.disposition(signal) == Disposition::Ignored
}

/// Forgets the pending signals of a POSIX timer that is deleted.
pub fn forget_timer(process: &Process, id: i32) {
    process.signals.lock().pending.flush_timer(id);
    for thread in process.threads.lock().iter() {
        thread.signals.lock().pending.flush_timer(id);
    }
}

/// What is left to do when the locks are free again.
#[must_use]
#[derive(Default)]
struct Afterwards {
    tell_parent: Option<i32>,
    end: Option<ExitStatus>,
    has_arrived: bool,
}

/// Whom a signal is for.
#[derive(Clone, Copy)]
enum To<'a> {
    /// Any thread of the process; this one rather than another.
    Process(Option<&'a Thread>),
    /// A thread alone.
    Thread(&'a Thread),
}

fn send(process: &Process, target: To<'_>, signal: Signal, info: Info) -> Result<(), Errno> {
    let mut afterwards = Afterwards::default();
    let result = send_locked(process, target, signal, info, &mut afterwards);
    if let Some(code) = afterwards.tell_parent {
        parent::notify_stop(process, code, Signal::SIGCONT);
    }
    if afterwards.has_arrived {
        process.signals.arrived.wake();
    }
    if let Some(status) = afterwards.end {
        process.begin_group_exit(status);
    }
    result
}

fn send_locked(
    process: &Process,
    target: To<'_>,
    signal: Signal,
    info: Info,
    afterwards: &mut Afterwards,
) -> Result<(), Errno> {
    let mut shared = process.signals.lock();
    let threads = process.threads.lock();
    if process.exit_status().is_some() || threads.is_empty() {
        return Ok(());
    }
    if SignalSet::STOP.contains(signal) {
        flush(&mut shared, &threads, SignalSet::of(&[Signal::SIGCONT]));
    } else if signal == Signal::SIGCONT {
        flush(&mut shared, &threads, SignalSet::STOP);
        afterwards.tell_parent = resume(process, &mut shared, &threads);
    }
    let first = match target {
        To::Thread(thread) | To::Process(Some(thread)) => Some(thread),
        To::Process(None) => threads.first().map(|first| &**first),
    };
    let is_shared = matches!(target, To::Process(_));
    let Some(first) = first else {
        return Ok(());
    };
    let disposition = shared.actions.disposition(signal);
    let is_dropped = match disposition {
        Disposition::Ignored => true,
        Disposition::Caught => false,
        Disposition::Default(action) => shared.is_immune(action),
    };
    if is_dropped && !first.signals.lock().blocks(signal) {
        return Ok(());
    }
    if signal == Signal::SIGKILL {
        if !is_dropped {
            afterwards.end = Some(ExitStatus::signaled(signal.number(), false));
        }
        return Ok(());
    }
    if is_shared {
        enqueue(process, &mut shared.pending, signal, info)?;
    } else {
        enqueue(process, &mut first.signals.lock().pending, signal, info)?;
    }
    afterwards.has_arrived = true;
    let choice = choose(first, is_shared, &threads, signal);
    if let Some(Choice { thread, is_awaited }) = choice {
        if disposition == Disposition::Default(DefaultAction::Terminate) && !is_awaited {
            afterwards.end = Some(ExitStatus::signaled(signal.number(), false));
            return Ok(());
        }
        if !is_awaited {
            thread.add_work(Work::SIGNAL);
        }
        thread.wake();
    }
    Ok(())
}

impl ThreadSignals {
    fn blocks(&self, signal: Signal) -> bool {
        self.mask.contains(signal)
    }
}

/// Forgets signals of the process and of all threads.
fn flush(shared: &mut Shared, threads: &[Arc<Thread>], signals: SignalSet) {
    shared.pending.flush(signals);
    for thread in threads {
        thread.signals.lock().pending.flush(signals);
    }
}

/// Lets a stopped or stopping process go on; returns what the parent is told.
fn resume(process: &Process, shared: &mut Shared, threads: &[Arc<Thread>]) -> Option<i32> {
    let before = core::mem::take(&mut shared.stop);
    shared.stop_taken = false;
    if before == StopState::Running {
        return None;
    }
    for thread in threads {
        let mut own = thread.signals.lock();
        own.stopped = false;
        refresh(shared, &own, thread);
        drop(own);
        // The SIGCONT itself comes when all go on already: each looks for it,
        // for which it has to wait for the lock that is held here.
        thread.add_work(Work::SIGNAL);
        thread.clear_work(Work::STOP);
        thread.wake();
    }
    let mut report = process.report.lock();
    report.stopped = None;
    report.continued = true;
    Some(match before {
        StopState::Stopped => CLD_CONTINUED,
        _ => CLD_STOPPED,
    })
}

/// Queues a signal as far as limits and memory allow.
fn enqueue(
    process: &Process,
    pending: &mut Pending,
    signal: Signal,
    info: Info,
) -> Result<(), Errno> {
    if !signal.is_realtime() && pending.set().contains(signal) {
        return Ok(());
    }
    // What the kernel and kill(2) say of standard signals is told in any case.
    let is_exempt = !signal.is_realtime() && info.code >= 0;
    let limit = if is_exempt {
        u64::MAX
    } else {
        process.limits.soft(Resource::SigPending)
    };
    let charge = process.credentials().user.charge_signal(limit);
    if let Some(charge) = charge
        && pending.push(signal, info, Some(charge)).is_ok()
    {
        return Ok(());
    }
    if signal.is_realtime() && info.code != SI_USER {
        return Err(Errno::EAGAIN);
    }
    pending.push_bare(signal);
    Ok(())
}

struct Choice<'a> {
    thread: &'a Thread,
    /// Whether `rt_sigtimedwait` of the thread wants the signal.
    is_awaited: bool,
}

/// The thread that is made to look: the one aimed at, or any of the process.
fn choose<'a>(
    first: &'a Thread,
    is_shared: bool,
    threads: &'a [Arc<Thread>],
    signal: Signal,
) -> Option<Choice<'a>> {
    if let Some(choice) = wants(first, signal) {
        return Some(choice);
    }
    if is_shared {
        threads.iter().find_map(|thread| wants(thread, signal))
    } else {
        None
    }
}

fn wants(thread: &Thread, signal: Signal) -> Option<Choice<'_>> {
    let own = thread.signals.lock();
    let is_blocked = own.blocks(signal);
    let is_awaited = is_blocked && own.waiting_for.contains(signal);
    let work = thread.work();
    let is_free = !own.stopped && !work.intersects(Work::EXIT | Work::SIGNAL | Work::STOP);
    if is_awaited || (!is_blocked && is_free) {
        Some(Choice { thread, is_awaited })
    } else {
        None
    }
}
