//! Open files: the behaviour behind a descriptor, and what opening adds to it.
//!
//! Operations never wait. One that would has to answer EAGAIN, and the file
//! says through [`File::poll`] when it is worth trying again; the system call
//! layer makes blocking calls of the two. So no file is ever locked across a
//! wait, and poll, select, epoll and blocking reads are one mechanism.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use bitflags::bitflags;
use ochre_abi::Errno;
use ochre_hal::memory::UserFrame;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};
use ochre_sync::{Once, SpinLock};

use super::{Hold, Kind, Metadata, Path, Sink, Source, anonymous, lock, mount};
use crate::memory::{Backing, Identity, Mappers};
use crate::objects::CountedFile;
use crate::process::Thread;
use crate::syscall::Call;
use crate::wait::PollTable;

bitflags! {
    /// Readiness, with the numbers of poll(2) and epoll(7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Events: u32 {
        /// Data to read.
        const IN = 0x001;
        /// Urgent data.
        const PRI = 0x002;
        /// Room to write.
        const OUT = 0x004;
        /// An error is pending; always reported.
        const ERR = 0x008;
        /// The other end is closed; always reported.
        const HUP = 0x010;
        /// Not an open descriptor; poll(2) only.
        const NVAL = 0x020;
        /// Normal data to read.
        const RDNORM = 0x040;
        /// Priority band data to read.
        const RDBAND = 0x080;
        /// Room for normal data.
        const WRNORM = 0x100;
        /// Room for priority data.
        const WRBAND = 0x200;
        /// The other end stopped writing.
        const RDHUP = 0x2000;
    }
}

impl Events {
    /// What a readable file reports.
    pub const READABLE: Events = Events::IN.union(Events::RDNORM);
    /// What a writable file reports.
    pub const WRITABLE: Events = Events::OUT.union(Events::WRNORM);
}

bitflags! {
    /// File status flags: what `fcntl(F_GETFL)` shows, without the access mode.
    /// The numbers are those of the generic ABI (`O_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct StatusFlags: u32 {
        /// Writes go to the end.
        const APPEND = 0o2000;
        /// Calls that would wait fail with EAGAIN.
        const NONBLOCK = 0o4000;
        /// Accepted and without effect here.
        const DSYNC = 0o10000;
        /// Signal-driven input.
        const ASYNC = 0o20000;
        /// Accepted and without effect on memory file systems.
        const DIRECT = 0o40000;
        /// Always set in what 64-bit Linux shows for openat with O_LARGEFILE.
        const LARGEFILE = 0o100000;
        /// Do not record accesses.
        const NOATIME = 0o1000000;
        /// Only a place in the tree; no reading or writing.
        const PATH = 0o10000000;
    }
}

/// Which way bytes go, seen from the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// From the file.
    Read,
    /// To the file.
    Write,
}

/// The behaviour of an open file.
///
/// Positions: a file that has one (regular files, directories) is given
/// `position` and leaves the new one there; others ignore it.
pub trait File: Any + Send + Sync {
    /// Reads at `position`, as much as is there. `Ok(0)` with room in the sink
    /// and no fault is the end of the file.
    ///
    /// # Errors
    /// EAGAIN when it would wait; EINVAL for what cannot be read; others as read(2).
    fn read(&self, sink: &mut Sink<'_>, position: &mut u64) -> Result<usize, Errno> {
        let _ = (sink, position);
        Err(Errno::EINVAL)
    }

    /// Writes at `position`.
    ///
    /// # Errors
    /// EAGAIN when it would wait; EINVAL for what cannot be written; others as write(2).
    fn write(&self, source: &mut Source<'_>, position: &mut u64) -> Result<usize, Errno> {
        let _ = (source, position);
        Err(Errno::EINVAL)
    }

    /// Asked before every try to read or write on behalf of a thread, retries
    /// included. A terminal's job control is here: it may stop the thread's
    /// group instead of letting it go on.
    ///
    /// # Errors
    /// What the call is to answer instead; ERESTARTSYS after a signal was sent.
    fn admit(&self, thread: &Arc<Thread>, transfer: Transfer) -> Result<(), Errno> {
        let _ = (thread, transfer);
        Ok(())
    }

    /// Writes at the end, wherever that is by then; the position moves there.
    ///
    /// # Errors
    /// As [`write`](File::write).
    fn append(&self, source: &mut Source<'_>, position: &mut u64) -> Result<usize, Errno> {
        self.write(source, position)
    }

    /// What the file is ready for now; registers at every queue that announces
    /// a change when a table is given. Files that never wait are always ready.
    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        let _ = table;
        Events::READABLE | Events::WRITABLE
    }

    /// Whether the file has positions (lseek, pread).
    fn is_seekable(&self) -> bool {
        false
    }

    /// Whether lseek(2) does nothing and answers 0, wherever to, as it does for
    /// Linux's files of events and devices without content.
    fn ignores_seeks(&self) -> bool {
        false
    }

    /// What mmap(2) maps; `None` for a file that cannot be mapped (ENODEV).
    fn backing(&self) -> Option<Arc<dyn Backing>> {
        None
    }

    /// What `stat` tells of a file that has no place in a file system; files
    /// that were opened by name are not asked.
    fn metadata(&self) -> Metadata {
        Metadata::anonymous(Kind::Regular)
    }

    /// What `/proc/PID/fd` shows of a file that has no place in a file system.
    fn description(&self) -> Vec<u8> {
        b"anon_inode:[file]".to_vec()
    }

    /// A description of the file is gone for good. (A file is dropped later
    /// where something else holds it.)
    fn released(&self, open: &OpenFile) {
        let _ = open;
    }

    /// Device control.
    ///
    /// # Errors
    /// ENOTTY for a request the file does not know; others as ioctl(2).
    fn ioctl(&self, call: &mut Call<'_>, request: u32, argument: u64) -> Result<usize, Errno> {
        let _ = (call, request, argument);
        Err(Errno::ENOTTY)
    }

    /// The file as itself, for calls that want one kind (epoll, timerfd, pipes).
    fn as_any(&self) -> &dyn Any;
}

/// What an `O_PATH` descriptor has: nothing but its place.
pub(super) struct OnlyPath;

impl File for OnlyPath {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open file description: what `open` made and descriptors share.
pub struct OpenFile {
    file: Arc<dyn File>,
    readable: bool,
    writable: bool,
    /// What the file says of itself, asked once.
    seekable: bool,
    flags: AtomicU32,
    position: SpinLock<u64>,
    path: Option<Path>,
    /// What mmap(2) maps, once it was asked for: one and the same each time, so
    /// that mappings beside each other can be one.
    backing: Once<Arc<dyn Backing>>,
    /// Its place among the file's writers, or among the programs that run from it.
    hold: Option<Hold>,
    _counted: CountedFile,
}

impl OpenFile {
    /// A description of `file` with position 0.
    #[must_use]
    pub fn new(
        file: Arc<dyn File>,
        readable: bool,
        writable: bool,
        flags: StatusFlags,
    ) -> OpenFile {
        OpenFile {
            seekable: file.is_seekable(),
            file,
            readable,
            writable,
            flags: AtomicU32::new(flags.bits()),
            position: SpinLock::new(0),
            path: None,
            backing: Once::new(),
            hold: None,
            _counted: CountedFile::new(),
        }
    }

    /// A description of what was opened at `path`.
    #[must_use]
    pub fn at(
        path: Path,
        file: Arc<dyn File>,
        readable: bool,
        writable: bool,
        flags: StatusFlags,
    ) -> OpenFile {
        let mut open = OpenFile::new(file, readable, writable, flags);
        open.path = Some(path);
        open
    }

    /// The same with a place among the file's writers or programs, given up
    /// with the description.
    #[must_use]
    pub fn holding(mut self, hold: Option<Hold>) -> OpenFile {
        self.hold = hold;
        self
    }

    /// Where it was opened, if that is a place in a file system.
    #[inline]
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// Its place, or one made up for a file that has none (a pipe): what the
    /// links in `/proc/PID/fd` lead to.
    #[must_use]
    pub fn path_or_anonymous(&self) -> Path {
        match &self.path {
            Some(path) => path.clone(),
            None => anonymous::path(&self.file),
        }
    }

    /// What `stat` tells.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        match &self.path {
            Some(path) => path.inode().metadata(),
            None => self.file.metadata(),
        }
    }

    /// What mmap(2) maps, with the file's path; `None` if it cannot be mapped.
    #[must_use]
    pub fn backing(&self) -> Option<Arc<dyn Backing>> {
        if let Some(known) = self.backing.get() {
            return Some(Arc::clone(known));
        }
        let inner = self.file.backing()?;
        let backing = match &self.path {
            Some(path) if !inner.is_anonymous() => Arc::new(NamedBacking {
                inner,
                path: path.clone(),
            }),
            _ => inner,
        };
        // Whoever was faster has set the same.
        let _ = self.backing.set(Arc::clone(&backing));
        self.backing.get().map(Arc::clone)
    }

    /// Whether it is only a place (`O_PATH`).
    #[inline]
    #[must_use]
    pub fn is_only_path(&self) -> bool {
        self.flags().contains(StatusFlags::PATH)
    }

    /// The behaviour.
    #[inline]
    #[must_use]
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Whether it was opened for reading.
    #[inline]
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether it has a position ([`File::is_seekable`]).
    #[inline]
    #[must_use]
    pub fn is_seekable(&self) -> bool {
        self.seekable
    }

    /// Whether it was opened for writing.
    #[inline]
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The status flags.
    #[inline]
    #[must_use]
    pub fn flags(&self) -> StatusFlags {
        // ORDERING: Relaxed; flags stand alone.
        StatusFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Replaces the status flags.
    pub fn set_flags(&self, flags: StatusFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// The position, locked.
    pub fn position(&self) -> &SpinLock<u64> {
        &self.position
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        lock::description_ended(self);
        self.file.released(self);
    }
}

/// A backing that knows its name.
struct NamedBacking {
    inner: Arc<dyn Backing>,
    path: Path,
}

impl Backing for NamedBacking {
    fn page(&self, index: u64) -> Result<UserFrame, Errno> {
        self.inner.page(index)
    }

    fn page_at_hand(&self, index: u64) -> Option<Result<UserFrame, Errno>> {
        self.inner.page_at_hand(index)
    }

    fn present(&self, pages: Range<u64>, visit: &mut dyn FnMut(u64, UserFrame)) {
        self.inner.present(pages, visit);
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn mappers(&self) -> Option<&Mappers> {
        self.inner.mappers()
    }

    fn admit(&self, writable: bool) -> Result<bool, Errno> {
        self.inner.admit(writable)
    }

    fn punch(&self, pages: Range<u64>) -> Result<u64, Errno> {
        self.inner.punch(pages)
    }

    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    fn path(&self) -> Vec<u8> {
        // Without memory for its name it has none.
        mount::root()
            .and_then(|root| self.path.text(&root).ok())
            .map_or_else(Vec::new, |(text, _)| text)
    }
}

impl core::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OpenFile")
            .field("readable", &self.readable)
            .field("writable", &self.writable)
            .field("flags", &self.flags())
            .finish_non_exhaustive()
    }
}
