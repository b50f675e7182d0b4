//! Changes of attributes: who may change mode, owner, times and size.

use ochre_abi::Errno;
use ochre_abi::fcntl::{S_ISGID, S_ISUID};
use ochre_abi::signal::Signal;

use super::{Access, Change, Kind, Path, Timestamp, Want, now};
use crate::process::{Resource, Thread};
use crate::signal::{self, Info};

/// Changes the permission bits.
///
/// # Errors
/// EROFS, EPERM.
pub fn change_mode(access: &Access, path: &Path, mode: u32) -> Result<(), Errno> {
    path.mount.check_writable()?;
    if path.dentry.kind() == Kind::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    let permissions = path.inode().permissions();
    if !access.owns(permissions) {
        return Err(Errno::EPERM);
    }
    path.inode().change(&Change {
        mode: Some(access.settable_mode(mode & 0o7777, permissions.gid)),
        ..Change::default()
    })
}

/// Changes owner and group; `None` leaves one alone. What is executable loses
/// its set-user and set-group bits.
///
/// # Errors
/// EROFS, EPERM.
pub fn change_owner(
    access: &Access,
    path: &Path,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<(), Errno> {
    path.mount.check_writable()?;
    let old = path.inode().permissions();
    if !access.privileged {
        let keeps_owner = uid.is_none_or(|uid| uid == old.uid);
        let may_have_group = gid.is_none_or(|gid| gid == old.gid || access.is_member(gid));
        let is_owner = access.uid == old.uid;
        if (uid.is_some() || gid.is_some()) && !(is_owner && keeps_owner && may_have_group) {
            return Err(Errno::EPERM);
        }
    }
    let mut mode = None;
    if path.dentry.kind() != Kind::Directory && old.mode & (S_ISUID | S_ISGID) != 0 {
        let group = if old.mode & 0o010 != 0 { S_ISGID } else { 0 };
        mode = Some(old.mode & !(S_ISUID | group));
    }
    path.inode().change(&Change {
        mode,
        uid,
        gid,
        ..Change::default()
    })
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    Omit,
    /// The present.
    Now,
    /// That time.
    To(Timestamp),
}

/// Changes the times of access and change.
///
/// # Errors
/// EROFS, EPERM, or EACCES when both are to be the present.
pub fn change_times(
    access: &Access,
    path: &Path,
    accessed: SetTime,
    modified: SetTime,
) -> Result<(), Errno> {
    if accessed == SetTime::Omit && modified == SetTime::Omit {
        return Ok(());
    }
    path.mount.check_writable()?;
    let permissions = path.inode().permissions();
    if !access.owns(permissions) {
        if accessed != SetTime::Now || modified != SetTime::Now {
            return Err(Errno::EPERM);
        }
        access.check(permissions, path.dentry.kind(), Want::WRITE)?;
    }
    let present = now();
    let value = |set| match set {
        SetTime::Omit => None,
        SetTime::Now => Some(present),
        SetTime::To(time) => Some(time),
    };
    path.inode().change(&Change {
        accessed: value(accessed),
        modified: value(modified),
        ..Change::default()
    })
}

/// Fails, with a signal, where a file would become larger than the process may
/// make one (`RLIMIT_FSIZE`).
///
/// # Errors
/// EFBIG.
pub fn check_size_limit(thread: &Thread, size: u64) -> Result<(), Errno> {
    if size <= thread.process.limits.soft(Resource::FileSize) {
        return Ok(());
    }
    // The call's error says as much; a full queue changes nothing.
    let _ = signal::send_to_thread(thread, Signal::SIGXFSZ, Info::KERNEL);
    Err(Errno::EFBIG)
}

/// Cuts or extends the file at `path`.
///
/// # Errors
/// EISDIR, EINVAL, EACCES, EROFS, EFBIG, ENOSPC.
pub fn truncate(access: &Access, path: &Path, size: u64) -> Result<(), Errno> {
    match path.dentry.kind() {
        Kind::Directory => return Err(Errno::EISDIR),
        Kind::Regular => {}
        _ => return Err(Errno::EINVAL),
    }
    path.mount.check_writable()?;
    let permissions = path.inode().permissions();
    access.check(permissions, Kind::Regular, Want::WRITE)?;
    path.inode().truncate(size)?;
    wrote(access, path);
    Ok(())
}

/// Somebody wrote to the file: unless privileged, that ends set-user and set-group.
pub fn wrote(access: &Access, path: &Path) {
    if !access.privileged && path.inode().permissions().mode & (S_ISUID | S_ISGID) != 0 {
        path.inode().drop_set_ids();
    }
}
