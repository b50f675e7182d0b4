//! How a system call ends: now, later, or not at all.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;

use ochre_abi::Errno;
use ochre_hal::user::UserContext;

use super::Fd;
use crate::memory::{self, AddressSpace};
use crate::process::{Process, Resource, Thread};
use crate::vfs::{FdTable, FsContext, OpenFile};

/// A result register's value or an error.
pub type SysResult = Result<usize, Errno>;

// ANCHOR: outcome
/// What a handler answers.
#[must_use]
pub enum Outcome {
    /// The call is over.
    Done(SysResult),
    /// The call has to wait; the thread polls the future until it is over.
    Wait(Pin<Box<dyn Future<Output = SysResult> + Send>>),
    /// The call is over, with 0; others run before the thread goes on.
    Yield,
    /// The call changed the user context itself (`execve`, `rt_sigreturn`) or
    /// ended the thread: the result register stays as it is.
    Resume,
}
// ANCHOR_END: outcome

impl Outcome {
    /// An error.
    pub fn error(errno: Errno) -> Outcome {
        Outcome::Done(Err(errno))
    }

    /// Waits for a future of exactly its own size; without memory for it the
    /// call ends with ENOMEM before it has waited.
    pub fn wait(future: impl Future<Output = SysResult> + Send + 'static) -> Outcome {
        match memory::try_box(future) {
            Ok(future) => Outcome::Wait(Box::into_pin(future)),
            Err(_) => Outcome::error(Errno::ENOMEM),
        }
    }
}

/// What a handler may return: an [`Outcome`], or a result that is one.
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    #[inline]
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl IntoOutcome for SysResult {
    #[inline]
    fn into_outcome(self) -> Outcome {
        Outcome::Done(self)
    }
}

impl IntoOutcome for Result<(), Errno> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        Outcome::Done(self.map(|()| 0))
    }
}

impl IntoOutcome for Result<Outcome, Errno> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        self.unwrap_or_else(Outcome::error)
    }
}

/// A system call being handled: who makes it and on what it works.
///
/// Borrowed from the thread's poll, so it cannot be kept in a future: a handler
/// that waits clones the `Arc`s it needs.
pub struct Call<'a> {
    /// The calling thread.
    pub thread: &'a Arc<Thread>,
    /// Its registers.
    pub user: &'a mut UserContext,
    /// Its address space; `execve` replaces it.
    pub space: &'a mut Arc<AddressSpace>,
}

impl Call<'_> {
    /// Its file descriptors.
    #[inline]
    pub fn files(&self) -> Arc<FdTable> {
        self.thread.files()
    }

    /// What it resolves paths with.
    #[inline]
    pub fn fs(&self) -> Arc<FsContext> {
        self.thread.fs()
    }

    /// The open file of a descriptor.
    ///
    /// # Errors
    /// EBADF.
    #[inline]
    pub fn file(&self, fd: Fd) -> Result<Arc<OpenFile>, Errno> {
        self.thread
            .with_files(|files| files.get(fd.0))
            .ok_or(Errno::EBADF)?
    }

    /// How many descriptors the process may have (`RLIMIT_NOFILE`).
    pub fn open_files_limit(&self) -> usize {
        open_files_limit(self.thread)
    }

    /// Gives an open file the lowest free descriptor.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    pub fn install(&self, file: OpenFile, close_on_exec: bool) -> SysResult {
        install(self.thread, file, close_on_exec)
    }

    /// Takes back a descriptor that was just given.
    pub fn uninstall(&self, fd: usize) {
        uninstall(self.thread, fd);
    }

    /// The calling process.
    #[inline]
    pub fn process(&self) -> &Arc<Process> {
        &self.thread.process
    }
}

fn open_files_limit(thread: &Thread) -> usize {
    let limit = thread.process.limits.soft(Resource::OpenFiles);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// [`Call::install`] where there is no call any more.
///
/// # Errors
/// EMFILE, ENOMEM.
pub(super) fn install(thread: &Thread, file: OpenFile, close_on_exec: bool) -> SysResult {
    let limit = open_files_limit(thread);
    let fd = thread
        .files()
        .insert(Arc::new(file), close_on_exec, limit)?;
    Ok(fd.cast_unsigned() as usize)
}

/// [`Call::uninstall`] where there is no call any more.
pub fn uninstall(thread: &Thread, fd: usize) {
    // CAST: `install` gave it, so it fits.
    let file = thread.files().remove(fd as i32);
    drop(file);
}
