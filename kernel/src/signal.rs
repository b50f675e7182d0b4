//! Signals: sending, queueing, delivery, default actions.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::clone::CloneFlags;
use ochre_hal::user::Exception;

use crate::memory::Fault;
use crate::process::{ExitStatus, Next, Process, Thread, ThreadState, Work, exit};

/// Signals of one thread: mask, queue, alternate stack.
#[derive(Debug, Default)]
pub struct ThreadSignals {
    _private: (),
}

/// Signals of a process: its queue and its actions.
#[derive(Debug, Default)]
pub struct ProcessSignals {
    _private: (),
}

impl ThreadSignals {
    /// What a new thread or process starts with: the mask; the alternate stack
    /// unless memory is shared; nothing pending.
    #[must_use]
    pub fn for_child(&self, shares_memory: bool) -> ThreadSignals {
        let _ = shares_memory;
        ThreadSignals::default()
    }
}

impl ProcessSignals {
    /// What a new process starts with: actions shared or copied (`SIGHAND`),
    /// caught ones reset (`CLEAR_SIGHAND`); nothing pending.
    #[must_use]
    pub fn for_child(&self, flags: CloneFlags) -> ProcessSignals {
        let _ = flags;
        ProcessSignals::default()
    }
}

/// Tells a parent that a child ended: the child's exit signal with its
/// siginfo. Answers whether the parent wants to ask after the child; false
/// with SIGCHLD ignored or `SA_NOCLDWAIT`, or (program mode) if the parent is
/// process 1 and not the child's own.
pub fn notify_exit(child: &Process, parent: &Arc<Process>, status: ExitStatus) -> bool {
    let _ = (child, parent, status);
    true
}

/// The first bytes of the `siginfo_t` that waitid(2) and SIGCHLD give of a child.
#[must_use]
pub fn child_info(child: &Process, code: i32, status: i32) -> [u8; 128] {
    let _ = (child, code, status);
    [0; 128]
}

/// Sends SIGHUP and SIGCONT to a member of a process group that was orphaned
/// while it has stopped members.
pub fn hang_up(process: &Arc<Process>) {
    let _ = process;
}

/// A process ends: if it leads a session with a controlling terminal, the
/// terminal's foreground group gets SIGHUP and the session loses the terminal.
pub fn leave_session(process: &Arc<Process>) {
    let _ = process;
}

/// Does what keeps a thread from going back to user mode: ends it, stops it,
/// delivers a signal.
pub fn handle_work(thread: &Arc<Thread>, state: &mut ThreadState) -> Next {
    if thread.work().contains(Work::EXIT) {
        return exit::end_thread(thread, state);
    }
    unimplemented!()
}

/// Restarts an interrupted call for which no handler ran.
pub fn restart_without_handler(state: &mut ThreadState, code: Errno) {
    let _ = (state, code);
    unimplemented!()
}

/// Sends the signal of an access that cannot be resolved.
pub fn send_fault(thread: &Arc<Thread>, state: &mut ThreadState, fault: Fault) {
    let _ = (thread, state, fault);
    unimplemented!()
}

/// Sends the signal of an exception.
pub fn send_exception(thread: &Arc<Thread>, state: &mut ThreadState, exception: Exception) {
    let _ = (thread, state, exception);
    unimplemented!()
}
