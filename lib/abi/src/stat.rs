//! What `stat`, `statx` and `statfs` write, and device numbers.

use zerocopy::{FromBytes, Immutable, IntoBytes};

pub use crate::arch::Stat;

/// `struct statx_timestamp`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct StatxTimestamp {
    /// Seconds.
    pub tv_sec: i64,
    /// Nanoseconds.
    pub tv_nsec: u32,
    /// Padding.
    pub pad: i32,
}

/// `struct statx`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Statx {
    /// What is filled in (`STATX_*`).
    pub stx_mask: u32,
    /// Good size for transfers.
    pub stx_blksize: u32,
    /// `STATX_ATTR_*`.
    pub stx_attributes: u64,
    /// Names it has.
    pub stx_nlink: u32,
    /// Owner.
    pub stx_uid: u32,
    /// Group.
    pub stx_gid: u32,
    /// Kind and permissions.
    pub stx_mode: u16,
    /// Padding.
    pub pad0: u16,
    /// Number of the inode.
    pub stx_ino: u64,
    /// Bytes.
    pub stx_size: u64,
    /// Units of 512 bytes in use.
    pub stx_blocks: u64,
    /// Which attributes mean something.
    pub stx_attributes_mask: u64,
    /// Last access.
    pub stx_atime: StatxTimestamp,
    /// Creation.
    pub stx_btime: StatxTimestamp,
    /// Last change of status.
    pub stx_ctime: StatxTimestamp,
    /// Last change of content.
    pub stx_mtime: StatxTimestamp,
    /// Device that it stands for.
    pub stx_rdev_major: u32,
    /// Its minor number.
    pub stx_rdev_minor: u32,
    /// Device of the file system.
    pub stx_dev_major: u32,
    /// Its minor number.
    pub stx_dev_minor: u32,
    /// Number of the mount.
    pub stx_mnt_id: u64,
    /// Alignment for direct transfers.
    pub stx_dio_mem_align: u32,
    /// Alignment of their offsets.
    pub stx_dio_offset_align: u32,
    /// Reserved.
    pub spare: [u64; 12],
}

/// `statx`: the fields of `stat`.
pub const STATX_BASIC_STATS: u32 = 0x7ff;
/// `statx`: the creation time.
pub const STATX_BTIME: u32 = 0x800;
/// `statx`: the number of the mount.
pub const STATX_MNT_ID: u32 = 0x1000;
/// `statx`: must not be asked for.
pub const STATX_RESERVED: u32 = 0x8000_0000;
/// Attribute: the root of a mount.
pub const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;

/// `struct statfs`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Statfs {
    /// Kind of file system.
    pub f_type: i64,
    /// Good size for transfers.
    pub f_bsize: i64,
    /// Blocks.
    pub f_blocks: u64,
    /// Free blocks.
    pub f_bfree: u64,
    /// Free blocks for everybody.
    pub f_bavail: u64,
    /// Inodes.
    pub f_files: u64,
    /// Free inodes.
    pub f_ffree: u64,
    /// Identity.
    pub f_fsid: [i32; 2],
    /// Longest name.
    pub f_namelen: i64,
    /// Unit of the block counts.
    pub f_frsize: i64,
    /// `ST_*`.
    pub f_flags: i64,
    /// Reserved.
    pub f_spare: [i64; 4],
}

/// `statfs` type of tmpfs and devtmpfs.
pub const TMPFS_MAGIC: i64 = 0x0102_1994;
/// `statfs` type of procfs.
pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;

const _: () = assert!(size_of::<Statx>() == 256);
const _: () = assert!(size_of::<Statfs>() == 120);

/// A device number from its parts, as `stat` has it.
#[must_use]
pub const fn make_device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
}

/// The major number of a device.
#[must_use]
pub const fn major(device: u64) -> u32 {
    (((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000)) as u32
}

/// The minor number of a device.
#[must_use]
pub const fn minor(device: u64) -> u32 {
    ((device & 0xff) | ((device >> 12) & 0xffff_ff00)) as u32
}

#[cfg(test)]
mod tests {
    use super::{major, make_device, minor};

    #[test]
    fn device_numbers_come_apart_again() {
        for (a, b) in [(1, 3), (136, 300), (4095, 255), (4096, 1 << 20), (0, 0)] {
            let device = make_device(a, b);
            assert_eq!((major(device), minor(device)), (a, b));
        }
        assert_eq!(make_device(1, 3), 0x103);
    }
}
