//! A process: the resources that its threads share.
//!
//! # Who may use what when
//! Relations between processes (parent, children, group, session) live in the
//! process table under its lock ([`table`](super::table)); `parent` here mirrors
//! one of them for `getppid`. Everything else has its own lock; none is held
//! while another of a process is taken, and none across a user copy.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use super::thread::Work;
use super::{ExitStatus, Pid, Thread};
use crate::memory::AddressSpace;
use crate::signal::ProcessSignals;
use crate::wait::WaitQueue;

/// A thread group.
pub struct Process {
    /// Its number, that of its first thread.
    pub pid: Pid,
    parent: AtomicU32,
    /// Threads that have not ended, the first one included until it ended.
    pub threads: SpinLock<Vec<Arc<Thread>>>,
    /// The address space, replaced by `execve`. Each thread's poll has its own
    /// handle; this one is for others (`/proc`, `process_vm_readv`).
    pub space: SpinLock<Arc<AddressSpace>>,
    /// Signals for the process, and what it does about each.
    pub signals: ProcessSignals,
    /// Woken when a child changes state.
    pub child_changed: WaitQueue,
    /// How it ends, once that is settled.
    exit: SpinLock<Option<ExitStatus>>,
}

impl Process {
    /// The parent's number.
    #[must_use]
    pub fn parent_pid(&self) -> Pid {
        // ORDERING: Relaxed; the number stands alone.
        Pid(self.parent.load(Ordering::Relaxed))
    }

    /// Settles how the process ends (the first call wins) and tells every thread.
    pub fn begin_group_exit(&self, status: ExitStatus) {
        let mut exit = self.exit.lock();
        if exit.is_none() {
            *exit = Some(status);
        }
        drop(exit);
        for thread in self.threads.lock().iter() {
            thread.add_work(Work::EXIT);
            thread.wake();
        }
    }

    /// How the process ends, once that is settled.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.lock()
    }
}
