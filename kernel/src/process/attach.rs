//! Whom a process may attach to: the access modes of ptrace(2), and
//! `kernel.yama.ptrace_scope`.
//!
//! To look into a process takes its user and its rights
//! ([`Credentials::may_inspect`](super::Credentials::may_inspect)). To reach into
//! its memory, as process_vm_readv(2) does, takes more where the machine's
//! administrator says so:
//!
//! | scope | who may, of those who may look |
//! |---|---|
//! | 0 | all |
//! | 1 | a process its descendants; whom the other one named, with its descendants (`PR_SET_PTRACER`); `CAP_SYS_PTRACE` |
//! | 2 | `CAP_SYS_PTRACE` |
//! | 3 | nobody, and that stays so |
//!
//! 0 is the default, as in Debian's kernels. Threads of one process may always.

use alloc::sync::{Arc, Weak};

use ochre_abi::Errno;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use super::table::{self, Table};
use super::{Capability, Pid, Process, Thread};

/// The scope in which nobody may.
const NOBODY: u32 = 3;

static SCOPE: AtomicU32 = AtomicU32::new(0);

/// The scope now.
#[must_use]
pub fn scope() -> u32 {
    // ORDERING: Relaxed; a number by itself.
    SCOPE.load(Ordering::Relaxed)
}

/// Sets the scope, for a thread that asks.
///
/// # Errors
/// EPERM without `CAP_SYS_PTRACE`; EINVAL for what is no scope, or less than the
/// last one once that was set.
pub fn set_scope(asking: &Thread, scope: u32) -> Result<(), Errno> {
    if !asking.has(Capability::SysPtrace) {
        return Err(Errno::EPERM);
    }
    let may_follow = |now: u32| (scope <= NOBODY && scope >= now - now % NOBODY).then_some(scope);
    // ORDERING: Relaxed; as above.
    let set = SCOPE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, may_follow);
    set.map(|_| ()).map_err(|_| Errno::EINVAL)
}

/// Whom a process lets attach to it (`PR_SET_PTRACER`).
#[derive(Clone, Debug, Default)]
enum Allowed {
    /// Nobody in particular.
    #[default]
    Nobody,
    /// A process and its descendants.
    One(Weak<Process>),
    /// All.
    All,
}

/// What `PR_SET_PTRACER` sets.
#[derive(Debug, Default)]
pub struct Attachers(SpinLock<Allowed>);

impl Attachers {
    /// Takes the call's argument: 0 for nobody, -1 for all, or a process.
    ///
    /// # Errors
    /// EINVAL if there is no such process.
    pub fn set(&self, who: u64) -> Result<(), Errno> {
        let allowed = match who {
            0 => Allowed::Nobody,
            u64::MAX => Allowed::All,
            pid => {
                let pid = u32::try_from(pid).map_err(|_| Errno::EINVAL)?;
                let thread = table::thread(Pid(pid)).ok_or(Errno::EINVAL)?;
                Allowed::One(Arc::downgrade(&thread.process))
            }
        };
        let before = core::mem::replace(&mut *self.0.lock(), allowed);
        drop(before);
        Ok(())
    }
}

/// Whether a thread may reach into the memory of another process, whose rights
/// let it look into it.
#[must_use]
pub fn may_attach(asking: &Thread, to: &Process) -> bool {
    let has_right = || asking.has(Capability::SysPtrace);
    match scope() {
        0 => true,
        1 => has_right() || is_related(asking.process.pid, to),
        2 => has_right(),
        _ => false,
    }
}

/// Whether a process has `to` for a descendant, or is of those whom it named.
fn is_related(asking: Pid, to: &Process) -> bool {
    let allowed = to.control.attachers.0.lock().clone();
    let named = match &allowed {
        Allowed::All => return true,
        Allowed::One(named) => named.upgrade(),
        Allowed::Nobody => None,
    };
    let table = table::lock();
    let answer = is_descendant(&table, to.pid, asking)
        || named
            .as_ref()
            .is_some_and(|named| is_descendant(&table, asking, named.pid));
    // Nothing that may be the last handle of a process is dropped before.
    drop(table);
    answer
}

/// Whether a process is another one, or has it among its ancestors.
fn is_descendant(table: &Table, pid: Pid, of: Pid) -> bool {
    let mut next = Some(pid);
    while let Some(pid) = next.filter(|pid| *pid != Pid::NONE) {
        if pid == of {
            return true;
        }
        next = table.relations(pid).map(|of| of.process.parent_pid());
    }
    false
}
