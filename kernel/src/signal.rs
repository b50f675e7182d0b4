//! Signals: sending, queueing, delivery, default actions, stop and continue.
//!
//! A signal goes to a process or to one thread ([`send_to_process`],
//! [`send_to_thread`]). Sending decides at once what can be decided: an ignored
//! signal is dropped, a deadly one begins the end of the process, any other is
//! queued and a thread that does not block it gets [`Work::SIGNAL`]. That
//! thread takes the signal on its way back to user mode ([`handle_work`]).
//!
//! [`Work::SIGNAL`]: crate::process::Work::SIGNAL
//!
//! # Lock protocol
//! From the outside in: the process table; [`ProcessSignals`] (one lock: actions,
//! the process's queue, stop state); `Process::threads`; each
//! [`ThreadSignals`]. Sending takes them itself, and a SIGCONT tells the
//! parent through the process table, so **nobody sends a signal with the
//! process table locked**. No user memory is touched under any of them.
//!
//! # Invariants
//! - A thread has `Work::SIGNAL` if a signal that it does not block is pending
//!   for it or its process, unless another thread was chosen for that signal.
//!   The bit may be set without a signal (then a look costs a little), never
//!   the other way round.
//! - SIGKILL and SIGSTOP are in no mask and have no handler.

mod actions;
mod default;
mod deliver;
mod fault;
mod info;
mod mask;
mod parent;
mod pending;
mod permission;
mod restart;
mod send;
mod signalfd;
mod state;
mod stop;
mod take;

pub use actions::Actions;
pub use default::{DefaultAction, default_action};
pub use deliver::{handle_work, restore_context};
pub use fault::{force, send_exception, send_fault};
pub use info::Info;
pub use mask::{
    deliverable, end_temporary_mask, exchange_stack, mask_of, set_awaited, set_mask,
    set_temporary_mask, with_temporary_mask,
};
pub use parent::{child_info, hang_up, leave_session, notify_exit};
pub use permission::may_signal;
pub use restart::{
    Decision, RestartCall, decide, restart_without_handler, set_restart, take_restart,
};
pub use send::{
    exchange_action, forget_timer, is_ignored, send_because_of, send_to_group, send_to_process,
    send_to_session_foreground, send_to_thread, signal_from,
};
pub use signalfd::SignalFd;
pub use state::{AlternateStack, ProcessSignals, ThreadSignals};
pub use stop::thread_ended;
pub use take::take_from_set;
