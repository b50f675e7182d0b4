//! Inodes: the objects of a file system, and what is known about each.
//!
//! A file system implements [`Inode`] and does the raw work; permissions, names,
//! mounts and the order of errors are the business of the callers in this
//! folder. No operation waits.
//!
//! # Two kinds of directories
//! A *resident* directory (memory file systems) has no table of its own: the
//! dentries below it are its content, and `create` only makes an object. Others
//! (procfs, disks) answer `lookup` and `read_dir`; dentries then are a cache.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::future::Future;
use core::ops::Range;
use core::pin::Pin;

use bitflags::bitflags;
use ochre_abi::Errno;
use ochre_abi::fcntl::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
use ochre_abi::stat::{Statfs, make_device};

use super::{Dentry, File, Path, StatusFlags, WriterCount};
use crate::process::Thread;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file of bytes.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// The bits in a mode.
    #[must_use]
    pub const fn mode(self) -> u32 {
        match self {
            Kind::Regular => S_IFREG,
            Kind::Directory => S_IFDIR,
            Kind::Symlink => S_IFLNK,
            Kind::CharacterDevice => S_IFCHR,
            Kind::BlockDevice => S_IFBLK,
            Kind::Fifo => S_IFIFO,
            Kind::Socket => S_IFSOCK,
        }
    }

    /// The kind that a mode's bits name.
    #[must_use]
    pub const fn of_mode(mode: u32) -> Option<Kind> {
        Some(match mode & S_IFMT {
            S_IFREG => Kind::Regular,
            S_IFDIR => Kind::Directory,
            S_IFLNK => Kind::Symlink,
            S_IFCHR => Kind::CharacterDevice,
            S_IFBLK => Kind::BlockDevice,
            S_IFIFO => Kind::Fifo,
            S_IFSOCK => Kind::Socket,
            _ => return None,
        })
    }

    /// The number in a directory entry (`DT_*`).
    #[must_use]
    pub const fn entry_type(self) -> u8 {
        (self.mode() >> 12) as u8
    }
}

/// A point in time as files record it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds, below 10^9.
    pub nanoseconds: u32,
}

/// What decides who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The twelve permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Everything `stat` tells.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// Device of the file system.
    pub device: u64,
    /// Number of the inode.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Mode, owner, group.
    pub permissions: Permissions,
    /// Names it has.
    pub links: u32,
    /// The device that it stands for.
    pub represents: u64,
    /// Bytes.
    pub size: u64,
    /// Good size for transfers.
    pub block_size: u32,
    /// Units of 512 bytes in use.
    pub blocks: u64,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of status.
    pub changed: Timestamp,
    /// Creation.
    pub created: Timestamp,
}

impl Metadata {
    /// Of a file that is in no file system. (Linux's `anon_inode`s have mode
    /// 0600 and no kind; `kind` says what pipes are.)
    #[must_use]
    pub fn anonymous(kind: Kind) -> Metadata {
        Metadata {
            device: ANONYMOUS_DEVICE,
            inode: 1,
            kind,
            permissions: Permissions {
                mode: 0o600,
                uid: 0,
                gid: 0,
            },
            links: 1,
            represents: 0,
            size: 0,
            block_size: 4096,
            blocks: 0,
            accessed: Timestamp::default(),
            modified: Timestamp::default(),
            changed: Timestamp::default(),
            created: Timestamp::default(),
        }
    }
}

/// The device of files that are in no file system.
pub(super) const ANONYMOUS_DEVICE: u64 = make_device(0, 0xfff);

/// A change of attributes; `None` leaves one alone. The time of change of
/// status becomes `now`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub accessed: Option<Timestamp>,
    /// Last change of content.
    pub modified: Option<Timestamp>,
}

/// An object to be made.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// What.
    pub kind: Kind,
    /// Permission bits, the umask applied.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The device it stands for.
    pub device: u64,
    /// Where a symbolic link points.
    pub target: &'a [u8],
}

/// Where a symbolic link leads.
#[derive(Clone)]
pub enum Link {
    /// To a path, walked from the link's directory.
    Text(Arc<[u8]>),
    /// To a file, whatever its name (`/proc/PID/fd/N`).
    Jump(Path),
}

/// An entry of a directory that is not resident.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Number of the inode.
    pub inode: u64,
    /// The cursor that continues after this entry.
    pub next: u64,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'a [u8],
}

/// A move of one name to another, or an exchange.
pub struct Rename<'a> {
    /// The name to move.
    pub name: &'a [u8],
    /// What has it.
    pub child: &'a Arc<dyn Inode>,
    /// The directory to move to.
    pub directory: &'a Arc<dyn Inode>,
    /// The new name.
    pub new_name: &'a [u8],
    /// What has the new name now.
    pub replaced: Option<&'a Arc<dyn Inode>>,
    /// Whether the two are exchanged.
    pub exchange: bool,
}

/// How a file is opened.
pub struct Open<'a> {
    /// Who opens; nobody when the kernel does.
    pub thread: Option<&'a Arc<Thread>>,
    /// For reading.
    pub readable: bool,
    /// For writing.
    pub writable: bool,
    /// Status flags.
    pub flags: StatusFlags,
    /// Whether a terminal may become the controlling one.
    pub may_control: bool,
}

/// A future that ends with an open file.
pub type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn File>, Errno>> + Send>>;

/// What opening gives.
pub enum Opened {
    /// The file.
    File(Arc<dyn File>),
    /// A file, once somebody else has done something (FIFOs).
    Wait(Opening),
}

bitflags! {
    /// How `allocate` changes a range.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Allocate: u32 {
        /// The size stays.
        const KEEP_SIZE = 1;
        /// The range becomes a hole.
        const PUNCH_HOLE = 2;
        /// The range becomes zeroes.
        const ZERO = 0x10;
    }
}

/// Where an [`Allocation`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationStage {
    /// It makes a hole.
    Punch,
    /// It looks how much is missing: so much, as far as it looked.
    Count {
        /// Pages.
        missing: u64,
    },
    /// It makes what is missing.
    Fill,
}

/// A range of a file whose keeping is changed, by parts: it may be very long.
#[derive(Clone, Debug)]
pub struct Allocation {
    /// The range, in bytes.
    pub range: Range<u64>,
    /// How it is changed.
    pub how: Allocate,
    /// What is done now.
    pub stage: AllocationStage,
    /// Up to where that is done.
    pub at: u64,
}

impl Allocation {
    /// Nothing of it is done yet.
    ///
    /// # Errors
    /// EFBIG for a range whose end is no position.
    pub fn new(offset: u64, len: u64, how: Allocate) -> Result<Allocation, Errno> {
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        let begins_with_hole = how.intersects(Allocate::PUNCH_HOLE | Allocate::ZERO);
        let stage = if begins_with_hole {
            AllocationStage::Punch
        } else {
            AllocationStage::Count { missing: 0 }
        };
        Ok(Allocation {
            range: offset..end,
            how,
            stage,
            at: offset,
        })
    }
}

/// An object of a file system.
pub trait Inode: Any + Send + Sync {
    /// What it is; never changes.
    fn kind(&self) -> Kind;

    /// Mode, owner and group; must be cheap.
    fn permissions(&self) -> Permissions;

    /// Everything `stat` tells.
    fn metadata(&self) -> Metadata;

    /// Changes attributes.
    ///
    /// # Errors
    /// EPERM where the file system knows no such change.
    fn change(&self, change: &Change) -> Result<(), Errno> {
        let _ = change;
        Err(Errno::EPERM)
    }

    /// Whether dentries below it are its content (see the module).
    fn is_resident(&self) -> bool {
        false
    }

    /// Whether a cached name for it is out of date (a process that ended).
    fn is_stale(&self) -> bool {
        false
    }

    /// Finds a name in a directory that is not resident.
    ///
    /// # Errors
    /// ENOENT.
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let _ = name;
        Err(Errno::ENOENT)
    }

    /// Visits the entries of a directory that is not resident, from `cursor`
    /// (an earlier [`Entry::next`], or 0), until `visit` answers false. "." and
    /// ".." are not among them.
    ///
    /// # Errors
    /// ENOENT for a directory that is gone.
    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let _ = (cursor, visit);
        Ok(())
    }

    /// Makes an object under a name that is free.
    ///
    /// # Errors
    /// EPERM where the file system makes none; ENOSPC, ENOMEM.
    fn create(&self, name: &[u8], new: &New<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let _ = (name, new);
        Err(Errno::EPERM)
    }

    /// Makes an object without a name in this directory's file system.
    ///
    /// # Errors
    /// EOPNOTSUPP where the file system makes none; ENOSPC, ENOMEM.
    fn create_nameless(&self, new: &New<'_>) -> Result<Arc<dyn Inode>, Errno> {
        let _ = new;
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives an object of the same file system another name.
    ///
    /// # Errors
    /// EPERM where the file system knows no links; EMLINK, ENOSPC, ENOMEM.
    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let _ = (name, target);
        Err(Errno::EPERM)
    }

    /// Takes a name away; a directory is empty (checked by the caller where it
    /// is resident).
    ///
    /// # Errors
    /// EPERM where the file system removes nothing; ENOTEMPTY.
    fn unlink(&self, name: &[u8], child: &Arc<dyn Inode>) -> Result<(), Errno> {
        let _ = (name, child);
        Err(Errno::EPERM)
    }

    /// Moves a name of this directory.
    ///
    /// # Errors
    /// EPERM where the file system moves nothing; ENOTEMPTY.
    fn rename(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let _ = rename;
        Err(Errno::EPERM)
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// EINVAL for anything else.
    fn link_target(&self) -> Result<Link, Errno> {
        Err(Errno::EINVAL)
    }

    /// Opens it.
    ///
    /// # Errors
    /// ENXIO for a device nobody drives; others as open(2).
    fn open(self: Arc<Self>, open: &Open<'_>) -> Result<Opened, Errno>;

    /// Cuts or extends a regular file.
    ///
    /// # Errors
    /// EINVAL for anything else; EFBIG, ENOSPC.
    fn truncate(&self, size: u64) -> Result<(), Errno> {
        let _ = size;
        Err(Errno::EINVAL)
    }

    /// Changes how a range of a regular file is kept, or a part of it; whether
    /// that was the last one.
    ///
    /// # Errors
    /// EOPNOTSUPP where it cannot; ENOSPC, EFBIG.
    fn allocate(&self, work: &mut Allocation) -> Result<bool, Errno> {
        let _ = work;
        Err(Errno::EOPNOTSUPP)
    }

    /// The next data, or the next hole, at or after `offset` (the end counts as one).
    ///
    /// # Errors
    /// ENXIO past the end.
    fn seek_data(&self, offset: u64, hole: bool) -> Result<u64, Errno> {
        let size = self.metadata().size;
        if offset >= size {
            Err(Errno::ENXIO)
        } else {
            Ok(if hole { size } else { offset })
        }
    }

    /// Takes the set-user bit away, and set-group from what its group may
    /// execute: somebody unprivileged wrote to it.
    fn drop_set_ids(&self) {}

    /// Notes an access, for calls that do not go through a file (readlink).
    fn record_access(&self) {}

    /// Who writes it or runs from it, where that is counted.
    fn writers(&self) -> Option<&WriterCount> {
        None
    }

    /// The inode as itself, for the file system that made it.
    fn as_any(&self) -> &dyn Any;
}

/// A file system that can be mounted.
pub trait FileSystem: Send + Sync {
    /// Its name in `/proc/mounts`.
    fn name(&self) -> &'static str;

    /// The directory at its top.
    fn root(&self) -> Arc<Dentry>;

    /// What `statfs` tells.
    fn statistics(&self) -> Statfs;

    /// Its device number.
    fn device(&self) -> u64;

    /// Changes options of a mounted file system (remount); `data` is what
    /// mount(2) was given.
    ///
    /// # Errors
    /// EINVAL for options that it does not know.
    fn reconfigure(&self, data: &[u8]) -> Result<(), Errno> {
        let _ = data;
        Ok(())
    }

    /// The options that `/proc/mounts` shows after `rw` or `ro`, each with a
    /// comma before it.
    fn options(&self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_and_modes_agree() {
        for kind in [
            Kind::Regular,
            Kind::Directory,
            Kind::Symlink,
            Kind::CharacterDevice,
            Kind::BlockDevice,
            Kind::Fifo,
            Kind::Socket,
        ] {
            assert_eq!(Kind::of_mode(kind.mode() | 0o7777), Some(kind));
        }
        assert_eq!(Kind::of_mode(0o644), None);
        assert_eq!(Kind::Directory.entry_type(), 4);
        assert_eq!(Kind::Regular.entry_type(), 8);
    }
}
