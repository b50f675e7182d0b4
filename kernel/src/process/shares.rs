//! What a thread works with and may share with any other: descriptors, the
//! places that paths start at, and who it is.
//!
//! Threads of a process usually have the same, but `clone` gives a thread its
//! own descriptors (without `CLONE_FILES`) or places (without `CLONE_FS`), and
//! a call like `setuid` changes the calling thread alone, as on Linux: C
//! libraries have every thread make the call. What others see of a *process*
//! (`/proc/PID`, the owner of its signals) is its first thread's, which
//! [`Process`] keeps a handle of; only a [`Thread`]'s own calls use its own.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::clone::CloneFlags;

use super::{Capability, Credentials, Process, Thread};
use crate::vfs::{Access, FdTable, FsContext};

/// See the module.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Its file descriptors.
    pub files: Arc<FdTable>,
    /// What it resolves paths with.
    pub fs: Arc<FsContext>,
    /// Who it is.
    pub credentials: Arc<Credentials>,
}

impl Shares {
    /// Those of process 1.
    #[must_use]
    pub fn first() -> Shares {
        Shares {
            files: FdTable::new(),
            fs: FsContext::initial(),
            credentials: Arc::new(Credentials::root()),
        }
    }

    /// What `clone` gives a child: the same, or a copy where the flags do not
    /// say that it is shared.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn for_child(&self, flags: CloneFlags) -> Result<Shares, Errno> {
        Ok(Shares {
            files: if flags.contains(CloneFlags::FILES) {
                Arc::clone(&self.files)
            } else {
                self.files.duplicate()?
            },
            fs: if flags.contains(CloneFlags::FS) {
                Arc::clone(&self.fs)
            } else {
                self.fs.duplicate()
            },
            credentials: Arc::clone(&self.credentials),
        })
    }
}

impl Thread {
    /// What it works with; `None` once it has ended.
    fn shares(&self) -> Option<Shares> {
        self.shares.lock().clone()
    }

    /// What a child of it starts with; see [`Shares::for_child`].
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn child_shares(&self, flags: CloneFlags) -> Result<Shares, Errno> {
        self.shares().ok_or(Errno::ESRCH)?.for_child(flags)
    }

    /// Its file descriptors; none once it has ended.
    #[must_use]
    pub fn files(&self) -> Arc<FdTable> {
        let files = self.with_files(Arc::clone);
        files.unwrap_or_default()
    }

    /// Looks into its file descriptors; `None` once it has ended.
    pub fn with_files<T>(&self, look: impl FnOnce(&Arc<FdTable>) -> T) -> Option<T> {
        self.shares
            .lock()
            .as_ref()
            .map(|shares| look(&shares.files))
    }

    /// Gives it other descriptors.
    pub fn set_files(&self, files: Arc<FdTable>) {
        let of_process = self.is_first().then(|| Arc::clone(&files));
        let old = self.replace(|shares| core::mem::replace(&mut shares.files, files));
        let seen =
            of_process.map(|files| core::mem::replace(&mut *self.process.files.lock(), files));
        drop((old, seen));
    }

    /// What it resolves paths with.
    #[must_use]
    pub fn fs(&self) -> Arc<FsContext> {
        let own = self
            .shares
            .lock()
            .as_ref()
            .map(|shares| Arc::clone(&shares.fs));
        own.unwrap_or_else(|| Arc::clone(&self.process.fs.lock()))
    }

    /// Has it resolve paths with something else.
    pub fn set_fs(&self, fs: Arc<FsContext>) {
        let of_process = self.is_first().then(|| Arc::clone(&fs));
        let old = self.replace(|shares| core::mem::replace(&mut shares.fs, fs));
        let seen = of_process.map(|fs| core::mem::replace(&mut *self.process.fs.lock(), fs));
        drop((old, seen));
    }

    /// Who it is now.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        let own = self
            .shares
            .lock()
            .as_ref()
            .map(|shares| Arc::clone(&shares.credentials));
        own.unwrap_or_else(|| self.process.credentials())
    }

    /// Looks at who it is now, without a count that all who are the same share:
    /// for calls that are made often.
    pub fn with_credentials<T>(&self, look: impl FnOnce(&Credentials) -> T) -> T {
        match &*self.shares.lock() {
            Some(shares) => look(&shares.credentials),
            None => look(&self.process.credentials()),
        }
    }

    /// Whether it has a privilege now.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.with_credentials(|credentials| credentials.has(capability))
    }

    /// Makes it somebody else.
    pub fn set_credentials(&self, new: Credentials) {
        let new = Arc::new(new);
        let of_process = self.is_first().then(|| Arc::clone(&new));
        let old = self.replace(|shares| core::mem::replace(&mut shares.credentials, new));
        let seen = of_process.map(|new| self.process.show_credentials(new));
        drop((old, seen));
    }

    /// The identity that its file accesses are checked with.
    #[must_use]
    pub fn access(&self) -> Access {
        self.with_credentials(Credentials::access)
    }

    /// The only thread of a process, which now has the process's number, shows
    /// what it works with as the process's (execve(2)).
    pub(super) fn show_shares(&self) {
        if let Some(shares) = self.shares() {
            let process = &self.process;
            let files = core::mem::replace(&mut *process.files.lock(), shares.files);
            let fs = core::mem::replace(&mut *process.fs.lock(), shares.fs);
            let credentials = process.show_credentials(shares.credentials);
            drop((files, fs, credentials));
        }
    }

    /// Gives up what the thread works with: it ends. What is shown of a process
    /// whose first thread has ended is nothing, as for one that has ended.
    pub(super) fn give_up_shares(&self) {
        let own = self.shares.lock().take();
        drop(own);
        if self.is_first() {
            self.process.hide_files();
        }
    }

    fn is_first(&self) -> bool {
        self.tid() == self.process.pid
    }

    fn replace<T>(&self, change: impl FnOnce(&mut Shares) -> T) -> Option<T> {
        self.shares.lock().as_mut().map(change)
    }
}

impl Process {
    /// Lets go of the first thread's descriptors and places.
    pub(super) fn hide_files(&self) {
        let files = core::mem::replace(&mut *self.files.lock(), FdTable::new());
        let fs = core::mem::replace(&mut *self.fs.lock(), FsContext::initial());
        drop((files, fs));
    }
}
