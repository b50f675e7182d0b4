//! Signals: sending, queueing, delivery, default actions.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_hal::user::Exception;

use crate::memory::Fault;
use crate::process::{Next, Thread, ThreadState};

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

/// Does what keeps a thread from going back to user mode: ends it, stops it,
/// delivers a signal.
pub fn handle_work(thread: &Arc<Thread>, state: &mut ThreadState) -> Next {
    let _ = (thread, state);
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
