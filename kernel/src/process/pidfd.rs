//! Descriptors of processes and threads (pidfd_open(2)): a handle that means
//! the same one for ever, whoever has its number by now.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use ochre_sync::primitive::atomic::Ordering;

use super::{Pid, Process, Thread};
use crate::vfs::{Events, File};
use crate::wait::PollTable;

/// See the module.
pub struct PidFd {
    process: Arc<Process>,
    /// The thread that it is about, if not about all of the process.
    thread: Option<Arc<Thread>>,
}

impl PidFd {
    /// A descriptor of the thread alone, or of its process.
    #[must_use]
    pub fn new(thread: &Arc<Thread>, is_thread: bool) -> PidFd {
        PidFd {
            process: Arc::clone(&thread.process),
            thread: is_thread.then(|| Arc::clone(thread)),
        }
    }

    /// A descriptor of a process.
    #[must_use]
    pub fn of_process(process: &Arc<Process>) -> PidFd {
        PidFd {
            process: Arc::clone(process),
            thread: None,
        }
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The thread, if it is about one.
    #[must_use]
    pub fn thread(&self) -> Option<&Arc<Thread>> {
        self.thread.as_ref()
    }

    /// Whether a process was asked after, or a thread has ended: there is
    /// nobody to send to.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match &self.thread {
            Some(thread) => thread.has_ended(),
            // ORDERING: Relaxed; a fact that stands alone.
            None => self.process.is_reaped.load(Ordering::Relaxed),
        }
    }

    /// The number, for `fdinfo`; `None` when nobody has it any more.
    #[must_use]
    pub fn number(&self) -> Option<Pid> {
        let number = self
            .thread
            .as_ref()
            .map_or(self.process.pid, |thread| thread.tid());
        (!self.is_gone()).then_some(number)
    }
}

impl File for PidFd {
    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.process.threads_changed);
        }
        let has_ended = match &self.thread {
            Some(thread) => thread.has_ended(),
            // ORDERING: Acquire; see `exit::tell_parent`.
            None => self.process.end_told.load(Ordering::Acquire),
        };
        let mut events = Events::empty();
        if has_ended {
            events |= Events::READABLE;
        }
        if self.is_gone() {
            events |= Events::HUP;
        }
        events
    }

    fn description(&self) -> Vec<u8> {
        b"anon_inode:[pidfd]".to_vec()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
