//! What is known about files and file systems.

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    AT_EACCESS, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW, F_OK,
    R_OK, W_OK, X_OK,
};
use ochre_abi::stat::{
    STATX_ATTR_MOUNT_ROOT, STATX_BASIC_STATS, STATX_BTIME, STATX_MNT_ID, STATX_RESERVED, Stat,
    Statfs, Statx, StatxTimestamp, major, minor,
};

use super::names::{HERE, Names, read_path};
use super::{Call, Fd, Ptr};
use crate::vfs::mount::MountFlags;
use crate::vfs::{Access, Kind, Metadata, Path, Timestamp, Want};

/// A value in a field whose width each machine's ABI has for itself.
fn as_wide_as_here<T, W: From<T>>(value: T) -> W {
    W::from(value)
}

fn stat_of(metadata: &Metadata) -> Stat {
    Stat {
        st_dev: metadata.device,
        st_ino: metadata.inode,
        st_nlink: as_wide_as_here(metadata.links),
        st_mode: metadata.kind.mode() | metadata.permissions.mode,
        st_uid: metadata.permissions.uid,
        st_gid: metadata.permissions.gid,
        st_rdev: metadata.represents,
        st_size: metadata.size.cast_signed(),
        st_blksize: as_wide_as_here(metadata.block_size.cast_signed()),
        st_blocks: metadata.blocks.cast_signed(),
        st_atime: metadata.accessed.seconds,
        st_atime_nsec: metadata.accessed.nanoseconds.into(),
        st_mtime: metadata.modified.seconds,
        st_mtime_nsec: metadata.modified.nanoseconds.into(),
        st_ctime: metadata.changed.seconds,
        st_ctime_nsec: metadata.changed.nanoseconds.into(),
        ..Stat::default()
    }
}

fn stat_path(
    call: &Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    to: Ptr<Stat>,
    flags: u32,
) -> Result<(), Errno> {
    let text = read_path(call, path)?;
    if text.is_empty() && flags & AT_EMPTY_PATH != 0 && directory != HERE {
        return stat_open(call, directory, to);
    }
    let path = Names::of(call).find_or_self(
        call,
        directory,
        &text,
        flags & AT_SYMLINK_NOFOLLOW == 0,
        flags & AT_EMPTY_PATH != 0,
    )?;
    call.space
        .write_value(to, &stat_of(&path.inode().metadata()))
}

fn stat_open(call: &Call<'_>, fd: Fd, to: Ptr<Stat>) -> Result<(), Errno> {
    let file = call.files().get_any(fd.0)?;
    call.space.write_value(to, &stat_of(&file.metadata()))
}

/// `stat(2)`.
pub fn stat(call: &mut Call<'_>, path: Ptr<u8>, to: Ptr<Stat>) -> Result<(), Errno> {
    stat_path(call, HERE, path, to, 0)
}

/// `lstat(2)`.
pub fn lstat(call: &mut Call<'_>, path: Ptr<u8>, to: Ptr<Stat>) -> Result<(), Errno> {
    stat_path(call, HERE, path, to, AT_SYMLINK_NOFOLLOW)
}

/// `fstat(2)`.
pub fn fstat(call: &mut Call<'_>, fd: Fd, to: Ptr<Stat>) -> Result<(), Errno> {
    stat_open(call, fd, to)
}

/// `newfstatat`, which C libraries call fstatat(2).
pub fn newfstatat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    to: Ptr<Stat>,
    flags: u32,
) -> Result<(), Errno> {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    stat_path(call, directory, path, to, flags)
}

fn statx_time(time: Timestamp) -> StatxTimestamp {
    StatxTimestamp {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds,
        pad: 0,
    }
}

/// `statx(2)`. Everything is known at once, so the mask asks for nothing in vain.
pub fn statx(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    flags: u32,
    mask: u32,
    to: Ptr<Statx>,
) -> Result<(), Errno> {
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
    if mask & STATX_RESERVED != 0
        || flags & !known != 0
        || flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE
    {
        return Err(Errno::EINVAL);
    }
    let text = read_path(call, path)?;
    let (metadata, mount) = if text.is_empty() && flags & AT_EMPTY_PATH != 0 && directory != HERE {
        let file = call.files().get_any(directory.0)?;
        let mount = file
            .path()
            .map(|path| (path.mount.id(), path.is_mount_root()));
        (file.metadata(), mount.unwrap_or_default())
    } else {
        let path = Names::of(call).find_or_self(
            call,
            directory,
            &text,
            flags & AT_SYMLINK_NOFOLLOW == 0,
            flags & AT_EMPTY_PATH != 0,
        )?;
        (
            path.inode().metadata(),
            (path.mount.id(), path.is_mount_root()),
        )
    };
    let (mount, is_mount_root) = mount;
    let result = Statx {
        stx_mask: STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
        stx_blksize: metadata.block_size,
        stx_attributes: if is_mount_root {
            STATX_ATTR_MOUNT_ROOT
        } else {
            0
        },
        stx_attributes_mask: STATX_ATTR_MOUNT_ROOT,
        stx_nlink: metadata.links,
        stx_uid: metadata.permissions.uid,
        stx_gid: metadata.permissions.gid,
        stx_mode: (metadata.kind.mode() | metadata.permissions.mode) as u16,
        stx_ino: metadata.inode,
        stx_size: metadata.size,
        stx_blocks: metadata.blocks,
        stx_atime: statx_time(metadata.accessed),
        stx_btime: statx_time(metadata.created),
        stx_ctime: statx_time(metadata.changed),
        stx_mtime: statx_time(metadata.modified),
        stx_rdev_major: major(metadata.represents),
        stx_rdev_minor: minor(metadata.represents),
        stx_dev_major: major(metadata.device),
        stx_dev_minor: minor(metadata.device),
        stx_mnt_id: mount,
        ..Statx::default()
    };
    call.space.write_value(to, &result)
}

fn access_path(
    call: &Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    mode: u32,
    flags: u32,
) -> Result<(), Errno> {
    if mode & !(F_OK | X_OK | W_OK | R_OK) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut access = call.thread.access();
    if flags & AT_EACCESS == 0 {
        let credentials = call.thread.credentials();
        access = Access {
            uid: credentials.uid.real,
            gid: credentials.gid.real,
            privileged: credentials.uid.real == 0,
            ..access
        };
    }
    let text = read_path(call, path)?;
    let names = Names::with(call, access);
    let path = names.find_or_self(
        call,
        directory,
        &text,
        flags & AT_SYMLINK_NOFOLLOW == 0,
        flags & AT_EMPTY_PATH != 0,
    )?;
    if mode == F_OK {
        return Ok(());
    }
    let kind = path.dentry.kind();
    let want = Want::from_bits_truncate(mode);
    if want.contains(Want::EXECUTE)
        && kind == Kind::Regular
        && path.mount.flags().contains(MountFlags::NOEXEC)
    {
        return Err(Errno::EACCES);
    }
    names.access.check(path.inode().permissions(), kind, want)?;
    let is_device = matches!(
        kind,
        Kind::CharacterDevice | Kind::BlockDevice | Kind::Fifo | Kind::Socket
    );
    if want.contains(Want::WRITE) && !is_device {
        path.mount.check_writable()?;
    }
    Ok(())
}

/// `access(2)`.
pub fn access(call: &mut Call<'_>, path: Ptr<u8>, mode: u32) -> Result<(), Errno> {
    access_path(call, HERE, path, mode, 0)
}

/// `faccessat(2)`: the system call has no flags.
pub fn faccessat(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    mode: u32,
) -> Result<(), Errno> {
    access_path(call, directory, path, mode, 0)
}

/// `faccessat2(2)`.
pub fn faccessat2(
    call: &mut Call<'_>,
    directory: Fd,
    path: Ptr<u8>,
    mode: u32,
    flags: u32,
) -> Result<(), Errno> {
    access_path(call, directory, path, mode, flags)
}

/// `f_flags` of a mount: the flags of mount(2), and that they are valid.
const ST_VALID: i64 = 0x20;
/// `f_flags`: times of access follow those of change.
const ST_RELATIME: i64 = 4096;

fn statistics(path: &Path) -> Statfs {
    let mut statistics = path.mount.file_system().statistics();
    let flags = path.mount.flags();
    let simple = MountFlags::READ_ONLY
        | MountFlags::NOSUID
        | MountFlags::NODEV
        | MountFlags::NOEXEC
        | MountFlags::NOATIME
        | MountFlags::NODIRATIME;
    statistics.f_flags = ST_VALID | i64::from((flags & simple).bits());
    if flags.contains(MountFlags::RELATIME) {
        statistics.f_flags |= ST_RELATIME;
    }
    statistics
}

/// `statfs(2)`.
pub fn statfs(call: &mut Call<'_>, path: Ptr<u8>, to: Ptr<Statfs>) -> Result<(), Errno> {
    let text = read_path(call, path)?;
    let path = Names::of(call).find(call, HERE, &text, true)?;
    call.space.write_value(to, &statistics(&path))
}

/// `fstatfs(2)`.
pub fn fstatfs(call: &mut Call<'_>, fd: Fd, to: Ptr<Statfs>) -> Result<(), Errno> {
    let file = call.files().get_any(fd.0)?;
    call.space
        .write_value(to, &statistics(&file.path_or_anonymous()))
}
