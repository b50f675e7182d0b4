//! Asking after children (wait(2)).

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::wait::{
    CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, WaitOptions,
};

use ochre_sync::primitive::atomic::Ordering;
use ochre_sync::primitive::spin_loop;

use super::{ExitStatus, Pid, Process, table};

/// Which children are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// All.
    Any,
    /// One.
    Process(Pid),
    /// Those of a process group.
    Group(Pid),
}

/// What happened to a child.
#[derive(Clone)]
pub struct ChildEvent {
    /// The child; out of the table if it ended and was not to be left.
    pub child: Arc<Process>,
    /// What happened.
    pub change: Change,
}

/// See [`ChildEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended.
    Ended(ExitStatus),
    /// A signal stopped it.
    Stopped(u32),
    /// It was continued.
    Continued,
}

impl Change {
    /// The status word of wait4(2).
    #[must_use]
    pub fn raw(self) -> u32 {
        match self {
            Change::Ended(status) => status.raw(),
            Change::Stopped(signal) => signal << 8 | 0x7f,
            Change::Continued => 0xffff,
        }
    }

    /// `si_code` and `si_status` of waitid(2).
    #[must_use]
    pub fn info(self) -> (i32, i32) {
        match self {
            Change::Ended(status) => match status.signal() {
                None => (CLD_EXITED, i32::from(status.as_shell())),
                Some(signal) if status.raw() & 0x80 != 0 => (CLD_DUMPED, signal.cast_signed()),
                Some(signal) => (CLD_KILLED, signal.cast_signed()),
            },
            Change::Stopped(signal) => (CLD_STOPPED, signal.cast_signed()),
            Change::Continued => (CLD_CONTINUED, 18),
        }
    }
}

/// Looks once. `Ok(None)`: there are such children, but none has anything to
/// report.
///
/// # Errors
/// ECHILD if there are no such children.
pub fn look(
    parent: &Process,
    selector: Selector,
    options: WaitOptions,
) -> Result<Option<ChildEvent>, Errno> {
    loop {
        match look_once(parent, selector, options) {
            Ok(found) => return found,
            Err(Unsettled) => spin_loop(),
        }
    }
}

/// A child has just ended, and is about to tell its parent on another
/// processor: its signal comes before the answer to `wait`, or the parent does
/// not want to know and there is no answer.
struct Unsettled;

/// What [`look`] answers, if that is settled.
type Looked = Result<Option<ChildEvent>, Errno>;

fn look_once(
    parent: &Process,
    selector: Selector,
    options: WaitOptions,
) -> Result<Looked, Unsettled> {
    let mut table = table::lock();
    let Some(of) = table.relations(parent.pid) else {
        return Ok(Err(Errno::ECHILD));
    };
    let mut any = false;
    let mut found = None;
    // Who asks after one child does not pay for all that it has.
    let (all, one) = match selector {
        Selector::Process(pid) => (&[][..], Some(pid)),
        Selector::Any | Selector::Group(_) => (&of.children[..], None),
    };
    for pid in all.iter().copied().chain(one) {
        let Some(child) = table.relations(pid) else {
            continue;
        };
        let selected = match selector {
            Selector::Any => true,
            Selector::Process(_) => child.process.parent_pid() == parent.pid,
            Selector::Group(group) => child.group == group,
        };
        // Children that do not end with SIGCHLD are asked for by __WCLONE.
        let cloned = child.process.exit_signal() != 17;
        let wanted =
            options.contains(WaitOptions::ALL) || cloned == options.contains(WaitOptions::CLONE);
        if !selected || !wanted {
            continue;
        }
        any = true;
        // ORDERING: Acquire; see `exit::tell_parent`.
        if child.is_zombie && !child.process.end_told.load(Ordering::Acquire) {
            return Err(Unsettled);
        }
        if let Some(change) = change_of(&child.process, child.is_zombie, options) {
            found = Some(ChildEvent {
                child: Arc::clone(&child.process),
                change,
            });
            break;
        }
    }
    if let Some(event) = &found
        && matches!(event.change, Change::Ended(_))
        && !options.contains(WaitOptions::NOWAIT)
    {
        // `found` holds another handle: the drop is not the last.
        table.remove(event.child.pid);
    }
    drop(table);
    if let Some(event) = &found
        && matches!(event.change, Change::Ended(_))
        && !options.contains(WaitOptions::NOWAIT)
    {
        parent.add_child_usage(&event.child);
    }
    Ok(if any { Ok(found) } else { Err(Errno::ECHILD) })
}

fn change_of(child: &Process, is_zombie: bool, options: WaitOptions) -> Option<Change> {
    if is_zombie {
        return options
            .contains(WaitOptions::EXITED)
            .then(|| Change::Ended(child.final_status()));
    }
    let mut report = child.report.lock();
    let leave = options.contains(WaitOptions::NOWAIT);
    if options.contains(WaitOptions::UNTRACED)
        && let Some(signal) = report.stopped
        && !report.stop_told
    {
        report.stop_told = !leave;
        return Some(Change::Stopped(signal));
    }
    if options.contains(WaitOptions::CONTINUED) && report.continued {
        report.continued = leave;
        return Some(Change::Continued);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Change, ExitStatus};

    #[test]
    fn status_words_are_those_of_wait() {
        assert_eq!(Change::Ended(ExitStatus::exited(7)).raw(), 0x700);
        assert_eq!(Change::Stopped(19).raw(), 0x137f);
        assert_eq!(Change::Continued.raw(), 0xffff);
        assert_eq!(Change::Ended(ExitStatus::signaled(9, false)).info(), (2, 9));
        assert_eq!(Change::Ended(ExitStatus::signaled(6, true)).info(), (3, 6));
        assert_eq!(Change::Ended(ExitStatus::exited(7)).info(), (1, 7));
    }
}
