//! The rules of process groups and sessions (setpgid(2), setsid(2)).

use ochre_abi::Errno;

use super::{Pid, table};

/// What decides whether a process may be moved to a group.
#[derive(Clone, Copy, Debug)]
struct Move {
    /// Whether the process is the caller itself.
    is_caller: bool,
    /// Whether it is a child of the caller.
    is_child: bool,
    /// Whether it has called `execve`.
    has_executed: bool,
    /// Whether it leads a session.
    leads_session: bool,
    /// Its session.
    session: Pid,
    /// The caller's session.
    caller_session: Pid,
    /// Whether the group is a new one with the process's own number.
    is_new_group: bool,
    /// The group's session, if there is such a group.
    group_session: Option<Pid>,
}

impl Move {
    fn check(&self) -> Result<(), Errno> {
        if self.is_child {
            if self.session != self.caller_session {
                return Err(Errno::EPERM);
            }
            if self.has_executed {
                return Err(Errno::EACCES);
            }
        } else if !self.is_caller {
            return Err(Errno::ESRCH);
        }
        let is_allowed = !self.leads_session
            && (self.is_new_group || self.group_session == Some(self.caller_session));
        if is_allowed {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}

/// `setpgid(2)` by process `caller`; 0 stands for the caller, or for the
/// process's own number.
///
/// # Errors
/// EINVAL, ESRCH, EPERM, EACCES; ENOMEM.
pub fn set_group(caller: Pid, pid: i32, group: i32) -> Result<(), Errno> {
    let pid = match pid {
        0 => caller,
        pid => Pid(pid.cast_unsigned()),
    };
    let group = match group {
        0 => pid,
        group => Pid(u32::try_from(group).map_err(|_| Errno::EINVAL)?),
    };
    let mut table = table::lock();
    let Some(target) = table.relations(pid) else {
        // A thread that is not its process's first leads no group.
        return Err(if table.thread(pid).is_some() {
            Errno::EINVAL
        } else {
            Errno::ESRCH
        });
    };
    let own = table.relations(caller).ok_or(Errno::ESRCH)?;
    Move {
        is_caller: pid == caller,
        is_child: target.process.parent_pid() == caller,
        has_executed: target.has_executed,
        leads_session: target.session == pid,
        session: target.session,
        caller_session: own.session,
        is_new_group: group == pid,
        group_session: table.session_of_group(group),
    }
    .check()?;
    table.set_group(pid, group)
}

/// `setsid(2)` by process `caller`.
///
/// # Errors
/// EPERM for who leads a group; ENOMEM.
pub fn new_session(caller: Pid) -> Result<Pid, Errno> {
    let mut table = table::lock();
    if !table.group(caller).is_empty() {
        return Err(Errno::EPERM);
    }
    table.begin_session(caller)?;
    Ok(caller)
}

/// The group and session of process `pid`, or of `caller` for 0.
///
/// # Errors
/// ESRCH.
pub fn standing(caller: Pid, pid: i32) -> Result<(Pid, Pid), Errno> {
    let pid = match pid {
        0 => caller,
        pid => Pid(u32::try_from(pid).map_err(|_| Errno::ESRCH)?),
    };
    let table = table::lock();
    let pid = match table.thread(pid) {
        Some(thread) => thread.process.pid,
        None => pid,
    };
    let of = table.relations(pid).ok_or(Errno::ESRCH)?;
    Ok((of.group, of.session))
}

#[cfg(test)]
mod tests {
    use super::Move;
    use crate::process::Pid;
    use ochre_abi::Errno;

    const CHILD: Move = Move {
        is_caller: false,
        is_child: true,
        has_executed: false,
        leads_session: false,
        session: Pid(1),
        caller_session: Pid(1),
        is_new_group: true,
        group_session: None,
    };

    #[test]
    fn a_child_may_be_moved_until_it_executes() {
        assert_eq!(CHILD.check(), Ok(()));
        let executed = Move {
            has_executed: true,
            ..CHILD
        };
        assert_eq!(executed.check(), Err(Errno::EACCES));
    }

    #[test]
    fn errors_have_an_order() {
        let stranger = Move {
            is_child: false,
            leads_session: true,
            ..CHILD
        };
        assert_eq!(stranger.check(), Err(Errno::ESRCH));
        let elsewhere = Move {
            session: Pid(2),
            has_executed: true,
            ..CHILD
        };
        assert_eq!(elsewhere.check(), Err(Errno::EPERM));
        let leader = Move {
            leads_session: true,
            ..CHILD
        };
        assert_eq!(leader.check(), Err(Errno::EPERM));
    }

    #[test]
    fn groups_do_not_cross_sessions() {
        let joining = Move {
            is_caller: true,
            is_child: false,
            is_new_group: false,
            group_session: Some(Pid(1)),
            ..CHILD
        };
        assert_eq!(joining.check(), Ok(()));
        let missing = Move {
            group_session: None,
            ..joining
        };
        assert_eq!(missing.check(), Err(Errno::EPERM));
        let foreign = Move {
            group_session: Some(Pid(9)),
            ..joining
        };
        assert_eq!(foreign.check(), Err(Errno::EPERM));
    }
}
