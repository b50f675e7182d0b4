//! Job control: who may use a terminal, and what happens to who may not.
//!
//! A process whose session has this terminal and whose group is not in the
//! foreground is stopped when it reads (SIGTTIN), writes under TOSTOP or
//! changes something (SIGTTOU). If it ignores or blocks the signal, writing
//! and changing go ahead and reading is EIO; if its group is orphaned, so that
//! nobody could continue it, both are EIO.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::signal::Signal;

use super::Terminal;
use crate::process::{Pid, Thread, table};
use crate::signal;

/// How a process stands to its session and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) pid: Pid,
    pub(super) group: Pid,
    pub(super) session: Pid,
    /// Whether the session's terminal is none of its own any more.
    pub(super) gave_up_terminal: bool,
}

impl Standing {
    /// The caller's.
    pub(super) fn of(thread: &Thread) -> Option<Standing> {
        let table = table::lock();
        let pid = thread.process.pid;
        let of = table.relations(pid)?;
        Some(Standing {
            pid,
            group: of.group,
            session: of.session,
            gave_up_terminal: of.gave_up_terminal,
        })
    }

    /// Whether it leads its session.
    pub(super) fn is_leader(self) -> bool {
        self.pid == self.session
    }
}

/// What comes of an access from the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Go,
    Refuse,
    Stop,
}

/// Decides; pure. `signal` is SIGTTIN or SIGTTOU.
fn judge(signal: Signal, foreground: bool, deaf: bool, orphaned: bool) -> Verdict {
    match (foreground, deaf, orphaned) {
        (true, ..) => Verdict::Go,
        (_, true, _) if signal == Signal::SIGTTIN => Verdict::Refuse,
        (_, true, _) => Verdict::Go,
        (.., true) => Verdict::Refuse,
        _ => Verdict::Stop,
    }
}

/// Lets `thread` use `terminal` in the way that `signal` stands for, or sends
/// that signal to its group.
///
/// # Errors
/// EIO; ERESTARTSYS after the signal was sent.
pub(super) fn check(
    terminal: &Terminal,
    thread: &Arc<Thread>,
    signal: Signal,
) -> Result<(), Errno> {
    let (session, foreground) = {
        let state = terminal.lock();
        (state.session, state.foreground)
    };
    // Most callers are in the foreground, or have another terminal.
    let (Some(session), Some(foreground)) = (session, foreground) else {
        return Ok(());
    };
    let Some(standing) = Standing::of(thread) else {
        return Ok(());
    };
    let is_its_own = standing.session == session && !standing.gave_up_terminal;
    if !is_its_own || standing.group == foreground {
        return Ok(());
    }
    let (ignored, _) = thread.process.signals.action_sets();
    let deaf = signal::mask_of(thread).union(ignored).contains(signal);
    let orphaned = table::lock().is_orphaned(standing.group, None);
    match judge(signal, false, deaf, orphaned) {
        Verdict::Go => Ok(()),
        Verdict::Refuse => Err(Errno::EIO),
        Verdict::Stop => {
            signal::send_to_session_foreground(standing.group, signal);
            Err(Errno::ERESTARTSYS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};
    use ochre_abi::signal::Signal;

    #[test]
    fn judges_as_posix_says() {
        let check = |signal, foreground, deaf, orphaned, verdict| {
            assert_eq!(
                judge(signal, foreground, deaf, orphaned),
                verdict,
                "{signal:?} foreground {foreground} deaf {deaf} orphaned {orphaned}"
            );
        };
        for signal in [Signal::SIGTTIN, Signal::SIGTTOU] {
            check(signal, true, true, true, Verdict::Go);
            check(signal, true, false, false, Verdict::Go);
            check(signal, false, false, false, Verdict::Stop);
            check(signal, false, false, true, Verdict::Refuse);
        }
        check(Signal::SIGTTIN, false, true, false, Verdict::Refuse);
        check(Signal::SIGTTIN, false, true, true, Verdict::Refuse);
        check(Signal::SIGTTOU, false, true, false, Verdict::Go);
        check(Signal::SIGTTOU, false, true, true, Verdict::Go);
    }
}
