//! Flags of open, fcntl, the `*at` calls and their kin.
//!
//! Four open flags have other numbers on AArch64 than on x86_64; everything
//! else is the same on both.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Access mode: read only.
pub const O_RDONLY: u32 = 0;
/// Access mode: write only.
pub const O_WRONLY: u32 = 1;
/// Access mode: both.
pub const O_RDWR: u32 = 2;
/// The bits of the access mode.
pub const O_ACCMODE: u32 = 3;
/// Make the file if it is not there.
pub const O_CREAT: u32 = 0o100;
/// Fail if it is.
pub const O_EXCL: u32 = 0o200;
/// A terminal opened does not become the controlling one.
pub const O_NOCTTY: u32 = 0o400;
/// Cut a regular file to nothing.
pub const O_TRUNC: u32 = 0o1000;
/// Writes go to the end.
pub const O_APPEND: u32 = 0o2000;
/// Calls that would wait fail with EAGAIN.
pub const O_NONBLOCK: u32 = 0o4000;
/// Data reach the device before a write returns.
pub const O_DSYNC: u32 = 0o10000;
/// Signal-driven input.
pub const O_ASYNC: u32 = 0o20000;
/// Do not record accesses.
pub const O_NOATIME: u32 = 0o1_000_000;
/// The descriptor goes away at exec.
pub const O_CLOEXEC: u32 = 0o2_000_000;
/// As `O_DSYNC`, and the metadata too.
pub const O_SYNC: u32 = 0o4_010_000;
/// Only a place in the tree.
pub const O_PATH: u32 = 0o10_000_000;

pub use crate::arch::{O_DIRECT, O_DIRECTORY, O_LARGEFILE, O_NOFOLLOW};

/// A file without a name in the directory given.
pub const O_TMPFILE: u32 = 0o20_000_000 | O_DIRECTORY;

/// "The working directory" where a directory descriptor is asked for.
pub const AT_FDCWD: i32 = -100;
/// Do not follow a symbolic link in the last component.
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
/// `faccessat`: check with the effective identity.
pub const AT_EACCESS: u32 = 0x200;
/// `unlinkat`: remove a directory. (The number is that of `AT_EACCESS`.)
pub const AT_REMOVEDIR: u32 = 0x200;
/// Follow a symbolic link in the last component.
pub const AT_SYMLINK_FOLLOW: u32 = 0x400;
/// Do not mount what would be mounted on demand.
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
/// An empty path means the descriptor itself.
pub const AT_EMPTY_PATH: u32 = 0x1000;
/// The bits that say how `statx` synchronises with a server.
pub const AT_STATX_SYNC_TYPE: u32 = 0x6000;

/// `fcntl`: duplicate.
pub const F_DUPFD: u32 = 0;
/// `fcntl`: descriptor flags.
pub const F_GETFD: u32 = 1;
/// `fcntl`: set descriptor flags.
pub const F_SETFD: u32 = 2;
/// `fcntl`: status flags.
pub const F_GETFL: u32 = 3;
/// `fcntl`: set status flags.
pub const F_SETFL: u32 = 4;
/// `fcntl`: who holds a record lock.
pub const F_GETLK: u32 = 5;
/// `fcntl`: set or release a record lock.
pub const F_SETLK: u32 = 6;
/// `fcntl`: the same, waiting.
pub const F_SETLKW: u32 = 7;
/// `fcntl`: set the owner of signal-driven input.
pub const F_SETOWN: u32 = 8;
/// `fcntl`: the owner of signal-driven input.
pub const F_GETOWN: u32 = 9;
/// `fcntl`: who holds a lock, for locks of open file descriptions.
pub const F_OFD_GETLK: u32 = 36;
/// `fcntl`: set or release a lock of the open file description.
pub const F_OFD_SETLK: u32 = 37;
/// `fcntl`: the same, waiting.
pub const F_OFD_SETLKW: u32 = 38;
/// `fcntl`: duplicate with close-on-exec.
pub const F_DUPFD_CLOEXEC: u32 = 1030;
/// `fcntl`: set a pipe's capacity.
pub const F_SETPIPE_SZ: u32 = 1031;
/// `fcntl`: a pipe's capacity.
pub const F_GETPIPE_SZ: u32 = 1032;
/// `fcntl`: seal a memory file.
pub const F_ADD_SEALS: u32 = 1033;
/// `fcntl`: the seals of a memory file.
pub const F_GET_SEALS: u32 = 1034;
/// The one descriptor flag.
pub const FD_CLOEXEC: u32 = 1;

/// A shared (read) lock.
pub const F_RDLCK: i16 = 0;
/// An exclusive (write) lock.
pub const F_WRLCK: i16 = 1;
/// No lock.
pub const F_UNLCK: i16 = 2;

/// `flock`: shared.
pub const LOCK_SH: u32 = 1;
/// `flock`: exclusive.
pub const LOCK_EX: u32 = 2;
/// `flock`: do not wait.
pub const LOCK_NB: u32 = 4;
/// `flock`: release.
pub const LOCK_UN: u32 = 8;

/// `lseek` from the start.
pub const SEEK_SET: u32 = 0;
/// `lseek` from the position.
pub const SEEK_CUR: u32 = 1;
/// `lseek` from the end.
pub const SEEK_END: u32 = 2;
/// `lseek` to data.
pub const SEEK_DATA: u32 = 3;
/// `lseek` to a hole.
pub const SEEK_HOLE: u32 = 4;

/// `access`: is it there.
pub const F_OK: u32 = 0;
/// `access`: may it be executed.
pub const X_OK: u32 = 1;
/// `access`: may it be written.
pub const W_OK: u32 = 2;
/// `access`: may it be read.
pub const R_OK: u32 = 4;

/// `renameat2`: fail if the new name is taken.
pub const RENAME_NOREPLACE: u32 = 1;
/// `renameat2`: exchange the two.
pub const RENAME_EXCHANGE: u32 = 2;
/// `renameat2`: leave a whiteout.
pub const RENAME_WHITEOUT: u32 = 4;

/// `fallocate`: do not change the size.
pub const FALLOC_FL_KEEP_SIZE: u32 = 1;
/// `fallocate`: make a hole.
pub const FALLOC_FL_PUNCH_HOLE: u32 = 2;
/// `fallocate`: make zeroes.
pub const FALLOC_FL_ZERO_RANGE: u32 = 0x10;

/// `utimensat`: now.
pub const UTIME_NOW: i64 = 0x3fff_ffff;
/// `utimensat`: leave it.
pub const UTIME_OMIT: i64 = 0x3fff_fffe;

/// The bits of a mode that say what a file is.
pub const S_IFMT: u32 = 0o170_000;
/// A socket.
pub const S_IFSOCK: u32 = 0o140_000;
/// A symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// A regular file.
pub const S_IFREG: u32 = 0o100_000;
/// A block device.
pub const S_IFBLK: u32 = 0o060_000;
/// A directory.
pub const S_IFDIR: u32 = 0o040_000;
/// A character device.
pub const S_IFCHR: u32 = 0o020_000;
/// A FIFO.
pub const S_IFIFO: u32 = 0o010_000;
/// Run as the file's owner.
pub const S_ISUID: u32 = 0o4000;
/// Run as the file's group; of a directory: new files get its group.
pub const S_ISGID: u32 = 0o2000;
/// Of a directory: only owners remove.
pub const S_ISVTX: u32 = 0o1000;

/// Longest name of a directory entry.
pub const NAME_MAX: usize = 255;
/// Longest path, the NUL included.
pub const PATH_MAX: usize = 4096;
/// Most ranges of a `readv`.
pub const IOV_MAX: usize = 1024;
/// Most bytes of one transfer.
pub const MAX_RW_COUNT: usize = 0x7fff_f000;

/// `struct flock`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Flock {
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub l_type: i16,
    /// What `l_start` counts from.
    pub l_whence: i16,
    /// Padding.
    pub pad: i32,
    /// First byte.
    pub l_start: i64,
    /// Bytes; 0 for all that follow.
    pub l_len: i64,
    /// The holder, for `F_GETLK`.
    pub l_pid: i32,
    /// Padding.
    pub pad_end: i32,
}

bitflags! {
    /// What a memory file's seals forbid (`F_ADD_SEALS`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Seals: u32 {
        /// More seals.
        const SEAL = 1;
        /// A smaller size.
        const SHRINK = 2;
        /// A larger size.
        const GROW = 4;
        /// Writing.
        const WRITE = 8;
        /// Writing, but by mappings that are there already.
        const FUTURE_WRITE = 0x10;
        /// Changing whether it may be executed.
        const EXEC = 0x20;
    }
}

/// `struct iovec`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Iovec {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

/// `struct open_how` of `openat2`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct OpenHow {
    /// `O_*`.
    pub flags: u64,
    /// Mode of a new file.
    pub mode: u64,
    /// `RESOLVE_*`.
    pub resolve: u64,
}

const _: () = assert!(size_of::<Flock>() == 32);
const _: () = assert!(size_of::<Iovec>() == 16);
const _: () = assert!(size_of::<OpenHow>() == 24);

#[cfg(test)]
mod tests {
    use super::{O_DIRECTORY, O_TMPFILE};

    #[test]
    fn a_temporary_file_is_a_directory_flag_and_more() {
        assert_eq!(O_TMPFILE & O_DIRECTORY, O_DIRECTORY);
        assert_eq!(O_TMPFILE ^ O_DIRECTORY, 0o20_000_000);
    }
}
