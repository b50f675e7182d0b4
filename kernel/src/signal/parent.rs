//! Telling the parent: SIGCHLD and its `wait` queue.

use alloc::sync::Arc;

use ochre_abi::signal::{
    CLD_EXITED, CLD_KILLED, SA_NOCLDSTOP, SA_NOCLDWAIT, SIG_IGN, SIGINFO_SIZE, Signal,
};

use super::{Info, send_to_process};
use crate::process::{ExitStatus, Pid, Process, table};
use crate::time;
use crate::tty;

/// What SIGCHLD says of `child`.
fn info_of(child: &Process, code: i32, status: i32) -> Info {
    let (user_ns, system_ns) = time::process_times(child);
    Info::child(
        code,
        child.pid,
        child.credentials().uid.real,
        status,
        time::to_ticks(user_ns),
        time::to_ticks(system_ns),
    )
}

/// The `siginfo_t` that waitid(2) gives of a child.
#[must_use]
pub fn child_info(child: &Process, code: i32, status: i32) -> [u8; SIGINFO_SIZE] {
    info_of(child, code, status).to_bytes(Signal::SIGCHLD)
}

/// Tells the parent that `process` stopped or went on. The process table is
/// not locked.
pub(super) fn notify_stop(process: &Process, code: i32, signal: Signal) {
    let Some(parent) = table::process(process.parent_pid()) else {
        return;
    };
    let action = parent.signals.lock().actions.get(Signal::SIGCHLD);
    if action.handler != SIG_IGN && action.flags & SA_NOCLDSTOP == 0 {
        let info = info_of(process, code, signal.number().cast_signed());
        // SIGCHLD is standard: it cannot fail.
        let _ = send_to_process(&parent, Signal::SIGCHLD, info);
    }
    parent.child_changed.wake();
}

/// Tells a parent that a child ended: the child's exit signal with its
/// siginfo. Answers whether the parent wants to ask after the child; false
/// with SIGCHLD ignored or `SA_NOCLDWAIT`, or (program mode) if the parent is
/// process 1 and not the child's own. The process table is not locked.
#[must_use]
pub fn notify_exit(child: &Process, parent: &Arc<Process>, status: ExitStatus) -> bool {
    if parent.pid == Pid::INIT && child.is_adopted() && !parent.signals.is_protected() {
        return false;
    }
    let Some(signal) = Signal::new(child.exit_signal()) else {
        return true;
    };
    let action = parent.signals.lock().actions.get(signal);
    let (is_told, is_wanted) = if signal == Signal::SIGCHLD {
        let is_told = action.handler != SIG_IGN;
        (is_told, is_told && action.flags & SA_NOCLDWAIT == 0)
    } else {
        (true, true)
    };
    if is_told {
        let (code, value) = match status.signal() {
            Some(number) => (CLD_KILLED, number.cast_signed()),
            None => (CLD_EXITED, (status.raw() >> 8).cast_signed()),
        };
        // A lost signal is a real-time one over its limit; wait(2) still works.
        let _ = send_to_process(parent, signal, info_of(child, code, value));
    }
    is_wanted
}

/// Sends SIGHUP and SIGCONT to a member of a process group that was orphaned
/// while it has stopped members. The process table is not locked.
pub fn hang_up(process: &Arc<Process>) {
    for signal in [Signal::SIGHUP, Signal::SIGCONT] {
        // Standard signals cannot fail.
        let _ = send_to_process(process, signal, Info::KERNEL);
    }
}

/// A process ends: if it leads a session with a controlling terminal, the
/// terminal's foreground group gets SIGHUP and the session loses the terminal.
pub fn leave_session(process: &Arc<Process>) {
    let session = table::lock().relations(process.pid).map(|of| of.session);
    if session == Some(process.pid) {
        tty::leader_exited(process.pid);
    }
}
