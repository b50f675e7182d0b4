//! `task`: the threads of a process.

use alloc::sync::Arc;
use core::any::Any;

use ochre_abi::Errno;

use super::{Subject, TASK, directory_number};
use crate::fs::procfs::node::{Identity, Listing};
use crate::fs::procfs::root::{Digits, parse_number};
use crate::process::{Pid, table};
use crate::vfs::{Entry as Listed, Inode, Kind, Metadata, Open, Opened, Permissions, now};

/// See the module.
pub(super) struct Directory {
    pub(super) subject: Subject,
    pub(super) number: u64,
}

impl Directory {
    fn identity(&self) -> Identity {
        self.subject.identity(self.number, 0o555, true)
    }

    /// The thread with the lowest number from `from` on. Threads that ended are
    /// not among them.
    fn next(&self, from: u32) -> Result<Option<Pid>, Errno> {
        let process = self.subject.process()?;
        let table = table::lock();
        let living = table.threads_from(Pid(from));
        let own = living.filter(|thread| Arc::ptr_eq(&thread.process, &process));
        Ok(own.map(|thread| thread.tid()).next())
    }
}

impl Inode for Directory {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        let threads = self
            .subject
            .process()
            .map_or(0, |process| process.threads.lock().len());
        let links = u32::try_from(threads).unwrap_or(u32::MAX).saturating_add(2);
        self.identity().metadata(Kind::Directory, links, 0, now())
    }

    fn is_stale(&self) -> bool {
        self.subject.is_gone()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let tid = Pid(parse_number(name).ok_or(Errno::ENOENT)?);
        let thread = table::thread(tid).ok_or(Errno::ENOENT)?;
        if !core::ptr::eq(Arc::as_ptr(&thread.process), self.subject.process.as_ptr()) {
            return Err(Errno::ENOENT);
        }
        let subject = Subject {
            tid,
            is_task: true,
            ..self.subject.clone()
        };
        Ok(Arc::new(super::Directory { subject }))
    }

    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let mut from = u32::try_from(cursor).unwrap_or(u32::MAX);
        while let Some(tid) = self.next(from).map_err(|_| Errno::ENOENT)? {
            from = tid.0.saturating_add(1);
            let mut digits = Digits::default();
            let listed = Listed {
                inode: directory_number(tid) + TASK,
                next: u64::from(from),
                kind: Kind::Directory,
                name: digits.of(tid.0),
            };
            if !visit(&listed) {
                break;
            }
        }
        Ok(())
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Ok(Opened::File(Arc::new(Listing)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
