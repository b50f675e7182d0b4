//! Where the two machines' ABIs differ. The only `cfg(target_arch)` of this crate.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The number on the machine this is built for, as `Option<usize>`:
/// `arch_number!(39, 172)`.
#[cfg(target_arch = "x86_64")]
#[macro_export]
macro_rules! arch_number {
    (-, $arm:tt) => {
        None
    };
    ($x86:tt, $arm:tt) => {
        Some($x86)
    };
}

/// The number on the machine this is built for, as `Option<usize>`:
/// `arch_number!(39, 172)`.
#[cfg(target_arch = "aarch64")]
#[macro_export]
macro_rules! arch_number {
    ($x86:tt, -) => {
        None
    };
    ($x86:tt, $arm:tt) => {
        Some($arm)
    };
}

/// Bytes of a `struct epoll_event`: packed on x86_64 (epoll_ctl(2)).
#[cfg(target_arch = "x86_64")]
pub const EPOLL_EVENT_SIZE: usize = 12;

/// Bytes of a `struct epoll_event`.
#[cfg(target_arch = "aarch64")]
pub const EPOLL_EVENT_SIZE: usize = 16;

/// Whether `clone(2)` takes the thread pointer as its fourth argument and the
/// child's number's address as its fifth, or the other way round.
#[cfg(target_arch = "x86_64")]
pub const CLONE_TLS_FOURTH: bool = false;

/// Whether `clone(2)` takes the thread pointer as its fourth argument and the
/// child's number's address as its fifth, or the other way round.
#[cfg(target_arch = "aarch64")]
pub const CLONE_TLS_FOURTH: bool = true;

/// Whether a handler without `SA_RESTORER` returns through the vDSO.
#[cfg(target_arch = "x86_64")]
pub const RETURNS_BY_VDSO: bool = false;

/// Whether a handler without `SA_RESTORER` returns through the vDSO.
#[cfg(target_arch = "aarch64")]
pub const RETURNS_BY_VDSO: bool = true;

/// `e_machine` of this machine's programs (`EM_X86_64`).
#[cfg(target_arch = "x86_64")]
pub const ELF_MACHINE: u16 = 62;

/// `e_machine` of this machine's programs (`EM_AARCH64`).
#[cfg(target_arch = "aarch64")]
pub const ELF_MACHINE: u16 = 183;

/// The property in a program's notes whose lowest bit says that all jumps of its
/// code through registers lead to landing pads; `None` where Linux reads none.
#[cfg(target_arch = "x86_64")]
pub const LANDING_PADS_PROPERTY: Option<u32> = None;

/// The property in a program's notes whose lowest bit says that all jumps of its
/// code through registers lead to landing pads (`GNU_PROPERTY_AARCH64_FEATURE_1_AND`).
#[cfg(target_arch = "aarch64")]
pub const LANDING_PADS_PROPERTY: Option<u32> = Some(0xc000_0000);

/// `AUDIT_ARCH_*`: what filters of system calls know this machine by: its
/// programs' `e_machine`, 64 bits wide, the low byte first.
pub const AUDIT_ARCH: u32 = ELF_MACHINE as u32 | 0xc000_0000;

/// The machine's name: `AT_PLATFORM` and uname(2).
#[cfg(target_arch = "x86_64")]
pub const MACHINE_NAME: &str = "x86_64";

/// The machine's name: `AT_PLATFORM` and uname(2).
#[cfg(target_arch = "aarch64")]
pub const MACHINE_NAME: &str = "aarch64";

/// Transfers without caching.
#[cfg(target_arch = "x86_64")]
pub const O_DIRECT: u32 = 0o40000;
/// Offsets of 64 bits.
#[cfg(target_arch = "x86_64")]
pub const O_LARGEFILE: u32 = 0o100_000;
/// Fail unless it is a directory.
#[cfg(target_arch = "x86_64")]
pub const O_DIRECTORY: u32 = 0o200_000;
/// Fail if the last component is a symbolic link.
#[cfg(target_arch = "x86_64")]
pub const O_NOFOLLOW: u32 = 0o400_000;

/// Transfers without caching.
#[cfg(target_arch = "aarch64")]
pub const O_DIRECT: u32 = 0o200_000;
/// Offsets of 64 bits.
#[cfg(target_arch = "aarch64")]
pub const O_LARGEFILE: u32 = 0o400_000;
/// Fail unless it is a directory.
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: u32 = 0o40000;
/// Fail if the last component is a symbolic link.
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: u32 = 0o100_000;

/// `struct stat`.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Stat {
    /// Device of the file system.
    pub st_dev: u64,
    /// Number of the inode.
    pub st_ino: u64,
    /// Names it has.
    pub st_nlink: u64,
    /// Kind and permissions.
    pub st_mode: u32,
    /// Owner.
    pub st_uid: u32,
    /// Group.
    pub st_gid: u32,
    /// Padding.
    pub pad0: u32,
    /// Device that it stands for.
    pub st_rdev: u64,
    /// Bytes.
    pub st_size: i64,
    /// Good size for transfers.
    pub st_blksize: i64,
    /// Units of 512 bytes in use.
    pub st_blocks: i64,
    /// Last access.
    pub st_atime: i64,
    /// Its nanoseconds.
    pub st_atime_nsec: i64,
    /// Last change of content.
    pub st_mtime: i64,
    /// Its nanoseconds.
    pub st_mtime_nsec: i64,
    /// Last change of status.
    pub st_ctime: i64,
    /// Its nanoseconds.
    pub st_ctime_nsec: i64,
    /// Unused.
    pub unused: [i64; 3],
}

/// `struct stat`.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Stat {
    /// Device of the file system.
    pub st_dev: u64,
    /// Number of the inode.
    pub st_ino: u64,
    /// Kind and permissions.
    pub st_mode: u32,
    /// Names it has.
    pub st_nlink: u32,
    /// Owner.
    pub st_uid: u32,
    /// Group.
    pub st_gid: u32,
    /// Device that it stands for.
    pub st_rdev: u64,
    /// Padding.
    pub pad1: u64,
    /// Bytes.
    pub st_size: i64,
    /// Good size for transfers.
    pub st_blksize: i32,
    /// Padding.
    pub pad2: i32,
    /// Units of 512 bytes in use.
    pub st_blocks: i64,
    /// Last access.
    pub st_atime: i64,
    /// Its nanoseconds.
    pub st_atime_nsec: i64,
    /// Last change of content.
    pub st_mtime: i64,
    /// Its nanoseconds.
    pub st_mtime_nsec: i64,
    /// Last change of status.
    pub st_ctime: i64,
    /// Its nanoseconds.
    pub st_ctime_nsec: i64,
    /// Unused.
    pub unused: [u32; 2],
}

#[cfg(target_arch = "x86_64")]
const _: () = assert!(size_of::<Stat>() == 144);
#[cfg(target_arch = "aarch64")]
const _: () = assert!(size_of::<Stat>() == 128);
